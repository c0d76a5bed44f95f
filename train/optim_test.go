package train

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/nn"
)

// optimCase is a case of the optim_* fixtures.
type optimCase struct {
	Name, Optimizer string
	Steps           int
	Params          struct {
		LR              *float64
		Betas           [2]float64
		Eps             any
		WeightDecay     float64 `json:"weight_decay"`
		Momentum, Beta2 float64
		Nesterov        bool
		NSSteps         int     `json:"ns_steps"`
		MaxNorm         float64 `json:"max_norm"`

		ClipThreshold  float64 `json:"clip_threshold"`
		DecayRate      float64 `json:"decay_rate"`
		Beta1          *float64
		ScaleParameter bool `json:"scale_parameter"`
		RelativeStep   bool `json:"relative_step"`
		WarmupInit     bool `json:"warmup_init"`

		NumWarmupSteps   int     `json:"num_warmup_steps"`
		NumTrainingSteps int     `json:"num_training_steps"`
		NumDecaySteps    int     `json:"num_decay_steps"`
		NumStableSteps   int     `json:"num_stable_steps"`
		NumCycles        float64 `json:"num_cycles"`
		MinLR            float64 `json:"min_lr"`
		MinLRRate        float64 `json:"min_lr_rate"`
		MinLRRatio       float64 `json:"min_lr_ratio"`
		LREnd            float64 `json:"lr_end"`
		Power, Timescale float64
		WarmupType       string  `json:"warmup_type"`
		DecayType        string  `json:"decay_type"`
		WarmupSteps      int     `json:"warmup_steps"`
		WarmdownRatio    float64 `json:"warmdown_ratio"`
		FinalLRFrac      float64 `json:"final_lr_frac"`
		NumIterations    int     `json:"num_iterations"`
	}
	TotalNorm float64 `json:"total_norm"`
	BaseLR    float64 `json:"base_lr"`
	LR        []float64
}

func TestFixtureOptim(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		data, err := os.ReadFile(path + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var all struct{ Cases []optimCase }
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		var tensors map[string]fixtureTensor
		if _, err := os.Stat(path + ".safetensors"); err == nil {
			tensors = readTensors(t, path+".safetensors")
		}
		if len(all.Cases) == 0 {
			t.Error("no cases")
		}
		for _, c := range all.Cases {
			if !testkit.InScope(filepath.Base(path), c.Name) {
				continue
			}
			t.Run(c.Name, func(t *testing.T) {
				switch {
				case len(c.LR) > 0:
					checkSchedule(t, &c)
				case c.Optimizer == "clip_grad_norm":
					onEveryPath(t, func(t *testing.T) { checkClip(t, &c, tensors) })
				default:
					onEveryPath(t, func(t *testing.T) { checkTrajectory(t, &c, tensors) })
				}
			})
		}
	}, "optim_")
}

func onEveryPath(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer kernel.SetPath(kernel.Path())
	for _, path := range kernel.Paths() {
		if err := kernel.SetPath(path); err != nil {
			t.Fatal(err)
		}
		t.Run(path, f)
	}
}

// everything is a Decay of torch's: weight decay knows no exceptions there.
func everything(*nn.Param) bool { return true }

// optimizerOf makes the optimizer that a case describes.
func optimizerOf(t *testing.T, c *optimCase, params []*nn.Param) (o Optimizer) {
	t.Helper()
	p := &c.Params
	var err error
	switch c.Optimizer {
	case "AdamW":
		o, err = NewAdamW(params, AdamWOptions{Beta1: p.Betas[0], Beta2: p.Betas[1], Eps: p.Eps.(float64), WeightDecay: p.WeightDecay, Decay: everything})
	case "SGD":
		o, err = NewSGD(params, SGDOptions{Momentum: p.Momentum, Nesterov: p.Nesterov, WeightDecay: p.WeightDecay, Decay: everything})
	case "Muon", "Muon (nanochat variant)":
		if p.NSSteps != len(polarExpress) || c.Optimizer == "Muon" && !p.Nesterov {
			t.Fatalf("Muon is tested with other options: %+v", p)
		}
		o, err = NewMuon(params, MuonOptions{
			Momentum: p.Momentum, Beta2: p.Beta2, WeightDecay: p.WeightDecay, Classic: c.Optimizer == "Muon", Takes: everything,
		})
	case "Adafactor":
		eps := p.Eps.([]any)
		af := AdafactorOptions{
			Eps: [2]float64{eps[0].(float64), eps[1].(float64)}, Clip: p.ClipThreshold, DecayRate: p.DecayRate, WeightDecay: p.WeightDecay,
			ScaleParameter: p.ScaleParameter, RelativeStep: p.RelativeStep, WarmupInit: p.WarmupInit, Decay: everything,
		}
		if p.Beta1 != nil {
			af.Beta1 = *p.Beta1
		}
		o, err = NewAdafactor(params, af)
	default:
		t.Fatalf("optimizer %q is not known", c.Optimizer)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// checkTrajectory makes the steps of a case, and each also with an optimizer that
// got its state as from a checkpoint.
func checkTrajectory(t *testing.T, c *optimCase, tensors map[string]fixtureTensor) {
	tolerance := 1e-5
	if strings.HasPrefix(c.Optimizer, "Muon") {
		tolerance = 1e-4
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	begin := tensors[c.Name+".p0"]
	p := &nn.Param{Name: "p", Shape: begin.shape, Value: slices.Clone(begin.floats), Grad: make([]float32, len(begin.floats))}
	o := optimizerOf(t, c, []*nn.Param{p})
	for step := 1; step <= c.Steps; step++ {
		g, ok := tensors[fmt.Sprintf("%s.g.%d", c.Name, step)]
		if !ok {
			t.Fatalf("no gradient for step %d", step)
		}
		copy(p.Grad, g.floats)
		resumed := optimizerOf(t, c, []*nn.Param{p})
		copyState(t, resumed.State(), o.State())
		before, lr := slices.Clone(p.Value), 0.0
		if c.Params.LR != nil {
			lr = *c.Params.LR
		}
		o.Step(pool, lr)
		after := slices.Clone(p.Value)
		near(t, fmt.Sprintf("after step %d", step), after, tensors[fmt.Sprintf("%s.p.%d", c.Name, step)].floats, tolerance, 0)
		copy(p.Value, before)
		copy(p.Grad, g.floats)
		resumed.Step(pool, lr)
		near(t, fmt.Sprintf("after step %d, resumed", step), p.Value, after, 0, 0)
	}
}

// copyState moves a state as a checkpoint does.
func copyState(t *testing.T, to, from *State) {
	t.Helper()
	to.Steps = from.Steps
	if len(to.Tensors) != len(from.Tensors) {
		t.Fatalf("a state of %d tensors, want %d", len(to.Tensors), len(from.Tensors))
	}
	for i, s := range from.Tensors {
		if s.Name != to.Tensors[i].Name {
			t.Errorf("state %s, want %s", to.Tensors[i].Name, s.Name)
		}
		copy(to.Tensors[i].Data, s.Data)
	}
}

func checkClip(t *testing.T, c *optimCase, tensors map[string]fixtureTensor) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	var params []*nn.Param
	for name, g := range tensors {
		if part, ok := strings.CutPrefix(name, c.Name+".g"); ok {
			grad := slices.Clone(g.floats)
			params = append(params, &nn.Param{Name: part, Shape: g.shape, Value: grad, Grad: grad})
		}
	}
	if len(params) == 0 {
		t.Fatal("no gradients")
	}
	norm := NewClip(params).To(pool, c.Params.MaxNorm)
	near(t, "norm", []float32{float32(norm)}, []float32{float32(c.TotalNorm)}, 1e-5, 0)
	for _, p := range params {
		near(t, "g"+p.Name, p.Grad, tensors[c.Name+".out.g"+p.Name].floats, 1e-5, 0)
	}
}

// scheduleKinds are the names of fixtures for Schedule's kinds, where they
// differ.
var scheduleKinds = map[string]string{
	"constant_with_warmup": "constant", "warmup_stable_decay": "wsd", "nanochat_trapezoid": "trapezoid",
}

func checkSchedule(t *testing.T, c *optimCase) {
	p := &c.Params
	s := Schedule{
		Rate: c.BaseLR, Warmup: p.NumWarmupSteps + p.WarmupSteps, Steps: p.NumTrainingSteps + p.NumIterations,
		Cycles: p.NumCycles, Power: p.Power, Timescale: p.Timescale, WarmupShape: p.WarmupType, DecayShape: p.DecayType,
		Floor: max(p.MinLRRate, p.MinLRRatio, p.FinalLRFrac, p.MinLR/c.BaseLR, p.LREnd/c.BaseLR),
	}
	for kind := range schedules {
		if strings.HasPrefix(c.Name, kind) && len(kind) > len(s.Kind) {
			s.Kind = kind
		}
	}
	for prefix, kind := range scheduleKinds {
		if strings.HasPrefix(c.Name, prefix) {
			s.Kind = kind
		}
	}
	switch s.Kind {
	case "wsd":
		s.Decay = p.NumDecaySteps
		if s.Steps == 0 {
			s.Steps = s.Warmup + p.NumStableSteps + s.Decay
		}
	case "trapezoid":
		s.Decay = int(math.RoundToEven(p.WarmdownRatio * float64(s.Steps)))
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	for i, want := range c.LR {
		if got := s.At(i); !(math.Abs(got-want) <= 1e-9) {
			t.Errorf("rate of step %d is %v, want %v", i, got, want)
		}
	}
}

// fixtureTensor is a tensor of a fixture.
type fixtureTensor struct {
	shape  []int
	floats []float32
	ints   []int32
}

func readTensors(t testing.TB, path string) map[string]fixtureTensor {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]fixtureTensor{}
	for _, name := range f.Names() {
		s, _ := f.Tensor(name)
		v := fixtureTensor{shape: slices.Clone(s.Shape)}
		if s.DType == checkpoint.I64 {
			for i := 0; i < len(s.Data); i += 8 {
				v.ints = append(v.ints, int32(le64(s.Data[i:])))
			}
		} else {
			v.floats = make([]float32, s.Len())
			if err := s.Float32(v.floats); err != nil {
				t.Fatal(err)
			}
		}
		out[name] = v
	}
	return out
}

func le64(b []byte) (x uint64) {
	for i := range 8 {
		x |= uint64(b[i]) << (8 * i)
	}
	return x
}

func near(t testing.TB, what string, got, want []float32, abs, rel float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= abs+rel*math.Abs(float64(want[i]))) {
			t.Errorf("%s[%d] = %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// someParams returns parameters of a small model with random values and
// gradients: wide, tall and odd matrices, an embedding and vectors.
func someParams(seed uint64) []*nn.Param {
	r := rand.New(rand.NewPCG(seed, 1))
	var params []*nn.Param
	for _, p := range []nn.Param{
		{Name: "embed_tokens.weight", Shape: []int{300, 130}},
		{Name: "layers.0.up.weight", Shape: []int{400, 130}},
		{Name: "layers.0.down.weight", Shape: []int{130, 400}},
		{Name: "layers.0.conv1d.weight", Shape: []int{65, 33}, Conv1D: true},
		{Name: "layers.0.norm.weight", Shape: []int{130}},
		{Name: "head.weight", Shape: []int{7, 130}},
	} {
		n := 1
		for _, d := range p.Shape {
			n *= d
		}
		p.Value, p.Grad = make([]float32, n), make([]float32, n)
		for i := range n {
			p.Value[i], p.Grad[i] = float32(r.NormFloat64()), float32(r.NormFloat64())
		}
		params = append(params, &p)
	}
	return params
}

// optimizers are all of them with options that use every part.
var optimizers = map[string]func(params []*nn.Param) (Optimizer, error){
	"adamw": func(p []*nn.Param) (Optimizer, error) { return NewAdamW(p, DefaultAdamW) },
	"sgd": func(p []*nn.Param) (Optimizer, error) {
		return NewSGD(p, SGDOptions{Momentum: 0.9, Nesterov: true, WeightDecay: 0.1})
	},
	"muon": func(p []*nn.Param) (Optimizer, error) { return NewMuon(p, DefaultMuon) },
	"muon_classic": func(p []*nn.Param) (Optimizer, error) {
		return NewMuon(p, MuonOptions{Momentum: 0.95, Classic: true, Rest: DefaultAdamW, RestRate: 1})
	},
	"adafactor": func(p []*nn.Param) (Optimizer, error) {
		o := DefaultAdafactor
		o.Beta1, o.WeightDecay, o.ScaleParameter = 0.9, 0.1, true
		return NewAdafactor(p, o)
	},
}

// TestOptimizerThreads demands the same parameters, bit for bit, for any number
// of threads.
func TestOptimizerThreads(t *testing.T) {
	for name, make := range optimizers {
		t.Run(name, func(t *testing.T) {
			var first []*nn.Param
			for threads := 1; threads <= 3; threads++ {
				params := someParams(5)
				pool := kernel.NewPool(threads)
				o, err := make(params)
				if err != nil {
					t.Fatal(err)
				}
				clip := NewClip(params)
				for range 3 {
					clip.To(pool, 1)
					o.Step(pool, 0.01)
				}
				o.Close()
				pool.Close()
				if first == nil {
					first = params
				}
				for i, p := range params {
					near(t, fmt.Sprintf("%s with %d threads", p.Name, threads), p.Value, first[i].Value, 0, 0)
				}
			}
		})
	}
}

// TestOptimizerAllocates demands that a step, once one has run, leaves nothing
// to collect.
func TestOptimizerAllocates(t *testing.T) {
	for name, make := range optimizers {
		t.Run(name, func(t *testing.T) {
			params := someParams(6)
			pool := kernel.NewPool(2)
			defer pool.Close()
			o, err := make(params)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			ema, err := NewEMA(params, 0.99)
			if err != nil {
				t.Fatal(err)
			}
			defer ema.Close()
			clip := NewClip(params)
			if n := testing.AllocsPerRun(5, func() {
				clip.To(pool, 1)
				o.Step(pool, 0.01)
				ema.Step(pool)
			}); n > 0 {
				t.Errorf("%v allocations a step", n)
			}
		})
	}
}

// TestDecay demands that matrices decay and vectors do not.
func TestDecay(t *testing.T) {
	params := someParams(7)
	for _, p := range params {
		clear(p.Grad)
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	a, err := NewAdamW(params, AdamWOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	before := someParams(7)
	a.Step(pool, 0.1)
	for i, p := range params {
		want := before[i].Value[0]
		if len(p.Shape) > 1 {
			want *= 0.95
		}
		near(t, p.Name, p.Value[:1], []float32{want}, 1e-7, 0)
	}
}

// TestEMA compares with the average written out.
func TestEMA(t *testing.T) {
	params := someParams(8)
	pool := kernel.NewPool(2)
	defer pool.Close()
	e, err := NewEMA(params, 0.75)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p := params[1].Value
	want := float64(p[9])
	for step := range 5 {
		p[9] = float32(step)
		want = 0.75*want + 0.25*float64(step)
		e.Step(pool)
	}
	e.Swap(pool)
	near(t, "average", p[9:10], []float32{float32(want)}, 1e-6, 0)
	e.Swap(pool)
	near(t, "value", p[9:10], []float32{4}, 0, 0)
}

// TestClipFinite demands that gradients whose norm is not finite stay as they
// are.
func TestClipFinite(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 1e30} {
		params := someParams(9)
		params[2].Grad[77] = bad
		want := slices.Clone(params[0].Grad)
		if norm := NewClip(params).To(pool, 1); !math.IsNaN(norm) && !math.IsInf(norm, 1) {
			t.Errorf("norm %v with a gradient of %v", norm, bad)
		}
		near(t, "gradient", params[0].Grad, want, 0, 0)
	}
}

func TestBlockMatrix(t *testing.T) {
	for name, want := range map[string]bool{
		"model.layers.3.mlp.up_proj.weight": true, "transformer.h.11.attn.c_attn.weight": true, "model.embed_tokens.weight": false,
		"lm_head.weight": false, "bert.pooler.dense.weight": false, "layers.x3.weight": false,
	} {
		if got := BlockMatrix(&nn.Param{Name: name, Shape: []int{2, 2}}); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if BlockMatrix(&nn.Param{Name: "h.0.ln_1.weight", Shape: []int{4}}) {
		t.Error("a vector is taken for a matrix")
	}
}

func TestScheduleCheck(t *testing.T) {
	for want, s := range map[string]Schedule{
		`schedule "cosin" is not known`: {Kind: "cosin"},
		"decay \"exp\" is not known":    {Kind: "wsd", DecayShape: "exp"},
		"floor 2 is out of range":       {Kind: "cosine", Floor: 2},
		"learning rate NaN":             {Kind: "cosine", Rate: math.NaN()},
		"warm-up -1":                    {Kind: "linear", Warmup: -1},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", s, err, want)
		}
	}
	for kind := range schedules {
		s := Schedule{Kind: kind, Rate: 1, Warmup: 3, Steps: 10, Decay: 4}
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		for step := range 20 {
			if lr := s.At(step); !(lr >= 0 && lr <= 1) {
				t.Errorf("%s: rate %v at step %d", kind, lr, step)
			}
		}
	}
}
