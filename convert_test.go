package wenmo

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// cannotSay are the reasons why a fixture has no form as GGUF.
var cannotSay = []string{"rope_type", "query_pre_attn_scalar", "mlp_only_layers", "layer_types", "hidden_act", "opt", "head_dim", "bias", "no_rope"}

// TestFixtureThroughGGUF converts each decoder to GGUF and compares its logits
// with those of the directory. What GGUF cannot express must be said.
func TestFixtureThroughGGUF(t *testing.T) {
	testkit.Folders(t, "config.json", func(t *testing.T, dir string) {
		file := filepath.Join(t.TempDir(), "model.gguf")
		if err := Convert(t.Context(), dir, file, ConvertOptions{DType: "f32"}); err != nil {
			for _, reason := range cannotSay {
				if strings.Contains(err.Error(), reason) {
					t.Log(err)
					return
				}
			}
			t.Fatal(err)
		}
		want, got := firstLogits(t, dir, "f32"), firstLogits(t, file, "f32")
		for i := range want {
			for j := range want[i] {
				if d := math.Abs(float64(got[i][j] - want[i][j])); !(d <= 2e-4) {
					t.Fatalf("logits[%d,%d] = %v through GGUF, %v before", i, j, got[i][j], want[i][j])
				}
			}
		}
	}, "decoder_")
}

func firstLogits(t *testing.T, path, dtype string) (rows [][]float32) {
	t.Helper()
	m, err := Open(t.Context(), path, Options{DType: dtype, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ids := make([]int32, 12)
	for i := range ids {
		ids[i] = int32((i*17 + 3) % m.Info().Vocab)
	}
	err = m.Logits(t.Context(), ids, nil, func(_ int, row []float32) error {
		rows = append(rows, append([]float32(nil), row...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// torch_dtype follows the weights.
func TestConvertDType(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := Create(t.Context(), dir, CreateOptions{Shape: "tiny-llama"}); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "half")
	if err := Convert(t.Context(), dir, out, ConvertOptions{DType: "bf16"}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(out, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	if c["torch_dtype"] != "bfloat16" {
		t.Errorf("torch_dtype is %v", c["torch_dtype"])
	}
}

// What could not be opened is not written.
func TestConvertRefuses(t *testing.T) {
	for key, value := range map[string]any{
		"vocab_size": 16777216.0, "rms_norm_eps": -1.0, "rope_scaling": map[string]any{"rope_type": "llama3"},
	} {
		dir := filepath.Join(t.TempDir(), "tiny")
		if err := Create(t.Context(), dir, CreateOptions{Shape: "tiny-llama"}); err != nil {
			t.Fatal(err)
		}
		editJSON(t, filepath.Join(dir, "config.json"), func(raw map[string]any) { raw[key] = value })
		for _, to := range []string{"m.gguf", "M.GGUF", "dir"} {
			dst := filepath.Join(t.TempDir(), to)
			if err := Convert(t.Context(), dir, dst, ConvertOptions{}); err == nil {
				t.Errorf("%s %v: %s was written", key, value, to)
			}
			if _, err := os.Stat(dst); err == nil {
				t.Errorf("%s %v: something of %s is left", key, value, to)
			}
		}
	}
}

// TestClassifierThroughGGUF: a head for whole texts keeps its numbers, its labels,
// what they mean, and the token that the head does not read.
func TestClassifierThroughGGUF(t *testing.T) {
	fixture := filepath.Join(testkit.Root(), "testdata", "fixtures", "encoder_llama_seqcls")
	for what, change := range map[string]func(raw map[string]any){
		"as it is": func(map[string]any) {},
		"names": func(raw map[string]any) {
			raw["id2label"] = map[string]any{"0": "bad", "1": "好", "2": "so so", "3": "?"}
		},
		"no names": func(raw map[string]any) { raw["num_labels"] = 4; delete(raw, "id2label"); delete(raw, "label2id") },
		"several": func(raw map[string]any) {
			raw["problem_type"], raw["pad_token_id"] = "multi_label_classification", float64((11*17+3)%int(raw["vocab_size"].(float64)))
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "m")
			if err := os.CopyFS(dir, os.DirFS(fixture)); err != nil {
				t.Fatal(err)
			}
			editJSON(t, filepath.Join(dir, "config.json"), change)
			file, packed := filepath.Join(t.TempDir(), "m.gguf"), filepath.Join(t.TempDir(), "p.gguf")
			if err := Convert(t.Context(), dir, file, ConvertOptions{DType: "f32"}); err != nil {
				t.Fatal(err)
			}
			if err := Convert(t.Context(), file, packed, ConvertOptions{Packed: true}); err != nil {
				t.Fatal(err)
			}
			said := func(path string) string {
				m, err := Open(t.Context(), path, Options{Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				return fmt.Sprint(m.Labels(), m.m.Problem)
			}
			want := firstLogits(t, dir, "f32")
			for _, path := range []string{file, packed} {
				if got := firstLogits(t, path, "f32"); !reflect.DeepEqual(got, want) {
					t.Errorf("%s: logits %v, want %v", path, got, want)
				}
				if got, want := said(path), said(dir); got != want {
					t.Errorf("%s: %s, want %s", path, got, want)
				}
			}
		})
	}
}
