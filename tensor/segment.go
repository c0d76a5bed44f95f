package tensor

// Segment is a part of a model, such as a layer, that gives the same result
// whenever it runs.
type Segment interface {
	Run(g *Graph, x *Tensor) *Tensor
}

// Recompute says whether a tape keeps, of segments, the input alone, and runs
// them once more when it goes back (Chen et al. 2016): about a third more work
// for a fraction of the memory.
func (g *Graph) Recompute(on bool) { g.recompute = on }

// Recomputes says whether segments run twice in this pass.
func (g *Graph) Recomputes() bool { return g.recompute && g.tape != nil }

// Segment returns s.Run(x), which has the shape of x.
func (g *Graph) Segment(s Segment, x *Tensor) *Tensor {
	if !g.Recomputes() {
		return s.Run(g, x)
	}
	out := g.New(x.Rows, x.Cols)
	n := node{back: segmentBack, x: x, out: out, segment: s, drop: g.drop}
	before := g.enter()
	g.tape = nil
	y := s.Run(g, x)
	for i := range x.Rows {
		copy(out.Row(i), y.Row(i))
	}
	g.tape = &g.kept
	g.leave(before)
	g.record(n)
	return out
}

// segmentBack runs a segment again, with a tape of its own, and goes back
// through it.
func segmentBack(g *Graph, n *node) {
	g.zeroedGrad(n.x) // older than what is taken back below
	drop := g.drop
	g.drop = n.drop
	before := g.enter()
	outer := g.kept.nodes
	g.kept.nodes = g.inner[:0]
	y := n.segment.Run(g, n.x)
	y.Grad = n.out.Grad
	g.back(g.kept.nodes)
	g.inner, g.kept.nodes = g.kept.nodes[:0], outer
	g.leave(before)
	g.drop = drop
}

// place is where a pass was when a segment began.
type place struct {
	mark    Mark
	free    [][]float32
	scratch []float32
	width   int
}

// enter hides the memory that waits to be used again: what a segment takes of it
// would be lost.
func (g *Graph) enter() place {
	t := &g.kept
	p := place{g.Mark(), t.free, t.scratch, t.width}
	t.free, t.scratch, t.width = g.spareFree[:0], nil, 0
	return p
}

// leave takes back the memory of all that was made since.
func (g *Graph) leave(p place) {
	t := &g.kept
	g.spareFree = t.free[:0]
	t.free, t.scratch, t.width = p.free, p.scratch, p.width
	g.rewind(p.mark)
}

// Part is a loss over rows that can be computed a few rows at a time.
type Part interface {
	// Loss returns the part of the loss, [1, 1], that is of rows x, which begin at
	// row first of all.
	Loss(g *Graph, x *Tensor, first int) *Tensor
}

// SumOfParts returns the sum of a loss over the rows of x, computed step rows at
// a time, an even number, so that there is memory for as many logits alone.
// While recording, the gradients of each part are computed at once, with chains
// over the rows as if there was but one part; Backward must follow, and the sum
// be its end.
func (g *Graph) SumOfParts(p Part, x *Tensor, step int) *Tensor {
	out := g.New(1, 1)
	sum := 0.0
	if g.tape != nil {
		g.zeroedGrad(x)
	}
	for first := 0; first < x.Rows; first += step {
		before := g.enter()
		outer := g.kept.nodes
		g.kept.nodes = g.inner[:0]
		y := p.Loss(g, g.RowRange(x, first, min(step, x.Rows-first)), first)
		sum += float64(y.Data[0])
		if g.tape != nil {
			d := g.grad(y)
			d.row(0)[0] = 1
			g.back(g.kept.nodes)
		}
		g.inner, g.kept.nodes = g.kept.nodes[:0], outer
		g.leave(before)
	}
	out.Data[0] = float32(sum)
	if g.tape != nil {
		g.record(node{back: partsBack, x: x, out: out})
	}
	return out
}

// partsBack has nothing left to do.
func partsBack(_ *Graph, n *node) {
	if n.out.Grad[0] != 1 {
		panic("tensor: a sum of parts is not the end of a pass")
	}
}
