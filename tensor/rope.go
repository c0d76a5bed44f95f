package tensor

import "wenmo/kernel"

// Rope is a rotary position embedding (Su et al. 2021): the cosines and sines
// of position·InvFreq[i], times Factor. The first 2·len(InvFreq) elements of a
// head are rotated.
type Rope struct {
	InvFreq  []float32
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
			// The angle is a float32 product, as in the reference.
			s, c := kernel.SinCos32(float64(float32(p) * f))
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
}

func rotateRow(t *rowTask, r int) {
	half := len(t.rope.InvFreq)
	p := int(t.pos[r]) * half
	cos, sin := t.rope.cos[p:p+half], t.rope.sin[p:p+half]
	x, dim := t.x.Row(r), int(t.s)
	for i := 0; i < len(x); i += dim {
		kernel.Rope(x[i:i+dim], cos, sin, t.rope.Pairing)
	}
}
