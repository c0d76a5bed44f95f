package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"wenmo"
	"wenmo/checkpoint"
	"wenmo/internal/hubtest"
	"wenmo/internal/testkit"
)

// The test binary is the command, too: under the name wenmo in $PATH.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"wenmo": main})
}

// TestScripts runs testdata/script: commands as users type them. $MODEL is a
// model of shape tiny-llama, $HEADS a folder of small BERTs, $FIXTURES the
// project's own fixtures; a hub at HF_ENDPOINT has it as test/tiny, and a
// GPT-2 of two layers with the real vocabulary as gpt2, where that is there.
func TestScripts(t *testing.T) {
	model := filepath.Join(t.TempDir(), "tiny")
	if err := wenmo.Create(t.Context(), model, wenmo.CreateOptions{Shape: "tiny-llama", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	repos := map[string]string{"test/tiny": model}
	vocab := filepath.Join(testkit.Shared(), "fixtures", "tok_gpt2")
	_, err := os.Stat(vocab)
	withVocab := err == nil
	if withVocab {
		repos["gpt2"] = smallGPT2(t, vocab)
	}
	heads := smallBERTs(t)
	hub := hubtest.Serve(t, repos)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(cond string) (bool, error) {
			if cond == "gpt2-vocabulary" {
				return withVocab, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("MODEL", model)
			env.Setenv("FIXTURES", filepath.Join(testkit.Root(), "testdata", "fixtures"))
			env.Setenv("HEADS", heads)
			env.Setenv("HF_HOME", filepath.Join(env.WorkDir, "hf"))
			env.Setenv("HF_ENDPOINT", hub.URL)
			env.Setenv("WENMO_KERNEL", os.Getenv("WENMO_KERNEL"))
			return nil
		},
	})
}

// smallGPT2 writes a random GPT-2 of two layers, 64 wide, with a vocabulary.
func smallGPT2(t *testing.T, vocab string) string {
	t.Helper()
	const hidden, tokens, context = 64, 50257, 1024
	dir := filepath.Join(t.TempDir(), "gpt2")
	if err := os.CopyFS(dir, os.DirFS(vocab)); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": %d, "n_layer": 2,
		"n_head": 4, "n_positions": %d, "n_ctx": %[2]d, "vocab_size": %d, "activation_function": "gelu_new",
		"layer_norm_epsilon": 1e-5, "bos_token_id": 50256, "eos_token_id": 50256}`, hidden, context, tokens)
	generation := `{"bos_token_id": 50256, "eos_token_id": 50256, "_from_model_config": true}`
	for name, text := range map[string]string{"config.json": config, "generation_config.json": generation} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tensors := []checkpoint.Out{noise("wte.weight", tokens, hidden), noise("wpe.weight", context, hidden)}
	for i := range 2 {
		p := fmt.Sprintf("h.%d.", i)
		tensors = append(tensors,
			noise(p+"ln_1.weight", hidden), noise(p+"ln_1.bias", hidden),
			noise(p+"attn.c_attn.weight", hidden, 3*hidden), noise(p+"attn.c_attn.bias", 3*hidden),
			noise(p+"attn.c_proj.weight", hidden, hidden), noise(p+"attn.c_proj.bias", hidden),
			noise(p+"ln_2.weight", hidden), noise(p+"ln_2.bias", hidden),
			noise(p+"mlp.c_fc.weight", hidden, 4*hidden), noise(p+"mlp.c_fc.bias", 4*hidden),
			noise(p+"mlp.c_proj.weight", 4*hidden, hidden), noise(p+"mlp.c_proj.bias", hidden))
	}
	tensors = append(tensors, noise("ln_f.weight", hidden), noise("ln_f.bias", hidden))
	if err := checkpoint.WriteSafetensors(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// noise is a tensor of values between −0.5 and 0.5 that depend on its name.
func noise(name string, shape ...int) checkpoint.Out {
	n := 1
	for _, d := range shape {
		n *= d
	}
	seed := uint32(len(name))
	for _, b := range []byte(name) {
		seed = seed*31 + uint32(b)
	}
	return checkpoint.Out{Name: name, DType: checkpoint.F32, Shape: shape, Write: func(w io.Writer) error {
		data := make([]byte, 0, 4*n)
		for range n {
			seed = seed*1664525 + 1013904223
			bits := math.Float32bits(float32(int32(seed)) / (1 << 32))
			data = append(data, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
		}
		_, err := w.Write(data)
		return err
	}}
}
