package tensor

import (
	"wenmo/kernel"
)

// Routing says which experts the rows of a batch go to: for expert e the rows
// Index[Start[e]:Start[e+1]], ascending, with these Weights.
type Routing struct {
	Start   []int32
	Index   []int32
	Weights []float32

	grad []float32 // of Weights, while recording
}

// Rows returns the rows that go to an expert.
func (rt *Routing) Rows(expert int) []int32 { return rt.Index[rt.Start[expert]:rt.Start[expert+1]] }

// Route chooses for each row of logits [tokens, experts] the topK experts with
// the largest softmax probability (ties: the lower index). With normalize the
// weights of a row sum to one. (Mixtral; Shazeer et al. 2017.)
func (g *Graph) Route(logits *Tensor, topK int, normalize bool) Routing {
	tokens, experts := logits.Rows, logits.Cols
	chosen := alloc[float32](&g.mem, tokens*experts) // weight, or −1 where not chosen
	picks, values := alloc[int32](&g.mem, topK), alloc[float32](&g.mem, topK)
	for r := range tokens {
		row := chosen[r*experts : (r+1)*experts]
		kernel.Softmax(row, logits.Row(r))
		keepLargest(row, picks, values, normalize)
	}
	rt := Routing{
		Start:   alloc[int32](&g.mem, experts+1),
		Index:   alloc[int32](&g.mem, tokens*topK),
		Weights: alloc[float32](&g.mem, tokens*topK),
	}
	n := int32(0)
	for e := range experts {
		rt.Start[e] = n
		for r := range tokens {
			if w := chosen[r*experts+e]; w >= 0 {
				rt.Index[n], rt.Weights[n] = int32(r), w
				n++
			}
		}
	}
	rt.Start[experts] = n
	if g.tape != nil {
		rt.grad = alloc[float32](&g.mem, tokens*topK)
		clear(rt.grad)
		g.record(node{back: routeBack, x: logits, routing: rt, on: normalize})
	}
	return rt
}

// keepLargest sets all but the largest probabilities of p to −1; their number
// is that of picks and values, which are scratch.
func keepLargest(p []float32, picks []int32, values []float32, normalize bool) {
	sum := float32(0)
	for j := range picks {
		best := 0
		for i, x := range p {
			if x > p[best] {
				best = i
			}
		}
		picks[j], values[j] = int32(best), p[best]
		sum += p[best]
		p[best] = -1
	}
	for i := range p {
		p[i] = -1
	}
	for j, i := range picks {
		if normalize {
			values[j] /= sum
		}
		p[i] = values[j]
	}
}

// routeBack, with p = softmax(logits) and dw the gradients of the weights: the
// choice counts as constant, dp = dw of the chosen and 0 of the others; if
// w = p/S normalizes, dp = (dw − Σ dw·w)/S; dlogits = p·(dp − Σ dp·p).
func routeBack(g *Graph, n *node) {
	rt, experts := &n.routing, n.x.Cols
	p, dp := g.take(n.x.Rows*experts), g.take(n.x.Rows*experts)
	sums, dots := g.take(n.x.Rows), g.take(n.x.Rows)
	for r := range n.x.Rows {
		kernel.Softmax(p[r*experts:(r+1)*experts], n.x.Row(r))
	}
	clear(dp)
	clear(sums)
	clear(dots)
	for e := range experts {
		for i := rt.Start[e]; i < rt.Start[e+1]; i++ {
			r := rt.Index[i]
			dp[int(r)*experts+e] = rt.grad[i]
			sums[r] += p[int(r)*experts+e]
			dots[r] = kernel.FMA32(rt.grad[i], rt.Weights[i], dots[r])
		}
	}
	if n.on {
		for e := range experts {
			for _, r := range rt.Rows(e) {
				d := &dp[int(r)*experts+e]
				*d = (*d - dots[r]) / sums[r]
			}
		}
	}
	n.dx = g.grad(n.x)
	for r := range n.x.Rows {
		d := dp[r*experts : (r+1)*experts]
		dx := n.dx.target(r, d)
		kernel.SoftmaxBackward(dx, d, p[r*experts:(r+1)*experts])
		n.dx.settle(r, dx)
	}
	g.give(dots)
	g.give(sums)
	g.give(dp)
	g.give(p)
}

// Combine adds an expert's output y, times the routing's weights, to the rows
// of out that go to it. It is called for expert 0, 1, …, so that a token's sum
// has one order.
func (g *Graph) Combine(out, y *Tensor, rt *Routing, expert int) {
	weights := rt.Weights[rt.Start[expert]:]
	for i, r := range rt.Rows(expert) {
		kernel.AXPY(out.Row(int(r)), weights[i], y.Row(i))
	}
	if g.tape != nil {
		g.record(node{back: combineBack, x: y, out: out, inPlace: true, routing: *rt, n: expert})
	}
}

// combineBack: dy = w·dout, dw = Σ dout·y.
func combineBack(g *Graph, n *node) {
	n.dx = g.grad(n.x)
	g.workers(n.x.Cols)
	g.loop(n, n.x.Rows, n.x.Rows*n.x.Cols, combineBackRow)
}

func combineBackRow(g *Graph, n *node, worker, r int) {
	i := int(n.routing.Start[n.n]) + r
	dout := n.out.gradRow(int(n.routing.Index[i]))
	n.routing.grad[i] = kernel.Dot(dout, n.x.Row(r))
	dy := n.dx.target(r, g.worker(worker)[:n.x.Cols])
	kernel.Scale(dy, dout, n.routing.Weights[i])
	n.dx.settle(r, dy)
}

// Zeros returns a tensor [rows, cols] of zeros.
func (g *Graph) Zeros(rows, cols int) *Tensor {
	t := g.New(rows, cols)
	clear(t.Data)
	if g.tape != nil {
		g.record(node{out: t})
	}
	return t
}
