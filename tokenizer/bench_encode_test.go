package tokenizer

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"wenmo/internal/testkit"
)

// benchTexts are the texts of a fixture, put together by what they are mostly
// made of.
func benchTexts(b *testing.B, dir string) map[string]string {
	texts := map[string]*strings.Builder{"english": {}, "other": {}}
	for _, c := range jsonLines[tokenizerCase](b, filepath.Join(dir, "cases.jsonl")) {
		kind := "english"
		if utf8.RuneCountInString(c.Text)*5 < len(c.Text)*4 {
			kind = "other"
		}
		texts[kind].WriteString(c.Text + "\n")
	}
	out := map[string]string{}
	for kind, t := range texts {
		out[kind] = strings.Repeat(t.String(), 1+1<<18/max(t.Len(), 1))
	}
	return out
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"tok_gpt2", "tok_qwen2", "tok_llama3", "tok_llama2_metaspace", "tok_bert_uncased", "tok_t5"} {
		dir := testkit.SharedFile(b, "fixtures", name)
		tok, err := LoadDir(dir)
		if err != nil {
			b.Fatal(err)
		}
		for kind, text := range benchTexts(b, dir) {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					tok.Encode(text, false)
				}
			})
		}
	}
}

func BenchmarkEncodeFull(b *testing.B) {
	dir := testkit.SharedFile(b, "fixtures", "tok_qwen2")
	tok, err := LoadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	for kind, text := range benchTexts(b, dir) {
		b.Run(kind, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := tok.EncodeFull(text, EncodeOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	tok, err := LoadDir(testkit.SharedFile(b, "fixtures", "tok_gpt2"))
	if err != nil {
		b.Fatal(err)
	}
	data, err := tok.MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Parse(data, "gpt2"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	dir := testkit.SharedFile(b, "fixtures", "tok_qwen2")
	tok, err := LoadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	text := benchTexts(b, dir)["english"]
	ids := tok.Encode(text, false)
	b.Run("whole", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			tok.Decode(ids, false)
		}
	})
	b.Run("stream", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			s := tok.NewStream(false)
			for _, id := range ids {
				s.Push(id)
			}
		}
	})
}
