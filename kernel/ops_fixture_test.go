package kernel

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// opCase is a case of an ops_* fixture.
type opCase struct {
	Name    string
	Inputs  []string
	Outputs []string
	Grads   []string
	Params  struct {
		Eps           float32
		OnePlusWeight bool     `json:"one_plus_weight"`
		Temperature   *float32 // 1 without
		RotaryDim     int      `json:"rotary_dim"`
		Theta         float64
		Interleaved   bool
		Scaling       *float32 `json:"attention_scaling"` // 1 without
	}
	tensors map[string]opTensor
	used    map[string]bool
}

type opTensor struct {
	DType   string
	Shape   []int
	Offsets [2]int `json:"data_offsets"`
	bytes   []byte
}

// TestFixtureOps compares the row-wise kernels, forward and backward, with
// numbers computed in float64. Which frequencies a rope_scaling gives is
// package model's business: the fixture's own are used.
func TestFixtureOps(t *testing.T) {
	groups := map[string]func(t *testing.T, c *opCase){
		"ops_softmax": checkSoftmaxCase, "ops_layernorm": checkLayerNormCase, "ops_rmsnorm": checkRMSNormCase,
		"ops_activations": checkActivationCase, "ops_rope": checkRopeCase,
	}
	var prefixes []string
	for name := range groups {
		prefixes = append(prefixes, name)
	}
	slices.Sort(prefixes)
	testkit.Fixtures(t, func(t *testing.T, path string) {
		group := path[strings.LastIndexAny(path, `/\`)+1:]
		data, err := os.ReadFile(path + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Cases []*opCase }
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatal(err)
		}
		if len(file.Cases) == 0 {
			t.Fatal("no cases")
		}
		tensors := readOpTensors(t, path+".safetensors")
		onEveryPath(t, func(t *testing.T) {
			for _, c := range file.Cases {
				t.Run(c.Name, func(t *testing.T) {
					c.tensors, c.used = tensors, map[string]bool{}
					groups[group](t, c)
					c.checkUsed(t)
				})
			}
		})
	}, prefixes...)
}

func readOpTensors(t *testing.T, path string) map[string]opTensor {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	var header map[string]opTensor
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	for name, x := range header {
		x.bytes = data[8+int(n):][x.Offsets[0]:x.Offsets[1]]
		header[name] = x
	}
	return header
}

// find returns a tensor of the case.
func (c *opCase) find(t *testing.T, name string) opTensor {
	t.Helper()
	x, ok := c.tensors[c.Name+"."+name]
	if !ok {
		t.Fatalf("no tensor %s.%s", c.Name, name)
	}
	c.used[name] = true
	return x
}

func (c *opCase) has(name string) bool {
	_, ok := c.tensors[c.Name+"."+name]
	return ok
}

func (c *opCase) get(t *testing.T, name string) []float32 {
	t.Helper()
	return floatsFrom(c.find(t, name).bytes)
}

// optional is get for an input that not every case has.
func (c *opCase) optional(t *testing.T, name string) []float32 {
	if !c.has(name) {
		return nil
	}
	return c.get(t, name)
}

// width is the length of a row of x.
func (c *opCase) width(t *testing.T) int {
	shape := c.find(t, "x").Shape
	return shape[len(shape)-1]
}

// checkUsed fails where a case has a tensor that nothing looked at.
func (c *opCase) checkUsed(t *testing.T) {
	for name := range c.tensors {
		if rest, ok := strings.CutPrefix(name, c.Name+"."); ok && !c.used[rest] {
			t.Errorf("%s was not used", name)
		}
	}
}

// output checks a result, gradient a gradient.
func (c *opCase) output(t *testing.T, name string, got []float32) {
	t.Helper()
	c.compare(t, name, got, 1e-5, 1e-5)
}

func (c *opCase) gradient(t *testing.T, name string, got []float32) {
	t.Helper()
	c.compare(t, "d_"+name, got, 1e-4, 1e-3)
}

func (c *opCase) compare(t *testing.T, name string, got []float32, abs, rel float64) {
	t.Helper()
	want := c.get(t, name)
	if len(want) != len(got) {
		t.Fatalf("%s has %d values, want %d", name, len(got), len(want))
	}
	for i, w := range want {
		if !near(got[i], float64(w), abs, rel) {
			t.Fatalf("%s[%d] = %v, want %v", name, i, got[i], w)
		}
	}
}

// rowsOf calls f with every row of n elements of the slices.
func rowsOf(n int, f func(rows ...[]float32), all ...[]float32) {
	for at := 0; at < len(all[0]); at += n {
		rows := make([][]float32, len(all))
		for i, x := range all {
			rows[i] = x[at : at+n]
		}
		f(rows...)
	}
}

func checkSoftmaxCase(t *testing.T, c *opCase) {
	x, dy := c.get(t, "x"), c.get(t, "d_y")
	y, dx := make([]float32, len(x)), make([]float32, len(x))
	temperature := float32(1)
	if c.Params.Temperature != nil {
		temperature = *c.Params.Temperature
	}
	Scale(x, x, 1/temperature)
	rowsOf(c.width(t), func(rows ...[]float32) {
		x, y, dy, dx := rows[0], rows[1], rows[2], rows[3]
		if strings.HasPrefix(c.Name, "log_") {
			LogSoftmax(y, x)
			LogSoftmaxBackward(dx, dy, y)
			return
		}
		Softmax(y, x)
		SoftmaxBackward(dx, dy, y)
	}, x, y, dy, dx)
	c.output(t, "y", y)
	Scale(dx, dx, 1/temperature)
	c.gradient(t, "x", dx)
}

func checkLayerNormCase(t *testing.T, c *opCase) {
	x, w, b, dy := c.get(t, "x"), c.optional(t, "w"), c.optional(t, "b"), c.get(t, "d_y")
	y, dx := make([]float32, len(x)), make([]float32, len(x))
	dw, db := make([]float32, len(w)), make([]float32, len(b))
	if w == nil {
		dw = nil
	}
	if b == nil {
		db = nil
	}
	rowsOf(c.width(t), func(rows ...[]float32) {
		x, y, dy, dx := rows[0], rows[1], rows[2], rows[3]
		mean, inv := LayerNorm(y, x, w, b, c.Params.Eps)
		LayerNormBackward(dx, dw, db, dy, x, w, mean, inv)
	}, x, y, dy, dx)
	c.output(t, "y", y)
	c.gradient(t, "x", dx)
	if w != nil {
		c.gradient(t, "w", dw)
	}
	if b != nil {
		c.gradient(t, "b", db)
	}
}

func checkRMSNormCase(t *testing.T, c *opCase) {
	x, w, dy := c.get(t, "x"), c.optional(t, "w"), c.get(t, "d_y")
	y, dx := make([]float32, len(x)), make([]float32, len(x))
	var dw []float32
	if w != nil {
		dw = make([]float32, len(w))
	}
	offset := float32(0)
	if c.Params.OnePlusWeight {
		offset = 1
	}
	rowsOf(c.width(t), func(rows ...[]float32) {
		x, y, dy, dx := rows[0], rows[1], rows[2], rows[3]
		inv := RMSNorm(y, x, w, c.Params.Eps, offset)
		RMSNormBackward(dx, dw, dy, x, w, inv, offset)
	}, x, y, dy, dx)
	c.output(t, "y", y)
	c.gradient(t, "x", dx)
	if w != nil {
		c.gradient(t, "w", dw)
	}
}

// activationNames are the kernels by the fixture's names.
var activationNames = map[string]string{
	"gelu_exact": "GELU", "gelu_tanh": "GELUTanh", "quick_gelu": "QuickGELU", "silu": "SiLU", "relu": "ReLU",
	"relu_squared": "ReLU2", "tanh": "Tanh", "sigmoid": "Sigmoid", "softplus": "Softplus",
	"swiglu": "SwiGLU", "geglu_exact": "GeGLU", "geglu_tanh": "GeGLUTanh",
}

func checkActivationCase(t *testing.T, c *opCase) {
	if limit, ok := strings.CutPrefix(c.Name, "softcap"); ok {
		limit, err := strconv.ParseFloat(limit, 32)
		if err != nil {
			t.Fatal(err)
		}
		c.unary(t, func(dst, x []float32) { SoftCap(dst, x, float32(limit)) },
			func(dx, dy, x []float32) { SoftCapBackward(dx, dy, x, float32(limit)) })
		return
	}
	if c.Name == "swiglu_mlp" {
		checkSwiGLUMLP(t, c)
		return
	}
	for _, a := range activations {
		if a.name == activationNames[c.Name] {
			c.unary(t, a.forward, a.backward)
			return
		}
	}
	for _, a := range gated {
		if a.name == activationNames[c.Name] {
			gate, up, dy := c.get(t, "gate"), c.get(t, "up"), c.get(t, "d_y")
			y, dgate, dup := make([]float32, len(dy)), make([]float32, len(dy)), make([]float32, len(dy))
			a.forward(y, gate, up)
			a.backward(dgate, dup, dy, gate, up)
			c.output(t, "y", y)
			c.gradient(t, "gate", dgate)
			c.gradient(t, "up", dup)
			return
		}
	}
	t.Fatalf("activation %q is not known", c.Name)
}

func (c *opCase) unary(t *testing.T, forward func(dst, x []float32), backward func(dx, dy, x []float32)) {
	t.Helper()
	x, dy := c.get(t, "x"), c.get(t, "d_y")
	y, dx := make([]float32, len(x)), make([]float32, len(x))
	forward(y, x)
	backward(dx, dy, x)
	c.output(t, "y", y)
	c.gradient(t, "x", dx)
}

// checkSwiGLUMLP is y = (SiLU(x·wgᵀ)·(x·wuᵀ))·wdᵀ, with all products, those of
// the gradients too, over panels.
func checkSwiGLUMLP(t *testing.T, c *opCase) {
	x, wg, wu, wd, dy := c.get(t, "x"), c.get(t, "wg"), c.get(t, "wu"), c.get(t, "wd"), c.get(t, "d_y")
	n := c.width(t)
	m, inner := len(x)/n, len(wg)/n
	gate, up := timesRows(x, wg, m, n, inner), timesRows(x, wu, m, n, inner)
	h := make([]float32, len(gate))
	SwiGLU(h, gate, up)
	c.output(t, "y", timesRows(h, wd, m, inner, n))

	dh, dgate, dup := timesColumns(dy, wd, m, n, inner), make([]float32, len(h)), make([]float32, len(h))
	SwiGLUBackward(dgate, dup, dh, gate, up)
	dx := timesColumns(dgate, wg, m, inner, n)
	Add(dx, dx, timesColumns(dup, wu, m, inner, n))
	c.gradient(t, "x", dx)
	c.gradient(t, "wg", weightGradient(dgate, x, m, inner, n))
	c.gradient(t, "wu", weightGradient(dup, x, m, inner, n))
	c.gradient(t, "wd", weightGradient(dy, h, m, n, inner))
}

// timesRows is x [m, k] times wᵀ, w being [n, k].
func timesRows(x, w []float32, m, k, n int) []float32 {
	p := make([]float32, PanelLenF32(n, k))
	PackF32(p, w, n, k, k)
	y := make([]float32, m*n)
	MatMulF32(y, n, x, k, m, p, k, n, 0, panels(n), false)
	return y
}

// timesColumns is x [m, k] times w, w being [k, n].
func timesColumns(x, w []float32, m, k, n int) []float32 {
	p := make([]float32, PanelLenF32(n, k))
	PackF32T(p, w, n, k, n)
	y := make([]float32, m*n)
	MatMulF32(y, n, x, k, m, p, k, n, 0, panels(n), false)
	return y
}

// weightGradient is dyᵀ·x, dy [m, n] and x [m, k]: a product over tokens.
func weightGradient(dy, x []float32, m, n, k int) []float32 {
	t := make([]float32, len(dy))
	for r := range m {
		for o := range n {
			t[o*m+r] = dy[r*n+o]
		}
	}
	return timesColumns(t, x, n, m, k)
}

func checkRopeCase(t *testing.T, c *opCase) {
	x, dy := c.get(t, "x"), c.get(t, "d_y")
	shape := c.find(t, "x").Shape // [batch, heads, tokens, head dimension]
	pos := c.find(t, "pos")
	pairs := c.Params.RotaryDim / 2
	freq := widened(c.optional(t, "inv_freq"))
	if len(freq) == 0 { // the reference did not round them
		for i := range pairs {
			freq = append(freq, math.Pow(c.Params.Theta, -2*float64(i)/float64(c.Params.RotaryDim)))
		}
	}
	scaling := float32(1)
	if c.Params.Scaling != nil {
		scaling = *c.Params.Scaling
	}
	pairing := HalfSplit
	if c.Params.Interleaved {
		pairing = Interleaved
	}
	cos, sin := make([]float32, pairs), make([]float32, pairs)
	i := 0
	rowsOf(shape[3], func(rows ...[]float32) {
		batch, token := i/shape[2]/shape[1], i%shape[2]
		i++
		p := int64(binary.LittleEndian.Uint64(pos.bytes[8*(batch*shape[2]+token):]))
		for j, f := range freq {
			sin[j], cos[j] = SinCos32(float64(p) * f)
		}
		Scale(cos, cos, scaling)
		Scale(sin, sin, scaling)
		Rope(rows[0], cos, sin, pairing)
		RopeBackward(rows[1], cos, sin, pairing)
	}, x, dy)
	c.output(t, "y", x)
	c.gradient(t, "x", dy)
}
