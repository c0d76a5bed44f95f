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
	g.mem.at, g.mem.used, g.used = p.mark.chunk, p.mark.bytes, p.mark.heads
}
