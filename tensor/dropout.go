package tensor

import (
	"math"

	"wenmo/internal/philox"
)

// dropout is what the mask of a dropout depends on.
type dropout struct {
	seed  uint64
	step  uint32
	token uint32  // number of the pass's first token within the step
	op    uint32  // number of the operation within the pass
	rows  []int32 // the token of each row, counted from the pass's first; nil: its number
}

// Randomize sets what the masks of the following dropouts depend on: a seed,
// the number of the training step, and the number, within the step, of the
// pass's first token, so that micro-batches draw what one batch draws.
func (g *Graph) Randomize(seed uint64, step, token uint32) {
	g.drop = dropout{seed: seed, step: step, token: token}
}

// DropRows says which tokens of the pass the rows of the following dropouts
// stand for, until Reset, so that a token's mask does not depend on which rows
// were chosen. rows must not change before the backward.
func (g *Graph) DropRows(rows []int32) { g.drop.rows = rows }

// Dropout zeroes each element of x with probability p and divides the others
// by 1−p (Srivastava et al. 2014). The random number of an element depends on
// the seed, the step, its token, the operation and its column. Without
// recording, that is outside training, Dropout returns x.
func (g *Graph) Dropout(x *Tensor, p float32) *Tensor {
	if !g.training || p == 0 {
		return x
	}
	out := g.New(x.Rows, x.Cols)
	n := node{back: rowsBack, row: dropoutBack, x: x, out: out, s: p, drop: g.drop}
	g.drop.op++
	if g.tape != nil {
		g.record(n)
	}
	g.eachRow(rowTask{run: dropoutRow, x: x, out: out, s: p, drop: n.drop})
	return out
}

func dropoutRow(t *rowTask, r int) { t.drop.mask(t.out.Row(r), t.x.Row(r), r, t.s) }

// dropoutBack: dx = mask/(1−p)·dout.
func dropoutBack(n *node, r int, dout, dx, _ []float32) { n.drop.mask(dx, dout, r, n.s) }

// mask sets dst = mask/(1−p)·src for row r.
func (d *dropout) mask(dst, src []float32, r int, p float32) {
	key := [2]uint32{uint32(d.seed), uint32(d.seed >> 32)}
	token := d.token + uint32(r)
	if d.rows != nil {
		token = d.token + uint32(d.rows[r])
	}
	limit := uint64(math.Ceil(float64(p) * (1 << 32)))
	keep := 1 / (1 - p)
	for i := 0; i < len(src); i += 4 {
		words := philox.Words(key, [4]uint32{uint32(i / 4), token, d.op, d.step})
		for j := i; j < min(i+4, len(src)); j++ {
			dst[j] = 0
			if uint64(words[j-i]) >= limit {
				dst[j] = src[j] * keep
			}
		}
	}
}
