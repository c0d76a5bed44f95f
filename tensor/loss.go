package tensor

import (
	"fmt"
	"math"

	"wenmo/kernel"
)

// Reduction says how the losses of rows become the result.
type Reduction uint8

const (
	Mean Reduction = iota
	Sum
	None // a loss for each row
)

// NoLabel is the label of a row that does not count, as in Hugging Face's data.
const NoLabel = -100

// CrossEntropy says how logits are compared with labels.
type CrossEntropy struct {
	Reduction Reduction
	Smoothing float32   // part of the target that all classes share (Szegedy et al. 2016)
	Weights   []float32 // of the classes; nil: all 1
	ZLoss     float32   // factor of (log Σ exp(logits))² (PaLM, Chowdhery et al. 2022)

	// Total divides the sum, for Mean, instead of the weights of the labels that
	// count: that of all micro-batches. 0: those of this one.
	Total float32
}

// CrossEntropy returns the loss of logits [rows, classes] against labels, one
// a row; a negative label does not count. The result is [1, 1], or with None
// [rows, 1]. As torch.nn.functional.cross_entropy: with class weights w and
// smoothing ε the loss of a row with label y is
// −(1−ε)·w_y·log p_y − ε/classes·Σ w_c·log p_c, and Mean divides by Σ w_y.
// Without a label that counts the result is 0. Backward may put the gradient
// of the logits in their place.
func (g *Graph) CrossEntropy(logits *Tensor, labels []int32, o CrossEntropy) *Tensor {
	for r, y := range labels {
		if int(y) >= logits.Cols {
			g.Fail(fmt.Errorf("label %d of row %d is out of range 0…%d", y, r, logits.Cols-1))
			return g.Zeros(1, 1)
		}
	}
	rows := logits.Rows
	out := g.New(1, 1)
	if o.Reduction == None {
		out = g.New(rows, 1)
	}
	g.tasks.node = node{
		back: logitsBack, row: crossEntropyBackRow, x: logits, out: out, loss: o, ids: labels,
		stats: alloc[float32](&g.mem, 2*rows), s: 1,
	}
	n := &g.tasks.node
	if o.Reduction == Mean {
		n.s = o.divisor(labels)
	}
	g.workers(logits.Cols)
	g.loop(n, rows, rows*logits.Cols, crossEntropyRow)
	n.reduce(o.Reduction == None, rows, 2)
	if g.tape != nil {
		g.record(*n)
	}
	return out
}

// divisor returns 1 / Σ w of the labels that count.
func (o *CrossEntropy) divisor(labels []int32) float32 {
	total := float64(o.Total)
	if o.Total == 0 {
		for _, y := range labels {
			if y >= 0 {
				total += float64(o.weight(y))
			}
		}
	}
	if total == 0 {
		return 0
	}
	return float32(1 / total)
}

func (o *CrossEntropy) weight(class int32) float32 {
	if o.Weights == nil {
		return 1
	}
	return o.Weights[class]
}

// reduce puts the losses of rows, step apart in stats, or s times their sum
// into the result.
func (n *node) reduce(none bool, rows, step int) {
	sum := 0.0
	for r := range rows {
		if none {
			n.out.Data[r] = n.stats[step*r]
		}
		sum += float64(n.stats[step*r])
	}
	if !none {
		n.out.Data[0] = float32(sum * float64(n.s))
	}
}

// crossEntropyRow keeps the loss of a row, and log Σ exp(x).
func crossEntropyRow(g *Graph, n *node, worker, r int) {
	o, y := &n.loss, n.ids[r]
	n.stats[2*r] = 0
	if y < 0 {
		return
	}
	x, logp := n.x.Row(r), g.worker(worker)[:n.x.Cols]
	kernel.LogSoftmax(logp, x)
	loss := float32(-logp[y]) * o.weight(y)
	if o.Smoothing > 0 {
		var all float32
		if o.Weights == nil {
			all = kernel.Sum(logp)
		} else {
			all = kernel.Dot(logp, o.Weights)
		}
		loss = float32(loss*(1-o.Smoothing)) - float32(o.Smoothing/float32(len(x))*all)
	}
	lse := x[y] - logp[y]
	n.stats[2*r], n.stats[2*r+1] = loss+float32(o.ZLoss*float32(lse*lse)), lse
}

// logitsBack is rowsBack for a loss of logits. It spares the memory of a second
// matrix [rows, classes] where nothing else needs them.
func logitsBack(g *Graph, n *node) {
	x := n.x
	if !g.spare(x) {
		rowsBack(g, n)
		return
	}
	x.Grad = x.Data
	n.dx = gradient{data: x.Data, cols: x.Cols, stride: x.Stride, fresh: true}
	g.loop(n, x.Rows, x.Rows*x.Cols, rowBack)
}

// spare says that the elements of t are not needed any more after the one
// operation that has read it: a linear layer made it.
func (g *Graph) spare(t *Tensor) bool {
	uses, linear := 0, false
	for i := range g.tape.nodes {
		n := &g.tape.nodes[i]
		for _, x := range []*Tensor{n.x, n.y, n.w} {
			if x != nil && (x == t || x.base == t) {
				uses++
			}
		}
		linear = linear || n.out == t && n.ws != nil
	}
	return linear && uses == 1 && t.Grad == nil
}

// crossEntropyBackRow, with p = softmax(x) and W = Σ w_c:
// dx_c = dout·((1−ε)·w_y·(p_c − [c = y]) + ε/classes·(W·p_c − w_c) + 2·z·lse·p_c).
func crossEntropyBackRow(n *node, r int, dout, dx, _ []float32) {
	o, y := &n.loss, n.ids[r]
	if y < 0 {
		clear(dx)
		return
	}
	up := dout[0] * n.s
	hit := up * (1 - o.Smoothing) * o.weight(y)
	share := up * o.Smoothing / float32(len(dx))
	all := float32(len(dx))
	if o.Weights != nil {
		all = kernel.Sum(o.Weights)
	}
	kernel.Softmax(dx, n.x.Row(r))
	kernel.Scale(dx, dx, hit+float32(share*all)+float32(2*up*o.ZLoss*n.stats[2*r+1]))
	dx[y] -= hit
	switch {
	case o.Smoothing == 0:
	case o.Weights != nil:
		kernel.AXPY(dx, -share, o.Weights)
	default:
		for i := range dx {
			dx[i] -= share
		}
	}
}

// ShiftLabels sets dst to the labels that causal logits are compared with: the
// next token's, and none at the end of a span.
func ShiftLabels(dst, labels []int32, spans []Span) {
	for _, s := range spans {
		last := s.Start + s.Len - 1
		copy(dst[s.Start:last], labels[s.Start+1:last+1])
		dst[last] = NoLabel
	}
}

// BCE returns the mean over all elements of the binary cross-entropy of
// sigmoid(x) against constant t: max(x, 0) − x·t + log(1 + exp(−|x|)). rows is how
// many there are in a whole step; 0: those of x.
func (g *Graph) BCE(x, t *Tensor, rows float32) *Tensor {
	return g.meanLoss(node{row: bceBack, x: x, w: t}, bceRow, rows)
}

func bceRow(_ *Graph, n *node, _, r int) {
	sum, t := 0.0, n.w.Row(r)
	for i, x := range n.x.Row(r) {
		sum += float64(max(x, 0)-float32(x*t[i])) + float64(kernel.Softplus32(-abs32(x)))
	}
	n.stats[r] = float32(sum)
}

// bceBack: dx = dout·(sigmoid(x) − t)/elements.
func bceBack(n *node, r int, dout, dx, _ []float32) {
	kernel.Sigmoid(dx, n.x.Row(r))
	kernel.AXPY(dx, -1, n.w.Row(r))
	kernel.Scale(dx, dx, dout[0]*n.s)
}

// meanLoss returns the mean over all elements of a loss whose row function
// keeps the sum of each row. rows is how many there are in a whole step; 0: those
// of x.
func (g *Graph) meanLoss(of node, row func(g *Graph, n *node, worker, r int), rows float32) *Tensor {
	x := of.x
	if rows == 0 {
		rows = float32(x.Rows)
	}
	n := &g.tasks.node
	*n = of
	n.back, n.out, n.s = rowsBack, g.New(1, 1), 1/(rows*float32(x.Cols))
	n.stats = alloc[float32](&g.mem, x.Rows)
	g.loop(n, x.Rows, x.Rows*x.Cols, row)
	n.reduce(false, x.Rows, 1)
	if g.tape != nil {
		g.record(*n)
	}
	return n.out
}

// MSE returns the mean over all elements of (x − t)². rows is how many there are
// in a whole step; 0: those of x.
func (g *Graph) MSE(x, t *Tensor, rows float32) *Tensor {
	return g.meanLoss(node{row: mseBack, x: x, y: t}, mseRow, rows)
}

func mseRow(_ *Graph, n *node, _, r int) {
	sum, t := 0.0, n.y.Row(r)
	for i, x := range n.x.Row(r) {
		d := float64(x) - float64(t[i])
		sum += float64(d * d)
	}
	n.stats[r] = float32(sum)
}

// mseBack: dx = 2·dout·(x − t)/elements, dt = −dx.
func mseBack(n *node, r int, dout, dx, dt []float32) {
	copy(dx, n.x.Row(r))
	kernel.AXPY(dx, -1, n.y.Row(r))
	kernel.Scale(dx, dx, 2*dout[0]*n.s)
	kernel.Scale(dt, dx, -1)
}

// Distill returns T²·KL(softmax(t/T) ‖ softmax(x/T)), the mean over the rows;
// the teacher's logits t are constant. (Hinton et al. 2015.)
func (g *Graph) Distill(x, t *Tensor, temperature float32) *Tensor {
	out := g.New(1, 1)
	g.tasks.node = node{
		back: distillBack, x: x, w: t, out: out, eps: temperature,
		stats: alloc[float32](&g.mem, x.Rows), s: 1 / float32(x.Rows),
	}
	n := &g.tasks.node
	g.workers(3 * x.Cols)
	g.loop(n, x.Rows, x.Rows*x.Cols, distillRow)
	n.reduce(false, x.Rows, 1)
	if g.tape != nil {
		g.record(*n)
	}
	return out
}

func distillRow(g *Graph, n *node, worker, r int) {
	x, t := n.x.Row(r), n.w.Row(r)
	scratch, k := g.worker(worker), len(x)
	tmp, logp, logq := scratch[:k], scratch[k:2*k], scratch[2*k:3*k]
	kernel.Scale(tmp, t, 1/n.eps)
	kernel.LogSoftmax(logp, tmp)
	kernel.Scale(tmp, x, 1/n.eps)
	kernel.LogSoftmax(logq, tmp)
	kernel.Exp(tmp, logp)
	sum := 0.0
	for i, p := range tmp {
		if p > 0 {
			sum += float64(p * (logp[i] - logq[i]))
		}
	}
	n.stats[r] = float32(sum * float64(n.eps) * float64(n.eps))
}

// distillBack: dx = dout·T·(softmax(x/T) − softmax(t/T))/rows.
func distillBack(g *Graph, n *node) {
	n.dx = g.grad(n.x)
	g.workers(2 * n.x.Cols)
	g.loop(n, n.x.Rows, n.x.Rows*n.x.Cols, distillBackRow)
}

func distillBackRow(g *Graph, n *node, worker, r int) {
	k := n.x.Cols
	scratch := g.worker(worker)
	p, dx := scratch[:k], n.dx.target(r, scratch[k:2*k])
	kernel.Scale(p, n.w.Row(r), 1/n.eps)
	kernel.Softmax(p, p)
	kernel.Scale(dx, n.x.Row(r), 1/n.eps)
	kernel.Softmax(dx, dx)
	kernel.AXPY(dx, -1, p)
	kernel.Scale(dx, dx, n.out.Grad[0]*n.eps*n.s)
	n.dx.settle(r, dx)
}

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }
