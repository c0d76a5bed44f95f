package tensor

import "wenmo/kernel"

// Add returns x + y.
func (g *Graph) Add(x, y *Tensor) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: addRow, x: x, y: y, out: out})
	return out
}

func addRow(t *rowTask, r int) { kernel.Add(t.out.Row(r), t.x.Row(r), t.y.Row(r)) }

// Scale returns s·x.
func (g *Graph) Scale(x *Tensor, s float32) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: scaleRow, x: x, out: out, s: s})
	return out
}

func scaleRow(t *rowTask, r int) { kernel.Scale(t.out.Row(r), t.x.Row(r), t.s) }

// SoftCap returns limit·tanh(x/limit) (Gemma 2).
func (g *Graph) SoftCap(x *Tensor, limit float32) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: softCapRow, x: x, out: out, s: limit})
	return out
}

func softCapRow(t *rowTask, r int) { kernel.SoftCap(t.out.Row(r), t.x.Row(r), t.s) }

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
)

// Activate returns act(x).
func (g *Graph) Activate(x *Tensor, act Activation) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: activateRow, x: x, out: out, act: act})
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
	}
}

// Gated returns act(gate)·up, [tokens, n], where x [tokens, 2n] holds gate and
// then up (Shazeer 2020: SwiGLU, GeGLU).
func (g *Graph) Gated(x *Tensor, act Activation) *Tensor {
	out := g.New(x.Rows, x.Cols/2)
	g.eachRow(rowTask{run: gatedRow, x: x, out: out, act: act})
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
