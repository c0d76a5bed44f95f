package model

import (
	"fmt"
	"math"

	"wenmo/tensor"
)

// Targets are what the logits of a SequenceHead or a SpanHead should be, a
// sequence after the other. The zero value is empty; memory is used again.
type Targets struct {
	classes []int32
	values  []float32
	rows    int
	want    tensor.Tensor // values, as the loss takes them
}

// Reset empties the targets.
func (t *Targets) Reset() { t.classes, t.values, t.rows = t.classes[:0], t.values[:0], 0 }

// Add appends the target of a sequence of n tokens for the head of m: the number
// of its class; 0 or 1 for each label; the values of a regression; or of a
// SpanHead the first and the last token of the answer, negative where it has
// none.
func (t *Targets) Add(m *Model, target []float32, n int) error {
	want := len(m.Labels)
	switch {
	case m.Head == SpanHead:
		want = 2
	case m.Head != SequenceHead:
		return fmt.Errorf("%s takes no target for a whole sequence", m.Architecture)
	case m.Problem == SingleLabel:
		want = 1
	}
	if len(target) != want {
		return fmt.Errorf("%s wants %d numbers as the target of a sequence, found %d", m.Architecture, want, len(target))
	}
	for _, x := range target {
		if err := m.checkTarget(x, n); err != nil {
			return err
		}
	}
	t.rows++
	if m.Head == SpanHead || m.Problem == SingleLabel {
		for _, x := range target {
			t.classes = append(t.classes, int32(x))
		}
		return nil
	}
	t.values = append(t.values, target...)
	return nil
}

func (m *Model) checkTarget(x float32, n int) error {
	whole := float64(x) == math.Trunc(float64(x))
	switch {
	case m.Head == SpanHead:
		if !whole || x >= float32(n) {
			return fmt.Errorf("%v is no token of a sequence of %d", x, n)
		}
	case m.Problem == SingleLabel:
		if !whole || x < 0 || x >= float32(len(m.Labels)) {
			return fmt.Errorf("%v is no class, want 0 to %d", x, len(m.Labels)-1)
		}
	case m.Problem == MultiLabel:
		if !(x >= 0 && x <= 1) {
			return fmt.Errorf("%v is no target of a label, want 0 to 1", x)
		}
	case math.IsNaN(float64(x)) || math.IsInf(float64(x), 0):
		return fmt.Errorf("%v is no value", x)
	}
	return nil
}

// SequenceLoss compares the logits of a SequenceHead, a row a sequence, with t
// as transformers does: by cross-entropy, for several labels by binary
// cross-entropy, for values by the mean square. o is for classes, but o.Total,
// the number of sequences in a whole step (0: those of t), divides any loss.
func (m *Model) SequenceLoss(g *tensor.Graph, logits *tensor.Tensor, t *Targets, o tensor.CrossEntropy) *tensor.Tensor {
	if logits.Rows != t.rows {
		g.Fail(fmt.Errorf("%d targets for %d sequences", t.rows, logits.Rows))
		return g.Zeros(1, 1)
	}
	if m.Problem == SingleLabel {
		return g.CrossEntropy(logits, t.classes, o)
	}
	t.want = tensor.Tensor{Rows: logits.Rows, Cols: logits.Cols, Stride: logits.Cols, Data: t.values}
	loss := g.MSE
	if m.Problem == MultiLabel {
		loss = g.BCE
	}
	return loss(logits, &t.want, o.Total)
}

// SpanLoss compares the logits of a SpanHead, [tokens, 2], with t: the mean of
// the cross-entropies of the first and of the last token, each over the tokens
// of its span. total is the number of answers in a whole step; 0: those of t.
func (m *Model) SpanLoss(g *tensor.Graph, logits *tensor.Tensor, spans []tensor.Span, t *Targets, total float32) *tensor.Tensor {
	if len(spans) != t.rows {
		g.Fail(fmt.Errorf("%d targets for %d sequences", t.rows, len(spans)))
		return g.Zeros(1, 1)
	}
	return g.SpanCrossEntropy(logits, spans, t.classes, total)
}
