package dataset

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"sort"

	"wenmo/internal/mmap"
)

// A shard holds the sequences of a file or of a part of one. It is a safetensors
// file with the tensors
//
//	ids      U16 or U32 [tokens]
//	offsets  U64 [sequences+1]   where each sequence begins in ids
//	bytes    U32 [sequences]     of the document's text
//	hashes   U64 [sequences]     of the document: hashDocument
//	flags    U8  [sequences]     flagContaminated, flagContinues
//	mask     U8  [tokens/8]      bit i%8 of byte i/8 is 1: token i counts;
//	                             not there: all count
//	minhash  U8  [documents*128] signDocument; only with NearDuplicates
//
// and with shardInfo as JSON under the key shardKey of the metadata, and a checksum
// under shardSum.
const (
	shardKey    = "wenmo.shard.v2"
	shardSum    = "crc32c" // of what follows the header, in hexadecimal digits
	shardHeader = 2048     // bytes before the data, the header's length among them

	flagContaminated = 1 << 0
	// flagContinues marks a sequence of the same document as the one before;
	// its bytes are 0.
	flagContinues = 1 << 1

	// maxNarrowVocab is how many ids fit into 16 bits.
	maxNarrowVocab = 1 << 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// shardInfo says what part of a file a shard is.
type shardInfo struct {
	Records   int64 `json:"records"`   // read for it, broken ones included
	Documents int64 `json:"documents"` // with a sequence
	Bytes     int64 `json:"bytes"`     // of their texts
	Empty     int64 `json:"empty"`     // documents without a sequence
	Broken    int64 `json:"broken"`
	Truncated int64 `json:"truncated"` // conversations that did not fit whole
	Dropped   int64 `json:"dropped"`   // conversations, or turns, of which nothing fitted
	Last      bool  `json:"last"`      // the file ends here
}

// shard is a shard in memory, mapped.
type shard struct {
	file  *mmap.File
	info  shardInfo
	n     int // sequences
	vocab int // its size

	ids, offsets, bytes, hashes, flags, mask, minhash []byte
}

// idWidth returns how many bytes an id has.
func idWidth(vocabSize int) int {
	if vocabSize <= maxNarrowVocab {
		return 2
	}
	return 4
}

// tensorHeader describes a tensor in a safetensors file.
type tensorHeader struct {
	Dtype   string `json:"dtype"`
	Shape   [1]int `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// dtypeSizes has the types that shards use.
var dtypeSizes = map[string]int{"U8": 1, "U16": 2, "U32": 4, "U64": 8}

// openShard maps the shard of that path, which has signatures or need not.
func openShard(path string, vocabSize int, signed bool) (*shard, error) {
	file, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	s := &shard{file: file, vocab: vocabSize}
	if err = mmap.Guard(path, func() error { return s.parse(signed) }); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: not a shard: %w", path, err)
	}
	return s, nil
}

func (s *shard) parse(signed bool) error {
	data := s.file.Data
	if len(data) < shardHeader || binary.LittleEndian.Uint64(data) != shardHeader-8 {
		return fmt.Errorf("%d bytes without a header of %d", len(data), shardHeader)
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:shardHeader], &header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	var meta map[string]string
	if err := json.Unmarshal(header["__metadata__"], &meta); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if err := json.Unmarshal([]byte(meta[shardKey]), &s.info); err != nil {
		return fmt.Errorf("metadata %q: %w", shardKey, err)
	}
	if sum := crc32.Checksum(data[shardHeader:], castagnoli); meta[shardSum] != fmt.Sprintf("%08x", sum) {
		return fmt.Errorf("the checksum is %08x, not %q: the file is damaged", sum, meta[shardSum])
	}
	idType := "U16"
	if idWidth(s.vocab) == 4 {
		idType = "U32"
	}
	for _, t := range []struct {
		name, dtype string
		into        *[]byte
	}{
		{"ids", idType, &s.ids}, {"offsets", "U64", &s.offsets}, {"bytes", "U32", &s.bytes},
		{"hashes", "U64", &s.hashes}, {"flags", "U8", &s.flags}, {"mask", "U8", &s.mask},
		{"minhash", "U8", &s.minhash},
	} {
		raw, ok := header[t.name]
		if !ok && (t.name == "mask" || t.name == "minhash" && !signed) {
			continue
		}
		var err error
		if *t.into, err = tensorData(data[shardHeader:], raw, t.dtype); err != nil {
			return fmt.Errorf("tensor %q: %w", t.name, err)
		}
	}
	if err := s.checkSizes(); err != nil || !signed {
		return err
	}
	documents := 0
	for i := range s.n {
		if !s.continues(i) {
			documents++
		}
	}
	if int64(documents) != s.info.Documents || len(s.minhash) != documents*minHashes {
		return fmt.Errorf("%d documents, not %d, with signatures of %d bytes", documents, s.info.Documents, len(s.minhash))
	}
	return nil
}

// tensorData returns the bytes of a tensor with that header.
func tensorData(data, header []byte, dtype string) ([]byte, error) {
	var h tensorHeader
	if err := json.Unmarshal(header, &h); err != nil {
		return nil, err
	}
	from, to := h.Offsets[0], h.Offsets[1]
	if h.Dtype != dtype || from < 0 || to < from || to > len(data) || (to-from)%dtypeSizes[dtype] != 0 || h.Shape[0] != (to-from)/dtypeSizes[dtype] {
		return nil, fmt.Errorf("%s of shape %v at %v of %d bytes, want %s", h.Dtype, h.Shape, h.Offsets, len(data), dtype)
	}
	return data[from:to], nil
}

func (s *shard) checkSizes() error {
	s.n = len(s.flags)
	tokens := s.tokens()
	switch {
	case len(s.offsets) != 8*(s.n+1), len(s.bytes) != 4*s.n, len(s.hashes) != 8*s.n:
		return fmt.Errorf("%d sequences with %d offsets", s.n, len(s.offsets)/8)
	case s.offset(s.n) != uint64(tokens):
		return fmt.Errorf("%d tokens, but the last sequence ends at %d", tokens, s.offset(s.n))
	case s.mask != nil && len(s.mask) != (tokens+7)/8:
		return fmt.Errorf("%d tokens with a mask of %d bytes", tokens, len(s.mask))
	}
	return nil
}

func (s *shard) tokens() int { return len(s.ids) / idWidth(s.vocab) }

func (s *shard) offset(i int) uint64       { return binary.LittleEndian.Uint64(s.offsets[8*i:]) }
func (s *shard) hash(i int) uint64         { return binary.LittleEndian.Uint64(s.hashes[8*i:]) }
func (s *shard) textBytes(i int) int       { return int(binary.LittleEndian.Uint32(s.bytes[4*i:])) }
func (s *shard) continues(i int) bool      { return s.flags[i]&flagContinues != 0 }
func (s *shard) isContaminated(i int) bool { return s.flags[i]&flagContaminated != 0 }

// length returns how many tokens sequence i has; 0 if its offsets are broken,
// which read tells.
func (s *shard) length(i int) int {
	from, to := s.offset(i), s.offset(i+1)
	if from > to || to > uint64(s.tokens()) {
		return 0
	}
	return int(to - from)
}

// read returns tokens from to to of sequence i, with the labels of those
// that count.
func (s *shard) read(i, from, to int) (Sequence, error) {
	if from < 0 || to < from || to > s.length(i) {
		return Sequence{}, fmt.Errorf("%s: sequence %d: tokens %d to %d of %d", s.file.Path, i, from, to, s.length(i))
	}
	start := int(s.offset(i)) + from
	seq := Sequence{IDs: make([]int32, to-from)}
	for k := range seq.IDs {
		id := uint32(0)
		if idWidth(s.vocab) == 2 {
			id = uint32(binary.LittleEndian.Uint16(s.ids[2*(start+k):]))
		} else {
			id = binary.LittleEndian.Uint32(s.ids[4*(start+k):])
		}
		if id >= uint32(s.vocab) {
			return Sequence{}, fmt.Errorf("%s: sequence %d: id %d of a vocabulary of %d", s.file.Path, i, id, s.vocab)
		}
		seq.IDs[k] = int32(id)
	}
	seq.Labels = seq.IDs
	if s.mask == nil {
		return seq, nil
	}
	seq.Labels = make([]int32, to-from)
	for k, id := range seq.IDs {
		seq.Labels[k] = NoLabel
		if at := start + k; s.mask[at/8]&(1<<(at%8)) != 0 {
			seq.Labels[k] = id
		}
	}
	return seq, nil
}

// shards is the sequences of several shards in a row.
type shards struct {
	list  []*shard
	first []int // of each shard, and their sum
}

func newShards(list []*shard) shards {
	s := shards{list: list, first: []int{0}}
	for _, one := range list {
		s.first = append(s.first, s.len()+one.n)
	}
	return s
}

func (s shards) len() int { return s.first[len(s.first)-1] }

// at returns the shard of sequence i and its index there.
func (s shards) at(i int) (*shard, int) {
	k := sort.SearchInts(s.first, i+1) - 1
	return s.list[k], i - s.first[k]
}

// length returns how many tokens sequence i has.
func (s shards) length(i int) int {
	one, k := s.at(i)
	return one.length(k)
}
