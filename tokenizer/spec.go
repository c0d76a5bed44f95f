package tokenizer

// spec is the content of a tokenizer.json as plain data: what the loaders of
// other vocabulary files make, newTokenizer compiles and MarshalJSON writes.
type spec struct {
	Truncation    *Truncation
	Padding       *Padding
	AddedTokens   []AddedToken
	Normalizer    normalizer    // nil: none
	PreTokenizer  preTokenizer  // nil: none
	PostProcessor postProcessor // nil: none
	Decoder       decoder       // nil: none
	Model         model
}

// AddedToken is a token that is found in the text before the model sees it.
type AddedToken struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
	// SingleWord: not inside a word. LStrip, RStrip: takes the white space
	// beside it. Normalized: looked for in the normalized text. Special: left
	// out by Decode with skipSpecial.
	SingleWord bool `json:"single_word"`
	LStrip     bool `json:"lstrip"`
	RStrip     bool `json:"rstrip"`
	Normalized bool `json:"normalized"`
	Special    bool `json:"special"`
}

// Each stage is one of several parts; typeName is the part's "type" in a
// tokenizer.json.
type (
	normalizer    interface{ typeName() string }
	preTokenizer  interface{ typeName() string }
	postProcessor interface{ typeName() string }
	decoder       interface{ typeName() string }
	model         interface {
		typeName() string
		tokens() vocab
	}
)

// vocab holds the tokens by id; an id without a token holds "".
type vocab []string

func parseSpec(data []byte) (spec, error) { return spec{}, nil }
