package dataset

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// tempPattern names shards that are being written. What a killed process leaves
// is swept away by a later one.
const tempPattern = ".shard-*.tmp"

// entry is a sequence for a shard.
type entry struct {
	Sequence
	bytes int
	hash  uint64
	flags byte
	sign  *signature // of the document; nil: it has none
}

// shardWriter writes a shard beside its final path. What it holds in memory is
// 21 bytes a sequence, a bit a token and the signatures.
type shardWriter struct {
	path      string
	file      *os.File
	out       *bufio.Writer
	vocab     int
	info      shardInfo
	tokens    int
	sequences int
	offsets   []byte
	bytes     []byte
	hashes    []byte
	flags     []byte
	mask      []byte
	masked    bool // some token does not count
	minhash   []byte
	signed    bool // there are signatures
	scratch   []byte
	sum       uint32 // CRC-32C of what has been written behind the header
}

func newShardWriter(path string, vocabSize int, signed bool) (*shardWriter, error) {
	// os.CreateTemp would make a file for its owner alone.
	name := strings.Replace(tempPattern, "*", fmt.Sprintf("%016x", rand.Uint64()), 1)
	file, err := os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	w := &shardWriter{path: path, file: file, out: bufio.NewWriterSize(file, 1<<20), vocab: vocabSize, signed: signed, offsets: make([]byte, 8)}
	if _, err := w.out.Write(make([]byte, shardHeader)); err != nil {
		w.abort()
		return nil, err
	}
	return w, nil
}

// add appends a sequence. Its labels are its ids or NoLabel.
func (w *shardWriter) add(e entry) error {
	if e.Labels != nil && len(e.Labels) != len(e.IDs) {
		return fmt.Errorf("%d ids with %d labels", len(e.IDs), len(e.Labels))
	}
	w.scratch = w.scratch[:0]
	for k, id := range e.IDs {
		if id < 0 || int(id) >= w.vocab {
			return fmt.Errorf("id %d of a vocabulary of %d", id, w.vocab)
		}
		if idWidth(w.vocab) == 2 {
			w.scratch = binary.LittleEndian.AppendUint16(w.scratch, uint16(id))
		} else {
			w.scratch = binary.LittleEndian.AppendUint32(w.scratch, uint32(id))
		}
		at := w.tokens + k
		if at%8 == 0 {
			w.mask = append(w.mask, 0)
		}
		switch {
		case e.Labels == nil || e.Labels[k] == id:
			w.mask[at/8] |= 1 << (at % 8)
		case e.Labels[k] == NoLabel:
			w.masked = true
		default:
			return fmt.Errorf("label %d of token %d", e.Labels[k], id)
		}
	}
	w.tokens += len(e.IDs)
	w.sequences++
	w.offsets = binary.LittleEndian.AppendUint64(w.offsets, uint64(w.tokens))
	w.bytes = binary.LittleEndian.AppendUint32(w.bytes, uint32(e.bytes))
	w.hashes = binary.LittleEndian.AppendUint64(w.hashes, e.hash)
	w.flags = append(w.flags, e.flags)
	if e.sign != nil {
		w.minhash = append(w.minhash, e.sign[:]...)
	}
	return w.write(w.scratch)
}

func (w *shardWriter) write(data []byte) error {
	w.sum = crc32.Update(w.sum, castagnoli, data)
	_, err := w.out.Write(data)
	return err
}

// finish completes the shard and puts it in its place.
func (w *shardWriter) finish() error {
	err := w.complete()
	if err == nil {
		err = w.file.Sync()
	}
	err = errors.Join(err, w.file.Close())
	if err == nil {
		err = os.Rename(w.file.Name(), w.path)
	}
	if err != nil {
		os.Remove(w.file.Name())
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return nil
}

// complete writes what comes after the ids, and the header.
func (w *shardWriter) complete() error {
	header := map[string]any{}
	info, err := json.Marshal(w.info)
	if err != nil {
		return err
	}
	at := 0
	describe := func(name, dtype string, size int) {
		header[name] = tensorHeader{dtype, [1]int{size / dtypeSizes[dtype]}, [2]int{at, at + size}}
		at += size
	}
	if idWidth(w.vocab) == 2 {
		describe("ids", "U16", 2*w.tokens)
	} else {
		describe("ids", "U32", 4*w.tokens)
	}
	sections := []struct {
		name, dtype string
		data        []byte
	}{
		{"offsets", "U64", w.offsets}, {"bytes", "U32", w.bytes}, {"hashes", "U64", w.hashes},
		{"flags", "U8", w.flags}, {"mask", "U8", w.mask}, {"minhash", "U8", w.minhash},
	}
	for _, s := range sections {
		if s.name == "mask" && !w.masked || s.name == "minhash" && !w.signed {
			continue
		}
		describe(s.name, s.dtype, len(s.data))
		if err := w.write(s.data); err != nil {
			return err
		}
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	header["__metadata__"] = map[string]string{shardKey: string(info), shardSum: fmt.Sprintf("%08x", w.sum)}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	head := bytes.Repeat([]byte{' '}, shardHeader)
	binary.LittleEndian.PutUint64(head, shardHeader-8)
	if copy(head[8:], text) < len(text) {
		return fmt.Errorf("a header of %d bytes", len(text))
	}
	_, err = w.file.WriteAt(head, 0)
	return err
}

// abort throws the unfinished shard away.
func (w *shardWriter) abort() {
	w.file.Close()
	os.Remove(w.file.Name())
}
