package tensor

// tape keeps what a graph computes, so that Backward can go through it from
// the last operation to the first. Its memory is used again pass after pass.
type tape struct {
	nodes   []node
	free    [][]float32 // memory of gradients that are no longer needed
	scratch []float32   // of the workers, width elements each
	width   int
}

// node is a recorded operation: what it read, what it made, and the function
// that carries the gradient of the result back to the operands. An operation
// uses the fields that it needs; plain structs keep recording free of
// allocation.
type node struct {
	back    func(g *Graph, n *node)
	row     func(n *node, r int, dout, dx, dy []float32) // of operations by rows
	x, y    *Tensor                                      // operands
	out     *Tensor
	inPlace bool // out was there before; its gradient goes on to who made it

	w, b    *Tensor // vectors: of a norm, of a linear layer
	ws      []*Weight
	table   *Table
	keys    Keys
	att     *Attention
	spans   []Span
	rope    *Rope
	routing Routing
	segment Segment
	loss    CrossEntropy
	drop    dropout
	act     Activation
	eps, s  float32
	n       int // of a head, a batch, an expert
	on      bool
	ids     []int32   // rows or labels
	stats   []float32 // what the forward kept for the backward

	dx, dy gradient // where the gradients of x and y go, during Backward
}

// Record switches recording on or off. While it is on, the graph keeps what
// its operations need to go back, until Reset.
func (g *Graph) Record(on bool) {
	g.training = on
	g.tape = nil
	if on {
		g.tape = &g.kept
	}
}

// record notes an operation.
func (g *Graph) record(n node) { g.tape.nodes = append(g.tape.nodes, n) }

func (t *tape) reset() {
	t.nodes, t.free, t.scratch, t.width = t.nodes[:0], t.free[:0], nil, 0
}

// Backward adds to the gradients of all parameters that out depends on, where
// grad is the gradient of out itself, [Rows, Cols]; nil counts as ones, as for
// a loss. A tensor that is not of this pass takes part if its Grad is set; so
// does a weight. What was recorded is used up.
func (g *Graph) Backward(out *Tensor, grad []float32) {
	d := g.grad(out)
	for r := range out.Rows {
		row := d.row(r)
		if grad != nil {
			copy(row, grad[r*out.Cols:(r+1)*out.Cols])
			continue
		}
		for i := range row {
			row[i] = 1
		}
	}
	g.back(g.tape.nodes)
	g.tape.nodes = g.tape.nodes[:0]
}

// back goes through nodes from the last to the first.
func (g *Graph) back(nodes []node) {
	for i := len(nodes) - 1; i >= 0; i-- {
		n := &nodes[i]
		if n.out != nil && !n.out.hasGrad() {
			continue // nothing that led to the loss
		}
		if n.back != nil {
			n.back(g, n)
		}
		if n.out != nil && !n.inPlace {
			g.give(n.out.Grad)
			n.out.Grad = nil
		}
	}
}

// gradient is the place of a tensor's gradient.
type gradient struct {
	data         []float32 // nil: not wanted
	cols, stride int
	fresh        bool // undefined so far: to be set; otherwise to be added to
}

func (d *gradient) row(r int) []float32 { return d.data[r*d.stride : r*d.stride+d.cols] }

// grad returns the place of a tensor's gradient. Who gets a fresh one fills it.
func (g *Graph) grad(t *Tensor) gradient {
	switch {
	case t == nil:
		return gradient{}
	case t.base != nil:
		d := g.zeroedGrad(t.base)
		if d.data == nil {
			return d
		}
		return gradient{data: d.data[t.at:], cols: t.Cols, stride: t.Stride}
	case t.Grad != nil:
		return gradient{data: t.Grad, cols: t.Cols, stride: t.Stride}
	case t.taped:
		t.Grad = g.take(len(t.Data))
		return gradient{data: t.Grad, cols: t.Cols, stride: t.Stride, fresh: true}
	}
	return gradient{}
}

// zeroedGrad is grad for who adds to some elements only.
func (g *Graph) zeroedGrad(t *Tensor) gradient {
	d := g.grad(t)
	if d.fresh {
		clear(d.data)
		d.fresh = false
	}
	return d
}

func (t *Tensor) hasGrad() bool {
	if t.base != nil {
		t = t.base
	}
	return t.Grad != nil
}

// gradRow returns the gradient of row r of a result.
func (t *Tensor) gradRow(r int) []float32 {
	if t.base != nil {
		return t.base.Grad[t.at+r*t.Stride:][:t.Cols]
	}
	return t.Grad[r*t.Stride : r*t.Stride+t.Cols]
}

// take returns n undefined elements, which live until Reset or give.
func (g *Graph) take(n int) []float32 {
	free := g.kept.free
	for i, b := range free {
		if len(b) == n {
			last := len(free) - 1
			free[i] = free[last]
			g.kept.free = free[:last]
			return b
		}
	}
	return alloc[float32](&g.mem, n)
}

// give makes memory of take available again.
func (g *Graph) give(b []float32) {
	if len(b) > 0 {
		g.kept.free = append(g.kept.free, b)
	}
}

// workers makes scratch memory of n elements for each worker.
func (g *Graph) workers(n int) {
	t := &g.kept
	if n > t.width {
		g.give(t.scratch)
		t.width = (n + 15) &^ 15
		t.scratch = g.take(t.width * g.pool.Threads())
	}
}

func (g *Graph) worker(i int) []float32 {
	return g.kept.scratch[i*g.kept.width : (i+1)*g.kept.width]
}

// loopTask is a parallel region over count items of an operation's backward.
type loopTask struct {
	g           *Graph
	n           *node
	run         func(g *Graph, n *node, worker, i int)
	count, step int
}

// loop runs items 0…count of a node's backward; elements is how much work
// they are, all together.
func (g *Graph) loop(n *node, count, elements int, run func(g *Graph, n *node, worker, i int)) {
	t := &g.tasks.loop
	*t = loopTask{g: g, n: n, run: run, count: count, step: count}
	if elements >= inlineWork && count > 1 {
		t.step = max(1, count/(8*g.pool.Threads()))
	}
	if count > 0 {
		g.pool.Run(t, (count+t.step-1)/t.step)
	}
}

func (t *loopTask) Do(worker, i int) {
	for j := i * t.step; j < min((i+1)*t.step, t.count); j++ {
		t.run(t.g, t.n, worker, j)
	}
}

// rowsBack is the backward of an operation that treats each row on its own:
// n.row sets dx and dy, the gradients of a row of x and y, from dout, that of
// the result's row or, for a loss, its only one.
func rowsBack(g *Graph, n *node) {
	n.dx, n.dy = g.grad(n.x), g.grad(n.y)
	width := n.x.Cols
	if n.y != nil {
		width += n.y.Cols
	}
	g.workers(width)
	g.loop(n, n.x.Rows, n.x.Rows*width, rowBack)
}

func rowBack(g *Graph, n *node, worker, r int) {
	scratch := g.worker(worker)
	dx := n.dx.target(r, scratch[:n.x.Cols])
	var dy []float32
	if n.y != nil {
		dy = n.dy.target(r, scratch[n.x.Cols:][:n.y.Cols])
	}
	n.row(n, r, n.out.gradRow(min(r, n.out.Rows-1)), dx, dy)
	n.dx.settle(r, dx)
	n.dy.settle(r, dy)
}

// target returns where a row of a gradient is to be set: its place, or scratch
// whose contents settle adds to it.
func (d *gradient) target(r int, scratch []float32) []float32 {
	if d.fresh {
		return d.row(r)
	}
	return scratch
}

func (d *gradient) settle(r int, set []float32) {
	if d.data != nil && !d.fresh {
		addTo(d.row(r), set)
	}
}
