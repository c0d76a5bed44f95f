package tensor

import "wenmo/kernel"

// AddScaled adds s·x to y, in its place.
func (g *Graph) AddScaled(y, x *Tensor, s float32) {
	g.eachRow(rowTask{run: addScaledRow, x: x, out: y, s: s})
	if g.tape != nil {
		g.record(node{back: rowsBack, row: scaleBack, x: x, out: y, inPlace: true, s: s})
	}
}

func addScaledRow(t *rowTask, r int) { kernel.AXPY(t.out.Row(r), t.s, t.x.Row(r)) }

// Magnitude gives the outputs y of an adapted weight, in their place, the
// magnitudes m, [1, features], where norm holds those that they have: DoRA (Liu
// et al. 2024), y = m/norm·(y − b) + b, where b is the bias that y has already,
// or nil. The norms count as constant (section 4.3), b as well.
func (g *Graph) Magnitude(y, m *Tensor, norm, b []float32) {
	scale := alloc[float32](&g.mem, y.Cols)
	for i := range scale {
		scale[i] = m.Data[i] / norm[i]
	}
	t := rowTask{run: magnitudeRow, x: y, out: y, stats: scale, bias: b}
	if g.tape != nil {
		t.y = g.New(y.Rows, y.Cols)
		t.inv = alloc[float32](&g.mem, y.Cols)
		for i := range t.inv {
			t.inv[i] = 1 / norm[i]
		}
		g.record(node{back: magnitudeBack, x: t.y, out: y, w: m, inPlace: true, stats: scale})
	}
	g.eachRow(t)
}

func magnitudeRow(t *rowTask, r int) {
	y := t.out.Row(r)
	if t.bias != nil {
		kernel.AXPY(y, -1, t.bias)
	}
	if t.y != nil {
		kernel.Mul(t.y.Row(r), y, t.inv) // of length 1, which the backward needs
	}
	kernel.Mul(y, y, t.stats)
	if t.bias != nil {
		kernel.Add(y, y, t.bias)
	}
}

// magnitudeBack, with n = (y − b)/norm: dm = Σ dout·n, a chain over the tokens,
// and dy = m/norm·dout, which takes the place of dout.
func magnitudeBack(g *Graph, n *node) {
	g.loop(n, (n.out.Cols+columnStep-1)/columnStep, 2*n.x.Rows*n.x.Cols, magnitudeColumns)
}

func magnitudeColumns(_ *Graph, n *node, _, i int) {
	from, to := i*columnStep, min((i+1)*columnStep, n.out.Cols)
	for r := range n.x.Rows {
		dout := n.out.gradRow(r)[from:to]
		if wanted(n.w) {
			kernel.MulAdd(n.w.Grad[from:to], dout, n.x.Row(r)[from:to])
		}
		kernel.Mul(dout, dout, n.stats[from:to])
	}
}

// RowNorms sets dst to the lengths of the rows of w + s·b·a, the matrix that an
// adapter of matrices a [r, in] and b [out, r] makes of w.
func (g *Graph) RowNorms(dst []float32, w, a, b *Weight, s float32) {
	mark := g.Mark() // nothing here outlives the call
	rows := alloc[float32](&g.mem, a.Out*a.In)
	for i := range a.Out {
		a.Row(rows[i*a.In:(i+1)*a.In], i)
	}
	scratch := alloc[float32](&g.mem, g.pool.Threads()*(w.In+a.Out))
	g.tasks.norms = normTask{dst: dst, w: w, b: b, s: s, a: rows, scratch: scratch}
	g.pool.Run(&g.tasks.norms, w.panels())
	g.rewind(mark)
}

type normTask struct {
	dst     []float32
	w, b    *Weight
	s       float32
	a       []float32 // [r, in]
	scratch []float32 // of the workers
}

func (t *normTask) Do(worker, p int) {
	in, rank := t.w.In, t.b.In
	scratch := t.scratch[worker*(in+rank):][:in+rank]
	row, factors := scratch[:in], scratch[in:]
	for i := 16 * p; i < min(16*p+16, t.w.Out); i++ {
		t.w.Row(row, i)
		t.b.Row(factors, i)
		for r, f := range factors {
			kernel.AXPY(row, float32(t.s*f), t.a[r*in:(r+1)*in])
		}
		t.dst[i] = sqrt32(kernel.SumSquares(row))
	}
}
