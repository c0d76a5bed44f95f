package train

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/dataset"
	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/tensor"
)

// adapterPass opens a small Llama with a new adapter.
func adapterPass(t testing.TB, dtype model.DType, threads int) (*Pass, *kernel.Pool) {
	t.Helper()
	dir := filepath.Join(testkit.Root(), "testdata", "fixtures", "lora_base_llama")
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.ParseConfig(data, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	file, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := model.NewAdapter(model.DefaultAdapter(), 7)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(threads)
	m, err := model.LoadTrainableAdapter(c, file, a, dtype, pool, 7)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPass(m, pool)
	t.Cleanup(func() {
		p.Close()
		m.Close()
		pool.Close()
		file.Close()
	})
	return p, pool
}

// pairs returns prompts with two answers each, of which the first is preferred.
func pairs(n int) []dataset.Sequence {
	var out []dataset.Sequence
	for i := range int32(n) {
		for answer := range int32(2) {
			prompt := []int32{1, 5 + i, 9, 40 - i}
			ids := append(slices.Clone(prompt), 20+10*answer, 21+10*answer, 2+i%3, 2)
			labels := slices.Clone(ids)
			for j := range prompt {
				labels[j] = dataset.NoLabel
			}
			out = append(out, dataset.Sequence{IDs: ids, Labels: labels})
		}
	}
	return out
}

func preferences(t testing.TB, p *Pass, batch []dataset.Sequence) *Preferences {
	t.Helper()
	o := &Preferences{Beta: 0.3, Reference: NewReference("a")}
	if err := o.Reference.Add(t.Context(), p, batch); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestDPO trains an adapter until the model prefers what it should.
func TestDPO(t *testing.T) {
	for _, dtype := range []model.DType{model.F32, model.BF16, model.Q8_0} {
		t.Run(string(dtype), func(t *testing.T) {
			p, pool := adapterPass(t, dtype, 2)
			batch := pairs(6)
			o := preferences(t, p, batch)
			objective := o.Objective()
			adam, err := NewAdamW(p.Model.Params, DefaultAdamW)
			if err != nil {
				t.Fatal(err)
			}
			defer adam.Close()
			for step := range 12 {
				o.Stats = PreferenceStats{}
				loss, err := p.Gradients(t.Context(), objective, [][]dataset.Sequence{batch[:4], batch[4:]})
				if err != nil {
					t.Fatal(err)
				}
				if step == 0 && (math.Abs(loss-math.Ln2) > 1e-5 || math.Abs(o.Stats.Margin()) > 1e-5) {
					t.Errorf("at the start the loss is %v, the margin %v, want log 2 and 0", loss, o.Stats.Margin())
				}
				adam.Step(pool, 2e-3)
				for _, param := range p.Model.Params {
					param.Update(p.Graph)
				}
			}
			if o.Stats.Accuracy() != 1 || o.Stats.Margin() < 0.3 {
				t.Errorf("after training: accuracy %v, margin %v", o.Stats.Accuracy(), o.Stats.Margin())
			}
		})
	}
}

// TestDPOSplits demands the same gradients from any split of the pairs and any
// number of threads.
func TestDPOSplits(t *testing.T) {
	var want [][]float32
	for _, threads := range []int{1, 2, 3} {
		for _, micro := range []int{8, 2, 4} {
			p, _ := adapterPass(t, model.F32, threads)
			batch := pairs(4)
			for _, param := range p.Model.Params { // B begins at zero: no gradient of A
				for i := range param.Value {
					param.Value[i] += float32(i%5)/50 - 0.04
				}
				param.Update(p.Graph)
			}
			o := preferences(t, p, batch)
			for i := range p.Model.Params[0].Value {
				p.Model.Params[0].Value[i] *= 1.5
			}
			p.Model.Params[0].Update(p.Graph)
			var batches [][]dataset.Sequence
			for b := range slices.Chunk(batch, micro) {
				batches = append(batches, b)
			}
			if _, err := p.Gradients(t.Context(), o.Objective(), batches); err != nil {
				t.Fatal(err)
			}
			for i, param := range p.Model.Params {
				if len(want) <= i {
					want = append(want, slices.Clone(param.Grad))
				} else if !slices.Equal(param.Grad, want[i]) {
					t.Errorf("%d threads, batches of %d: the gradient of %s differs", threads, micro, param.Name)
				}
			}
		}
	}
	if slices.IndexFunc(want[0], func(x float32) bool { return x != 0 }) < 0 {
		t.Error("all gradients are 0")
	}
}

func TestReference(t *testing.T) {
	p, _ := adapterPass(t, model.F32, 1)
	batch := pairs(5)
	o := preferences(t, p, batch)
	path := filepath.Join(t.TempDir(), "reference.safetensors")
	if r, err := LoadReference(path, "a"); err != nil || r.Len() != 0 {
		t.Errorf("without a file: %v, %v", r, err)
	}
	if err := o.Reference.Save(path); err != nil {
		t.Fatal(err)
	}
	if r, err := LoadReference(path, "b"); err != nil || r.Len() != 0 {
		t.Errorf("that of another run: %d pairs, %v", r.Len(), err)
	}
	r, err := LoadReference(path, "a")
	if err != nil {
		t.Fatal(err)
	}
	if r.Len() != 5 {
		t.Errorf("%d pairs, want 5", r.Len())
	}
	for key, want := range o.Reference.logps {
		if r.logps[key] != want {
			t.Errorf("%x: %v, want %v", key, r.logps[key], want)
		}
	}
	o.Reference = r
	for name, bad := range map[string][]dataset.Sequence{
		"has no log-probabilities": pairs(6)[10:],
		"want pairs":               batch[:3],
		"no token with a label":    {batch[0], {IDs: []int32{1}, Labels: []int32{1}}},
	} {
		if _, err := p.Loss(t.Context(), o.Objective(), [][]dataset.Sequence{bad}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
	if err := checkpoint.WriteSafetensors(path, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadReference(path, "a"); err == nil {
		t.Error("a file without the tensors was read")
	}
}

// TestPreferenceKinds compares the loss of a batch with its definition from the
// reference, at the start, where all differences are 0.
func TestPreferenceKinds(t *testing.T) {
	p, _ := adapterPass(t, model.F32, 1)
	batch := pairs(3)
	for kind, want := range map[tensor.PreferenceKind]float64{tensor.DPO: math.Ln2, tensor.Hinge: 1, tensor.IPO: 1 / 0.36} {
		o := preferences(t, p, batch)
		o.Kind, o.Mean = kind, kind == tensor.IPO
		loss, err := p.Loss(t.Context(), o.Objective(), [][]dataset.Sequence{batch})
		if err != nil || math.Abs(loss-want) > 1e-5 {
			t.Errorf("kind %d: %v, %v, want %v", kind, loss, err, want)
		}
	}
}
