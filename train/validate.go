package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"wenmo/dataset"
	"wenmo/model"
	"wenmo/report"
	"wenmo/tensor"
)

// validateText measures a language model on documents that were held out: the
// loss of a token, and how many bits a byte of the text takes.
func (p *Pass) validateText(ctx context.Context, o Objective, held []dataset.Held, microTokens int) (Validation, error) {
	var v Validation
	weight := 0.0
	for _, b := range micro(heldRows(held), microTokens) {
		n := o.Weight(p, b)
		loss, err := p.Loss(ctx, o, [][]dataset.Sequence{b})
		if err != nil {
			return v, err
		}
		v.Loss += loss * n
		weight += n
	}
	if bytes := heldBytes(held); p.Model.Head == model.CausalHead && bytes > 0 {
		v.BitsPerByte = v.Loss / math.Ln2 / float64(bytes)
	}
	v.Loss /= math.Max(1, weight)
	v.Score = -v.Loss
	return v, nil
}

// bySource measures the finished model on what was held out of each source; nil
// where there is one source.
func (r *run) bySource(ctx context.Context) (*report.Table, error) {
	parts := map[string][]dataset.Held{}
	var names []string
	for _, h := range r.held {
		if parts[h.Source] == nil {
			names = append(names, h.Source)
		}
		parts[h.Source] = append(parts[h.Source], h)
	}
	if len(names) < 2 {
		return nil, nil
	}
	slices.Sort(names)
	t := &report.Table{Header: []string{r.word("source", "来源"), r.word("tokens held out", "留出的词元"), r.word("loss", "损失"), r.word("bits per byte", "每字节比特")}}
	for _, name := range names {
		v, err := r.pass.validateText(ctx, r.measure, parts[name], r.cfg.Train.MicroTokens)
		if err != nil {
			return nil, err
		}
		bits := ""
		if v.BitsPerByte > 0 {
			bits = fmt.Sprintf("%.3f", v.BitsPerByte)
		}
		t.Rows = append(t.Rows, []string{name, fmt.Sprint(tokensOf(slices.Concat(heldRows(parts[name])...))), fmt.Sprintf("%.3f", v.Loss), bits})
	}
	return t, nil
}

// heldBytes returns how many bytes the losses of texts are of; 0 where not every
// token counts, as in conversations.
func heldBytes(held []dataset.Held) (bytes int) {
	for i := range held {
		for _, y := range labelsOf(&held[i].Sequence, 1) {
			if y < 0 {
				return 0
			}
		}
		bytes += held[i].Bytes
	}
	return bytes
}

func heldRows(held []dataset.Held) [][]dataset.Sequence {
	rows := make([][]dataset.Sequence, len(held))
	for i := range held {
		rows[i] = []dataset.Sequence{held[i].Sequence}
	}
	return rows
}

// validateGroups measures a head on the groups that were held out: its loss,
// and how often it is right.
func (p *Pass) validateGroups(ctx context.Context, o Objective, groups [][]dataset.Sequence, microTokens int) (Validation, error) {
	var v Validation
	weight, right, all := 0.0, 0, 0
	for _, b := range micro(groups, microTokens) {
		n := o.Weight(p, b)
		loss, err := p.Loss(ctx, o, [][]dataset.Sequence{b})
		if err != nil {
			return v, err
		}
		v.Loss += loss * n
		weight += n
		r, a, err := p.right(ctx, b)
		if err != nil {
			return v, err
		}
		right, all = right+r, all+a
	}
	v.Loss /= math.Max(1, weight)
	v.Score = -v.Loss
	if all > 0 {
		v.Score = float64(right) / float64(all)
		v.Metrics = map[string]float64{"accuracy": v.Score}
	}
	return v, nil
}

// right counts what of a batch the head says right: classes, labels, words or
// answers.
func (p *Pass) right(ctx context.Context, batch []dataset.Sequence) (right, all int, err error) {
	m := p.Model
	if m.Head == model.SequenceHead && m.Problem == model.Regression {
		return 0, 0, nil
	}
	count := Objective{
		Weight: func(*Pass, []dataset.Sequence) float64 { return 1 },
		Loss: func(p *Pass, batch []dataset.Sequence, _ float32) *tensor.Tensor {
			b := p.Batch(batch)
			if m.Head == model.SequenceHead {
				p.rows = m.HeadRows(p.rows[:0], b)
				b.Out = p.rows
			}
			logits := m.Logits(p.Graph, m.Forward(p.Graph, b))
			for i := range batch {
				first, n := b.Spans[i].Start, b.Spans[i].Len
				if m.Head == model.SequenceHead {
					first, n = i, 1
				}
				r, a := rightOf(m, &batch[i], p.Graph.RowRange(logits, first, n))
				right, all = right+r, all+a
			}
			return p.Graph.Zeros(1, 1)
		},
	}
	_, err = p.Loss(ctx, count, [][]dataset.Sequence{batch})
	return right, all, err
}

// rightOf counts for a sequence whose logits are rows.
func rightOf(m *model.Model, s *dataset.Sequence, rows *tensor.Tensor) (right, all int) {
	is := func(ok bool) {
		all++
		if ok {
			right++
		}
	}
	switch {
	case m.Head == model.TokenHead:
		for i, y := range s.Labels {
			if y >= 0 {
				is(largest(rows.Row(i)) == int(y))
			}
		}
	case m.Head == model.SpanHead:
		start, end := columnMax(rows, 0), columnMax(rows, 1)
		is(float32(start) == s.Targets[0] && float32(end) == s.Targets[1])
	case m.Problem == model.MultiLabel:
		for i, y := range s.Targets {
			is((rows.Row(0)[i] > 0) == (y > 0.5))
		}
	default:
		is(float32(largest(rows.Row(0))) == s.Targets[0])
	}
	return right, all
}

func largest(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

func columnMax(t *tensor.Tensor, col int) int {
	best := 0
	for r := range t.Rows {
		if t.Row(r)[col] > t.Row(best)[col] {
			best = r
		}
	}
	return best
}

// validatePairs measures how often the preferred answers have the larger
// reward.
func (p *Pass) validatePairs(ctx context.Context, o *Preferences, groups [][]dataset.Sequence, microTokens int) (Validation, error) {
	var v Validation
	before := o.Stats
	o.Stats = PreferenceStats{}
	defer func() { o.Stats = before }()
	objective := o.Objective()
	for _, b := range micro(groups, microTokens) {
		loss, err := p.Loss(ctx, objective, [][]dataset.Sequence{b})
		if err != nil {
			return v, err
		}
		v.Loss += loss * float64(len(b)/2)
	}
	v.Loss /= math.Max(1, float64(o.Stats.Pairs))
	v.Score = o.Stats.Accuracy()
	v.Metrics = map[string]float64{"accuracy": v.Score, "margin": o.Stats.Margin()}
	return v, nil
}
