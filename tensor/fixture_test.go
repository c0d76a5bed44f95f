package tensor_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/tensor"
)

// TestFixtureOps compares every operation's results and gradients with the
// reference's, under every kernel path.
func TestFixtureOps(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		f := readOps(t, path)
		run, ok := opGroups[f.Op]
		if !ok {
			t.Fatalf("no operation %q", f.Op)
		}
		for _, c := range f.Cases {
			t.Run(c.Name, func(t *testing.T) {
				defer kernel.SetPath(kernel.Path())
				for _, p := range kernel.Paths() {
					if err := kernel.SetPath(p); err != nil {
						t.Fatal(err)
					}
					t.Run(p, func(t *testing.T) { runCase(t, c, run) })
				}
			})
		}
	}, "ops_")
}

var opGroups = map[string]func(c *opCase){
	"activations":   runActivation,
	"attention":     runAttention,
	"cross_entropy": runLoss,
	"layernorm":     runLayerNorm,
	"linear":        runLinear,
	"pooling":       runPooling,
	"rmsnorm":       runRMSNorm,
	"rope":          runRope,
	"softmax":       runSoftmax,
}

type opFile struct {
	Op    string
	Cases []opCase
}

// opCase is a case of a fixture and, while it runs, its graph.
type opCase struct {
	Name            string
	Inputs, Outputs []string
	Params          map[string]any
	Grads           []string

	values map[string]values

	t       *testing.T
	g       *tensor.Graph
	read    map[string]bool // inputs and parameters that were used
	checked map[string]bool // outputs and gradients that were compared
}

type values struct {
	shape  []int
	floats []float32
	ints   []int32
}

func readOps(t *testing.T, path string) opFile {
	t.Helper()
	data, err := os.ReadFile(path + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var f opFile
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) == 0 {
		t.Fatalf("%s.json has no cases", path)
	}
	all := readValues(t, path+".safetensors")
	for i := range f.Cases {
		c := &f.Cases[i]
		c.values = map[string]values{}
		for name, v := range all {
			if rest, ok := strings.CutPrefix(name, c.Name+"."); ok {
				c.values[rest] = v
			}
		}
	}
	return f
}

func readValues(t *testing.T, path string) map[string]values {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]values{}
	for _, name := range f.Names() {
		s, _ := f.Tensor(name)
		v := values{shape: slices.Clone(s.Shape)}
		if s.DType == checkpoint.I64 {
			for i := 0; i < len(s.Data); i += 8 {
				v.ints = append(v.ints, int32(binary.LittleEndian.Uint64(s.Data[i:])))
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

func runCase(t *testing.T, c opCase, run func(c *opCase)) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	c.t, c.g = t, tensor.NewGraph(pool)
	defer c.g.Close()
	c.g.Record(true)
	c.read, c.checked = map[string]bool{"note": true}, map[string]bool{}
	run(&c)
	for _, name := range c.Inputs {
		if !c.read[name] {
			t.Errorf("input %q was not used", name)
		}
	}
	for name := range c.Params {
		if !c.read[name] {
			t.Errorf("parameter %q is not known", name)
		}
	}
	for _, name := range c.Outputs {
		if !c.checked[name] {
			t.Errorf("output %q was not compared", name)
		}
	}
	for _, name := range c.Grads {
		if !c.checked["d_"+name] {
			t.Errorf("gradient of %q was not compared", name)
		}
	}
}

// in returns an input.
func (c *opCase) in(name string) values {
	c.t.Helper()
	v, ok := c.values[name]
	if !ok {
		c.t.Fatalf("no tensor %q", name)
	}
	c.read[name] = true
	return v
}

func (c *opCase) has(name string) bool { return slices.Contains(c.Inputs, name) }

// leaf returns an input whose gradient is wanted as a tensor of so many
// columns.
func (c *opCase) leaf(name string, cols int) *tensor.Tensor {
	c.t.Helper()
	v := c.in(name)
	t := tensor.FromSlice(slices.Clone(v.floats), len(v.floats)/cols, cols)
	t.Grad = make([]float32, len(v.floats))
	return t
}

// last returns the last dimension of an input.
func (c *opCase) last(name string) int {
	s := c.in(name).shape
	return s[len(s)-1]
}

func (c *opCase) number(name string, def float64) float64 {
	c.t.Helper()
	c.read[name] = true
	v, ok := c.Params[name]
	if !ok {
		return def
	}
	x, ok := v.(float64)
	if !ok {
		c.t.Fatalf("parameter %s is %v, want a number", name, v)
	}
	return x
}

func (c *opCase) bool(name string) bool {
	c.t.Helper()
	c.read[name] = true
	v, ok := c.Params[name].(bool)
	if !ok && c.Params[name] != nil {
		c.t.Fatalf("parameter %s is %v, want true or false", name, c.Params[name])
	}
	return v
}

func (c *opCase) text(name string) string {
	c.read[name] = true
	s, _ := c.Params[name].(string)
	return s
}

// output compares the case's result and takes its gradient back.
func (c *opCase) output(y *tensor.Tensor) {
	c.t.Helper()
	if err := c.g.Err(); err != nil {
		c.t.Fatal(err)
	}
	c.compare("y", y.Data, 1e-5, 1e-5)
	c.g.Backward(y, c.values["d_y"].floats)
}

func (c *opCase) gradient(name string, got []float32) {
	c.t.Helper()
	c.compare("d_"+name, got, 1e-4, 1e-3)
}

func (c *opCase) compare(name string, got []float32, abs, rel float64) {
	c.t.Helper()
	want, ok := c.values[name]
	if !ok {
		if slices.Contains(c.Grads, strings.TrimPrefix(name, "d_")) || slices.Contains(c.Outputs, name) {
			c.t.Fatalf("no tensor %q to compare with", name)
		}
		return
	}
	c.checked[name] = true
	compare(c.t, name, got, want.floats, abs, rel)
}

func compare(t *testing.T, name string, got, want []float32, abs, rel float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= abs+rel*math.Abs(float64(want[i]))) {
			t.Fatalf("%s[%d] = %v, want %v", name, i, got[i], want[i])
		}
	}
}

var activations = map[string]tensor.Activation{
	"gelu_exact": tensor.GELU, "gelu_tanh": tensor.GELUTanh, "quick_gelu": tensor.QuickGELU,
	"silu": tensor.SiLU, "relu": tensor.ReLU, "relu_squared": tensor.ReLU2, "tanh": tensor.Tanh,
	"sigmoid": tensor.Sigmoid, "softplus": tensor.Softplus,
}

var gates = map[string]tensor.Activation{"swiglu": tensor.SiLU, "geglu_exact": tensor.GELU, "geglu_tanh": tensor.GELUTanh}

func runActivation(c *opCase) {
	act, isAct := activations[c.Name]
	gate, isGate := gates[c.Name]
	limit, isCap := strings.CutPrefix(c.Name, "softcap")
	switch {
	case isAct:
		x := c.leaf("x", c.last("x"))
		c.output(c.g.Activate(x, act))
		c.gradient("x", x.Grad)
	case isGate:
		c.gated(gate)
	case isCap:
		x := c.leaf("x", c.last("x"))
		n, err := strconv.ParseFloat(limit, 32)
		if err != nil {
			c.t.Fatal(err)
		}
		c.output(c.g.SoftCap(x, float32(n)))
		c.gradient("x", x.Grad)
	case c.Name == "swiglu_mlp":
		c.mlp()
	default:
		c.t.Fatalf("no activation %q", c.Name)
	}
}

// gated puts gate and up side by side.
func (c *opCase) gated(act tensor.Activation) {
	gate, up, n := c.in("gate").floats, c.in("up").floats, c.last("gate")
	x := tensor.FromSlice(make([]float32, 2*len(gate)), len(gate)/n, 2*n)
	x.Grad = make([]float32, 2*len(gate))
	for r := range x.Rows {
		copy(x.Row(r), gate[r*n:(r+1)*n])
		copy(x.Row(r)[n:], up[r*n:(r+1)*n])
	}
	c.output(c.g.Gated(x, act))
	var dgate, dup []float32
	for r := range x.Rows {
		dgate = append(dgate, x.Grad[r*2*n:][:n]...)
		dup = append(dup, x.Grad[r*2*n+n:][:n]...)
	}
	c.gradient("gate", dgate)
	c.gradient("up", dup)
}

func (c *opCase) mlp() {
	x, wg, wu, wd := c.leaf("x", c.last("x")), c.weight("wg", false), c.weight("wu", false), c.weight("wd", false)
	h := c.g.Gated(c.g.Linear(x, []*tensor.Weight{wg, wu}, nil), tensor.SiLU)
	c.output(c.g.Linear(h, []*tensor.Weight{wd}, nil))
	c.gradient("x", x.Grad)
	c.gradient("wg", wg.Grad)
	c.gradient("wu", wu.Grad)
	c.gradient("wd", wd.Grad)
}

// weight returns an input [out, in], or [in, out], as a weight that is trained.
func (c *opCase) weight(name string, conv1D bool) *tensor.Weight {
	v := c.in(name)
	if len(v.shape) != 2 {
		c.t.Fatalf("%s has shape %v, want a matrix", name, v.shape)
	}
	if conv1D {
		return newWeight(c.g, turned(v.floats, v.shape[0], v.shape[1]), v.shape[1], v.shape[0], tensor.F32)
	}
	return newWeight(c.g, v.floats, v.shape[0], v.shape[1], tensor.F32)
}

// turned returns the transpose of a matrix [rows, cols].
func turned(x []float32, rows, cols int) []float32 {
	y := make([]float32, len(x))
	for r := range rows {
		for c := range cols {
			y[c*rows+r] = x[r*cols+c]
		}
	}
	return y
}

// newWeight packs a matrix [out, in] and gives it a gradient.
func newWeight(g *tensor.Graph, values []float32, out, in int, dtype tensor.DType) *tensor.Weight {
	w := &tensor.Weight{Name: "w", Out: out, In: in, DType: dtype, Value: slices.Clone(values), Grad: make([]float32, out*in)}
	if dtype == tensor.BF16 {
		w.BF16 = make([]uint16, kernel.PanelLenBF16(out, in))
	} else {
		w.F32 = make([]float32, kernel.PanelLenF32(out, in))
	}
	g.Pack(w)
	return w
}

func runSoftmax(c *opCase) {
	x := c.leaf("x", c.last("x"))
	y := x
	if t := c.number("temperature", 1); t != 1 {
		y = c.g.Scale(y, float32(1/t))
	}
	if strings.HasPrefix(c.Name, "log_softmax") {
		y = c.g.LogSoftmax(y)
	} else {
		y = c.g.Softmax(y)
	}
	c.output(y)
	c.gradient("x", x.Grad)
}

func runLayerNorm(c *opCase) {
	x, w := c.leaf("x", c.last("x")), c.leaf("w", c.last("w"))
	var b *tensor.Tensor
	if c.has("b") {
		b = c.leaf("b", c.last("b"))
	}
	c.output(c.g.LayerNorm(x, w, b, float32(c.number("eps", 0))))
	c.gradient("x", x.Grad)
	c.gradient("w", w.Grad)
	if b != nil {
		c.gradient("b", b.Grad)
	}
}

func runRMSNorm(c *opCase) {
	cols := c.last("x")
	if s := c.in("x").shape; len(s) == 4 {
		cols *= s[2] // heads side by side, each normed on its own
	}
	x := c.leaf("x", cols)
	var w *tensor.Tensor
	offset := float32(0)
	if c.has("w") {
		w = c.leaf("w", c.last("w"))
	} else {
		x.Rows, x.Cols, x.Stride = len(x.Data)/c.last("x"), c.last("x"), c.last("x")
	}
	if c.bool("one_plus_weight") {
		offset = 1
	}
	c.output(c.g.RMSNorm(x, w, float32(c.number("eps", 0)), offset))
	c.gradient("x", x.Grad)
	if w != nil {
		c.gradient("w", w.Grad)
	}
}

func runLinear(c *opCase) {
	switch {
	case c.has("a"):
		a, b := c.leaf("a", c.last("a")), c.leaf("b", c.last("b"))
		c.output(c.g.MatMul(a, b, c.in("a").shape[0], false))
		c.gradient("a", a.Grad)
		c.gradient("b", b.Grad)
	case c.has("ids"):
		c.embedding(strings.HasPrefix(c.Name, "tied_"))
	default:
		c.linear()
	}
}

func (c *opCase) linear() {
	layout := c.text("weight")
	if layout != "[out,in]" && layout != "[in,out]" {
		c.t.Fatalf("weight layout %q", layout)
	}
	x, w := c.leaf("x", c.last("x")), c.weight("w", layout == "[in,out]")
	var b *tensor.Tensor
	if c.has("b") {
		b = c.leaf("b", c.last("b"))
	}
	c.output(c.g.Linear(x, []*tensor.Weight{w}, b))
	c.gradient("x", x.Grad)
	if layout == "[in,out]" {
		c.gradient("w", turned(w.Grad, w.Out, w.In))
	} else {
		c.gradient("w", w.Grad)
	}
	if b != nil {
		c.gradient("b", b.Grad)
	}
}

// embedding looks ids up, and multiplies with the same matrix if it is tied.
func (c *opCase) embedding(tied bool) {
	w, ids := c.weight("w", false), c.in("ids").ints
	table := newTable(w, tied)
	if p := c.number("padding_idx", -1); p >= 0 {
		table.Fixed = []int32{int32(p)}
	}
	y := c.g.Embed(table, ids, 0)
	if tied {
		y = c.g.Linear(y, []*tensor.Weight{w}, nil)
	}
	c.output(y)
	w.Fold()
	c.gradient("w", w.Grad)
}

// newTable returns a look-up of a weight's rows.
func newTable(w *tensor.Weight, tied bool) *tensor.Table {
	table := &tensor.Table{Name: w.Name, Rows: w.Out, Cols: w.In, Grad: w.Grad, Row: func(dst []float32, i int) error {
		copy(dst, w.Value[i*w.In:])
		return nil
	}}
	if tied {
		table.Tied = w
	}
	return table
}

func runRope(c *opCase) {
	shape, pos := c.in("x").shape, c.in("pos").ints
	half := int(c.number("rotary_dim", 0)) / 2
	theta := c.number("theta", 0)
	r := &tensor.Rope{Factor: float32(c.number("attention_scaling", 1)), Pairing: kernel.HalfSplit}
	if c.bool("interleaved") {
		r.Pairing = kernel.Interleaved
	}
	for i := range half {
		r.InvFreq = append(r.InvFreq, math.Pow(theta, -float64(i)/float64(half)))
	}
	if c.Params["rope_scaling"] != nil { // package model makes these frequencies, and tests that
		for _, name := range []string{"rope_scaling", "max_position_embeddings", "seq_len", "inv_freq_from"} {
			c.read[name] = true
		}
		for i, f := range c.in("inv_freq").floats {
			r.InvFreq[i] = float64(f)
		}
	}
	r = r.Grown(int(slices.Max(pos)) + 1)
	x := c.heads("x", shape)
	y := c.g.Scale(x, 1) // Rotate works in place
	c.g.Rotate(y, r, pos, shape[3])
	got := toHeads(y.Data, shape)
	c.compare("y", got, 1e-5, 1e-5)
	c.g.Backward(y, fromHeads(c.values["d_y"].floats, shape))
	c.gradient("x", toHeads(x.Grad, shape))
}

// heads returns an input [batch, heads, tokens, dim] as a leaf [batch·tokens,
// heads·dim].
func (c *opCase) heads(name string, shape []int) *tensor.Tensor {
	x := fromHeads(c.in(name).floats, shape)
	t := tensor.FromSlice(x, shape[0]*shape[2], shape[1]*shape[3])
	t.Grad = make([]float32, len(x))
	return t
}

func fromHeads(x []float32, shape []int) []float32 {
	y := make([]float32, len(x))
	eachHead(shape, func(i, j, n int) { copy(y[j:j+n], x[i:i+n]) })
	return y
}

func toHeads(x []float32, shape []int) []float32 {
	y := make([]float32, len(x))
	eachHead(shape, func(i, j, n int) { copy(y[i:i+n], x[j:j+n]) })
	return y
}

// eachHead calls f with the places of each vector in [batch, heads, tokens,
// dim] and in [batch, tokens, heads, dim].
func eachHead(shape []int, f func(i, j, n int)) {
	batch, heads, tokens, dim := shape[0], shape[1], shape[2], shape[3]
	for b := range batch {
		for h := range heads {
			for t := range tokens {
				f(((b*heads+h)*tokens+t)*dim, ((b*tokens+t)*heads+h)*dim, dim)
			}
		}
	}
}

func runPooling(c *opCase) {
	switch c.Name {
	case "cosine_similarity":
		a, b := c.leaf("a", c.last("a")), c.leaf("b", c.last("b"))
		c.output(c.g.Cosine(a, b))
		c.gradient("a", a.Grad)
		c.gradient("b", b.Grad)
		return
	case "masked_mean", "masked_mean_l2", "masked_max":
	default:
		c.t.Fatalf("no pooling %q", c.Name)
	}
	x, mask := c.leaf("x", c.last("x")), c.in("mask")
	var rows []int32
	var spans []tensor.Span
	for b := range mask.shape[0] {
		from := len(rows)
		for i := range mask.shape[1] {
			if mask.ints[b*mask.shape[1]+i] != 0 {
				rows = append(rows, int32(b*mask.shape[1]+i))
			}
		}
		spans = append(spans, tensor.Span{Start: from, Len: len(rows) - from})
	}
	kept := c.g.Gather(x, rows)
	var y *tensor.Tensor
	if c.Name == "masked_max" {
		y = c.g.MaxPool(kept, spans)
	} else {
		y = c.g.MeanPool(kept, spans)
	}
	if c.Name == "masked_mean_l2" {
		y = c.g.Normalize(y)
	}
	c.output(y)
	c.gradient("x", x.Grad)
}
