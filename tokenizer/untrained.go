package tokenizer

import (
	"fmt"
	"strings"
)

// EndOfText is the special token of ByteLevel, id 0.
const EndOfText = "<|endoftext|>"

// Padding returns the ids of tokens that only fill the vocabulary up.
func (t *Tokenizer) Padding() []int32 {
	var ids []int32
	for id := range int32(t.VocabSize()) {
		if s, ok := t.Token(id); ok && strings.HasPrefix(s, "<extra_") {
			ids = append(ids, id)
		}
	}
	return ids
}

// ByteLevel returns a tokenizer of size tokens that knows bytes alone: EndOfText,
// the 256 bytes, and <extra_0>, <extra_1>, … for the rest. It is what a new,
// untrained model gets.
func ByteLevel(size int) (*Tokenizer, error) {
	const fixed = 1 + 256
	if size < fixed {
		return nil, fmt.Errorf("a byte-level vocabulary has at least %d tokens, not %d", fixed, size)
	}
	s := byteLevelBase().spec
	tokens := vocab{EndOfText}
	for _, r := range byteLetters {
		tokens = append(tokens, string(r))
	}
	for i := range size - fixed {
		tokens = append(tokens, fmt.Sprintf("<extra_%d>", i))
	}
	s.Model = &bpe{Vocab: tokens}
	s.AddedTokens = []AddedToken{{ID: 0, Content: EndOfText, Special: true}}
	return newTokenizer(s, "byte-level tokenizer")
}
