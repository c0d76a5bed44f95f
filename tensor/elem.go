package tensor

import "wenmo/kernel"

// Add returns x + y.
func (g *Graph) Add(x, y *Tensor) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: addRow, x: x, y: y, out: out})
	if g.tape != nil {
		g.record(node{back: addBack, row: addBackRow, x: x, y: y, out: out})
	}
	return out
}

func addRow(t *rowTask, r int) { kernel.Add(t.out.Row(r), t.x.Row(r), t.y.Row(r)) }

// addBack gives the memory of dout, which nobody needs any more, to dx where
// there is none yet.
func addBack(g *Graph, n *node) {
	x, y, out := n.x, n.y, n.out
	if !x.taped || x.base != nil || x.Grad != nil || y == x || y.base == x {
		rowsBack(g, n)
		return
	}
	n.x, n.y = y, nil
	rowsBack(g, n)
	x.Grad, out.Grad = out.Grad, nil
}

// addBackRow: dx = dout, dy = dout.
func addBackRow(_ *node, _ int, dout, dx, dy []float32) {
	copy(dx, dout)
	copy(dy, dout)
}

func addTo(dst, x []float32) { kernel.Add(dst, dst, x) }

// Scale returns s·x.
func (g *Graph) Scale(x *Tensor, s float32) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: scaleRow, x: x, out: out, s: s})
	if g.tape != nil {
		g.record(node{back: rowsBack, row: scaleBack, x: x, out: out, s: s})
	}
	return out
}

func scaleRow(t *rowTask, r int) { kernel.Scale(t.out.Row(r), t.x.Row(r), t.s) }

// scaleBack: dx = s·dout.
func scaleBack(n *node, _ int, dout, dx, _ []float32) { kernel.Scale(dx, dout, n.s) }

// SoftCap returns limit·tanh(x/limit) (Gemma 2).
func (g *Graph) SoftCap(x *Tensor, limit float32) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: softCapRow, x: x, out: out, s: limit})
	if g.tape != nil {
		g.record(node{back: rowsBack, row: softCapBack, x: x, out: out, s: limit})
	}
	return out
}

func softCapRow(t *rowTask, r int) { kernel.SoftCap(t.out.Row(r), t.x.Row(r), t.s) }

// softCapBack: dx = (1 − tanh²(x/limit))·dout.
func softCapBack(n *node, r int, dout, dx, _ []float32) {
	kernel.SoftCapBackward(dx, dout, n.x.Row(r), n.s)
}

// Activation is a function applied to every element.
type Activation uint8

const (
	GELU     Activation = iota // x·Φ(x), by erf
	GELUTanh                   // its tanh approximation ("gelu_new", "gelu_pytorch_tanh")
	QuickGELU
	SiLU
	ReLU
	ReLU2 // max(x, 0)²
	Tanh
	Sigmoid
	Softplus
)

// Activate returns act(x).
func (g *Graph) Activate(x *Tensor, act Activation) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: activateRow, x: x, out: out, act: act})
	if g.tape != nil {
		g.record(node{back: rowsBack, row: activateBack, x: x, out: out, act: act})
	}
	return out
}

func activateRow(t *rowTask, r int) { activate(t.act, t.out.Row(r), t.x.Row(r)) }

func activate(act Activation, dst, x []float32) {
	switch act {
	case GELU:
		kernel.GELU(dst, x)
	case GELUTanh:
		kernel.GELUTanh(dst, x)
	case QuickGELU:
		kernel.QuickGELU(dst, x)
	case SiLU:
		kernel.SiLU(dst, x)
	case ReLU:
		kernel.ReLU(dst, x)
	case ReLU2:
		kernel.ReLU2(dst, x)
	case Tanh:
		kernel.Tanh(dst, x)
	case Sigmoid:
		kernel.Sigmoid(dst, x)
	case Softplus:
		kernel.Softplus(dst, x)
	}
}

// activateBack: dx = act′(x)·dout.
func activateBack(n *node, r int, dout, dx, _ []float32) { derive(n.act, dx, dout, n.x.Row(r)) }

// derive sets dx = act′(x)·dy; dx may be dy.
func derive(act Activation, dx, dy, x []float32) {
	switch act {
	case GELU:
		kernel.GELUBackward(dx, dy, x)
	case GELUTanh:
		kernel.GELUTanhBackward(dx, dy, x)
	case QuickGELU:
		kernel.QuickGELUBackward(dx, dy, x)
	case SiLU:
		kernel.SiLUBackward(dx, dy, x)
	case ReLU:
		kernel.ReLUBackward(dx, dy, x)
	case ReLU2:
		kernel.ReLU2Backward(dx, dy, x)
	case Tanh:
		kernel.TanhBackward(dx, dy, x)
	case Sigmoid:
		kernel.SigmoidBackward(dx, dy, x)
	case Softplus:
		kernel.SoftplusBackward(dx, dy, x)
	}
}

// Gated returns act(gate)·up, [tokens, n], where x [tokens, 2n] holds gate and
// then up (Shazeer 2020: SwiGLU, GeGLU). Without a tape, which needs both, it
// takes the place of gate: these are the largest activations of a layer.
func (g *Graph) Gated(x *Tensor, act Activation) *Tensor {
	if g.tape == nil {
		out := g.Columns(x, 0, x.Cols/2)
		g.eachRow(rowTask{run: gatedRow, x: x, out: out, act: act})
		return out
	}
	out := g.New(x.Rows, x.Cols/2)
	g.eachRow(rowTask{run: gatedRow, x: x, out: out, act: act})
	g.record(node{back: rowsBack, row: gatedBack, x: x, out: out, act: act})
	return out
}

func gatedRow(t *rowTask, r int) {
	x, dst := t.x.Row(r), t.out.Row(r)
	gate, up := x[:len(dst)], x[len(dst):]
	switch t.act {
	case SiLU:
		kernel.SwiGLU(dst, gate, up)
	case GELU:
		kernel.GeGLU(dst, gate, up)
	case GELUTanh:
		kernel.GeGLUTanh(dst, gate, up)
	default:
		activate(t.act, dst, gate)
		kernel.Mul(dst, dst, up)
	}
}

// gatedBack: dgate = act′(gate)·up·dout, dup = act(gate)·dout.
func gatedBack(n *node, r int, dout, dx, _ []float32) {
	x, half := n.x.Row(r), len(dout)
	gate, up, dgate, dup := x[:half], x[half:], dx[:half], dx[half:]
	switch n.act {
	case SiLU:
		kernel.SwiGLUBackward(dgate, dup, dout, gate, up)
	case GELU:
		kernel.GeGLUBackward(dgate, dup, dout, gate, up)
	case GELUTanh:
		kernel.GeGLUTanhBackward(dgate, dup, dout, gate, up)
	default:
		kernel.Mul(dgate, dout, up)
		derive(n.act, dgate, dgate, gate)
		activate(n.act, dup, gate)
		kernel.Mul(dup, dup, dout)
	}
}
