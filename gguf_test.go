package wenmo

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// TestFixtureGGUFTokenize compares the ids and texts of the vocabularies inside
// whole GGUF models with llama.cpp's.
func TestFixtureGGUFTokenize(t *testing.T) {
	testkit.Folders(t, "model.gguf", func(t *testing.T, dir string) {
		data, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			Tokenize []struct {
				Text           string
				IDs            []int32
				IDsWithSpecial []int32 `json:"ids_with_special"`
				Decoded        string  `json:"decoded_utf8"`
			}
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		if len(want.Tokenize) == 0 {
			t.Fatal("no texts")
		}
		m, err := Open(t.Context(), filepath.Join(dir, "model.gguf"), Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if m.Tokenizer() == nil {
			t.Fatal(m.TokenizerErr())
		}
		for _, c := range want.Tokenize {
			if got := m.Tokenizer().Encode(c.Text, false); !slices.Equal(got, c.IDs) {
				t.Errorf("%q: ids %v, want %v", c.Text, got, c.IDs)
			}
			if got := m.Tokenizer().Encode(c.Text, true); !slices.Equal(got, c.IDsWithSpecial) {
				t.Errorf("%q: with special tokens %v, want %v", c.Text, got, c.IDsWithSpecial)
			}
			// llama.cpp cleans spaces before punctuation up, for some kinds.
			got := m.Tokenizer().Decode(c.IDs, false)
			if unspaced(got) != unspaced(c.Decoded) {
				t.Errorf("%q: decoded %q, want %q", c.Text, got, c.Decoded)
			}
		}
	}, "gguf_")
}

func unspaced(s string) string { return strings.ReplaceAll(s, " ", "") }

// TestMetadataIsDropped: what the tokenizer was made of is not kept beside it.
func TestMetadataIsDropped(t *testing.T) {
	testkit.Folders(t, "model.gguf", func(t *testing.T, dir string) {
		m, err := Open(t.Context(), filepath.Join(dir, "model.gguf"), Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if n := len(m.src.file.Metadata()) + len(m.src.file.Pairs()); n > 0 {
			t.Errorf("%d values are kept", n)
		}
	}, "gguf_q8_0")
}
