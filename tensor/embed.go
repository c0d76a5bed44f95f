package tensor

import "fmt"

// Table is a matrix of which single rows are looked up: an embedding. Row
// writes row i to dst (Cols elements).
type Table struct {
	Name       string
	Rows, Cols int
	Row        func(dst []float32, i int) error
}

// Embed returns the rows of a table that ids, plus offset, name,
// [len(ids), Cols].
func (g *Graph) Embed(t *Table, ids []int32, offset int32) *Tensor {
	out := g.New(len(ids), t.Cols)
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

// Gather returns the rows of x that index names.
func (g *Graph) Gather(x *Tensor, index []int32) *Tensor {
	out := g.New(len(index), x.Cols)
	for i, r := range index {
		copy(out.Row(i), x.Row(int(r)))
	}
	return out
}
