package tensor

import "wenmo/kernel"

// RMSNorm returns x / sqrt(mean(x²) + eps) · (offset + w), row by row
// (Zhang & Sennrich 2019; offset 1 is Gemma's form). w is [1, n]; x's columns
// are normed in runs of n, so that heads can be normed each on its own. A nil w
// counts as ones.
func (g *Graph) RMSNorm(x, w *Tensor, eps, offset float32) *Tensor {
	out := g.New(x.Rows, x.Cols)
	t := rowTask{run: rmsNormRow, x: x, out: out, w: w, eps: eps, s: offset}
	if g.tape != nil {
		t.stats = alloc[float32](&g.mem, x.Rows*(x.Cols/runOf(x, w)))
		g.record(node{back: normBack, row: rmsNormBack, x: x, out: out, w: w, s: offset, stats: t.stats})
	}
	g.eachRow(t)
	return out
}

// runOf returns the number of elements that are normed together.
func runOf(x, w *Tensor) int {
	if w == nil {
		return x.Cols
	}
	return w.Cols
}

// values returns the elements of a vector, or nil.
func values(v *Tensor) []float32 {
	if v == nil {
		return nil
	}
	return v.Data
}

func rmsNormRow(t *rowTask, r int) {
	src, dst, n := t.x.Row(r), t.out.Row(r), runOf(t.x, t.w)
	for i := 0; i < len(src); i += n {
		inv := kernel.RMSNorm(dst[i:i+n], src[i:i+n], values(t.w), t.eps, t.s)
		if t.stats != nil {
			t.stats[(r*len(src)+i)/n] = inv
		}
	}
}

// rmsNormBack, with n = x·inv and c = offset + w:
// dx = inv·(dout·c − n·mean(dout·c·n)).
func rmsNormBack(n *node, r int, dout, dx, _ []float32) {
	x, run := n.x.Row(r), runOf(n.x, n.w)
	for i := 0; i < len(x); i += run {
		kernel.RMSNormBackward(dx[i:i+run], nil, dout[i:i+run], x[i:i+run], values(n.w), n.stats[(r*len(x)+i)/run], n.s)
	}
}

// LayerNorm returns (x − mean) / sqrt(var + eps) · w + b, row by row (Ba et al.
// 2016). w and b are [1, n]; either may be nil.
func (g *Graph) LayerNorm(x, w, b *Tensor, eps float32) *Tensor {
	out := g.New(x.Rows, x.Cols)
	t := rowTask{run: layerNormRow, x: x, out: out, w: w, b: b, eps: eps}
	if g.tape != nil {
		t.stats = alloc[float32](&g.mem, 2*x.Rows)
		g.record(node{back: normBack, row: layerNormBack, x: x, out: out, w: w, b: b, stats: t.stats, n: 1})
	}
	g.eachRow(t)
	return out
}

func layerNormRow(t *rowTask, r int) {
	mean, inv := kernel.LayerNorm(t.out.Row(r), t.x.Row(r), values(t.w), values(t.b), t.eps)
	if t.stats != nil {
		t.stats[2*r], t.stats[2*r+1] = mean, inv
	}
}

// layerNormBack, with n = (x − mean)·inv and c = dout·w:
// dx = inv·(c − mean(c) − n·mean(c·n)).
func layerNormBack(n *node, r int, dout, dx, _ []float32) {
	kernel.LayerNormBackward(dx, nil, nil, dout, n.x.Row(r), values(n.w), n.stats[2*r], n.stats[2*r+1])
}

// normBack takes the rows back, and the weights' gradients, which are chains
// over the rows (and runs of a row): dw = fma(dout, n, dw), db = db + dout.
func normBack(g *Graph, n *node) {
	rowsBack(g, n)
	if !wanted(n.w) && !wanted(n.b) {
		return
	}
	g.workers(columnStep)
	g.loop(n, (runOf(n.x, n.w)+columnStep-1)/columnStep, n.x.Rows*n.x.Cols, normColumns)
}

// wanted says whether a parameter's gradient is.
func wanted(v *Tensor) bool { return v != nil && v.Grad != nil }

// columnStep is the number of columns of a vector's gradient that a worker
// takes at once.
const columnStep = 64

func normColumns(g *Graph, n *node, worker, i int) {
	run := runOf(n.x, n.w)
	from, to := i*columnStep, min((i+1)*columnStep, run)
	normed := g.worker(worker)[:to-from]
	for r := range n.x.Rows {
		x, dout := n.x.Row(r), n.out.gradRow(r)
		for at := 0; at < len(x); at += run {
			d := dout[at+from : at+to]
			if wanted(n.w) {
				n.normed(normed, x[at+from:at+to], (r*len(x)+at)/run)
				kernel.MulAdd(n.w.Grad[from:to], d, normed)
			}
			if wanted(n.b) {
				addTo(n.b.Grad[from:to], d)
			}
		}
	}
}

// normed sets dst to x, part of run i, without mean and scale.
func (n *node) normed(dst, x []float32, i int) {
	if n.n == 0 { // RMSNorm
		kernel.Scale(dst, x, n.stats[i])
		return
	}
	kernel.Center(dst, x, n.stats[2*i], n.stats[2*i+1])
}
