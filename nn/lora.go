package nn

import "wenmo/tensor"

// LoRA is what low-rank adaptation (Hu et al. 2021) adds to the weight W of a
// Linear: y = W·x + s·B·(A·x). With a magnitude it is DoRA (Liu et al. 2024):
// the rows of W + s·B·A are given the lengths of the magnitude.
type LoRA struct {
	A, B  *tensor.Weight // [r, in], [out, r]
	Scale float32        // α/r, or α/√r (rsLoRA, Kalajdzievski 2023)

	Magnitude *tensor.Tensor // [1, out]; nil: none
	norm      []float32      // of the rows of W + s·B·A
	stale     bool           // A or B have changed since norm was computed

	up [1]*tensor.Weight // B, as a list
}

// NewLoRA returns an adapter of matrices a and b.
func NewLoRA(a, b *tensor.Weight, scale float32, magnitude *tensor.Tensor) *LoRA {
	return &LoRA{A: a, B: b, Scale: scale, Magnitude: magnitude, up: [1]*tensor.Weight{b}, stale: true}
}

// Refresh computes what depends on the adapter's values and on the weight w
// alone. Inference needs it once, before the first forward; training does it
// when the values have changed.
func (p *LoRA) Refresh(g *tensor.Graph, w *tensor.Weight) {
	if p.Magnitude == nil || !p.stale {
		return
	}
	if p.norm == nil {
		p.norm = make([]float32, w.Out)
	}
	g.RowNorms(p.norm, w, p.A, p.B, p.Scale)
	p.stale = false
}

// Norms returns the lengths of the rows of W + s·B·A, which Refresh computed.
func (p *LoRA) Norms() []float32 { return p.norm }

// Changed says that the values of A or B are others now.
func (p *LoRA) Changed() { p.stale = true }

// Adapter has the adapters of a Linear.
type Adapter struct {
	loras   []*LoRA          // of each weight; nil: none
	dropout float32          // of the input, one mask for all, while training
	downs   []*tensor.Weight // the A's, which share the input
}

// NewAdapter returns the adapters of a Linear's weights, nil for those without.
// dropout is the probability with which an element of the adapters' input is
// zero in training.
func NewAdapter(loras []*LoRA, dropout float32) *Adapter {
	a := &Adapter{loras: loras, dropout: dropout}
	for _, p := range loras {
		if p != nil {
			a.downs = append(a.downs, p.A)
		}
	}
	return a
}

// add adds to y, the outputs of l for x, what the adapters make of x.
func (a *Adapter) add(g *tensor.Graph, y, x *tensor.Tensor, l *Linear) {
	if x.Rows == 0 {
		return
	}
	h := g.Linear(g.Dropout(x, a.dropout), a.downs, nil)
	col, rank := 0, 0
	for i, w := range l.Weights {
		if p := a.loras[i]; p != nil {
			part := g.Columns(y, col, col+w.Out)
			g.AddScaled(part, g.Linear(g.Columns(h, rank, rank+p.A.Out), p.up[:], nil), p.Scale)
			if p.Magnitude != nil {
				p.Refresh(g, w)
				g.Magnitude(part, p.Magnitude, p.norm, l.biasOf(col, w.Out))
			}
			rank += p.A.Out
		}
		col += w.Out
	}
}

// biasOf returns the bias of n outputs from col on, or nil.
func (l *Linear) biasOf(col, n int) []float32 {
	if l.Bias == nil {
		return nil
	}
	return l.Bias.Data[col : col+n]
}
