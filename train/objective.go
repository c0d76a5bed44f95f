package train

import (
	"fmt"

	"wenmo/dataset"
	"wenmo/model"
	"wenmo/nn"
	"wenmo/tensor"
)

// Objective is what training makes small.
type Objective struct {
	// Weight is how much sequences count in a step's mean: a number of labels, or
	// of sequences. Weights of classes add up without rounding, so that the split
	// into batches does not show.
	Weight func(p *Pass, batch []dataset.Sequence) float64
	// Loss returns the loss of sequences as part of a step whose weights sum to
	// total: a tensor [1, 1].
	Loss func(p *Pass, batch []dataset.Sequence, total float32) *tensor.Tensor
}

// ObjectiveOptions are the settings of a head's loss.
type ObjectiveOptions struct {
	Smoothing    float32   // of labels
	ClassWeights []float32 // nil: all 1
	Shifted      bool      // a causal model's labels stand where they are predicted
}

// HeadObjective returns the loss of the head that a model has.
func HeadObjective(m *model.Model, o ObjectiveOptions) (Objective, error) {
	loss := tensor.CrossEntropy{Smoothing: o.Smoothing, Weights: o.ClassWeights}
	switch m.Head {
	case model.CausalHead, model.MaskedHead, model.TokenHead:
		ahead := 0
		if m.Head == model.CausalHead && !o.Shifted {
			ahead = 1
		}
		return labelObjective(ahead, loss), nil
	case model.SequenceHead, model.SpanHead:
		return targetObjective(loss), nil
	}
	return Objective{}, fmt.Errorf("%s has no head that can be trained", m.Architecture)
}

// labelObjective is cross-entropy over the tokens that have a label, which the
// model is to say as many tokens ahead.
func labelObjective(ahead int, loss tensor.CrossEntropy) Objective {
	return Objective{
		Weight: func(_ *Pass, batch []dataset.Sequence) float64 {
			total := 0.0
			for i := range batch {
				for _, y := range labelsOf(&batch[i], ahead) {
					total += labelWeight(loss.Weights, y)
				}
			}
			return total
		},
		Loss: func(p *Pass, batch []dataset.Sequence, total float32) *tensor.Tensor {
			b := p.labelled(batch, ahead, nil)
			p.head = headPart{pass: p, loss: loss}
			p.head.loss.Total = total
			x := p.Model.Forward(p.Graph, b)
			if x.Rows == 0 {
				return p.Graph.Zeros(1, 1)
			}
			return p.Graph.SumOfParts(&p.head, x, headRowsAtOnce)
		},
	}
}

// labelled lays a batch out whose output is the rows that have a label, ahead
// tokens ahead: p.labels and p.rows. Where spans is not nil, each sequence's rows
// are added to it.
func (p *Pass) labelled(batch []dataset.Sequence, ahead int, spans *[]tensor.Span) *nn.Batch {
	b := p.Batch(batch)
	p.labels, p.rows = p.labels[:0], p.rows[:0]
	for i := range batch {
		first := len(p.rows)
		for j, y := range labelsOf(&batch[i], ahead) {
			if y >= 0 {
				p.labels, p.rows = append(p.labels, y), append(p.rows, int32(b.Spans[i].Start+j))
			}
		}
		if spans != nil {
			*spans = append(*spans, tensor.Span{Start: first, Len: len(p.rows) - first})
		}
		if p.Model.BF16 && len(p.rows)%2 != 0 { // which takes rows in pairs: see inPairs
			p.labels, p.rows = append(p.labels, dataset.NoLabel), append(p.rows, int32(b.Spans[i].Start))
		}
	}
	b.Out = p.rows
	return b
}

// headRowsAtOnce is for how many rows there are logits at a time.
const headRowsAtOnce = 512

// headPart is the cross-entropy of some rows of a batch.
type headPart struct {
	pass *Pass
	loss tensor.CrossEntropy
}

func (h *headPart) Loss(g *tensor.Graph, x *tensor.Tensor, first int) *tensor.Tensor {
	return g.CrossEntropy(h.pass.Model.Logits(g, x), h.pass.labels[first:first+x.Rows], h.loss)
}

// labelsOf returns the labels of a sequence, from that which its first token is
// to say. Without labels every token has itself.
func labelsOf(s *dataset.Sequence, ahead int) []int32 {
	labels := s.Labels
	if labels == nil {
		labels = s.IDs
	}
	return labels[min(ahead, len(labels)):]
}

func labelWeight(weights []float32, y int32) float64 {
	switch {
	case y < 0:
		return 0
	case weights == nil || int(y) >= len(weights): // the loss says that it is out of range
		return 1
	}
	return float64(weights[y])
}

// targetObjective is the loss of heads that say something of a whole sequence.
func targetObjective(loss tensor.CrossEntropy) Objective {
	return Objective{
		Weight: func(p *Pass, batch []dataset.Sequence) float64 {
			if p.Model.Head == model.SpanHead || p.Model.Problem != model.SingleLabel {
				return float64(len(batch))
			}
			total := 0.0
			for i := range batch {
				for _, y := range batch[i].Targets {
					total += labelWeight(loss.Weights, int32(y))
				}
			}
			return total
		},
		Loss: func(p *Pass, batch []dataset.Sequence, total float32) *tensor.Tensor {
			g, m, b := p.Graph, p.Model, p.Batch(batch)
			p.targets.Reset()
			for i := range batch {
				if err := p.targets.Add(m, batch[i].Targets, len(batch[i].IDs)); err != nil {
					g.Fail(err)
					return g.Zeros(1, 1)
				}
			}
			if m.Head == model.SpanHead {
				return m.SpanLoss(g, m.Logits(g, m.Forward(g, b)), b.Spans, &p.targets, total)
			}
			p.rows = m.HeadRows(p.rows[:0], b)
			b.Out = p.rows
			o := loss
			o.Total = total
			return m.SequenceLoss(g, m.Logits(g, m.Forward(g, b)), &p.targets, o)
		},
	}
}
