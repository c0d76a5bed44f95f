package tokenizer

import "strings"

// SubwordPrefix returns what marks tokens that go on within a word, "##" for
// one, or "" where the vocabulary has no such mark.
func (t *Tokenizer) SubwordPrefix() string {
	switch m := t.spec.Model.(type) {
	case *wordPiece:
		return m.ContinuingSubwordPrefix
	case *bpe:
		return m.ContinuingSubwordPrefix
	}
	return ""
}

// JoinTokens returns the text that tokens make, of which some may be stretches
// of text that are no tokens.
func (t *Tokenizer) JoinTokens(tokens []string) string {
	if t.spec.Decoder == nil {
		return strings.Join(tokens, " ")
	}
	return strings.Join(t.spec.Decoder.decode(tokens), "")
}
