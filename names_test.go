package wenmo

import "testing"

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
