package dataset

import (
	"os"
	"path/filepath"
	"testing"

	"wenmo/internal/testkit"
)

// benchFiles are English and Chinese documents of a few MB.
var benchFiles = []string{"en/stories-more.jsonl.zst", "zh/zh_prose.jsonl.zst"}

// BenchmarkRead reads compressed JSON lines; MB/s are of their text.
func BenchmarkRead(b *testing.B) {
	for _, name := range benchFiles {
		b.Run(filepath.Base(name), func(b *testing.B) {
			path := testkit.SharedFile(b, "data", filepath.FromSlash(name))
			for b.Loop() {
				size := int64(0)
				for doc, err := range Read(b.Context(), path, ReadOptions{}) {
					if err != nil {
						b.Fatal(err)
					}
					size += int64(len(doc.Text))
				}
				b.SetBytes(size)
			}
		})
	}
}

// BenchmarkPrepare reads and tokenises them; MB/s are of their text.
func BenchmarkPrepare(b *testing.B) {
	tok, _ := fixtureTokenizer(b, "tok_qwen2")
	enc, err := NewTextEncoder(tok, TextOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range benchFiles {
		b.Run(filepath.Base(name), func(b *testing.B) {
			path := testkit.SharedFile(b, "data", filepath.FromSlash(name))
			for _, evaluation := range [][]string{nil, {testkit.SharedFile(b, "data", "en", "eval-lm-choice.jsonl.zst")}} {
				sub := "plain"
				if evaluation != nil {
					sub = "decontaminated"
				}
				b.Run(sub, func(b *testing.B) {
					for b.Loop() {
						b.StopTimer()
						dir, err := os.MkdirTemp(b.TempDir(), "")
						if err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
						c, err := Prepare(b.Context(), []Source{{Path: path, Encoder: enc}}, PrepareOptions{Dir: dir, Evaluation: evaluation})
						if err != nil {
							b.Fatal(err)
						}
						b.SetBytes(c.Manifest.Sources[0].Bytes)
						c.Close()
					}
				})
			}
		})
	}
}
