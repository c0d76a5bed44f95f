package tensor

import "wenmo/kernel"

// Rope is a rotary position embedding (Su et al. 2021): the cosines and sines
// of position·InvFreq[i], times Factor. The first 2·len(InvFreq) elements of a
// head are rotated.
type Rope struct {
	InvFreq  []float64
	Single   bool    // position·InvFreq[i] is a float32 product, as models learn it from transformers
	Factor   float32 // YaRN's and long RoPE's attention scaling, else 1
	Pairing  kernel.Pairing
	cos, sin []float32
}

// Grown returns r with tables for positions below end, r itself if it has them.
func (r *Rope) Grown(end int) *Rope {
	half := len(r.InvFreq)
	have := len(r.cos) / max(half, 1)
	if end <= have {
		return r
	}
	end = max(end, 2*have, 64)
	t := *r
	t.cos = append(make([]float32, 0, end*half), r.cos...)
	t.sin = append(make([]float32, 0, end*half), r.sin...)
	for p := have; p < end; p++ {
		for _, f := range r.InvFreq {
			angle := float64(float64(p) * f)
			if r.Single {
				angle = float64(float32(p) * float32(f))
			}
			s, c := kernel.SinCos32(angle)
			t.cos = append(t.cos, c*r.Factor)
			t.sin = append(t.sin, s*r.Factor)
		}
	}
	return &t
}

// Rotate rotates, in place, every head (dim elements) of the rows of x at
// their positions.
func (g *Graph) Rotate(x *Tensor, r *Rope, pos []int32, dim int) {
	g.eachRow(rowTask{run: rotateRow, x: x, rope: r, pos: pos, step: 0, s: float32(dim)})
	if g.tape != nil {
		g.record(node{back: rotateBack, out: x, inPlace: true, rope: r, ids: pos, n: dim})
	}
}

func rotateRow(t *rowTask, r int) {
	cos, sin := t.rope.at(t.pos[r])
	x, dim := t.x.Row(r), int(t.s)
	for i := 0; i < len(x); i += dim {
		kernel.Rope(x[i:i+dim], cos, sin, t.rope.Pairing)
	}
}

// at returns the cosines and sines of a position.
func (r *Rope) at(pos int32) (cos, sin []float32) {
	half := len(r.InvFreq)
	p := int(pos) * half
	return r.cos[p : p+half], r.sin[p : p+half]
}

// rotateBack rotates the gradient of x back, in place.
func rotateBack(g *Graph, n *node) {
	g.loop(n, n.out.Rows, n.out.Rows*n.out.Cols, rotateBackRow)
}

func rotateBackRow(_ *Graph, n *node, _, r int) {
	cos, sin := n.rope.at(n.ids[r])
	d := n.out.gradRow(r)
	for i := 0; i < len(d); i += n.n {
		kernel.RopeBackward(d[i:i+n.n], cos, sin, n.rope.Pairing)
	}
}
