package wenmo

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLooksLocal: a revision with slashes and a file of a repository are no paths.
func TestLooksLocal(t *testing.T) {
	for name, want := range map[string]bool{
		"gpt2": false, "acme/w": false, "acme/w@refs/pr/1": false, "acme/w:w-Q4_0.gguf": false,
		"https://huggingface.co/acme/w": false, "hf.co/acme/w/blob/main/w.gguf": false,
		"./acme": true, "a/b/c": true, "model.gguf": true, "/tmp/x": true, "acme/w/": true,
	} {
		if got := looksLocal(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestOnlyTokenizer: a cached repository without weights is not a model.
func TestOnlyTokenizer(t *testing.T) {
	for name, want := range map[string]bool{"tokenizer.json": true, "model-00001-of-00002.safetensors": false, "m.GGUF": false} {
		dir := filepath.Join(t.TempDir(), "m[1]")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if got := onlyTokenizer(dir); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if onlyTokenizer(file) {
			t.Errorf("%s: a file that was chosen by name", name)
		}
	}
}
