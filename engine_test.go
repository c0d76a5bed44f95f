package wenmo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
)

// bare opens a model that has no tokenizer.
func bare(t *testing.T, name string) *Model {
	t.Helper()
	m, err := Open(t.Context(), filepath.Join(testkit.Root(), "testdata", "fixtures", name), Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCloseTwice(t *testing.T) {
	m := bare(t, "decoder_llama_mha")
	e, err := NewEngine(m, EngineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	e.Close()
	for _, err := range e.Submit(t.Context(), Request{IDs: []int32{1}, Params: m.Params()}) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%v, want %v", err, ErrClosed)
		}
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := m.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("%v, want %v", err, ErrClosed)
	}
}

// What cannot be done without a tokenizer, or at all, is an error.
func TestBareModel(t *testing.T) {
	m := bare(t, "encoder_bert_mlm")
	defer m.Close()
	_, _, err := m.Hidden(t.Context(), []int32{1, 2, 3}, []int32{0})
	if want := "1 type ids for 3 ids"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	d := bare(t, "decoder_llama_mha")
	defer d.Close()
	p := d.Params()
	p.StopStrings = []string{"x"}
	if _, err := d.Generate(t.Context(), []int32{1}, p); err == nil || !strings.HasPrefix(err.Error(), "stop_strings need text") {
		t.Errorf("stop strings without a tokenizer: %v", err)
	}
}

// A model without a tokenizer goes to GGUF and back.
func TestConvertWithoutTokenizer(t *testing.T) {
	dir := t.TempDir()
	gguf, back := filepath.Join(dir, "a.gguf"), filepath.Join(dir, "back")
	src := filepath.Join(testkit.Root(), "testdata", "fixtures", "decoder_llama_mha")
	for _, step := range [][2]string{{src, gguf}, {gguf, back}} {
		if err := Convert(t.Context(), step[0], step[1], ConvertOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(back, "tokenizer.json")); err == nil {
		t.Error("a tokenizer out of nothing")
	}
	m, err := Open(t.Context(), back, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// What is out of range is refused before memory is taken for it.
func TestRefusedRequests(t *testing.T) {
	m := created(t, "tiny-llama", Options{})
	p := m.Params()
	p.DoSample, p.NumReturnSequences = true, 1<<60
	if _, err := m.Sequences(t.Context(), []int32{1}, p); err == nil || !strings.Contains(err.Error(), "num_return_sequences") {
		t.Errorf("sequences without number: %v", err)
	}
	if _, err := m.Perplexity(t.Context(), "some text", 1, 0, nil); err == nil || !strings.Contains(err.Error(), "window 1") {
		t.Errorf("a window of one token: %v", err)
	}
	if _, err := Open(t.Context(), "wenmo-no-such-model", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a model that is not there: %v", err)
	}
	if _, err := Open(t.Context(), "x", Options{Threads: -1}); err == nil || !strings.Contains(err.Error(), "-1 threads") {
		t.Errorf("-1 threads: %v", err)
	}
}

// TestTurnEnds finds what ends an answer in GGUF files of others, and keeps it when
// they are converted.
func TestTurnEnds(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	if err := Create(t.Context(), filepath.Join(dir, "tiny"), CreateOptions{Shape: "tiny-llama"}); err != nil {
		t.Fatal(err)
	}
	if err := Convert(t.Context(), filepath.Join(dir, "tiny"), path, ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var pairs []checkpoint.KV
	for _, kv := range f.Pairs() {
		if tokens, ok := kv.Value.([]string); ok && kv.Key == "tokenizer.ggml.tokens" {
			tokens = slices.Clone(tokens)
			tokens[300], tokens[301] = "<|im_end|>", "<|im_end|>x"
			kv.Value = tokens
		}
		if kv.Key != checkpoint.KeyGenerationConfig {
			pairs = append(pairs, kv)
		}
	}
	pairs = append(pairs, checkpoint.KV{Key: "tokenizer.ggml.eot_token_id", Value: uint32(7)})
	pairs, outs, err := checkpoint.EncodeGGUF("f32", pairs, checkpoint.Sources(f))
	if err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.gguf")
	if err := errors.Join(checkpoint.WriteGGUF(foreign, pairs, outs), f.Close()); err != nil {
		t.Fatal(err)
	}
	ends := func(path string) []int32 {
		m, err := Open(t.Context(), path, Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		return m.Params().EOSTokenID
	}
	want := append(ends(path), 7, 300)
	if got := ends(foreign); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, to := range []string{"packed.gguf", "dir", "again.gguf"} {
		to := filepath.Join(dir, to)
		if err := Convert(t.Context(), foreign, to, ConvertOptions{Packed: strings.Contains(to, "packed")}); err != nil {
			t.Fatal(err)
		}
		if got := ends(to); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", to, got, want)
		}
	}
}

// TestEngineSequences: beams and samples come whole from an engine of one's own.
func TestEngineSequences(t *testing.T) {
	m := created(t, "tiny-llama", Options{})
	e, err := NewEngine(m, EngineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p := m.Params()
	p.MaxNewTokens, p.NumBeams, p.NumReturnSequences = 5, 3, 2
	if got, err := e.Sequences(t.Context(), Request{Text: "the cat", Params: p}); err != nil || len(got) != 2 || got[0].Score < got[1].Score {
		t.Errorf("beams: %v, %v", got, err)
	}
	p.NumBeams, p.DoSample = 1, true
	both, err := e.Sequences(t.Context(), Request{Text: "the cat", Params: p})
	if err != nil || len(both) != 2 {
		t.Fatalf("samples: %v, %v", both, err)
	}
	p.NumReturnSequences = 1
	second, err := e.Sequences(t.Context(), Request{Text: "the cat", Params: p, Sample: 1})
	if err != nil || len(second) != 1 || !slices.Equal(second[0].IDs, both[1].IDs) {
		t.Errorf("sample 1 alone is %v, %v, beside another %v", second, err, both[1])
	}
}
