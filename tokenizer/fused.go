package tokenizer

import "encoding/binary"

// fused is the quick way of a byte-level vocabulary whose pre-tokenizer is one
// scanner, with Digits before it or not: the words of a text go into the model
// as they are found, and short words that have come before are looked up.
type fused struct {
	scan   scanner
	digits *digits // nil: none
	model  *bpe
}

// newFused returns nil for pipelines of another kind.
func newFused(p preTokenizer, m *bpe) *fused {
	f := &fused{model: m}
	steps := []preTokenizer{p}
	if q, ok := p.(preTokenizerSequence); ok {
		steps = q.PreTokenizers
	}
	if len(steps) > 1 {
		if d, ok := steps[0].(digits); ok {
			f.digits = &d
			steps = steps[1:]
		}
	}
	last, ok := steps[len(steps)-1].(byteLevel)
	if !ok || last.AddPrefixSpace {
		return nil
	}
	switch {
	case len(steps) == 1 && last.UseRegex:
		f.scan = scanGPT2
	case len(steps) == 2 && !last.UseRegex:
		// A scanner leaves nothing between its matches, so both are the same.
		if s, ok := steps[0].(split); ok && (s.Behavior == "Isolated" || s.Behavior == "Removed" && s.Invert) {
			f.scan = s.Pattern.scan
		}
	}
	if f.scan == nil {
		return nil
	}
	return f
}

// appendIDs appends the ids of the pieces of w.
func (f *fused) appendIDs(ids []int32, w *work) []int32 {
	const worthwhile = 2048 // bytes of text from which on a cache pays
	if w.words == nil && len(w.text) >= worthwhile {
		w.words = &wordCache{}
	}
	u := loadUnicode()
	for _, p := range w.pieces {
		if p.added >= 0 {
			ids = append(ids, p.added)
			continue
		}
		s := w.text[p.start:p.end]
		if f.digits == nil {
			ids = f.words(ids, w, u, s)
			continue
		}
		for at := 0; at < len(s); {
			end := f.digits.next(u, s, at)
			ids = f.words(ids, w, u, s[at:end])
			at = end
		}
	}
	return ids
}

// next returns the end of the piece that begins at byte at.
func (p *digits) next(u *unicodeData, s string, at int) int {
	first := true
	inNumber := false
	for at < len(s) {
		r, size := decodeRune(s[at:])
		is := u.class(r)&isNumeric != 0
		if first {
			inNumber, first = is, false
		} else if is != inNumber || is && p.Individual {
			break
		}
		at += size
	}
	return at
}

// dividedWord is the length from which on a word outside ASCII goes into the
// cache in parts, which come more often.
const dividedWord = 7

func (f *fused) words(ids []int32, w *work, u *unicodeData, s string) []int32 {
	for at := 0; at < len(s); {
		end := f.scan(u, s, at)
		if end-at >= dividedWord && s[end-1] >= 0x80 && f.model.seams != nil && f.model.wholeID(s[at:end], true) < 0 {
			ids = f.parts(ids, w, s, at, end)
		} else {
			ids = f.part(ids, w, s, at, end, true)
		}
		at = end
	}
	return ids
}

// parts appends the ids of the word that goes from byte at of s to end.
func (f *fused) parts(ids []int32, w *work, s string, at, end int) []int32 {
	word := s[at:end]
	start := 0
	for i := 1; i <= len(word); i++ {
		if i < len(word) && (word[i] < 0xc0 || !f.model.seams.at(word, i)) {
			continue
		}
		if id := f.char(word[start:i]); id >= 0 {
			ids = append(ids, id)
		} else {
			ids = f.part(ids, w, s, at+start, at+i, false)
		}
		start = i
	}
	return ids
}

// char returns the token of a part that is one character of three bytes, -1
// for others.
func (f *fused) char(part string) int32 {
	if len(part) != 3 || part[0]&0xf0 != 0xe0 {
		return -1
	}
	r, ok := rune3(part[0], part[1], part[2])
	if !ok {
		return -1
	}
	return f.model.chars[r]
}

// part appends the ids of the bytes of s from at to end, a whole word or part
// of one.
func (f *fused) part(ids []int32, w *work, s string, at, end int, whole bool) []int32 {
	if end-at > maxCachedWord || w.words == nil {
		return f.merge(ids, w, s[at:end], whole)
	}
	key := wordKey(s, at, end-at)
	if f.model.IgnoreMerges && !whole {
		key[1] |= 1 << 63 // as a word it may be one token
	}
	if e := w.words.find(key); e != nil {
		return e.appendIDs(ids)
	}
	before := len(ids)
	ids = f.merge(ids, w, s[at:end], whole)
	w.words.learn(key, ids[before:])
	return ids
}

// merge appends the ids of a word, or part of one, that is not in the cache.
func (f *fused) merge(ids []int32, w *work, s string, whole bool) []int32 {
	st := &w.model.bpe
	st.out = st.out[:0]
	if !whole {
		f.model.encodePart(st, s, true)
	} else if id := f.model.wholeID(s, true); id >= 0 {
		return append(ids, id)
	} else {
		f.model.encode(st, s, true)
	}
	for _, o := range st.out {
		ids = append(ids, o.id)
	}
	return ids
}

// maxCachedWord is what fits into the key of a word, with its length.
const maxCachedWord = 15

// wordCache keeps the ids of short words of few tokens. It forgets a word when
// another one needs its place. The words that come most often are in hot, too,
// which stays in the processor's own cache.
type wordCache struct {
	hot  [1 << hotBits]cachedWord
	sets [1 << wordCacheBits][2]cachedWord // the one used last first
}

const (
	hotBits       = 12
	wordCacheBits = 15
)

// cachedWord takes half a cache line.
type cachedWord struct {
	key [2]uint64 // the bytes, and their number in the highest byte
	ids [4]int32  // unused ones are -1
}

func hashWord(key [2]uint64) uint64 {
	hash := key[0]*0x9e3779b97f4a7c15 ^ key[1]*0xd6e8feb86659fd93
	return (hash ^ hash>>32) * 0x9e3779b97f4a7c15
}

// find returns the word with the key, nil if it is not there.
func (c *wordCache) find(key [2]uint64) *cachedWord {
	hash := hashWord(key)
	hot := &c.hot[hash>>(64-hotBits)]
	if hot.key == key {
		return hot
	}
	set := &c.sets[hash>>(64-wordCacheBits)]
	switch key {
	case set[0].key:
	case set[1].key:
		set[0], set[1] = set[1], set[0]
	default:
		return nil
	}
	*hot = set[0]
	return hot
}

// learn keeps the ids of the word with the key, if there is room for them.
func (c *wordCache) learn(key [2]uint64, ids []int32) {
	if len(ids) > len(cachedWord{}.ids) {
		return
	}
	set := &c.sets[hashWord(key)>>(64-wordCacheBits)]
	set[1] = set[0]
	set[0].key = key
	for i := copy(set[0].ids[:], ids); i < len(set[0].ids); i++ {
		set[0].ids[i] = -1
	}
}

func (e *cachedWord) appendIDs(ids []int32) []int32 {
	for _, id := range e.ids {
		if id < 0 {
			break
		}
		ids = append(ids, id)
	}
	return ids
}

// wordKey returns the key of the n bytes at byte at of s.
func wordKey(s string, at, n int) (key [2]uint64) {
	if at+16 > len(s) {
		var b [16]byte
		copy(b[:], s[at:at+n])
		key[0] = binary.LittleEndian.Uint64(b[:8])
		key[1] = binary.LittleEndian.Uint64(b[8:]) | uint64(n)<<56
		return key
	}
	b := s[at : at+16]
	key[0] = le64(b[:8])
	if n < 8 {
		key[0] &= 1<<(8*n) - 1
	} else {
		key[1] = le64(b[8:]) & (1<<(8*(n-8)) - 1)
	}
	key[1] |= uint64(n) << 56
	return key
}

// le64 reads eight bytes, the lowest first.
func le64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
