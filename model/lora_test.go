package model

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/tensor"
)

// TestFixtureLoRA compares adapted models with PEFT's formulas: logits apart
// from the weights and merged, the merged weights, loss and the gradient of
// every tensor of the adapter, under every kernel path.
func TestFixtureLoRA(t *testing.T) {
	testkit.Folders(t, AdapterConfigFile, func(t *testing.T, dir string) {
		want := readTensors(t, filepath.Join(dir, "expected.safetensors"))
		f := newAdapterFixture(t, dir)
		checkModules(t, f)
		defer kernel.SetPath(kernel.Path())
		for _, path := range kernel.Paths() {
			if err := kernel.SetPath(path); err != nil {
				t.Fatal(err)
			}
			t.Run(path, func(t *testing.T) {
				sequences := rowsOfBatch(want["input_ids"])
				near(t, "logits of the base", f.infer(t, nil, f.file, F32).logits(sequences), want["logits_base"].floats, 1e-4, 1e-4)
				near(t, "logits", f.infer(t, f.a, f.file, F32).logits(sequences), want["logits"].floats, 1e-4, 1e-4)
				near(t, "logits, merged", f.infer(t, nil, f.merged(t), F32).logits(sequences), want["logits"].floats, 1e-4, 1e-4)
				r := f.training(t, f.a, F32, 2)
				near(t, "logits in training", r.logits(sequences), want["logits"].floats, 1e-4, 1e-4)
				near(t, "loss", []float32{r.step(sequences)}, want["loss"].floats, 1e-4, 0)
				r.finish()
				checkAdapterGradients(t, r.m, want)
			})
		}
		checkMerged(t, f, want)
	}, "lora_")
}

// adapterFixture is an adapter and its base.
type adapterFixture struct {
	dir    string
	config []byte
	file   *checkpoint.File
	a      *Adapter
}

func newAdapterFixture(t testing.TB, dir string) *adapterFixture {
	t.Helper()
	a, err := OpenAdapter(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := baseFixture(t, filepath.Join(dir, a.Config.Base))
	f.dir, f.a = dir, a
	t.Cleanup(func() { a.Close() })
	return f
}

func baseFixture(t testing.TB, base string) *adapterFixture {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(base, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := checkpoint.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return &adapterFixture{config: config, file: file}
}

func (f *adapterFixture) parse(t testing.TB) *Config {
	t.Helper()
	c, err := ParseConfig(f.config, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// infer loads the model for inference.
func (f *adapterFixture) infer(t testing.TB, a *Adapter, file *checkpoint.File, dtype DType) *training {
	t.Helper()
	pool := kernel.NewPool(2)
	t.Cleanup(pool.Close)
	load := func() (*Model, error) { return Load(t.Context(), f.parse(t), file, dtype, pool) }
	if a != nil {
		load = func() (*Model, error) { return LoadAdapted(t.Context(), f.parse(t), file, a, dtype, pool) }
	}
	m, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return run(t, m, pool, false)
}

// training loads the model for training the adapter.
func (f *adapterFixture) training(t testing.TB, a *Adapter, dtype DType, threads int) *training {
	t.Helper()
	pool := kernel.NewPool(threads)
	t.Cleanup(pool.Close)
	m, err := LoadTrainableAdapter(f.parse(t), f.file, a, dtype, pool, 5)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, m, pool, true)
}

// run returns what runs a model.
func run(t testing.TB, m *Model, pool *kernel.Pool, record bool) *training {
	t.Helper()
	shape := m.KV
	shape.BF16 = m.BF16
	if record {
		shape.Layers = 1
	}
	r := &training{m: m, g: tensor.NewGraph(pool), kv: tensor.NewKV(shape, 64)}
	r.g.Record(record)
	t.Cleanup(func() {
		r.kv.Close()
		r.g.Close()
		m.Close()
	})
	return r
}

// logits returns the logits of all tokens.
func (r *training) logits(sequences []sequence) []float32 {
	b, _, release := r.batch(sequences)
	defer release()
	r.g.Reset()
	logits := r.m.Logits(r.g, r.m.Forward(r.g, b))
	return slices.Clone(logits.Data[:logits.Rows*logits.Cols])
}

// rowsOfBatch returns the rows of input_ids, [B, T], with themselves as labels.
func rowsOfBatch(ids stored) []sequence {
	var out []sequence
	for n := ids.shape[1]; len(out) < ids.shape[0]; {
		row := ids.ints[len(out)*n:][:n]
		out = append(out, sequence{ids: row, labels: row})
	}
	return out
}

func checkAdapterGradients(t *testing.T, m *Model, want map[string]stored) {
	t.Helper()
	seen := map[string]bool{}
	for _, p := range m.Params {
		w, ok := want["grad."+p.Name]
		if !ok {
			if strings.Contains(p.Name, ".lora_") { // modules_to_save have none
				t.Errorf("no gradient of %s to compare with", p.Name)
			}
			continue
		}
		seen["grad."+p.Name] = true
		if !slices.Equal(p.Shape, w.shape) {
			t.Errorf("%s has shape %v, want %v", p.Name, p.Shape, w.shape)
			continue
		}
		got := make([]float32, len(p.Grad))
		p.Store(got, p.Grad)
		near(t, "gradient of "+p.Name, got, w.floats, 1e-4, 1e-3)
	}
	for name := range want {
		if strings.HasPrefix(name, "grad.") && !seen[name] {
			t.Errorf("%s belongs to no parameter", name)
		}
	}
}

// checkMerged compares the weights of the merged checkpoint, and demands that
// all others are the base's.
func checkMerged(t *testing.T, f *adapterFixture, want map[string]stored) {
	t.Helper()
	merged, seen := f.merged(t), map[string]bool{}
	for _, name := range merged.Names() {
		got := floatsOf(t, merged, name)
		if w, ok := want["merged."+name]; ok {
			seen["merged."+name] = true
			near(t, "merged "+name, got, w.floats, 1e-5, 1e-5)
			continue
		}
		if !f.a.saves(name) {
			near(t, name, got, floatsOf(t, f.file, name), 0, 0)
		}
	}
	for name := range want {
		if strings.HasPrefix(name, "merged.") && !seen[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

func floatsOf(t *testing.T, file *checkpoint.File, name string) []float32 {
	t.Helper()
	s, ok := file.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	v := make([]float32, s.Len())
	if err := s.Float32(v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (f *adapterFixture) merged(t *testing.T) *checkpoint.File {
	t.Helper()
	merged, _, err := Merge(f.parse(t), f.file, f.a)
	if err != nil {
		t.Fatal(err)
	}
	return merged
}

// checkModules compares which modules are adapted, with what rank and scale, and
// the other things that expected.json says.
func checkModules(t *testing.T, f *adapterFixture) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Modules map[string]struct {
			R       int     `json:"r"`
			Scaling float64 `json:"scaling"`
		} `json:"adapted_modules"`
		Base, Labels string
		Loss         *float32
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if base := filepath.Base(f.a.Config.Base); want.Base != "" && base != want.Base {
		t.Errorf("the base is %s, want %s", base, want.Base)
	}
	if want.Labels != "" && want.Labels != "input_ids" {
		t.Errorf("labels are %q, which this test does not know", want.Labels)
	}
	if want.Loss != nil {
		loss := readTensors(t, filepath.Join(f.dir, "expected.safetensors"))["loss"]
		near(t, "loss in expected.json", []float32{*want.Loss}, loss.floats, 1e-5, 0)
	}
	l, err := planAdapter(f.parse(t), f.file, f.a)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range l.adapter.merges {
		w, ok := want.Modules[m.module]
		if !ok {
			t.Errorf("%s is adapted", m.module)
		} else if m.rank != w.R || math.Abs(float64(m.scale)-w.Scaling) > 1e-5 {
			t.Errorf("%s: rank %d, scale %v, want %d, %v", m.module, m.rank, m.scale, w.R, w.Scaling)
		}
		delete(want.Modules, m.module)
	}
	for name := range want.Modules {
		t.Errorf("%s is not adapted", name)
	}
}
