package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// chainsF32 is the product as DESIGN states it, without panels or tiles.
func chainsF32(begin, x []float32, ldx int, w []float32, s shape, acc bool) []float32 {
	want := make([]float32, s.m*s.n)
	for r := range s.m {
		for o := range s.n {
			a := float32(0)
			if acc {
				a = begin[r*s.n+o]
			}
			for i := range s.k {
				a = fma32(w[o*s.k+i], x[r*ldx+i], a)
			}
			want[r*s.n+o] = a
		}
	}
	return want
}

func TestMatMulF32(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		for i, s := range edgeShapes() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			f := fillers[i%len(fillers)]
			checkF32(t, s, r, f.next, f.name)
		}
	})
}

func checkF32(t *testing.T, s shape, r *rand.Rand, next func(*rand.Rand) float32, name string) {
	ldx, ldd := s.k+r.IntN(3), s.n+r.IntN(3)
	x := make([]float32, s.m*ldx)
	w := make([]float32, s.n*s.k)
	begin := make([]float32, s.m*s.n)
	fill(x, r, next)
	fill(w, r, next)
	fill(begin, r, next)
	packed := make([]float32, PanelLenF32(s.n, s.k))
	PackF32(packed, w, s.n, s.k, s.k)
	for _, acc := range []bool{false, true} {
		want := chainsF32(begin, x, ldx, w, s, acc)
		dst := output(begin, s.m, s.n, ldd)
		cut := r.IntN(panels(s.n) + 1) // two ranges of panels, as two threads take them
		MatMulF32(dst, ldd, x, ldx, s.m, packed, s.k, s.n, cut, panels(s.n), acc)
		MatMulF32(dst, ldd, x, ldx, s.m, packed, s.k, s.n, 0, cut, acc)
		compareProduct(t, fmt.Sprintf("%v acc=%v %s", s, acc, name), dst, ldd, want, s.n)
	}
}

func BenchmarkMatMulF32(b *testing.B) {
	for _, s := range benchShapes {
		x := make([]float32, s.m*s.k)
		w := make([]float32, PanelLenF32(s.n, s.k))
		dst := make([]float32, s.m*s.n)
		r := rand.New(rand.NewPCG(1, 2))
		fill(x, r, fillers[0].next)
		fill(w, r, fillers[0].next)
		benchProduct(b, s, 4*len(w), func() {
			MatMulF32(dst, s.n, x, s.k, s.m, w, s.k, s.n, 0, panels(s.n), false)
		})
	}
}
