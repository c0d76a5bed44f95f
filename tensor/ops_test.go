package tensor_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"wenmo/internal/philox"
	"wenmo/kernel"
	"wenmo/tensor"
)

// op is a row of the table of operations: what it is run on, how, and what it
// is by definition, in float64.
type op struct {
	name   string
	shapes func(s size) [][2]int // of the operands
	run    func(e *env) *tensor.Tensor
	naive  func(s size, in []mat) mat
}

// size is the number of tokens and features that an operation is tried with.
type size struct{ tokens, width int }

var (
	small = size{tokens: 7, width: 20}
	long  = size{tokens: 150, width: 48} // several tiles of attention, several workers
)

// env is what an operation runs in.
type env struct {
	size
	g     *tensor.Graph
	in    []*tensor.Tensor
	after []func() // after the backward
}

// mat is a matrix in float64.
type mat struct {
	rows, cols int
	v          []float64
}

func zeros(rows, cols int) mat { return mat{rows, cols, make([]float64, rows*cols)} }

func (m mat) row(r int) []float64 { return m.v[r*m.cols : (r+1)*m.cols] }

// weight returns operand i, [out, in], as a weight that is trained.
func (e *env) weight(i int, dtype tensor.DType) *tensor.Weight {
	w := newWeight(e.g, e.in[i].Data, e.in[i].Rows, e.in[i].Cols, dtype)
	w.Grad = e.in[i].Grad
	return w
}

// spans cuts the tokens into three sequences with pages of their own.
func (s size) spans() []tensor.Span {
	a, b := s.tokens/2, s.tokens/3
	return []tensor.Span{{Len: a}, {Start: a, Len: b}, {Start: a + b, Len: s.tokens - a - b}}
}

func (s size) ids(n int) []int32 {
	ids := make([]int32, s.tokens)
	for i := range ids {
		ids[i] = int32((i*i + 3*i) % n)
	}
	return ids
}

func same(n int) func(s size) [][2]int {
	return func(s size) [][2]int { return slices.Repeat([][2]int{{s.tokens, s.width}}, n) }
}

// eachElement is the definition of a function of single elements.
func eachElement(f func(x float64) float64) func(size, []mat) mat {
	return func(_ size, in []mat) mat {
		y := zeros(in[0].rows, in[0].cols)
		for i, x := range in[0].v {
			y.v[i] = f(x)
		}
		return y
	}
}

// eachRowOf is the definition of a function of single rows.
func eachRowOf(f func(y, x []float64)) func(size, []mat) mat {
	return func(_ size, in []mat) mat {
		y := zeros(in[0].rows, in[0].cols)
		for r := range y.rows {
			f(y.row(r), in[0].row(r))
		}
		return y
	}
}

func activation(name string, act tensor.Activation, f func(x float64) float64) op {
	return op{name, same(1), func(e *env) *tensor.Tensor { return e.g.Activate(e.in[0], act) }, eachElement(f)}
}

func gate(name string, act tensor.Activation, f func(x float64) float64) op {
	return op{name, same(1), func(e *env) *tensor.Tensor { return e.g.Gated(e.in[0], act) }, func(_ size, in []mat) mat {
		n := in[0].cols / 2
		y := zeros(in[0].rows, n)
		for i := range y.v {
			x := in[0].row(i / n)
			y.v[i] = f(x[i%n]) * x[n+i%n]
		}
		return y
	}}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func gelu(x float64) float64 { return x * (1 + math.Erf(x/math.Sqrt2)) / 2 }

func geluTanh(x float64) float64 {
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

func softmax(y, x []float64) {
	sum, most := 0.0, slices.Max(x)
	for i := range x {
		y[i] = math.Exp(x[i] - most)
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
}

// product returns x·wᵀ.
func product(x, w mat) mat {
	y := zeros(x.rows, w.rows)
	for i := range y.v {
		for k, v := range x.row(i / w.rows) {
			y.v[i] += v * w.row(i % w.rows)[k]
		}
	}
	return y
}

var ops = []op{
	{"add", same(2), func(e *env) *tensor.Tensor { return e.g.Add(e.in[0], e.in[1]) }, func(_ size, in []mat) mat {
		y := zeros(in[0].rows, in[0].cols)
		for i := range y.v {
			y.v[i] = in[0].v[i] + in[1].v[i]
		}
		return y
	}},
	{"add_self", same(1), func(e *env) *tensor.Tensor { return e.g.Add(e.in[0], e.in[0]) },
		eachElement(func(x float64) float64 { return 2 * x })},
	{"residual", same(1), func(e *env) *tensor.Tensor {
		x := e.g.Scale(e.in[0], 2)
		return e.g.Add(e.g.Add(x, e.g.Activate(x, tensor.Tanh)), x)
	}, eachElement(func(x float64) float64 { return 4*x + math.Tanh(2*x) })},
	{"scale", same(1), func(e *env) *tensor.Tensor { return e.g.Scale(e.in[0], -1.5) },
		eachElement(func(x float64) float64 { return -1.5 * x })},
	{"soft_cap", same(1), func(e *env) *tensor.Tensor { return e.g.SoftCap(e.in[0], 0.75) },
		eachElement(func(x float64) float64 { return 0.75 * math.Tanh(x/0.75) })},
	activation("gelu", tensor.GELU, gelu),
	activation("gelu_tanh", tensor.GELUTanh, geluTanh),
	activation("quick_gelu", tensor.QuickGELU, func(x float64) float64 { return x * sigmoid(1.702*x) }),
	activation("silu", tensor.SiLU, func(x float64) float64 { return x * sigmoid(x) }),
	activation("relu", tensor.ReLU, func(x float64) float64 { return max(x, 0) }),
	activation("relu2", tensor.ReLU2, func(x float64) float64 { return max(x, 0) * max(x, 0) }),
	activation("tanh", tensor.Tanh, math.Tanh),
	activation("sigmoid", tensor.Sigmoid, sigmoid),
	activation("softplus", tensor.Softplus, func(x float64) float64 { return math.Log1p(math.Exp(x)) }),
	gate("swiglu", tensor.SiLU, func(x float64) float64 { return x * sigmoid(x) }),
	gate("geglu", tensor.GELU, gelu),
	gate("geglu_tanh", tensor.GELUTanh, geluTanh),
	gate("reglu", tensor.ReLU, func(x float64) float64 { return max(x, 0) }),

	{"columns", same(1), func(e *env) *tensor.Tensor {
		// Views of views, some of which share elements.
		x := e.g.Scale(e.in[0], 1)
		a := e.g.Columns(x, 0, e.width-4)
		return e.g.Add(e.g.Columns(a, 2, e.width-4), e.g.Columns(x, 6, e.width))
	}, func(s size, in []mat) mat {
		y := zeros(s.tokens, s.width-6)
		for i := range y.v {
			r, c := i/y.cols, i%y.cols
			y.v[i] = in[0].row(r)[c+2] + in[0].row(r)[c+6]
		}
		return y
	}},
	{"rows", same(1), func(e *env) *tensor.Tensor {
		n := e.tokens - 3
		return e.g.Add(e.g.RowRange(e.in[0], 0, n), e.g.RowRange(e.in[0], 2, n))
	}, func(s size, in []mat) mat {
		y := zeros(s.tokens-3, s.width)
		for i := range y.v {
			y.v[i] = in[0].v[i] + in[0].v[i+2*s.width]
		}
		return y
	}},

	{"rms_norm", func(s size) [][2]int { return [][2]int{{s.tokens, s.width}, {1, s.width}} },
		func(e *env) *tensor.Tensor { return e.g.RMSNorm(e.in[0], e.in[1], 1e-3, 1) },
		func(_ size, in []mat) mat { return rmsNorm(in[0], in[1].v, 1) }},
	{"rms_norm_heads", func(s size) [][2]int { return [][2]int{{s.tokens, s.width}, {1, s.width / 4}} },
		func(e *env) *tensor.Tensor { return e.g.RMSNorm(e.in[0], e.in[1], 1e-3, 0) },
		func(_ size, in []mat) mat { return rmsNorm(in[0], in[1].v, 0) }},
	{"rms_norm_plain", same(1), func(e *env) *tensor.Tensor { return e.g.RMSNorm(e.in[0], nil, 1e-3, 0) },
		func(_ size, in []mat) mat { return rmsNorm(in[0], slices.Repeat([]float64{1}, in[0].cols), 0) }},
	{"layer_norm", func(s size) [][2]int { return [][2]int{{s.tokens, s.width}, {1, s.width}, {1, s.width}} },
		func(e *env) *tensor.Tensor { return e.g.LayerNorm(e.in[0], e.in[1], e.in[2], 1e-3) },
		func(_ size, in []mat) mat {
			y := zeros(in[0].rows, in[0].cols)
			for r := range y.rows {
				mean, inv := moments(in[0].row(r))
				for c, x := range in[0].row(r) {
					y.row(r)[c] = (x-mean)*inv*in[1].v[c] + in[2].v[c]
				}
			}
			return y
		}},
	{"softmax", same(1), func(e *env) *tensor.Tensor { return e.g.Softmax(e.in[0]) }, eachRowOf(softmax)},
	{"log_softmax", same(1), func(e *env) *tensor.Tensor { return e.g.LogSoftmax(e.in[0]) }, eachRowOf(logSoftmax)},
	{"normalize", same(1), func(e *env) *tensor.Tensor { return e.g.Normalize(e.in[0]) }, eachRowOf(normalize)},
	{"dropout", same(1), func(e *env) *tensor.Tensor {
		e.g.Randomize(1<<40+5, 3, 11)
		return e.g.Dropout(e.in[0], 0.25)
	}, func(_ size, in []mat) mat {
		y := zeros(in[0].rows, in[0].cols)
		for i, x := range in[0].v {
			r, c := uint32(i/y.cols), uint32(i%y.cols)
			w := philox.Words([2]uint32{5, 256}, [4]uint32{c / 4, 11 + r, 0, 3})
			if float64(w[c%4])/(1<<32) >= 0.25 {
				y.v[i] = x / 0.75
			}
		}
		return y
	}},

	{"linear", func(s size) [][2]int { return [][2]int{{s.tokens, s.width}, {9, s.width}, {37, s.width}, {1, 46}} },
		func(e *env) *tensor.Tensor {
			return e.g.Linear(e.in[0], []*tensor.Weight{e.weight(1, tensor.F32), e.weight(2, tensor.F32)}, e.in[3])
		},
		func(_ size, in []mat) mat {
			w := mat{46, in[0].cols, slices.Concat(in[1].v, in[2].v)}
			y := product(in[0], w)
			for i := range y.v {
				y.v[i] += in[3].v[i%46]
			}
			return y
		}},
	{"matmul", func(s size) [][2]int { return [][2]int{{s.tokens * 3, s.width}, {s.width * 3, 21}} },
		func(e *env) *tensor.Tensor { return e.g.MatMul(e.in[0], e.in[1], 3, false) },
		func(s size, in []mat) mat { return batched(3, in[0], in[1], false) }},
	{"matmul_transposed", func(s size) [][2]int { return [][2]int{{s.tokens * 2, s.width}, {26, s.width}} },
		func(e *env) *tensor.Tensor { return e.g.MatMul(e.in[0], e.in[1], 2, true) },
		func(s size, in []mat) mat { return batched(2, in[0], in[1], true) }},
	{"cosine", func(s size) [][2]int { return [][2]int{{s.tokens, s.width}, {5, s.width}} },
		func(e *env) *tensor.Tensor { return e.g.Cosine(e.in[0], e.in[1]) },
		func(s size, in []mat) mat {
			a, b := eachRowOf(normalize)(s, in), eachRowOf(normalize)(s, in[1:])
			return product(a, b)
		}},

	{"embed", func(s size) [][2]int { return [][2]int{{14, s.width}} },
		func(e *env) *tensor.Tensor {
			t := newTable(e.weight(0, tensor.F32), false)
			return e.g.Embed(t, e.ids(11), 2)
		},
		func(s size, in []mat) mat { return gather(in[0], s.ids(11), 2) }},
	{"embed_tied", func(s size) [][2]int { return [][2]int{{11, s.width}} },
		func(e *env) *tensor.Tensor {
			w := e.weight(0, tensor.F32)
			e.after = append(e.after, w.Fold)
			return e.g.Linear(e.g.Embed(newTable(w, true), e.ids(11), 0), []*tensor.Weight{w}, nil)
		},
		func(s size, in []mat) mat { return product(gather(in[0], s.ids(11), 0), in[0]) }},
	{"gather", same(1), func(e *env) *tensor.Tensor { return e.g.Gather(e.in[0], e.ids(e.tokens)) },
		func(s size, in []mat) mat { return gather(in[0], s.ids(s.tokens), 0) }},
	rotation("rotate_half", kernel.HalfSplit),
	rotation("rotate_interleaved", kernel.Interleaved),
	{"mean_pool", same(1), func(e *env) *tensor.Tensor { return e.g.MeanPool(e.in[0], e.spans()) },
		func(s size, in []mat) mat {
			return pool(s, in[0], func(sum, x float64, n int) float64 { return sum + x/float64(n) })
		}},
	{"max_pool", same(1), func(e *env) *tensor.Tensor { return e.g.MaxPool(e.in[0], e.spans()) },
		func(s size, in []mat) mat {
			return pool(s, in[0], func(most, x float64, _ int) float64 { return max(most, x) })
		}},
	{"moe", func(s size) [][2]int {
		return [][2]int{{s.tokens, s.width}, {3, s.width}, {s.width, s.width}, {s.width, s.width}, {s.width, s.width}}
	}, func(e *env) *tensor.Tensor { return runMoE(e, true) }, func(_ size, in []mat) mat { return moe(in, true) }},
	{"moe_plain", func(s size) [][2]int {
		return [][2]int{{s.tokens, s.width}, {3, s.width}, {s.width, s.width}, {s.width, s.width}, {s.width, s.width}}
	}, func(e *env) *tensor.Tensor { return runMoE(e, false) }, func(_ size, in []mat) mat { return moe(in, false) }},

	attention("attention_causal", tensor.Attention{Heads: 2, KVHeads: 2, Causal: true}),
	attention("attention_bidirectional", tensor.Attention{Heads: 4, KVHeads: 2}),
	attention("attention_grouped", tensor.Attention{Heads: 4, KVHeads: 1, Causal: true}),
	attention("attention_window", tensor.Attention{Heads: 2, KVHeads: 2, Causal: true, Window: 5}),
	attention("attention_local", tensor.Attention{Heads: 2, KVHeads: 1, Window: 4}),
	attention("attention_soft_cap", tensor.Attention{Heads: 2, KVHeads: 1, Causal: true, SoftCap: 0.8}),
	attention("attention_alibi", tensor.Attention{Heads: 2, KVHeads: 2, Causal: true, Slopes: []float32{0.25, 0.0625}}),
	withSinks(attention("attention_sinks", tensor.Attention{Heads: 4, KVHeads: 2, Causal: true})),
	withBias(attention("attention_bias", tensor.Attention{Heads: 2, KVHeads: 2, SoftCap: 2})),

	{"mse", same(2), func(e *env) *tensor.Tensor { return e.g.MSE(e.in[0], e.in[1], 0) }, func(_ size, in []mat) mat {
		y := zeros(1, 1)
		for i, x := range in[0].v {
			y.v[0] += (x - in[1].v[i]) * (x - in[1].v[i]) / float64(len(in[0].v))
		}
		return y
	}},
	{"bce", same(1), func(e *env) *tensor.Tensor { return e.g.BCE(e.in[0], targets(e.size), 0) }, func(s size, in []mat) mat {
		y, all := zeros(1, 1), targets(s).Data
		for i, x := range in[0].v {
			t := float64(all[i])
			y.v[0] -= (t*math.Log(sigmoid(x)) + (1-t)*math.Log(1-sigmoid(x))) / float64(len(in[0].v))
		}
		return y
	}},
	{"distill", same(1), func(e *env) *tensor.Tensor { return e.g.Distill(e.in[0], targets(e.size), 1.5) }, func(s size, in []mat) mat {
		y, teacher := zeros(1, 1), targets(s)
		for r := range in[0].rows {
			a, b := make([]float64, s.width), make([]float64, s.width)
			for c := range a {
				a[c], b[c] = float64(teacher.Row(r)[c])/1.5, in[0].row(r)[c]/1.5
			}
			softmax(a, slices.Clone(a))
			softmax(b, slices.Clone(b))
			for c := range a {
				y.v[0] += 2.25 * a[c] * math.Log(a[c]/b[c]) / float64(s.tokens)
			}
		}
		return y
	}},
	crossEntropy("cross_entropy", tensor.CrossEntropy{}),
	crossEntropy("cross_entropy_sum", tensor.CrossEntropy{Reduction: tensor.Sum, Smoothing: 0.2}),
	crossEntropy("cross_entropy_rows", tensor.CrossEntropy{Reduction: tensor.None, ZLoss: 0.1}),
	crossEntropy("cross_entropy_weights", tensor.CrossEntropy{Weights: []float32{0.5, 1.5, 2, 0.25, 1, 3, 0.75}, Smoothing: 0.1}),
	crossEntropy("cross_entropy_total", tensor.CrossEntropy{Total: 31, ZLoss: 0.01}),

	addScaled,
	magnitude("magnitude", false),
	magnitude("magnitude_bias", true),
	logProbs(),
	preference("preference_dpo", tensor.Preference{Beta: 0.5, Smoothing: 0.1}),
	preference("preference_hinge", tensor.Preference{Kind: tensor.Hinge, Beta: 0.75, Reduction: tensor.None}),
	preference("preference_ipo", tensor.Preference{Kind: tensor.IPO, Beta: 0.5, Lengths: []float32{}, Total: 31}),
}

// TestOps compares every operation with its definition in float64, and its
// gradients with differences of that, under every kernel path.
func TestOps(t *testing.T) {
	for _, o := range ops {
		t.Run(o.name, func(t *testing.T) {
			for _, s := range []size{small, long} {
				want := o.expect(s)
				defer kernel.SetPath(kernel.Path())
				for _, path := range kernel.Paths() {
					if err := kernel.SetPath(path); err != nil {
						t.Fatal(err)
					}
					got := o.compute(t, s, 2)
					compare(t, fmt.Sprintf("%s: %d tokens: result", path, s.tokens), got[0], want.result, 2e-5, 2e-5)
					for i, d := range want.gradients {
						for at, x := range d {
							name := fmt.Sprintf("%s: %d tokens: gradient of operand %d at %d", path, s.tokens, i, at)
							compare(t, name, got[i+1][at:at+1], []float32{x}, 1e-4, 1e-3)
						}
					}
				}
			}
		})
	}
}

// TestOpsThreads demands the same bits from any number of threads and, as the
// kernels do, from every path.
func TestOpsThreads(t *testing.T) {
	for _, o := range ops {
		t.Run(o.name, func(t *testing.T) {
			want := o.compute(t, long, 1)
			defer kernel.SetPath(kernel.Path())
			for _, path := range kernel.Paths() {
				if err := kernel.SetPath(path); err != nil {
					t.Fatal(err)
				}
				for _, threads := range []int{1, 2, 3} {
					for i, got := range o.compute(t, long, threads) {
						compare(t, fmt.Sprintf("%s, %d threads: value %d", path, threads, i), got, want[i], 0, 0)
					}
				}
			}
		})
	}
}

// TestOpsWithoutTape demands the same bits where nothing is recorded and
// operations may overwrite what they read.
func TestOpsWithoutTape(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	for _, o := range ops {
		if o.name == "dropout" {
			continue // there is none then
		}
		t.Run(o.name, func(t *testing.T) {
			g := tensor.NewGraph(pool)
			defer g.Close()
			y := o.run(o.env(g, long))
			if err := g.Err(); err != nil {
				t.Fatal(err)
			}
			var got []float32
			for i := range y.Rows {
				got = append(got, y.Row(i)...)
			}
			compare(t, "result", got, o.compute(t, long, 2)[0], 0, 0)
		})
	}
}

// inputs returns the operands' values: the same for the same shape.
func (o *op) inputs(s size) [][]float32 {
	var in [][]float32
	for i, shape := range o.shapes(s) {
		in = append(in, random(shape[0]*shape[1], uint32(i)))
	}
	return in
}

// random returns n numbers between −1 and 1.
func random(n int, seed uint32) []float32 {
	v := make([]float32, n)
	for i := range v {
		w := philox.Words([2]uint32{seed, 77}, [4]uint32{uint32(i)})
		v[i] = float32(int32(w[0])) / (1 << 31)
	}
	return v
}

// compute returns the result of an operation and, for random gradients of it,
// those of its operands.
func (o *op) compute(t testing.TB, s size, threads int) [][]float32 {
	pool := kernel.NewPool(threads)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	g.Record(true)
	e := o.env(g, s)
	y := o.run(e)
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	out := [][]float32{slices.Clone(y.Data[:y.Rows*y.Cols])}
	g.Backward(y, random(len(out[0]), 99))
	for _, f := range e.after {
		f()
	}
	for _, x := range e.in {
		out = append(out, x.Grad)
	}
	return out
}

// env returns what an operation runs in, with its operands.
func (o *op) env(g *tensor.Graph, s size) *env {
	e := &env{size: s, g: g}
	for i, v := range o.inputs(s) {
		shape := o.shapes(s)[i]
		x := tensor.FromSlice(v, shape[0], shape[1])
		x.Grad = make([]float32, len(v))
		e.in = append(e.in, x)
	}
	return e
}

// expected is what an operation's definition says; of the gradients only some
// elements.
type expected struct {
	result    []float32
	gradients []map[int]float32
}

func (o *op) expect(s size) expected {
	var in []mat
	for i, v := range o.inputs(s) {
		shape := o.shapes(s)[i]
		m := zeros(shape[0], shape[1])
		for j, x := range v {
			m.v[j] = float64(x)
		}
		in = append(in, m)
	}
	var want expected
	for _, y := range o.naive(s, in).v {
		want.result = append(want.result, float32(y))
	}
	up := random(len(want.result), 99)
	loss := func() (sum float64) {
		for i, y := range o.naive(s, in).v {
			sum += y * float64(up[i])
		}
		return sum
	}
	const h, samples = 1e-5, 6
	for i := range in {
		d := map[int]float32{}
		for j := range samples {
			at := (j*7919 + j*j*31) % len(in[i].v)
			x := in[i].v[at]
			in[i].v[at] = x + h
			above := loss()
			in[i].v[at] = x - h
			d[at] = float32((above - loss()) / (2 * h))
			in[i].v[at] = x
		}
		want.gradients = append(want.gradients, d)
	}
	return want
}

// BenchmarkOps runs each operation forward and back.
func BenchmarkOps(b *testing.B) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	for _, o := range ops {
		b.Run(o.name, func(b *testing.B) {
			g := tensor.NewGraph(pool)
			defer g.Close()
			g.Record(true)
			e := o.env(g, size{tokens: 256, width: 192})
			for b.Loop() {
				g.Reset()
				g.Backward(o.run(e), nil)
				for _, f := range e.after {
					f()
				}
				e.after = nil
			}
		})
	}
}
