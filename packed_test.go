package wenmo

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// smallModel makes an untrained model with a chat template and parameters of
// generation of its own.
func smallModel(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := Create(t.Context(), dir, CreateOptions{Shape: "tiny-llama", Seed: 5}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"generation_config.json": `{"temperature": 0.5, "do_sample": true, "top_k": 7, "eos_token_id": [3, 0]}`,
		"tokenizer_config.json": `{"eos_token": "a", "model_max_length": 512, "chat_template": [
			{"name": "default", "template": "{{ messages[0].content }} 文墨 {{ eos_token }}"}, {"name": "rag", "template": "x"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPacked: a packed file, mapped or in memory, is the whole model.
func TestPacked(t *testing.T) {
	dir := smallModel(t)
	for _, dtype := range []string{"auto", "q8_0"} {
		packed := filepath.Join(t.TempDir(), "packed.gguf")
		var done, total int64
		opt := ConvertOptions{DType: dtype, Packed: true, Progress: func(d, n int64) { done, total = d, n }}
		if err := Convert(t.Context(), dir, packed, opt); err != nil {
			t.Fatal(err)
		}
		if done != total || done == 0 {
			t.Errorf("progress ended at %d of %d", done, total)
		}
		data, err := os.ReadFile(packed)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Open(t.Context(), dir, Options{DType: dtype})
		if err != nil {
			t.Fatal(err)
		}
		mapped, err := Open(t.Context(), packed, Options{})
		if err != nil {
			t.Fatal(err)
		}
		inside, err := OpenBytes(t.Context(), data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		sameModel(t, dtype+", mapped", mapped, want)
		sameModel(t, dtype+", in memory", inside, want)
		for _, m := range []*Model{want, mapped, inside} {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// sameModel compares all that two models show of themselves.
func sameModel(t *testing.T, what string, got, want *Model) {
	t.Helper()
	if err := got.TokenizerErr(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	const text = "The quick brown fox. 敏捷的棕色狐狸。"
	ids := want.Tokenizer().Encode(text, true)
	if !slices.Equal(got.Tokenizer().Encode(text, true), ids) {
		t.Errorf("%s: other ids", what)
	}
	if !reflect.DeepEqual(got.Params(), want.Params()) {
		t.Errorf("%s: params %+v, want %+v", what, got.Params(), want.Params())
	}
	if !reflect.DeepEqual(got.tokens, want.tokens) {
		t.Errorf("%s: tokenizer's config %+v, want %+v", what, got.tokens, want.tokens)
	}
	if !reflect.DeepEqual(got.Config(), want.Config()) || got.Info() != want.Info() {
		t.Errorf("%s: config or info differ: %+v, want %+v", what, got.Info(), want.Info())
	}
	if template, err := got.Template(); template == nil || err != nil {
		t.Errorf("%s: template %v, error %v", what, template, err)
	}
	ids = ids[:4]
	if a, b := logits(t, got, ids), logits(t, want, ids); !slices.Equal(a, b) {
		t.Errorf("%s: other logits", what)
	}
}

func logits(t *testing.T, m *Model, ids []int32) (all []float32) {
	t.Helper()
	err := m.Logits(t.Context(), ids, nil, func(_ int, row []float32) error {
		all = append(all, row...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestUnpack: of a packed file come the very files that its source gives.
func TestUnpack(t *testing.T) {
	dir, out := smallModel(t), t.TempDir()
	for _, dtype := range []string{"f32", "q8_0"} {
		packed := filepath.Join(out, dtype+"-packed.gguf")
		if err := Convert(t.Context(), dir, packed, ConvertOptions{DType: dtype, Packed: true}); err != nil {
			t.Fatal(err)
		}
		var files [2][]byte
		for i, src := range []string{dir, packed} {
			name := filepath.Join(out, "model.gguf")
			if err := Convert(t.Context(), src, name, ConvertOptions{DType: dtype}); err != nil {
				t.Fatal(err)
			}
			var err error
			if files[i], err = os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
			m, err := Open(t.Context(), name, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if p := m.Params(); !slices.Equal(p.EOSTokenID, []int32{3, 0}) || p.TopK != 7 || !p.DoSample {
				t.Errorf("%s: of %s come the parameters %+v", dtype, src, p)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		if !slices.Equal(files[0], files[1]) {
			t.Errorf("%s: the GGUF files differ", dtype)
		}
		again := filepath.Join(out, dtype)
		if err := Convert(t.Context(), packed, again, ConvertOptions{}); err != nil {
			t.Fatal(err)
		}
		want, err := Open(t.Context(), packed, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Open(t.Context(), again, Options{DType: dtype})
		if err != nil {
			t.Fatal(err)
		}
		sameModel(t, dtype, got, want)
		for _, m := range []*Model{got, want} {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestPackedRefuses(t *testing.T) {
	dir, out := smallModel(t), t.TempDir()
	packed := filepath.Join(out, "packed.gguf")
	gpt2 := filepath.Join(testkit.Root(), "testdata", "fixtures", "decoder_gpt2_bare_names") // its matrices are transposed
	if err := Convert(t.Context(), gpt2, packed, ConvertOptions{Packed: true}); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(out, "llama.gguf")
	if err := Convert(t.Context(), dir, again, ConvertOptions{Packed: true}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		src, dst string
		opt      ConvertOptions
		want     string
	}{
		{dir, filepath.Join(out, "dir"), ConvertOptions{Packed: true}, ".gguf"},
		{dir, filepath.Join(out, "x.gguf"), ConvertOptions{Packed: true, DType: "f16"}, `"f16"`},
		{packed, filepath.Join(out, "x.gguf"), ConvertOptions{}, "what it was made of"},
		{packed, filepath.Join(out, "x.gguf"), ConvertOptions{Packed: true, DType: "q8_0"}, "what it was made of"},
		{packed, filepath.Join(out, "dir"), ConvertOptions{}, "what it was made of"},
		{again, filepath.Join(out, "x.gguf"), ConvertOptions{Packed: true}, "packed already"},
	} {
		err := Convert(t.Context(), c.src, c.dst, c.opt)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s to %s: error %v names not %s", c.src, c.dst, err, c.want)
		}
		if _, err := os.Stat(c.dst); err == nil {
			t.Errorf("%s is there", c.dst)
		}
	}
	data, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 3, 100, 2000, len(data) / 2, len(data) - 1} {
		if m, err := OpenBytes(t.Context(), data[:n], Options{}); err == nil {
			m.Close()
			t.Errorf("%d bytes of %d are opened", n, len(data))
		}
	}
}

// TestPackedWithoutTokenizer: what a model lacks, its packed file lacks.
func TestPackedWithoutTokenizer(t *testing.T) {
	dir := smallModel(t)
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	packed := filepath.Join(t.TempDir(), "packed.gguf")
	if err := Convert(t.Context(), dir, packed, ConvertOptions{Packed: true}); err != nil {
		t.Fatal(err)
	}
	m, err := Open(t.Context(), packed, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Tokenizer() != nil || m.TokenizerErr() == nil || !strings.Contains(m.TokenizerErr().Error(), packed) {
		t.Errorf("tokenizer %v, error %v", m.Tokenizer(), m.TokenizerErr())
	}
	ids, err := m.Generate(t.Context(), []int32{1, 2, 3}, func() Params { p := m.Params(); p.MaxNewTokens = 4; return p }())
	if err != nil || len(ids) < 4 {
		t.Errorf("%v, error %v", ids, err)
	}
}
