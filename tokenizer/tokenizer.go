// Package tokenizer turns text into ids and ids into text: it executes a
// tokenizer.json step by step (normalizer, pre-tokenizer, model,
// post-processor, decoder), reads the other vocabulary files in use, and
// trains vocabularies. It gives the ids, tokens and offsets of Hugging Face's
// tokenizers library.
package tokenizer

import (
	"errors"
	"fmt"
	"os"
)

// Tokenizer is immutable once made and safe for use by many goroutines.
type Tokenizer struct {
	name string
	spec spec
}

// Parse reads a tokenizer.json. Errors begin with name.
func Parse(data []byte, name string) (*Tokenizer, error) {
	s, err := parseSpec(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return newTokenizer(s, name)
}

// newTokenizer checks and compiles a spec: the way in for every loader.
func newTokenizer(s spec, name string) (*Tokenizer, error) {
	return &Tokenizer{name: name, spec: s}, nil
}

// Encode returns the ids of text, with the special tokens of the
// post-processor if addSpecialTokens. The truncation and padding that a
// tokenizer.json may ask for do not apply here.
func (t *Tokenizer) Encode(text string, addSpecialTokens bool) []int32 { return nil }

// EncodeFull returns the ids of text with their tokens, offsets and masks.
func (t *Tokenizer) EncodeFull(text string, opt EncodeOptions) (Encoding, error) {
	return Encoding{}, errors.New("not built")
}

// EncodeBatch encodes texts; pairs is nil or as long as texts. With padding
// all get the length that it asks for.
func (t *Tokenizer) EncodeBatch(texts, pairs []string, opt EncodeOptions) ([]Encoding, error) {
	return nil, errors.New("not built")
}

// Decode returns the text of ids. Ids outside the vocabulary are left out, and
// special tokens too if skipSpecial.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string { return "" }

// VocabSize returns the number of tokens, added tokens included.
func (t *Tokenizer) VocabSize() int { return len(t.spec.Model.tokens()) }

// Token returns the token of id.
func (t *Tokenizer) Token(id int32) (string, bool) { return "", false }

// ID returns the id of token.
func (t *Tokenizer) ID(token string) (int32, bool) { return 0, false }

// AddedTokens returns the added tokens by ascending id.
func (t *Tokenizer) AddedTokens() []AddedToken { return nil }

// IsSpecial reports whether id is an added token marked as special.
func (t *Tokenizer) IsSpecial(id int32) bool { return false }

// MarshalJSON returns the tokenizer.json.
func (t *Tokenizer) MarshalJSON() ([]byte, error) { return nil, errors.New("not built") }

// Save writes the tokenizer.json to path.
func (t *Tokenizer) Save(path string) error {
	b, err := t.MarshalJSON()
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o666)
}
