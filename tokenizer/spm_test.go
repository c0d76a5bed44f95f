package tokenizer

import (
	"os"
	"path/filepath"
	"testing"

	"wenmo/internal/testkit"
)

// spmCase is a line of spm_cases.jsonl.
type spmCase struct {
	Text    string   `json:"text"`
	IDs     []int32  `json:"ids"`
	Pieces  []string `json:"pieces"`
	Decoded any      `json:"decoded"` // true: the text
}

func TestFixtureSentencePiece(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		cases := filepath.Join(dir, "spm_cases.jsonl")
		if !exists(cases) {
			return
		}
		tok := parseModelIn(t, dir)
		for _, c := range jsonLines[spmCase](t, cases) {
			c.check(t, tok)
		}
	}, "tok_")
}

// parseModelIn opens the only SentencePiece model of a folder.
func parseModelIn(t *testing.T, dir string) *Tokenizer {
	t.Helper()
	models, err := filepath.Glob(filepath.Join(dir, "*.model"))
	if err != nil || len(models) != 1 {
		t.Fatalf("models %v, %v", models, err)
	}
	data, err := os.ReadFile(models[0])
	if err != nil {
		t.Fatal(err)
	}
	tok, err := ParseSentencePiece(data, models[0])
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func (c *spmCase) check(t *testing.T, tok *Tokenizer) {
	t.Helper()
	e, err := tok.EncodeFull(c.Text, EncodeOptions{})
	if err != nil {
		t.Errorf("%q: %v", c.Text, err)
		return
	}
	same(t, c.Text, "ids", e.IDs, c.IDs)
	same(t, c.Text, "ids of Encode", tok.Encode(c.Text, true), c.IDs)
	if c.Pieces != nil {
		same(t, c.Text, "pieces", e.Tokens, c.Pieces)
	}
	for i, o := range e.Offsets {
		if o[0] < 0 || o[1] < o[0] || o[1] > len(c.Text) {
			t.Errorf("%q: token %d has the offsets %v", c.Text, i, o)
		}
	}
	if decoded, ok := c.Decoded.(string); ok {
		same(t, c.Text, "decoded", tok.Decode(c.IDs, false), decoded)
	} else if c.Decoded == true {
		same(t, c.Text, "decoded", tok.Decode(c.IDs, false), c.Text)
	}
}
