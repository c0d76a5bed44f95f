package engine

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/tensor"
)

// TestFixtureGGUFModel compares the logits of whole GGUF files: computed from
// the widened weights, and with quantised activations.
func TestFixtureGGUFModel(t *testing.T) {
	testkit.Folders(t, "model.gguf", func(t *testing.T, dir string) {
		expected := readExpected(t, filepath.Join(dir, "expected.safetensors"))
		eachPath(t, func(t *testing.T) {
			ids, want := expected["input_ids"].ints, expected["logits"]
			got := ggufLogits(t, dir, model.F32, ids)
			for i := range ids {
				close32(t, "logits", got[i], want.row(0, i), 2e-4, 2e-4)
			}
			for _, dtype := range []model.DType{model.Auto, model.Q8_0, model.BF16} {
				got := ggufLogits(t, dir, dtype, ids)
				for i := range ids {
					if c := cosine(got[i], want.row(0, i)); !(1-c <= 1e-3) {
						t.Errorf("%s: cosine %v at position %d", dtype, c, i)
					}
				}
			}
		})
	}, "gguf_")
}

func ggufLogits(t *testing.T, dir string, dtype model.DType, ids []int32) (rows [][]float32) {
	t.Helper()
	file, err := checkpoint.Open(filepath.Join(dir, "model.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	view, config, err := checkpoint.FromGGUF(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	m, err := model.Load(t.Context(), model.NewConfig(config, "model.gguf"), view, dtype, pool)
	if err != nil {
		t.Fatal(err)
	}
	g := tensor.NewGraph(pool)
	defer g.Close()
	e := &Evaluator{Model: m, Graph: g}
	err = e.Logits(t.Context(), ids, nil, nil, func(_ int, row []float32) error {
		rows = append(rows, append([]float32(nil), row...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

// bfloat16 products, keys and values stay near float32. The median over the
// positions is what holds: with random weights a rounding may choose another
// expert, or nearly cancel what a norm then scales up.
func TestFixtureDecoderBF16(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		f := openFixture(t, dir, model.BF16)
		eachPath(t, func(t *testing.T) {
			pool := kernel.NewPool(2)
			defer pool.Close()
			g := tensor.NewGraph(pool)
			defer g.Close()
			e := &Evaluator{Model: f.m, Graph: g, BF16: true}
			want := f.expected["logits"]
			var cosines []float64
			for r := range f.expected["input_ids"].shape[0] {
				ids, _ := f.unpadded("", r)
				err := e.Logits(t.Context(), ids, nil, nil, func(pos int, got []float32) error {
					cosines = append(cosines, cosine(got, want.row(r, pos)))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			slices.Sort(cosines)
			if median := cosines[len(cosines)/2]; !(median >= 0.9995) {
				t.Errorf("median cosine %v", median)
			}
		})
	}, "decoder_")
}
