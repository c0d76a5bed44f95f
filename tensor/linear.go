package tensor

import (
	"wenmo/kernel"
)

// Linear returns x·Wᵀ + bias, [tokens, ΣOut], for weights that share the input
// x [tokens, In]: q, k and v, or gate and up, are one region. bias is nil or
// holds ΣOut values.
func (g *Graph) Linear(x *Tensor, ws []*Weight, bias *Tensor) *Tensor {
	cols := 0
	for _, w := range ws {
		cols += w.Out
	}
	out := g.New(x.Rows, cols)
	if x.Rows == 0 {
		return out
	}
	t := &g.tasks.linear
	*t = linearTask{x: x, out: out, ws: ws, bias: bias}
	for _, w := range ws {
		g.prepare(t, w)
		t.panels += w.panels()
	}
	threads := g.pool.Threads()
	if x.Rows*x.Cols*cols < inlineProduct {
		threads = 1
	}
	t.split(threads)
	g.run(t, t.rowBlocks*t.colBlocks, threads)
	if g.tape != nil {
		give(g, t.bf16)
		g.record(node{back: linearBack, x: x, out: out, ws: ws, b: bias})
	}
	return out
}

// inlineProduct is the number of multiply-adds below which sharing a product out
// costs more than it saves: a few microseconds.
const inlineProduct = 1 << 16

// run calls t.Do for every i below n, on the pool unless threads is 1.
func (g *Graph) run(t kernel.Task, n, threads int) {
	if threads > 1 {
		g.pool.Run(t, n)
		return
	}
	for i := range n {
		t.Do(0, i)
	}
}

// prepare makes the form of the input that a weight's dtype multiplies.
func (g *Graph) prepare(t *linearTask, w *Weight) {
	x := t.x
	switch {
	case w.DType == BF16 && t.bf16 == nil:
		t.bf16ld = (x.Cols + 1) &^ 1
		t.bf16 = take[uint16](g, x.Rows*t.bf16ld)
	case w.DType == Quant && t.q.Q == nil:
		q, blocks := kernel.QRowSizes(x.Rows, x.Cols)
		t.q = kernel.QRows{
			M: x.Rows, K: x.Cols,
			Q:      alloc[int8](&g.mem, q),
			Scale:  alloc[float32](&g.mem, blocks),
			Sum:    alloc[int32](&g.mem, blocks),
			Halves: alloc[[2]int16](&g.mem, blocks),
		}
	default:
		return
	}
	g.eachRow(rowTask{run: convertRow, lin: t, x: x})
}

// convertRow fills the bfloat16 or int8 form of one row of a product's input.
func convertRow(r *rowTask, i int) {
	t, row := r.lin, r.x.Row(i)
	if t.bf16 != nil {
		dst := t.bf16[i*t.bf16ld : (i+1)*t.bf16ld]
		kernel.RoundBF16(dst[:len(row)], row)
		if len(row) < len(dst) {
			dst[len(row)] = 0
		}
	}
	if t.q.Q != nil {
		kernel.QuantizeRows(&t.q, i, row, len(row), 1)
	}
}

type linearTask struct {
	x, out *Tensor
	ws     []*Weight
	bias   *Tensor
	bf16   []uint16
	bf16ld int
	q      kernel.QRows

	panels               int
	rowBlocks, colBlocks int
	rowStep, colStep     int
}

// split chooses the rectangles that workers take: for few rows panels alone,
// for many rows blocks of both.
func (t *linearTask) split(threads int) {
	t.rowStep, t.rowBlocks = t.x.Rows, 1
	if t.x.Rows > 2*linearRows {
		t.rowStep = linearRows
		t.rowBlocks = (t.x.Rows + linearRows - 1) / linearRows
	}
	tasks := 4 * threads
	if threads == 1 {
		tasks = 1
	}
	t.colStep = max(4, (t.panels+tasks-1)/tasks)
	t.colBlocks = (t.panels + t.colStep - 1) / t.colStep
}

const linearRows = 192 // rows of a block: a multiple of every tile height

func (t *linearTask) Do(_, i int) {
	r0 := i % t.rowBlocks * t.rowStep
	m := min(t.rowStep, t.x.Rows-r0)
	p0 := i / t.rowBlocks * t.colStep
	p1 := min(p0+t.colStep, t.panels)
	col, first := 0, 0
	for _, w := range t.ws {
		n := w.panels()
		if a, b := max(p0-first, 0), min(p1-first, n); a < b {
			t.product(w, col, r0, m, a, b)
		}
		first += n
		col += w.Out
	}
}

func (t *linearTask) product(w *Weight, col, r0, m, p0, p1 int) {
	ld := t.out.Stride
	dst := t.out.Data[r0*ld+col:]
	switch w.DType {
	case F32:
		kernel.MatMulF32(dst, ld, t.x.Data[r0*t.x.Stride:], t.x.Stride, m, w.F32, w.In, w.Out, p0, p1, false)
	case BF16:
		kernel.MatMulBF16(dst, ld, t.bf16[r0*t.bf16ld:], t.bf16ld, m, w.BF16, w.In, w.Out, p0, p1, false)
	case Quant:
		kernel.MatMulQ(dst, ld, &t.q, r0, m, &w.Q, p0, p1)
	}
	if t.bias != nil {
		from, to := 16*p0, min(16*p1, w.Out)
		b := t.bias.Data[col+from : col+to]
		for i := range m {
			row := dst[i*ld+from : i*ld+to]
			kernel.Add(row, row, b)
		}
	}
}

// linearBack: dx = dout·W; dW = doutᵀ·x, a chain over the tokens; dbias = Σ dout.
// bfloat16 weights take part as such, and so do dout and x then; those of
// other types as float32.
func linearBack(g *Graph, n *node) {
	n.dx = g.grad(n.x)
	col, train := 0, wanted(n.b)
	for _, w := range n.ws {
		switch {
		case n.dx.data == nil:
		case w.DType == BF16:
			timesWeight(g, &g.tasks.back16, n, w, col)
		default:
			timesWeight(g, &g.tasks.back32, n, w, col)
		}
		n.dx.fresh = false
		train = train || w.Grad != nil
		col += w.Out
	}
	switch {
	case !train:
	case n.ws[0].DType == BF16:
		weightGrads(g, &g.tasks.back16, n)
	default:
		weightGrads(g, &g.tasks.back32, n)
	}
}

// linearBackTask has the regions of a linear layer's backward.
type linearBackTask[T element] struct {
	product productTask[T]
	operand operandTask[T]
	steps   stepsTask[T]
	weights weightGradTask[T]
}

// packedMax is the number of elements that are packed at a time.
const packedMax = 1 << 21

// timesWeight sets or adds dout·W, where dout's columns of w begin at col. The
// outputs of W are packed, and the chains run, some at a time.
func timesWeight[T element](g *Graph, t *linearBackTask[T], n *node, w *Weight, col int) {
	rows := n.x.Rows
	step := max(64, packedMax/((w.In+15)&^15)&^63)
	panels := take[T](g, panelLen[T](w.In, min(step, w.Out)))
	x := take[T](g, operandLen[T](rows, min(step, w.Out)))
	for first := 0; first < w.Out; first += step {
		k := min(step, w.Out-first)
		t.steps = stepsTask[T]{dst: panels, w: w, first: first, k: k, n: w.In}
		t.steps.run(g)
		dout := n.out.Grad[col+first:]
		t.product = productTask[T]{
			dst: n.dx.data, ldd: n.dx.stride, m: rows, k: k, n: w.In, w: panels,
			acc: !n.dx.fresh || first > 0,
		}
		t.operand = operandTask[T]{dst: x, src: dout, ld: n.out.Stride, rows: rows, k: k}
		t.product.x, t.product.ldx = t.operand.run(g)
		t.product.run(g)
	}
	give(g, x)
	give(g, panels)
}

// weightGrads adds to the gradients of a layer's weights and bias. The rows of
// x are packed some at a time, an even number.
func weightGrads[T element](g *Graph, t *linearBackTask[T], n *node) {
	x, in := n.x, n.x.Cols
	step := min(max(256, packedMax/((in+15)&^15)), 2048, x.Rows+1) &^ 1
	panels := take[T](g, panelLen[T](in, step))
	w := &t.weights
	for first := 0; first < x.Rows; first += step {
		k := min(step, x.Rows-first)
		t.steps = stepsTask[T]{dst: panels, src: x.Data[first*x.Stride:], ld: x.Stride, k: k, n: in}
		t.steps.run(g)
		*w = weightGradTask[T]{n: n, first: first, k: k, panels: panels}
		w.run(g)
	}
	give(g, panels)
}

// weightGradTask computes a block of the outputs' gradients over the tokens
// first…first+k, of which panels holds x.
type weightGradTask[T element] struct {
	n        *node
	first, k int
	panels   []T
	step     int
	scratch  []float32 // of a worker: step rows of dout, transposed
	rows     []T       // the same as an operand
	ld       int
}

func (t *weightGradTask[T]) run(g *Graph) {
	outs := t.n.out.Cols
	t.step = 192
	for t.step > 24 && (outs+t.step-1)/t.step < 3*g.pool.Threads() {
		t.step /= 2
	}
	t.ld = (t.k + 15) &^ 15
	t.scratch = g.take(g.pool.Threads() * t.step * t.ld)
	t.rows = take[T](g, operandLen[T](g.pool.Threads()*t.step, t.ld))
	g.pool.Run(t, (outs+t.step-1)/t.step)
	give(g, t.rows)
	g.give(t.scratch)
}

func (t *weightGradTask[T]) Do(worker, i int) {
	out := t.n.out
	from, to := i*t.step, min((i+1)*t.step, out.Cols)
	dout := out.Grad[t.first*out.Stride:]
	if b := t.n.b; wanted(b) {
		for r := range t.k {
			addTo(b.Grad[from:to], dout[r*out.Stride+from:r*out.Stride+to])
		}
	}
	x := t.transposed(worker, dout[from:], out.Stride, to-from)
	col := 0
	for _, w := range t.n.ws {
		a, b := max(from, col), min(to, col+w.Out)
		if a < b && w.Grad != nil {
			matMul(w.Grad[(a-col)*w.In:], w.In, x[(a-from)*t.ld:], t.ld, b-a, t.panels, t.k, w.In, 0, (w.In+15)/16, true)
		}
		col += w.Out
	}
}

// transposed returns n columns of k rows of src as n rows, the operand of a
// product over the tokens.
func (t *weightGradTask[T]) transposed(worker int, src []float32, stride, n int) []T {
	f := t.scratch[worker*t.step*t.ld:][:n*t.ld]
	kernel.Transpose(f, t.ld, src, stride, t.k, n)
	if !isBF16[T]() {
		return cast[T](f)
	}
	x := t.rows[worker*t.step*t.ld:][:n*t.ld]
	for r := range n {
		roundRow(x[r*t.ld:(r+1)*t.ld], f[r*t.ld:][:t.k])
	}
	return x
}
