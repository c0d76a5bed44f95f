package wenmo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
