package tokenizer

import "fmt"

// model turns a piece of text into tokens.
type model interface {
	typeName() string
	tokens() vocab
	// prepare checks the model and makes it ready; x is the index of tokens().
	prepare(x *vocabIndex) error
	// tokenize appends the tokens of the text of a piece to w.tokens.
	tokenize(w *work, p piece)
}

// unknownID returns the id of the token for what is unknown.
func unknownID(x *vocabIndex, token string) (int32, error) {
	id := x.id(token)
	if id < 0 {
		return 0, fmt.Errorf("unk_token %q is not in the vocabulary", token)
	}
	return id, nil
}
