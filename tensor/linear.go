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
	t.split(g.pool.Threads())
	g.pool.Run(t, t.rowBlocks*t.colBlocks)
	return out
}

// prepare makes the form of the input that a weight's dtype multiplies.
func (g *Graph) prepare(t *linearTask, w *Weight) {
	x := t.x
	switch {
	case w.DType == BF16 && t.bf16 == nil:
		t.bf16ld = (x.Cols + 1) &^ 1
		t.bf16 = alloc[uint16](&g.mem, x.Rows*t.bf16ld)
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
