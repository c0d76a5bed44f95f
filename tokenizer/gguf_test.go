package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
)

// openGGUF returns the metadata of the only GGUF file in a folder.
func openGGUF(t *testing.T, dir string) (meta map[string]any, path string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %d GGUF files, %v", dir, len(files), err)
	}
	f, err := checkpoint.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.Metadata(), files[0]
}

// TestFixtureTokenizerGGUF: ids without bos and eos, special tokens are text.
func TestFixtureTokenizerGGUF(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		meta, path := openGGUF(t, dir)
		tok, err := FromGGUF(meta, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"cases.jsonl", "llama_cpp_cases.jsonl"} {
			if !exists(filepath.Join(dir, name)) {
				continue
			}
			for _, c := range jsonLines[tokenizerCase](t, filepath.Join(dir, name)) {
				same(t, c.Text, "ids", tok.EncodeOrdinary(c.Text), c.IDs)
			}
		}
	}, "tok_gguf_")
}

// TestFixtureGGUFTokenize checks the tokenizers of whole models.
func TestFixtureGGUFTokenize(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		data, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		if err != nil {
			return // no model
		}
		var expected struct {
			Tokenize []struct {
				Text        string
				IDs         []int32
				WithSpecial []int32 `json:"ids_with_special"`
				Decoded     string  `json:"decoded_utf8"`
			}
		}
		if err := json.Unmarshal(data, &expected); err != nil {
			t.Fatal(err)
		}
		if len(expected.Tokenize) == 0 {
			return
		}
		meta, path := openGGUF(t, dir)
		tok, err := FromGGUF(meta, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range expected.Tokenize {
			same(t, c.Text, "ids", tok.Encode(c.Text, false), c.IDs)
			same(t, c.Text, "ids with special tokens", tok.Encode(c.Text, true), c.WithSpecial)
			want := c.Decoded
			if meta["tokenizer.ggml.model"] == "gpt2" {
				// Named difference: llama.cpp takes away spaces before
				// punctuation; here decoding undoes encoding.
				want = c.Text
			}
			same(t, c.Text, "decoded", tok.Decode(c.IDs, false), want)
		}
	}, "gguf_")
}
