package tensor

// rowTask is a parallel region of an operation that treats each row on its
// own: run writes row r of out from row r of x (and y). The other fields are
// what the operations need; a plain struct keeps regions free of allocation.
type rowTask struct {
	run       func(t *rowTask, r int)
	x, y, out *Tensor
	w, b      *Tensor // of norms, [1, features]
	eps, s    float32
	act       Activation
	rope      *Rope
	pos       []int32
	lin       *linearTask
	drop      dropout
	stats     []float32 // what the backward needs, per row
	bias, inv []float32 // of Magnitude
	step      int
}

// inlineWork is the number of elements below which a region costs more than
// it saves.
const inlineWork = 1 << 14

// eachRow runs t.run for all rows of t.x.
func (g *Graph) eachRow(t rowTask) {
	rows := t.x.Rows
	if rows == 0 {
		return
	}
	p := &g.tasks.rows
	*p = t
	p.step = rows
	if rows > 1 && rows*t.x.Cols >= inlineWork {
		p.step = max(1, rows/(4*g.pool.Threads()))
	}
	if p.step == rows {
		p.Do(0, 0)
		return
	}
	g.pool.Run(p, (rows+p.step-1)/p.step)
}

func (t *rowTask) Do(_, i int) {
	for r := i * t.step; r < min((i+1)*t.step, t.x.Rows); r++ {
		t.run(t, r)
	}
}
