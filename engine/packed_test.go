package engine

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/tensor"
)

// stored is a checkpoint and the config that comes with it.
type stored struct {
	file   *checkpoint.File
	config map[string]any
}

// openStored opens a directory of fixtures, or a .gguf file.
func openStored(t *testing.T, path string) stored {
	t.Helper()
	file, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if file.Format() == "gguf" {
		return viewGGUF(t, file)
	}
	data, err := os.ReadFile(filepath.Join(path, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.ParseConfig(data, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	return stored{file, c.Raw()}
}

func viewGGUF(t *testing.T, file *checkpoint.File) stored {
	t.Helper()
	view, config, err := checkpoint.FromGGUF(file)
	if err != nil {
		t.Fatal(err)
	}
	return stored{view, config}
}

func (s stored) newConfig() *model.Config { return model.NewConfig(s.config, s.file.Path()) }

// pack writes the packed file of s.
func (s stored) pack(t *testing.T, dtype model.DType, pool *kernel.Pool) (path string) {
	t.Helper()
	outs, asStored, err := model.Pack(s.newConfig(), s.file, dtype, pool)
	if err != nil {
		t.Fatal(err)
	}
	pairs, outs, err := checkpoint.PackedGGUF(s.config, asStored, outs)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "packed.gguf")
	if err := checkpoint.WriteGGUF(path, pairs, outs); err != nil {
		t.Fatal(err)
	}
	return path
}

// computed is what a model makes of some ids: hidden states, pooled output
// and logits, as far as it has them.
func (s stored) computed(t *testing.T, dtype model.DType, pool *kernel.Pool) (rows [][]float32) {
	t.Helper()
	m, err := model.Load(t.Context(), s.newConfig(), s.file, dtype, pool)
	if err != nil {
		t.Fatal(err)
	}
	g := tensor.NewGraph(pool)
	e := &Evaluator{Model: m, Graph: g, BF16: m.BF16}
	defer func() {
		g.Close()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	ids := make([]int32, min(6, m.MaxLength))
	for i := range ids {
		ids[i] = int32((i*7 + 3) % m.Vocab)
	}
	hidden, pooled, err := e.Hidden(t.Context(), ids, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows = append(hidden, pooled)
	err = e.Logits(t.Context(), ids, nil, nil, func(_ int, row []float32) error {
		rows = append(rows, append([]float32(nil), row...))
		return nil
	})
	if err != nil && !strings.Contains(err.Error(), "has no head") {
		t.Fatal(err)
	}
	return rows
}

// TestFixturePacked: a packed file computes the same bits as what it was made
// of, mapped or in memory at an odd address, and when opened in another type,
// what that type makes of the packed values.
func TestFixturePacked(t *testing.T) {
	testkit.Folders(t, "config.json", checkPacked, "decoder_", "encoder_")
	testkit.Folders(t, "model.gguf", func(t *testing.T, dir string) { checkPacked(t, filepath.Join(dir, "model.gguf")) }, "gguf_")
}

func checkPacked(t *testing.T, path string) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	s := openStored(t, path)
	for _, dtype := range []model.DType{model.F32, model.BF16, model.Q8_0, model.Q4_0, model.Auto} {
		packed := s.pack(t, dtype, pool)
		p := openStored(t, packed)
		if !p.file.Packed() || s.file.Packed() {
			t.Error("Packed is wrong")
		}
		want := s.computed(t, dtype, pool)
		sameRows(t, string(dtype)+", mapped", p.computed(t, model.Auto, pool), want)
		if dtype == model.Auto {
			sameRows(t, "auto, as f32", p.computed(t, model.F32, pool), s.computed(t, model.F32, pool))
		}
		eachPath(t, func(t *testing.T) {
			sameRows(t, string(dtype)+", in memory", openShifted(t, packed).computed(t, model.Auto, pool), want)
		})
	}
}

// openShifted opens a file from memory that is not aligned.
func openShifted(t *testing.T, path string) stored {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shifted := append(make([]byte, 1, len(data)+1), data...)[1:]
	file, err := checkpoint.OpenBytes(shifted, "memory")
	if err != nil {
		t.Fatal(err)
	}
	return viewGGUF(t, file)
}

func sameRows(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for r := range want {
		for i := range want[r] {
			if math.Float32bits(got[r][i]) != math.Float32bits(want[r][i]) {
				t.Fatalf("%s: row %d, element %d is %v, want %v", what, r, i, got[r][i], want[r][i])
			}
		}
	}
}
