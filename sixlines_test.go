package wenmo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/hubtest"
	"wenmo/internal/testkit"
)

// The six lines that every user of the field knows, against a hub on this
// machine that serves a small random GPT-2 with GPT-2's own vocabulary under
// its bare name.
func TestSixLines(t *testing.T) {
	hub := hubtest.Serve(t, map[string]string{"gpt2": smallGPT2(t)})
	t.Setenv("HF_ENDPOINT", hub.URL)
	t.Setenv("HF_HOME", t.TempDir())
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		t.Setenv(name, "")
	}

	const prompt = "The quick brown fox jumps over the lazy dog"
	model, err := Open(t.Context(), "gpt2", Options{Pull: true})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	ids := model.Tokenizer().Encode(prompt, true)
	params := model.Params()
	params.MaxLength = 50
	output, err := model.Generate(t.Context(), ids, params)
	if err != nil {
		t.Fatal(err)
	}
	text := model.Tokenizer().Decode(output, true)
	if !strings.HasPrefix(text, prompt) || len(output) != 50 {
		t.Errorf("%d tokens: %q", len(output), text)
	}

	// The cache is enough from now on.
	t.Setenv("HF_HUB_OFFLINE", "1")
	again, err := Open(t.Context(), "gpt2", Options{Pull: true, Threads: 1, PrefillChunk: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if same, err := again.Generate(t.Context(), ids, params); err != nil || again.Tokenizer().Decode(same, true) != text {
		t.Errorf("one thread, chunks of 3: %v, error %v", same, err)
	}
}

// smallGPT2 makes a folder with two layers of random weights and the vocabulary
// of GPT-2.
func smallGPT2(t *testing.T) string {
	t.Helper()
	vocab := testkit.SharedFile(t, "fixtures", "tok_gpt2")
	dir := t.TempDir()
	for _, name := range []string{"vocab.json", "merges.txt", "tokenizer_config.json"} {
		data, err := os.ReadFile(filepath.Join(vocab, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	c := withoutNulls(gpt2Config(64, 2, 4, 1024, 50257))
	c["eos_token_id"], c["bos_token_id"] = 50256, 50256
	if err := writeJSON(filepath.Join(dir, "config.json"), c); err != nil {
		t.Fatal(err)
	}
	if err := writeRandom(t.Context(), filepath.Join(dir, "model.safetensors"), gpt2Tensors(c), checkpoint.F32, CreateOptions{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	return dir
}
