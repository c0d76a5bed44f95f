package tensor

import "wenmo/kernel"

// MatMul returns a·b for each of batch pairs of matrices: a [batch·m, k], b
// [batch·k, n], or with transposed b [batch·n, k], give [batch·m, n]. Weights
// go through Linear instead, which packs them once.
func (g *Graph) MatMul(a, b *Tensor, batch int, transposed bool) *Tensor {
	n := b.Cols
	if transposed {
		n = b.Rows / batch
	}
	out := g.New(a.Rows, n)
	t := matMulTask{n: n, k: a.Cols, m: a.Rows / batch, a: a.Data, lda: a.Stride, b: b.Data, ldb: b.Stride, byRow: transposed, dst: out.Data, ldd: out.Stride}
	g.matMul(t, batch)
	if g.tape != nil {
		g.record(node{back: matMulBack, x: a, y: b, out: out, n: batch, on: transposed})
	}
	return out
}

// matMulBack: da = dout·bᵀ, db = aᵀ·dout; with b transposed da = dout·b,
// db = doutᵀ·a.
func matMulBack(g *Graph, n *node) {
	a, b, out := n.x, n.y, n.out
	m, k, cols := a.Rows/n.n, a.Cols, out.Cols
	if d := g.grad(a); d.data != nil {
		g.matMul(matMulTask{
			m: m, k: cols, n: k, a: out.Grad, lda: out.Stride, b: b.Data, ldb: b.Stride, byRow: !n.on,
			dst: d.data, ldd: d.stride, acc: !d.fresh,
		}, n.n)
	}
	d := g.grad(b)
	if d.data == nil {
		return
	}
	t := matMulTask{
		m: k, k: m, n: cols, a: a.Data, lda: a.Stride, byCol: true, b: out.Grad, ldb: out.Stride,
		dst: d.data, ldd: d.stride, acc: !d.fresh,
	}
	if n.on {
		t.m, t.n = cols, k
		t.a, t.lda, t.b, t.ldb = t.b, t.ldb, t.a, t.lda
	}
	g.matMul(t, n.n)
}

// matMulTask multiplies pairs of matrices, a pair an item: dst [m, n] is a
// [m, k], or with byCol [k, m], times b [k, n], or with byRow [n, k].
type matMulTask struct {
	m, k, n       int
	a, b, dst     []float32
	lda, ldb, ldd int
	byCol, byRow  bool
	acc           bool

	panels, left []float32 // of the workers
}

func (g *Graph) matMul(task matMulTask, batch int) {
	t := &g.tasks.matMul
	*t = task
	threads := g.pool.Threads()
	t.panels = g.take(threads * panelLen[float32](t.n, t.k))
	if t.byCol {
		t.left = g.take(threads * t.m * t.k)
	}
	g.pool.Run(t, batch)
	g.give(t.left)
	g.give(t.panels)
}

func (t *matMulTask) Do(worker, i int) {
	size := panelLen[float32](t.n, t.k)
	w := t.panels[worker*size : (worker+1)*size]
	if t.byRow {
		pack(w, t.b[i*t.n*t.ldb:], t.n, t.k, t.ldb)
	} else {
		packT(w, t.b[i*t.k*t.ldb:], t.n, t.k, t.ldb)
	}
	a, lda := t.a, t.lda
	if t.byCol {
		a, lda = t.left[worker*t.m*t.k:], t.k
		kernel.Transpose(a, lda, t.a[i*t.k*t.lda:], t.lda, t.k, t.m)
	} else {
		a = a[i*t.m*t.lda:]
	}
	matMul(t.dst[i*t.m*t.ldd:], t.ldd, a, lda, t.m, w, t.k, t.n, 0, (t.n+15)/16, t.acc)
}
