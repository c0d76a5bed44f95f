package tensor

import (
	"fmt"
	"slices"
)

// Table is a matrix of which single rows are looked up: an embedding. Row
// writes row i to dst (Cols elements).
type Table struct {
	Name       string
	Rows, Cols int
	Row        func(dst []float32, i int) error

	Grad  []float32 // of a table that is trained, row-major; else nil
	Tied  *Weight   // whose rows the table looks up, if it is trained
	Fixed []int32   // rows that look-ups do not train (a padding id)
}

// Embed returns the rows of a table that ids, plus offset, name,
// [len(ids), Cols].
func (g *Graph) Embed(t *Table, ids []int32, offset int32) *Tensor {
	out := g.New(len(ids), t.Cols)
	if g.tape != nil {
		g.record(node{back: embedBack, out: out, table: t, ids: ids, n: int(offset)})
	}
	for i, id := range ids {
		id += offset
		if id < 0 || int(id) >= t.Rows {
			g.Fail(fmt.Errorf("%s: id %d is out of range 0…%d", t.Name, id, t.Rows-1))
			clear(out.Row(i))
			continue
		}
		if err := t.Row(out.Row(i), int(id)); err != nil {
			g.Fail(err)
		}
	}
	return out
}

// embedBack: the gradient of a table's row is the sum, in the order of the
// tokens, of those of its look-ups.
func embedBack(g *Graph, n *node) {
	t := n.table
	switch {
	case g.err != nil: // an id out of range, perhaps
		return
	case t.Tied != nil:
		t.Tied.lookups.reserve(t.Rows, t.Cols, n.ids, n.n)
	case t.Grad == nil:
		return
	}
	g.loop(n, (t.Cols+columnStep-1)/columnStep, len(n.ids)*t.Cols, embedColumns)
}

func embedColumns(_ *Graph, n *node, _, i int) {
	t := n.table
	from, to := i*columnStep, min((i+1)*columnStep, t.Cols)
	for r, id := range n.ids {
		row := int(id) + n.n
		if slices.Contains(t.Fixed, int32(row)) {
			continue
		}
		grad := t.Grad
		if t.Tied != nil {
			grad, row = t.Tied.lookups.data, int(t.Tied.lookups.slot[row])
		}
		addTo(grad[row*t.Cols+from:row*t.Cols+to], n.out.gradRow(r)[from:to])
	}
}

// rowGrads are the gradients of some rows of a matrix. A tied embedding has
// two uses, and the chains of each go on from micro-batch to micro-batch: so
// each has a gradient of its own, and fold adds them.
type rowGrads struct {
	slot []int32 // of a row, −1: none
	rows []int32 // of a slot
	data []float32
}

// reserve gives rows their slots.
func (s *rowGrads) reserve(rows, cols int, ids []int32, offset int) {
	if s.slot == nil {
		s.slot = slices.Repeat([]int32{-1}, rows)
	}
	for _, id := range ids {
		row := int(id) + offset
		if s.slot[row] < 0 {
			s.slot[row] = int32(len(s.rows))
			s.rows = append(s.rows, int32(row))
		}
	}
	n := len(s.data)
	s.data = slices.Grow(s.data, len(s.rows)*cols-n)[:len(s.rows)*cols]
	clear(s.data[n:])
}

// Fold adds the gradients of a tied embedding's look-ups to Grad. It is called
// once, after all micro-batches.
func (w *Weight) Fold() {
	s := &w.lookups
	for i, row := range s.rows {
		addTo(w.Grad[int(row)*w.In:(int(row)+1)*w.In], s.data[i*w.In:(i+1)*w.In])
		s.slot[row] = -1
	}
	s.rows, s.data = s.rows[:0], s.data[:0]
}

// Gather returns the rows of x that index names.
func (g *Graph) Gather(x *Tensor, index []int32) *Tensor {
	out := g.New(len(index), x.Cols)
	for i, r := range index {
		copy(out.Row(i), x.Row(int(r)))
	}
	if g.tape != nil {
		g.record(node{back: gatherBack, x: x, out: out, ids: index})
	}
	return out
}

// gatherBack: dx of a row is the sum, in order, of the gradients of its copies.
func gatherBack(g *Graph, n *node) {
	n.dx = g.zeroedGrad(n.x)
	if n.dx.data != nil {
		g.loop(n, (n.x.Cols+columnStep-1)/columnStep, len(n.ids)*n.x.Cols, gatherColumns)
	}
}

func gatherColumns(_ *Graph, n *node, _, i int) {
	from, to := i*columnStep, min((i+1)*columnStep, n.x.Cols)
	for r, row := range n.ids {
		addTo(n.dx.row(int(row))[from:to], n.out.gradRow(r)[from:to])
	}
}
