package tensor

import "wenmo/kernel"

// Softmax returns exp(x) / Σ exp(x) of each row.
func (g *Graph) Softmax(x *Tensor) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: softmaxRow, x: x, out: out})
	if g.tape != nil {
		g.record(node{back: rowsBack, row: softmaxBack, x: x, out: out})
	}
	return out
}

func softmaxRow(t *rowTask, r int) { kernel.Softmax(t.out.Row(r), t.x.Row(r)) }

// softmaxBack: dx = y·(dout − Σ dout·y).
func softmaxBack(n *node, r int, dout, dx, _ []float32) {
	kernel.SoftmaxBackward(dx, dout, n.out.Row(r))
}

// LogSoftmax returns x − log Σ exp(x) of each row.
func (g *Graph) LogSoftmax(x *Tensor) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: logSoftmaxRow, x: x, out: out})
	if g.tape != nil {
		g.record(node{back: rowsBack, row: logSoftmaxBack, x: x, out: out})
	}
	return out
}

func logSoftmaxRow(t *rowTask, r int) { kernel.LogSoftmax(t.out.Row(r), t.x.Row(r)) }

// logSoftmaxBack: dx = dout − exp(y)·Σ dout.
func logSoftmaxBack(n *node, r int, dout, dx, _ []float32) {
	kernel.LogSoftmaxBackward(dx, dout, n.out.Row(r))
}
