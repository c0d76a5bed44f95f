package tensor

import "wenmo/kernel"

// MeanPool returns the mean of the rows of each span, [spans, cols].
func (g *Graph) MeanPool(x *Tensor, spans []Span) *Tensor {
	out := g.New(len(spans), x.Cols)
	for i, s := range spans {
		dst := out.Row(i)
		clear(dst)
		for r := range s.Len {
			addTo(dst, x.Row(s.Start+r))
		}
		kernel.Scale(dst, dst, 1/float32(s.Len))
	}
	if g.tape != nil {
		g.record(node{back: meanPoolBack, x: x, out: out, spans: spans})
	}
	return out
}

// meanPoolBack: dx of a row of a span is dout/length.
func meanPoolBack(g *Graph, n *node) {
	d := g.zeroedGrad(n.x)
	if d.data == nil {
		return
	}
	for i, s := range n.spans {
		for r := range s.Len {
			kernel.AXPY(d.row(s.Start+r), 1/float32(s.Len), n.out.gradRow(i))
		}
	}
}

// MaxPool returns the maximum, column by column, of the rows of each span,
// [spans, cols].
func (g *Graph) MaxPool(x *Tensor, spans []Span) *Tensor {
	out := g.New(len(spans), x.Cols)
	for i, s := range spans {
		dst := out.Row(i)
		copy(dst, x.Row(s.Start))
		for r := 1; r < s.Len; r++ {
			for c, v := range x.Row(s.Start + r) {
				if v > dst[c] {
					dst[c] = v
				}
			}
		}
	}
	if g.tape != nil {
		g.record(node{back: maxPoolBack, x: x, out: out, spans: spans})
	}
	return out
}

// maxPoolBack: dout goes to the first row that has the maximum.
func maxPoolBack(g *Graph, n *node) {
	d := g.zeroedGrad(n.x)
	if d.data == nil {
		return
	}
	for i, s := range n.spans {
		for c, v := range n.out.Row(i) {
			for r := s.Start; r < s.Start+s.Len; r++ {
				if n.x.Row(r)[c] == v {
					d.row(r)[c] += n.out.gradRow(i)[c]
					break
				}
			}
		}
	}
}

// normMin is the least length that Normalize divides by, as
// torch.nn.functional.normalize.
const normMin = 1e-12

// Normalize returns x / √Σx² of each row.
func (g *Graph) Normalize(x *Tensor) *Tensor {
	out := g.New(x.Rows, x.Cols)
	t := rowTask{run: normalizeRow, x: x, out: out, stats: alloc[float32](&g.mem, x.Rows)}
	g.eachRow(t)
	if g.tape != nil {
		g.record(node{back: rowsBack, row: normalizeBack, x: x, out: out, stats: t.stats})
	}
	return out
}

func normalizeRow(t *rowTask, r int) {
	x := t.x.Row(r)
	t.stats[r] = 1 / max(sqrt32(kernel.SumSquares(x)), normMin)
	kernel.Scale(t.out.Row(r), x, t.stats[r])
}

// normalizeBack: dx = (dout − y·Σ dout·y) / √Σx².
func normalizeBack(n *node, r int, dout, dx, _ []float32) {
	y := n.out.Row(r)
	kernel.Scale(dx, y, -kernel.Dot(dout, y))
	addTo(dx, dout)
	kernel.Scale(dx, dx, n.stats[r])
}

// Cosine returns the cosine of every row of a with every row of b, [rows of a,
// rows of b].
func (g *Graph) Cosine(a, b *Tensor) *Tensor {
	return g.MatMul(g.Normalize(a), g.Normalize(b), 1, true)
}
