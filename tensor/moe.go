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
}

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

// Combine adds weight·y to the rows of out that an expert's routing names. It is
// called for expert 0, 1, …, so that a token's sum has one order.
func (g *Graph) Combine(out, y *Tensor, index []int32, weights []float32) {
	for i, r := range index {
		kernel.AXPY(out.Row(int(r)), weights[i], y.Row(i))
	}
}

// Zeros returns a tensor [rows, cols] of zeros.
func (g *Graph) Zeros(rows, cols int) *Tensor {
	t := g.New(rows, cols)
	clear(t.Data)
	return t
}
