package train

import (
	"encoding/json"
	"fmt"
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
	"wenmo/nn"
	"wenmo/tensor"
)

// trainExpected is expected.json of a train_* fixture.
type trainExpected struct {
	Loss     float64
	GradNorm float64 `json:"grad_norm"`
	Runs     []trainRun
}

type trainRun struct {
	Name, Optimizer string
	Steps           int
	LR              float64
	Betas           [2]float64
	Eps, Momentum   float64
	WeightDecay     float64  `json:"weight_decay"`
	NoDecay         []string `json:"no_decay"` // these; "decay": "all" has none
	MaxGradNorm     float64  `json:"max_grad_norm"`
	Schedule        string
	WarmupSteps     int      `json:"warmup_steps"`
	TotalSteps      int      `json:"total_steps"`
	MicroBatches    []string `json:"micro_batches"`
	Losses          []float64
	GradNorms       []float64 `json:"grad_norms"`
	LRs             []float64
	Final           []string
}

// TestFixtureTrain compares loss, gradients and runs of whole models with
// PyTorch's, under every kernel path.
func TestFixtureTrain(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		data, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var want trainExpected
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		tensors := readTensors(t, filepath.Join(dir, "expected.safetensors"))
		onEveryPath(t, func(t *testing.T) {
			t.Run("gradients", func(t *testing.T) { checkGradients(t, dir, &want, tensors) })
			for _, run := range want.Runs {
				t.Run(run.Name, func(t *testing.T) { checkRun(t, dir, &run, tensors) })
			}
		})
	}, "train_")
}

// openPass opens the model of a fixture for training.
func openPass(t testing.TB, dir string, dtype model.DType, threads int) (*Pass, *kernel.Pool) {
	t.Helper()
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
	defer file.Close()
	pool := kernel.NewPool(threads)
	m, err := model.LoadTrainable(c, file, dtype, pool)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPass(m, pool)
	t.Cleanup(func() {
		p.Close()
		m.Close()
		pool.Close()
	})
	return p, pool
}

func checkGradients(t *testing.T, dir string, want *trainExpected, tensors map[string]fixtureTensor) {
	p, pool := openPass(t, dir, model.F32, 2)
	loss, err := p.Gradients(t.Context(), meanOf(p.Model), [][]dataset.Sequence{sequencesOf(tensors, "")})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []float64{want.Loss, float64(tensors["loss"].floats[0])} {
		if math.Abs(loss-w) > 1e-4 {
			t.Errorf("loss %v, want %v", loss, w)
		}
	}
	nearNorm(t, "all gradients", NewClip(p.Model.Params).Norm(pool), want.GradNorm)
	seen := map[string]bool{}
	for _, param := range p.Model.Params {
		name := "grad." + param.Name
		w, ok := tensors[name]
		if !ok {
			t.Errorf("no gradient of %s to compare with", param.Name)
			continue
		}
		seen[name] = true
		if !slices.Equal(param.Shape, w.shape) {
			t.Errorf("%s has shape %v, want %v", param.Name, param.Shape, w.shape)
			continue
		}
		near(t, "gradient of "+param.Name, inOrder(param, param.Grad), w.floats, 1e-5, 1e-3)
	}
	for name := range tensors {
		if strings.HasPrefix(name, "grad.") && !seen[name] {
			t.Errorf("%s belongs to no parameter", name)
		}
	}
}

func nearNorm(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-5+1e-3*want) {
		t.Errorf("norm of %s is %v, want %v", what, got, want)
	}
}

// inOrder returns values as they stand in the checkpoint.
func inOrder(p *nn.Param, values []float32) []float32 {
	out := make([]float32, len(values))
	p.Store(out, values)
	return out
}

// meanOf is the objective of a model with every batch's mean counting alike, as
// where the losses of micro-batches are averaged.
func meanOf(m *model.Model) Objective {
	one := func(*Pass, []dataset.Sequence) float64 { return 1 }
	o, err := HeadObjective(m, ObjectiveOptions{})
	if err != nil {
		panic(err)
	}
	return Objective{Weight: one, Loss: func(p *Pass, batch []dataset.Sequence, total float32) *tensor.Tensor {
		return o.Loss(p, batch, total*float32(o.Weight(p, batch)))
	}}
}

// sequencesOf returns the sequences of a fixture without their padding.
func sequencesOf(tensors map[string]fixtureTensor, prefix string) []dataset.Sequence {
	ids, mask, types, labels := tensors[prefix+"input_ids"], tensors[prefix+"attention_mask"], tensors[prefix+"token_type_ids"], tensors[prefix+"labels"]
	n := ids.shape[1]
	out := make([]dataset.Sequence, ids.shape[0])
	for i, id := range ids.ints {
		if mask.ints != nil && mask.ints[i] == 0 {
			continue
		}
		s := &out[i/n]
		s.IDs = append(s.IDs, id)
		if types.ints != nil {
			s.TypeIDs = append(s.TypeIDs, types.ints[i])
		}
		if len(labels.shape) == 2 {
			s.Labels = append(s.Labels, labels.ints[i])
		}
	}
	if len(labels.shape) == 1 {
		for i := range out {
			out[i].Targets = []float32{float32(labels.ints[i])}
		}
	}
	return out
}

// optimizer makes what a run describes. Its weight decay is everywhere but for
// the parameters that it excepts.
func (r *trainRun) optimizer(t *testing.T, params []*nn.Param) (o Optimizer) {
	t.Helper()
	for _, name := range r.NoDecay {
		if !slices.ContainsFunc(params, func(p *nn.Param) bool { return p.Name == name }) && !tiedElsewhere(name) {
			t.Errorf("%s, which is not to decay, is no parameter", name)
		}
	}
	decay := func(p *nn.Param) bool { return !slices.Contains(r.NoDecay, p.Name) }
	var err error
	switch r.Optimizer {
	case "AdamW":
		o, err = NewAdamW(params, AdamWOptions{Beta1: r.Betas[0], Beta2: r.Betas[1], Eps: r.Eps, WeightDecay: r.WeightDecay, Decay: decay})
	case "SGD":
		o, err = NewSGD(params, SGDOptions{Momentum: r.Momentum, WeightDecay: r.WeightDecay, Decay: decay})
	default:
		t.Fatalf("optimizer %q is not known", r.Optimizer)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// tiedElsewhere says whether a name is a second one of a parameter: transformers
// lists both.
func tiedElsewhere(name string) bool { return name == "cls.predictions.decoder.bias" }

// checkRun makes the steps of a run and compares all that is given of it.
func checkRun(t *testing.T, dir string, r *trainRun, tensors map[string]fixtureTensor) {
	p, pool := openPass(t, dir, model.F32, 2)
	params := p.Model.Params
	optimizer, clip := r.optimizer(t, params), NewClip(params)
	schedule := Schedule{Kind: "constant", Rate: r.LR, Warmup: r.WarmupSteps, Steps: r.TotalSteps}
	if r.Schedule != "" {
		schedule.Kind = r.Schedule
	}
	if err := schedule.Check(); err != nil {
		t.Fatal(err)
	}
	if len(r.MicroBatches) == 0 {
		r.MicroBatches = []string{""}
	}
	var batches [][]dataset.Sequence
	for _, prefix := range r.MicroBatches {
		batches = append(batches, sequencesOf(tensors, prefix))
	}
	objective := meanOf(p.Model)
	doubt := map[string][]float64{}
	for step := range r.Steps {
		loss, err := p.Gradients(t.Context(), objective, batches)
		if err != nil {
			t.Fatal(err)
		}
		checkAt(t, "loss", step, loss, r.Losses, 1e-4)
		norm := clip.Norm(pool)
		if len(r.GradNorms) > 0 {
			nearNorm(t, fmt.Sprintf("step %d", step), norm, r.GradNorms[step])
		}
		lr := schedule.At(step)
		checkAt(t, "rate", step, lr, r.LRs, 1e-9)
		if r.Optimizer == "AdamW" {
			addDoubt(doubt, params, lr)
		}
		if r.MaxGradNorm > 0 {
			clip.To(pool, r.MaxGradNorm)
		}
		optimizer.Step(pool, lr)
		for _, param := range params {
			param.Update(p.Graph)
		}
	}
	last, err := p.Loss(t.Context(), objective, batches)
	if err != nil {
		t.Fatal(err)
	}
	checkAt(t, "loss", r.Steps, last, r.Losses, 1e-4)
	r.checkFinal(t, params, tensors, doubt)
}

func checkAt(t *testing.T, what string, step int, got float64, all []float64, tolerance float64) {
	t.Helper()
	if step < len(all) && !(math.Abs(got-all[step]) <= tolerance) {
		t.Errorf("%s of step %d is %v, want %v", what, step, got, all[step])
	}
}

// addDoubt adds how far AdamW may come out otherwise in a step where a gradient is
// nearly 0: its first updates are the rate times the gradient's sign, so a
// gradient that is wrong by gradientNoise, as any in float32, makes a part of it.
func addDoubt(doubt map[string][]float64, params []*nn.Param, lr float64) {
	const gradientNoise = 1e-7
	for _, p := range params {
		d := doubt[p.Name]
		if d == nil {
			d = make([]float64, len(p.Grad))
			doubt[p.Name] = d
		}
		for i, g := range inOrder(p, p.Grad) {
			d[i] += 2 * lr * min(1, gradientNoise/math.Abs(float64(g)))
		}
	}
}

// checkFinal compares parameters after the run.
func (r *trainRun) checkFinal(t *testing.T, params []*nn.Param, tensors map[string]fixtureTensor, doubt map[string][]float64) {
	for _, name := range r.Final {
		if _, ok := tensors[r.Name+".final."+name]; !ok {
			t.Errorf("%s is not given", name)
		}
	}
	for name, want := range tensors {
		name, ok := strings.CutPrefix(name, r.Name+".final.")
		if !ok {
			continue
		}
		i := slices.IndexFunc(params, func(p *nn.Param) bool { return p.Name == name })
		if i < 0 {
			t.Errorf("%s is no parameter", name)
			continue
		}
		for j, got := range inOrder(params[i], params[i].Value) {
			tolerance := 2e-5
			if d := doubt[name]; d != nil {
				tolerance += d[j]
			}
			if w := want.floats[j]; !(math.Abs(float64(got-w)) <= tolerance) {
				t.Errorf("%s[%d] is %v at the end, want %v", name, j, got, w)
				break
			}
		}
	}
}
