package tokenizer

import (
	"fmt"
	"math/bits"
	"strings"
)

// bpe merges neighbouring tokens, the pair of lowest rank first and of those
// the leftmost, until no pair has a merge.
type bpe struct {
	Vocab vocab
	// Merges by rank; each makes the token that its two tokens give when put
	// together (the right one without ContinuingSubwordPrefix).
	Merges                  []merge
	UnkToken                string // "": none; then what is unknown is left out
	ContinuingSubwordPrefix string
	EndOfWordSuffix         string
	FuseUnk                 bool
	ByteFallback            bool
	IgnoreMerges            bool // a piece that is a token is that token

	index  *vocabIndex
	merged *mergeTable
	unk    int32      // -1: none
	bytes  [256]int32 // tokens like <0x41>; -1: none
	// letters holds the tokens of the byte-level letters by byte; -1: none.
	letters [256]int32

	quick quickWay
}

// merge joins two tokens, by their ids.
type merge struct{ left, right int32 }

func (*bpe) typeName() string { return "BPE" }

func (m *bpe) tokens() vocab { return m.Vocab }

func (m *bpe) prepare(x *vocabIndex) (err error) {
	m.index, m.unk = x, -1
	if m.UnkToken != "" {
		if m.unk, err = unknownID(x, m.UnkToken); err != nil {
			return err
		}
	}
	m.bytes = byteTokens(x)
	for b, r := range byteLetters {
		m.letters[b] = x.id(string(r))
	}
	return m.buildMerges()
}

func (m *bpe) buildMerges() error {
	m.merged = newMergeTable(len(m.Merges))
	var buf []byte
	last := int32(-1) // most merges make the token after that of the merge before
	for rank, mg := range m.Merges {
		left, right := m.Vocab.token(mg.left), m.Vocab.token(mg.right)
		if left == "" || right == "" {
			return fmt.Errorf("merge %d: ids %d and %d are not both in the vocabulary of %d", rank, mg.left, mg.right, len(m.Vocab))
		}
		rest, ok := strings.CutPrefix(right, m.ContinuingSubwordPrefix)
		if !ok {
			return fmt.Errorf("merge %d: %s does not begin with continuing_subword_prefix %q", rank, shorten(right), m.ContinuingSubwordPrefix)
		}
		buf = append(append(buf[:0], left...), rest...)
		id := last + 1
		if m.Vocab.token(id) != string(buf) {
			id = m.index.id(string(buf))
		}
		last = id
		if id < 0 {
			return fmt.Errorf("merge %d: %s and %s make %s, which is not in the vocabulary", rank, shorten(left), shorten(right), shorten(string(buf)))
		}
		m.merged.set(mg, int32(rank), id)
	}
	return nil
}

// parseMerge finds the ids of a merge written as two tokens.
func parseMerge(x *vocabIndex, rank int, left, right string) (merge, error) {
	mg := merge{x.id(left), x.id(right)}
	if mg.left < 0 || mg.right < 0 {
		if mg.left >= 0 {
			left = right
		}
		return mg, fmt.Errorf("merge %d: %s is not in the vocabulary", rank, shorten(left))
	}
	return mg, nil
}

// mergeTable finds merges by their two tokens.
type mergeTable struct {
	entries []mergeEntry // with open addressing
	// some holds a bit for every merge, and by chance for some other pairs:
	// most pairs that are asked for have none, and the bits stay in the cache.
	some  []uint64
	shift uint8
}

type mergeEntry struct {
	key      uint64 // left<<32 | right, plus 1; 0 is empty
	rank, id int32
}

func newMergeTable(n int) *mergeTable {
	size := bits.Len(uint(8*n + 63)) // bits of some: 8 to 16 a merge
	return &mergeTable{entries: make([]mergeEntry, n*5/3+16), some: make([]uint64, 1<<(size-6)), shift: uint8(64 - size)}
}

func mergeKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) + 1 }

// mixKey spreads a key over 64 bits, of which the highest are the best.
func mixKey(key uint64) uint64 {
	key *= 0x9e3779b97f4a7c15
	return (key ^ key>>32) * 0xd6e8feb86659fd93
}

func (t *mergeTable) slot(key, hash uint64) *mergeEntry {
	at, _ := bits.Mul64(hash, uint64(len(t.entries)))
	for ; ; at++ {
		if at == uint64(len(t.entries)) {
			at = 0
		}
		if e := &t.entries[at]; e.key == key || e.key == 0 {
			return e
		}
	}
}

// set notes a merge; of one that comes twice the last rank counts.
func (t *mergeTable) set(m merge, rank, id int32) {
	key := mergeKey(m.left, m.right)
	hash := mixKey(key)
	bit := hash >> t.shift
	t.some[bit>>6] |= 1 << (bit & 63)
	*t.slot(key, hash) = mergeEntry{key, rank, id}
}

// get returns the rank of the merge of two tokens and the token it makes;
// rank is -1 if there is none.
func (t *mergeTable) get(left, right int32) (rank, id int32) {
	key := mergeKey(left, right)
	hash := mixKey(key)
	if bit := hash >> t.shift; t.some[bit>>6]>>(bit&63)&1 == 0 {
		return -1, -1
	}
	e := t.slot(key, hash)
	if e.key == 0 {
		return -1, -1
	}
	return e.rank, e.id
}

func (m *bpe) tokenize(w *work, p piece) {
	s := w.text[p.start:p.end]
	fast := m.quick.get(len(s))
	if id := m.wholeID(fast, s, w.bytes); id >= 0 {
		w.tokens = append(w.tokens, token{id: id, start: p.start, end: p.end})
		return
	}
	if fast != nil && w.bytes == m.quick.bytes {
		st := &w.model.pairwise
		fast.encode(st, s)
		at := p.start
		for i, id := range st.ids {
			end := p.start + int(st.ends[i])
			w.tokens = append(w.tokens, token{id: id, start: at, end: end})
			at = end
		}
		return
	}
	st := &w.model.bpe
	m.symbolsOf(st, s, w.bytes)
	m.mergeAll(st)
	at := p.start
	for y := range st.left() {
		w.tokens = append(w.tokens, token{id: y.id, start: at, end: at + int(y.size)})
		at += int(y.size)
	}
}

// appendMerged appends the ids of a piece of bytes.
func (m *bpe) appendMerged(ids []int32, st *bpeState, s string) []int32 {
	m.symbolsOf(st, s, true)
	m.mergeAll(st)
	for y := range st.left() {
		ids = append(ids, y.id)
	}
	return ids
}

// takesBytes reports whether the model can see bytes in the place of their
// letters: what it does with a letter must not depend on its name.
func (m *bpe) takesBytes() bool {
	return m.ContinuingSubwordPrefix == "" && m.EndOfWordSuffix == "" && !m.ByteFallback
}

// wholeID returns the token that s is as a whole by IgnoreMerges, -1 if there
// is none. With fast there, tokens that merging finds anyway do not count.
func (m *bpe) wholeID(fast *pairwise, s string, asBytes bool) int32 {
	switch {
	case !m.IgnoreMerges:
		return -1
	case fast != nil && asBytes == m.quick.bytes:
		if id, ok := fast.unreached[s]; ok {
			return id
		}
		return -1
	case asBytes:
		s = lettersOf(s)
	}
	return m.index.id(s)
}
