package tensor

import (
	"fmt"

	"wenmo/kernel"
)

// SpanCrossEntropy returns the loss of logits [tokens, n] whose columns each
// choose a token of every span: labels[i·n + c] is the token of span i, counted
// from its first, that column c should choose; a negative one does not count.
// The result [1, 1] is the mean over the columns of Σ −log p / total, where p is
// the softmax over the span; total 0 stands for the number of the column's
// labels that count. (Devlin et al. 2018, §4.2: extractive question answering.)
func (g *Graph) SpanCrossEntropy(logits *Tensor, spans []Span, labels []int32, total float32) *Tensor {
	n, longest := logits.Cols, 0
	out := g.Zeros(1, 1)
	for i, s := range spans {
		longest = max(longest, s.Len)
		for c, y := range labels[i*n : (i+1)*n] {
			if int(y) >= s.Len {
				g.Fail(fmt.Errorf("label %d of sequence %d, column %d is out of range 0…%d", y, i, c, s.Len-1))
				return out
			}
		}
	}
	scale := alloc[float32](&g.mem, n) // of the loss of each column
	for c := range scale {
		count := total
		if total == 0 {
			for i := range spans {
				if labels[i*n+c] >= 0 {
					count++
				}
			}
		}
		scale[c] = 0
		if count > 0 {
			scale[c] = 1 / (count * float32(n))
		}
	}
	column, logs := alloc[float32](&g.mem, longest), alloc[float32](&g.mem, longest)
	sum := 0.0
	for i, s := range spans {
		for c, y := range labels[i*n : (i+1)*n] {
			if y >= 0 {
				kernel.LogSoftmax(logs[:s.Len], logits.column(column, s, c))
				sum -= float64(logs[y]) * float64(scale[c])
			}
		}
	}
	out.Data[0] = float32(sum)
	if g.tape != nil {
		g.record(node{back: spanCrossEntropyBack, x: logits, out: out, spans: spans, ids: labels, stats: scale, n: longest})
	}
	return out
}

// column copies column c of the rows of a span to dst.
func (t *Tensor) column(dst []float32, s Span, c int) []float32 {
	dst = dst[:s.Len]
	for r := range dst {
		dst[r] = t.Row(s.Start + r)[c]
	}
	return dst
}

// spanCrossEntropyBack: dx of a token = dout·scale·(p − [it is the label]).
func spanCrossEntropyBack(g *Graph, n *node) {
	d := g.zeroedGrad(n.x)
	if d.data == nil {
		return
	}
	column := g.take(n.n)
	defer g.give(column)
	for i, s := range n.spans {
		for c, y := range n.ids[i*n.x.Cols : (i+1)*n.x.Cols] {
			if y < 0 {
				continue
			}
			up := n.out.Grad[0] * n.stats[c]
			p := n.x.column(column, s, c)
			kernel.Softmax(p, p)
			p[y]--
			for r, x := range p {
				d.row(s.Start + r)[c] += float32(up * x)
			}
		}
	}
}
