package tokenizer

import (
	"slices"
	"unicode/utf8"
)

// Encoding is an encoded text: slices of the same length, an entry per token.
type Encoding struct {
	IDs []int32
	// Tokens holds the token of each id; for an added token the stretch of
	// (normalized) text that matched it.
	Tokens []string
	// Offsets holds [start, end) of each token in bytes of the text (of the
	// pair for the pair's tokens); [0, 0] for tokens of the post-processor and
	// of padding. A token that is part of a character has the range of the
	// whole character.
	Offsets       [][2]int
	TypeIDs       []int32
	SpecialMask   []int32 // 1: token of the post-processor or of padding
	AttentionMask []int32 // 0: padding
	// WordIDs numbers the pieces of the pre-tokenizer; -1 outside the text.
	WordIDs []int32
	// SequenceIDs is 0 for tokens of the text, 1 for tokens of the pair, -1
	// for others.
	SequenceIDs []int32
	// Overflow holds the windows that truncation cut off.
	Overflow []Encoding

	text string // what the offsets count in, until the parts are put together
}

// CharOffsets converts offsets in bytes of text into offsets in characters
// (Unicode scalar values).
func CharOffsets(text string, offsets [][2]int) [][2]int {
	chars := make([]int, len(text)+1) // characters that begin before each byte
	n := 0
	for i := range len(text) {
		chars[i] = n
		if i+1 == len(text) || startsCharacter(text, i+1) {
			n++
		}
	}
	chars[len(text)] = n
	out := make([][2]int, len(offsets))
	for i, o := range offsets {
		out[i] = [2]int{chars[min(max(o[0], 0), len(text))], chars[min(max(o[1], 0), len(text))]}
	}
	return out
}

// startsCharacter reports whether byte i of text begins a character, or is one
// alone because it is not UTF-8.
func startsCharacter(text string, i int) bool {
	if utf8.RuneStart(text[i]) {
		return true
	}
	for j := i - 1; j >= 0 && j > i-utf8.UTFMax; j-- {
		if utf8.RuneStart(text[j]) {
			_, size := utf8.DecodeRuneInString(text[j:])
			return j+size <= i
		}
	}
	return true
}

func filled(v int32, n int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = v
	}
	return s
}

// specialEncoding holds tokens that do not come from a text.
func specialEncoding(ids []int32, tokens []string, typeID int32) Encoding {
	n := len(ids)
	return Encoding{
		IDs: ids, Tokens: tokens, Offsets: make([][2]int, n), TypeIDs: filled(typeID, n),
		SpecialMask: filled(1, n), AttentionMask: filled(1, n), WordIDs: filled(-1, n), SequenceIDs: filled(-1, n),
	}
}

// window returns the tokens from start to end.
func (e *Encoding) window(start, end int) Encoding {
	return Encoding{
		IDs: e.IDs[start:end], Tokens: e.Tokens[start:end], Offsets: slices.Clone(e.Offsets[start:end]),
		TypeIDs: e.TypeIDs[start:end], SpecialMask: e.SpecialMask[start:end],
		AttentionMask: e.AttentionMask[start:end], WordIDs: e.WordIDs[start:end],
		SequenceIDs: e.SequenceIDs[start:end], text: e.text,
	}
}

// join returns the tokens of e and then those of f, without their overflow.
func (e *Encoding) join(f *Encoding) Encoding {
	return Encoding{
		IDs: slices.Concat(e.IDs, f.IDs), Tokens: slices.Concat(e.Tokens, f.Tokens),
		Offsets: slices.Concat(e.Offsets, f.Offsets), TypeIDs: slices.Concat(e.TypeIDs, f.TypeIDs),
		SpecialMask: slices.Concat(e.SpecialMask, f.SpecialMask), AttentionMask: slices.Concat(e.AttentionMask, f.AttentionMask),
		WordIDs: slices.Concat(e.WordIDs, f.WordIDs), SequenceIDs: slices.Concat(e.SequenceIDs, f.SequenceIDs),
	}
}

// joinAll puts parts together. Every window of one part meets every window of
// the others; the first of each give the encoding, the rest its overflow.
func joinAll(parts []Encoding) Encoding {
	if len(parts) == 1 && parts[0].text != "" && len(parts[0].Overflow) == 0 {
		parts[0].text = ""
		return parts[0] // a text alone, which nobody else has
	}
	var all Encoding
	for i := range parts {
		all = joinWindows(&all, &parts[i])
	}
	return all
}

func joinWindows(e, f *Encoding) Encoding {
	out := e.join(f)
	for i := range e.Overflow {
		out.Overflow = append(out.Overflow, e.Overflow[i].join(f))
		for j := range f.Overflow {
			out.Overflow = append(out.Overflow, e.Overflow[i].join(&f.Overflow[j]))
		}
	}
	for j := range f.Overflow {
		out.Overflow = append(out.Overflow, e.join(&f.Overflow[j]))
	}
	return out
}
