package tensor

import (
	"fmt"

	"wenmo/kernel"
)

// LogProbs returns the log-probability of each sequence, [len(spans), 1]: the
// sum, over the rows of its span (Start, Len) of logits [rows, classes], of
// log softmax at the row's label. A negative label does not count. Backward may
// put the gradient of the logits in their place.
func (g *Graph) LogProbs(logits *Tensor, labels []int32, spans []Span) *Tensor {
	for r, y := range labels {
		if int(y) >= logits.Cols {
			g.Fail(fmt.Errorf("label %d of row %d is out of range 0…%d", y, r, logits.Cols-1))
			return g.Zeros(len(spans), 1)
		}
	}
	out := g.New(len(spans), 1)
	g.tasks.node = node{
		back: logProbsBack, row: logProbsBackRow, x: logits, out: out, ids: labels, spans: spans,
		stats: alloc[float32](&g.mem, logits.Rows),
	}
	n := &g.tasks.node
	g.workers(logits.Cols)
	g.loop(n, logits.Rows, logits.Rows*logits.Cols, logProbsRow)
	for i, s := range spans {
		sum := 0.0
		for _, p := range n.stats[s.Start : s.Start+s.Len] {
			sum += float64(p)
		}
		out.Data[i] = float32(sum)
	}
	if g.tape != nil {
		g.record(*n)
	}
	return out
}

func logProbsRow(g *Graph, n *node, worker, r int) {
	n.stats[r] = 0
	if y := n.ids[r]; y >= 0 {
		logp := g.worker(worker)[:n.x.Cols]
		kernel.LogSoftmax(logp, n.x.Row(r))
		n.stats[r] = logp[y]
	}
}

// logProbsBack leaves in stats, for each row, the gradient of its sequence.
func logProbsBack(g *Graph, n *node) {
	clear(n.stats)
	for i, s := range n.spans {
		for r := s.Start; r < s.Start+s.Len; r++ {
			n.stats[r] = n.out.Grad[i]
		}
	}
	logitsBack(g, n)
}

// logProbsBackRow, with p = softmax(x): dx_c = dout·([c = y] − p_c).
func logProbsBackRow(n *node, r int, _, dx, _ []float32) {
	y := n.ids[r]
	if y < 0 {
		clear(dx)
		return
	}
	kernel.Softmax(dx, n.x.Row(r))
	kernel.Scale(dx, dx, -n.stats[r])
	dx[y] += n.stats[r]
}

// PreferenceKind is a loss over pairs of answers, of which one is preferred.
type PreferenceKind uint8

const (
	DPO   PreferenceKind = iota // −log sigmoid(β·d) (Rafailov et al. 2023, equation 7)
	Hinge                       // max(0, 1 − β·d) (SLiC, Zhao et al. 2023, as trl has it)
	IPO                         // (d − 1/(2β))² (Azar et al. 2023, equation 17)
)

// ParsePreference reads the name that trl has for a loss (loss_type).
func ParsePreference(name string) (PreferenceKind, error) {
	switch name {
	case "sigmoid":
		return DPO, nil
	case "hinge":
		return Hinge, nil
	case "ipo":
		return IPO, nil
	}
	return 0, fmt.Errorf("loss %q is not one of sigmoid, hinge, ipo", name)
}

// Preference says how log-probabilities of answers are compared.
type Preference struct {
	Kind      PreferenceKind
	Reduction Reduction
	Beta      float32
	Smoothing float32   // of DPO: the part of the pairs that are labelled the wrong way round
	Lengths   []float32 // by which log-probabilities are divided, of each answer; nil: none
	Total     float32   // pairs of all micro-batches, which Mean divides by; 0: of this one
}

// Preference returns the loss of pairs, where policy [2·pairs, 1] has the
// log-probabilities of the preferred answer and of the other, in turn, and
// reference those that the model gave them before training. With d = (policy −
// reference of the preferred) − (the same of the other) the loss is that of
// the kind. The result is [1, 1], or with None [pairs, 1].
func (g *Graph) Preference(policy *Tensor, reference []float32, o Preference) *Tensor {
	pairs := policy.Rows / 2
	total := o.Total
	if total == 0 {
		total = float32(pairs)
	}
	n := node{back: preferenceBack, x: policy, s: 1, stats: alloc[float32](&g.mem, 3*pairs)}
	if o.Reduction == None {
		n.out = g.New(pairs, 1)
	} else {
		n.out = g.New(1, 1)
	}
	if o.Reduction == Mean && total > 0 {
		n.s = 1 / total
	}
	for i := range pairs {
		n.stats[3*i], n.stats[3*i+1], n.stats[3*i+2] = o.pair(i, policy, reference)
	}
	n.reduce(o.Reduction == None, pairs, 3)
	if g.tape != nil {
		g.record(n)
	}
	return n.out
}

// pair returns the loss of a pair and its slopes over both log-probabilities.
func (o *Preference) pair(i int, policy *Tensor, reference []float32) (loss, chosen, rejected float32) {
	c, r := 1.0, 1.0
	if o.Lengths != nil {
		c, r = 1/float64(o.Lengths[2*i]), 1/float64(o.Lengths[2*i+1])
	}
	gain := func(at int) float64 { return float64(policy.Row(at)[0]) - float64(reference[at]) }
	d := float64(gain(2*i)*c) - float64(gain(2*i+1)*r)
	l, slope := o.loss(d)
	return float32(l), float32(slope * c), float32(-slope * r)
}

// loss returns the loss for a difference d, and its slope.
func (o *Preference) loss(d float64) (loss, slope float64) {
	beta, s := float64(o.Beta), float64(o.Smoothing)
	u := float32(beta * d)
	switch o.Kind {
	case Hinge:
		if m := 1 - float64(beta*d); m > 0 {
			return m, -beta
		}
		return 0, 0
	case IPO:
		e := d - 1/(2*beta)
		return e * e, 2 * e
	}
	loss = float64((1-s)*float64(kernel.Softplus32(-u))) + float64(s*float64(kernel.Softplus32(u)))
	slope = float64(s*float64(kernel.Sigmoid32(u))) - float64((1-s)*float64(kernel.Sigmoid32(-u)))
	return loss, beta * slope
}

// preferenceBack multiplies the slopes by dout.
func preferenceBack(g *Graph, n *node) {
	n.dx = g.grad(n.x)
	if n.dx.data == nil {
		return
	}
	for r := range n.x.Rows &^ 1 {
		up := n.out.gradRow(min(r/2, n.out.Rows-1))[0] * n.s
		d := up * n.stats[r/2*3+1+r%2]
		if dx := n.dx.row(r); n.dx.fresh {
			dx[0] = d
		} else {
			dx[0] += d
		}
	}
}
