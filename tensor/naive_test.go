package tensor_test

import (
	"math"
	"slices"

	"wenmo/kernel"
	"wenmo/tensor"
)

// moments returns the mean of x and 1/√(variance + 1e-3).
func moments(x []float64) (mean, inv float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	variance := 0.0
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, 1 / math.Sqrt(variance+1e-3)
}

// rmsNorm norms runs of len(w) elements.
func rmsNorm(x mat, w []float64, offset float64) mat {
	y := zeros(x.rows, x.cols)
	for i := 0; i < len(x.v); i += len(w) {
		squares := 0.0
		for _, v := range x.v[i : i+len(w)] {
			squares += v * v / float64(len(w))
		}
		for j := range w {
			y.v[i+j] = x.v[i+j] / math.Sqrt(squares+1e-3) * (offset + w[j])
		}
	}
	return y
}

func logSoftmax(y, x []float64) {
	softmax(y, x)
	for i := range y {
		y[i] = math.Log(y[i])
	}
}

func normalize(y, x []float64) {
	squares := 0.0
	for _, v := range x {
		squares += v * v
	}
	for i := range y {
		y[i] = x[i] / math.Sqrt(squares)
	}
}

// batched returns a·b, or a·bᵀ, for batch pairs of matrices.
func batched(batch int, a, b mat, transposed bool) mat {
	m, n := a.rows/batch, b.cols
	if transposed {
		n = b.rows / batch
	}
	y := zeros(a.rows, n)
	for i := range y.v {
		r, c := i/n, i%n
		first := r / m * (b.rows / batch)
		for k, x := range a.row(r) {
			if transposed {
				y.v[i] += x * b.row(first + c)[k]
			} else {
				y.v[i] += x * b.row(first + k)[c]
			}
		}
	}
	return y
}

func gather(x mat, ids []int32, offset int) mat {
	y := zeros(len(ids), x.cols)
	for r, id := range ids {
		copy(y.row(r), x.row(int(id)+offset))
	}
	return y
}

// pool folds the rows of each span, from zeros or, for a maximum, the first.
func pool(s size, x mat, fold func(acc, x float64, n int) float64) mat {
	y := zeros(3, x.cols)
	for i, span := range s.spans() {
		if fold(0, -1, 1) == 0 {
			copy(y.row(i), x.row(span.Start))
		}
		for r := range span.Len {
			for c, v := range x.row(span.Start + r) {
				y.row(i)[c] = fold(y.row(i)[c], v, span.Len)
			}
		}
	}
	return y
}

// rotation turns the first half of each of two heads.
func rotation(name string, pairing kernel.Pairing) op {
	freq := []float64{1, 0.3, 0.01}
	at := func(dim, i int) (a, b int) {
		if pairing == kernel.Interleaved {
			return 2 * i, 2*i + 1
		}
		return i, i + len(freq)
	}
	return op{name, same(1), func(e *env) *tensor.Tensor {
		r := (&tensor.Rope{InvFreq: freq, Factor: 1.25, Pairing: pairing}).Grown(40)
		x := e.g.Scale(e.in[0], 1)
		e.g.Rotate(x, r, e.ids(40), e.width/2)
		return x
	}, func(s size, in []mat) mat {
		y := mat{in[0].rows, in[0].cols, slices.Clone(in[0].v)}
		dim := s.width / 2
		for j := 0; j < len(y.v); j += dim {
			x := y.v[j : j+dim]
			for i, f := range freq {
				sin, cos := math.Sincos(f * float64(s.ids(40)[j/s.width]))
				a, b := at(dim, i)
				x[a], x[b] = 1.25*(x[a]*cos-x[b]*sin), 1.25*(x[b]*cos+x[a]*sin)
			}
		}
		return y
	}}
}

// runMoE sends each token to two of three experts, which are matrices.
func runMoE(e *env, normalize bool) *tensor.Tensor {
	g, x := e.g, e.in[0]
	r := g.Route(g.Linear(x, []*tensor.Weight{e.weight(1, tensor.F32)}, nil), 2, normalize)
	out := g.Zeros(e.tokens, e.width)
	for expert := range 3 {
		if rows := r.Rows(expert); len(rows) > 0 {
			y := g.Linear(g.Gather(x, rows), []*tensor.Weight{e.weight(2+expert, tensor.F32)}, nil)
			g.Combine(out, y, &r, expert)
		}
	}
	return out
}

func moe(in []mat, normalize bool) mat {
	x := in[0]
	logits, y := product(x, in[1]), zeros(x.rows, x.cols)
	for r := range x.rows {
		p := make([]float64, 3)
		softmax(p, logits.row(r))
		least := slices.Index(p, slices.Min(p))
		sum := 1.0
		if normalize {
			sum = 1 - p[least]
		}
		for e := range p {
			if e == least {
				continue
			}
			for c, v := range product(mat{1, x.cols, x.row(r)}, in[2+e]).v {
				y.row(r)[c] += p[e] / sum * v
			}
		}
	}
	return y
}

// targets returns constants between 0 and 1.
func targets(s size) *tensor.Tensor {
	t := tensor.FromSlice(random(s.tokens*s.width, 5), s.tokens, s.width)
	for i := range t.Data {
		t.Data[i] = (t.Data[i] + 1) / 2
	}
	return t
}

// crossEntropy has seven classes; every sixth label does not count.
func crossEntropy(name string, o tensor.CrossEntropy) op {
	labels := func(s size) []int32 {
		l := s.ids(7)
		for i := 1; i < len(l); i += 6 {
			l[i] = tensor.NoLabel
		}
		return l
	}
	return op{name, func(s size) [][2]int { return [][2]int{{s.tokens, 7}} }, func(e *env) *tensor.Tensor {
		return e.g.CrossEntropy(e.in[0], labels(e.size), o)
	}, func(s size, in []mat) mat {
		rows, total := zeros(s.tokens, 1), 0.0
		for r, y := range labels(s) {
			if y < 0 {
				continue
			}
			rows.v[r] = rowLoss(in[0].row(r), int(y), o)
			total += classWeight(o, int(y))
		}
		if o.Total != 0 {
			total = float64(o.Total)
		}
		switch o.Reduction {
		case tensor.None:
			return rows
		case tensor.Sum:
			total = 1
		}
		sum := zeros(1, 1)
		for _, x := range rows.v {
			sum.v[0] += x / total
		}
		return sum
	}}
}

func rowLoss(x []float64, y int, o tensor.CrossEntropy) float64 {
	logp := make([]float64, len(x))
	logSoftmax(logp, x)
	eps := float64(o.Smoothing)
	loss := -(1 - eps) * classWeight(o, y) * logp[y]
	for c, l := range logp {
		loss -= eps / float64(len(x)) * classWeight(o, c) * l
	}
	lse := x[0] - logp[0]
	return loss + float64(o.ZLoss)*lse*lse
}

func classWeight(o tensor.CrossEntropy, class int) float64 {
	if o.Weights == nil {
		return 1
	}
	return float64(o.Weights[class])
}

// attention has heads of 6 and values of 5 elements; queries, keys and values
// are the operands.
func attention(name string, a tensor.Attention) op {
	a.Dim, a.VDim, a.Scale = 6, 5, 0.7
	return op{name, func(s size) [][2]int {
		return [][2]int{{s.tokens, a.Heads * a.Dim}, {s.tokens, a.KVHeads * a.Dim}, {s.tokens, a.KVHeads * a.VDim}}
	}, func(e *env) *tensor.Tensor { return attend(e, a) },
		func(s size, in []mat) mat { return naiveAttention(s, &a, in, nil, nil) }}
}

// attend stores keys and values in pages and looks at them.
func attend(e *env, a tensor.Attention) *tensor.Tensor {
	kv := tensor.NewKV(tensor.KVShape{Layers: 1, Heads: a.KVHeads, Dim: a.Dim, VDim: a.VDim}, 12)
	e.after = append(e.after, func() { kv.Close() })
	spans := e.spans()
	for i := range spans {
		for range (spans[i].Len + tensor.PageTokens - 1) / tensor.PageTokens {
			p, err := kv.Alloc()
			if err != nil {
				panic(err)
			}
			spans[i].Pages = append(spans[i].Pages, p)
		}
	}
	return e.g.Attend(&a, e.in[0], e.g.Store(kv, 5, e.in[1], e.in[2], spans), spans, nil)
}

func withSinks(o op) op {
	shapes, a := o.shapes, tensor.Attention{Heads: 4, KVHeads: 2, Causal: true, Dim: 6, VDim: 5, Scale: 0.7}
	o.shapes = func(s size) [][2]int { return append(shapes(s), [2]int{1, a.Heads}) }
	o.run = func(e *env) *tensor.Tensor {
		b := a
		b.Sinks = e.in[3]
		return attend(e, b)
	}
	o.naive = func(s size, in []mat) mat { return naiveAttention(s, &a, in, in[3].v, nil) }
	return o
}

func withBias(o op) op {
	shapes, a := o.shapes, tensor.Attention{Heads: 2, KVHeads: 2, SoftCap: 2, Dim: 6, VDim: 5, Scale: 0.7}
	o.shapes = func(s size) [][2]int { return append(shapes(s), [2]int{a.Heads * s.tokens, s.tokens}) }
	o.run = func(e *env) *tensor.Tensor {
		b := a
		b.Bias = e.in[3]
		return attend(e, b)
	}
	o.naive = func(s size, in []mat) mat { return naiveAttention(s, &a, in, nil, &in[3]) }
	return o
}

func naiveAttention(s size, a *tensor.Attention, in []mat, sinks []float64, bias *mat) mat {
	q, k, v, y := in[0], in[1], in[2], zeros(s.tokens, a.Heads*a.VDim)
	for _, span := range s.spans() {
		for i := range span.Len {
			for h := range a.Heads {
				kh := h / (a.Heads / a.KVHeads)
				scores := []float64{math.Inf(-1)} // the sink's, then those of the keys
				if sinks != nil {
					scores[0] = sinks[h]
				}
				for j := range span.Len {
					scores = append(scores, naiveScore(a, i, j, h,
						q.row(span.Start + i)[h*a.Dim:][:a.Dim], k.row(span.Start + j)[kh*a.Dim:][:a.Dim], bias))
				}
				softmax(scores, slices.Clone(scores))
				for j := range span.Len {
					for d := range a.VDim {
						y.row(span.Start + i)[h*a.VDim+d] += scores[1+j] * v.row(span.Start + j)[kh*a.VDim+d]
					}
				}
			}
		}
	}
	return y
}

// naiveScore returns the score of query i and key j.
func naiveScore(a *tensor.Attention, i, j, h int, q, k []float64, bias *mat) float64 {
	if a.Causal && j > i || a.Window > 0 && max(i-j, j-i) >= a.Window {
		return math.Inf(-1)
	}
	s := 0.0
	for d := range q {
		s += q[d] * k[d]
	}
	s *= float64(a.Scale)
	if a.SoftCap > 0 {
		s = float64(a.SoftCap) * math.Tanh(s/float64(a.SoftCap))
	}
	if a.Slopes != nil {
		s += float64(a.Slopes[h]) * float64(j-i)
	}
	if bias != nil {
		s += bias.row(h*(bias.rows/a.Heads) + i)[j]
	}
	return s
}
