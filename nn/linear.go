package nn

import "wenmo/tensor"

// Linear is x·Wᵀ + b. Weights that share the input are one Linear: their
// outputs stand side by side.
type Linear struct {
	Weights []*tensor.Weight
	Bias    *tensor.Tensor // [1, ΣOut] or nil
	Adapter *Adapter       // what is added to the weights; nil: nothing
}

// Forward returns [tokens, ΣOut].
func (l *Linear) Forward(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
	y := g.Linear(x, l.Weights, l.Bias)
	if l.Adapter != nil {
		l.Adapter.add(g, y, x, l)
	}
	return y
}

// Norm is RMSNorm or, where Layer is set, LayerNorm.
type Norm struct {
	Weight *tensor.Tensor
	Bias   *tensor.Tensor // of LayerNorm; may be nil
	Layer  bool
	Eps    float32
	Offset float32 // of RMSNorm: 1 where the weight is stored less one (Gemma)
}

// Forward returns the normed rows. A nil Norm returns x.
func (n *Norm) Forward(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
	switch {
	case n == nil:
		return x
	case n.Layer:
		return g.LayerNorm(x, n.Weight, n.Bias, n.Eps)
	}
	return g.RMSNorm(x, n.Weight, n.Eps, n.Offset)
}

// MLP is the feed-forward part of a block: Down(act(Up(x))), or gated,
// Down(act(gate)·up), where Up computes gate and up side by side.
type MLP struct {
	Up, Down Linear
	Act      tensor.Activation
	Gated    bool
}

// Forward returns [tokens, hidden].
func (m *MLP) Forward(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
	h := m.Up.Forward(g, x)
	if m.Gated {
		h = g.Gated(h, m.Act)
	} else {
		h = g.Activate(h, m.Act)
	}
	return m.Down.Forward(g, h)
}

// MoE is a mixture of experts: each token goes to the TopK experts that the
// router likes best.
type MoE struct {
	Router    Linear
	Experts   []MLP
	TopK      int
	Normalize bool // the chosen experts' weights sum to one
}

// Forward returns [tokens, hidden].
func (m *MoE) Forward(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
	r := g.Route(m.Router.Forward(g, x), m.TopK, m.Normalize)
	out := g.Zeros(x.Rows, x.Cols)
	for e := range m.Experts {
		if rows := r.Rows(e); len(rows) > 0 {
			g.Combine(out, m.Experts[e].Forward(g, g.Gather(x, rows)), &r, e)
		}
	}
	return out
}
