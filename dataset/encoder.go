package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"wenmo/tokenizer"
)

// Encoder makes sequences of documents.
type Encoder struct {
	// Key stands for all that the sequences depend on besides the document. It
	// is part of the name under which they are cached.
	Key       string
	VocabSize int
	// Encode returns the sequences of a document; none leaves it out. A label
	// is the token's id or NoLabel; nil Labels: all tokens count. Cut says what
	// did not fit. An error, which names the document, says that the record is
	// broken. Many goroutines call it at once.
	Encode func(*Document) ([]Sequence, Cut, error)
}

// TextOptions say what stands around the ids of a text.
type TextOptions struct {
	BOS, EOS *int32 // nil: none
}

// NewTextEncoder makes one sequence of each document's text. The names of
// special tokens in it are text.
func NewTextEncoder(t *tokenizer.Tokenizer, opt TextOptions) (Encoder, error) {
	for _, id := range []*int32{opt.BOS, opt.EOS} {
		if id != nil && (*id < 0 || int(*id) >= t.VocabSize()) {
			return Encoder{}, fmt.Errorf("token %d is not in the vocabulary of %d", *id, t.VocabSize())
		}
	}
	key, err := keyOf("text", tokenizerKey(t), opt)
	if err != nil {
		return Encoder{}, err
	}
	encode := func(d *Document) ([]Sequence, Cut, error) {
		switch {
		case d.Messages != nil:
			return nil, Cut{}, d.errorf("a conversation, where a text is wanted")
		case d.bare:
			return nil, Cut{}, d.errorf("neither a text nor a conversation, only the fields %s",
				strings.Join(slices.Sorted(maps.Keys(d.Fields)), ", "))
		case d.Text == "":
			return nil, Cut{}, nil
		}
		var ids []int32
		if opt.BOS != nil {
			ids = append(ids, *opt.BOS)
		}
		ids = append(ids, t.EncodeOrdinary(d.Text)...)
		if opt.EOS != nil {
			ids = append(ids, *opt.EOS)
		}
		return []Sequence{{IDs: ids}}, Cut{}, nil
	}
	return Encoder{Key: key, VocabSize: t.VocabSize(), Encode: encode}, nil
}

// NewChatEncoder makes sequences of conversations as Chat does. A document that
// is too long is treated as opt says.
func NewChatEncoder(t *tokenizer.Tokenizer, c tokenizer.Config, opt ChatOptions) (Encoder, error) {
	s, err := NewChat(t, c, opt)
	if err != nil {
		return Encoder{}, err
	}
	key, err := keyOf("chat", tokenizerKey(t), c, opt)
	if err != nil {
		return Encoder{}, err
	}
	return Encoder{Key: key, VocabSize: t.VocabSize(), Encode: s.Sequences}, nil
}

// tokenizerKey is what tells tokenizers apart: the tokenizer.json, or the tokens
// of one that has none.
func tokenizerKey(t *tokenizer.Tokenizer) string {
	h := sha256.New()
	if data, err := t.MarshalJSON(); err == nil {
		h.Write(data)
	} else {
		for id := range t.VocabSize() {
			token, _ := t.Token(int32(id))
			fmt.Fprintf(h, "%q\n", token)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// keyOf returns a hash of values as JSON.
func keyOf(values ...any) (string, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
