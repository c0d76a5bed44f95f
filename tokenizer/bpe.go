package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
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
	made   []int32    // by rank: the token that the merge makes
	unk    int32      // -1: none
	bytes  [256]int32 // tokens like <0x41>; -1: none
	// letters holds the tokens of the byte-level letters by byte; -1: none.
	letters [256]int32

	// What ready makes.
	asBytes   bool
	pairRanks []int32 // the ranks of merges of two bytes, by the bytes; nil if one has no token
	seams     *seams  // nil: parts of a piece depend on each other
	// chars holds the token that a character of three bytes becomes when it is
	// merged alone, by its code point; -1: several, or none.
	chars   []int32
	raw     *vocabIndex
	longest int // token of raw, in bytes
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
	m.made = make([]int32, len(m.Merges))
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
		m.made[rank] = id
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

// ready makes the tables for pieces of bytes or of text, whichever the model
// will see.
func (m *bpe) ready(asBytes bool) {
	m.asBytes = asBytes
	whole := true
	for _, id := range m.letters {
		whole = whole && id >= 0
	}
	if asBytes && whole {
		m.pairRanks = make([]int32, 1<<16)
		for a := range 256 {
			for b := range 256 {
				m.pairRanks[a<<8|b] = -1
			}
		}
		for rank, mg := range m.Merges {
			a, isA := m.letter(mg.left)
			b, isB := m.letter(mg.right)
			if !isA || !isB {
				continue
			}
			if r, _ := m.merged.get(mg.left, mg.right); r == int32(rank) {
				m.pairRanks[int(a)<<8|int(b)] = r
			}
		}
	}
	if asBytes && whole || !asBytes && m.unknownsAreApart() {
		m.seams = newSeams(m, asBytes)
	}
	if asBytes && whole {
		m.findChars()
	}
	if asBytes && m.IgnoreMerges {
		names := make(vocab, len(m.Vocab))
		for id, t := range m.Vocab {
			if b, ok := bytesOf(t); ok {
				names[id] = string(b)
				m.longest = max(m.longest, len(b))
			}
		}
		names.compact()
		m.raw, _ = newVocabIndex(names, true)
	}
}

func (m *bpe) findChars() {
	m.chars = slices.Repeat([]int32{-1}, 1<<16)
	var st bpeState
	for id, t := range m.Vocab {
		if utf8.RuneCountInString(t) != 3 {
			continue
		}
		b, ok := bytesOf(t)
		if !ok || utf8.RuneCount(b) != 1 {
			continue
		}
		st.out = st.out[:0]
		m.shortBytes(&st, string(b))
		if len(st.out) == 1 {
			r, _ := utf8.DecodeRune(b)
			m.chars[r] = int32(id)
		}
	}
}

// letter returns the byte whose letter a token is.
func (m *bpe) letter(id int32) (byte, bool) {
	t := m.Vocab[id]
	r, size := utf8.DecodeRuneInString(t)
	if size != len(t) {
		return 0, false
	}
	return letterByte(r)
}

// unknownsAreApart reports whether the parts of a text between seams can be
// merged alone though some characters have no token: their tokens never merge,
// and none of them depends on its place.
func (m *bpe) unknownsAreApart() bool {
	if m.ContinuingSubwordPrefix != "" || m.EndOfWordSuffix != "" {
		return false
	}
	special := map[int32]bool{m.unk: true}
	whole := true
	for _, id := range m.bytes {
		whole = whole && id >= 0
		special[id] = true
	}
	if m.ByteFallback && !whole || !m.ByteFallback && m.unk < 0 {
		return false
	}
	for _, mg := range m.Merges {
		if special[mg.left] || special[mg.right] {
			return false
		}
	}
	return true
}

func (m *bpe) tokenize(w *work, p piece) {
	s := w.text[p.start:p.end]
	if id := m.wholeID(s, w.bytes); id >= 0 {
		w.tokens = append(w.tokens, token{id: id, start: p.start, end: p.end})
		return
	}
	st := &w.model.bpe
	st.out = st.out[:0]
	m.encode(st, s, w.bytes)
	at := p.start
	for _, o := range st.out {
		w.tokens = append(w.tokens, token{id: o.id, start: at, end: at + int(o.size)})
		at += int(o.size)
	}
}

// encode appends the tokens of a piece to st.out. It cuts the piece at its
// seams.
func (m *bpe) encode(st *bpeState, s string, asBytes bool) {
	start := 0
	if m.seams != nil && asBytes == m.asBytes {
		for i := 1; i < len(s); i++ {
			if s[i] >= 0xc0 && m.seams.at(s, i) {
				m.encodePart(st, s[start:i], asBytes)
				start = i
			}
		}
	}
	if start < len(s) {
		m.encodePart(st, s[start:], asBytes)
	}
}

// encodePart merges s whatever its seams.
func (m *bpe) encodePart(st *bpeState, s string, asBytes bool) {
	if asBytes && len(s) <= maxShort && m.pairRanks != nil {
		m.shortBytes(st, s)
		return
	}
	m.symbolsOf(st, s, asBytes)
	if len(st.symbols) <= maxShort {
		m.shortSymbols(st)
		return
	}
	m.mergeAll(st)
	for y := range st.left() {
		m.append(st, y.id, y.size)
	}
}

// append appends a token to st.out; unknown neighbours become one if they are
// to.
func (m *bpe) append(st *bpeState, id, size int32) {
	if n := len(st.out); m.FuseUnk && id == m.unk && n > 0 && st.out[n-1].id == id {
		st.out[n-1].size += size
		return
	}
	st.out = append(st.out, sized{id, size})
}

// takesBytes reports whether the model can see bytes in the place of their
// letters: what it does with a letter must not depend on its name.
func (m *bpe) takesBytes() bool {
	return m.ContinuingSubwordPrefix == "" && m.EndOfWordSuffix == "" && !m.ByteFallback
}

// wholeID returns the token that s is as a whole by IgnoreMerges, -1 if there
// is none.
func (m *bpe) wholeID(s string, asBytes bool) int32 {
	switch {
	case !m.IgnoreMerges:
		return -1
	case !asBytes:
		return m.index.id(s)
	case len(s) > m.longest:
		return -1
	}
	return m.raw.id(s)
}
