package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// chainsBF16 is the product as DESIGN states it, without panels or tiles.
func chainsBF16(begin []float32, x []uint16, ldx int, w []uint16, s shape, acc bool) []float32 {
	want := make([]float32, s.m*s.n)
	for r := range s.m {
		for o := range s.n {
			a := float32(0)
			if acc {
				a = begin[r*s.n+o]
			}
			for i := 0; i < s.k; i += 2 {
				if i+1 < s.k {
					a = bf16Step(w[o*s.k+i+1], x[r*ldx+i+1], a)
				} else {
					a = bf16Step(0, 0, a)
				}
				a = bf16Step(w[o*s.k+i], x[r*ldx+i], a)
			}
			want[r*s.n+o] = a
		}
	}
	return want
}

func TestMatMulBF16(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		for i, s := range edgeShapes() {
			r := rand.New(rand.NewPCG(2, uint64(i)))
			f := fillers[i%len(fillers)]
			checkBF16(t, s, r, f.next, f.name)
		}
	})
}

func checkBF16(t *testing.T, s shape, r *rand.Rand, next func(*rand.Rand) float32, name string) {
	ldx, ldd := 2*(pairs(s.k)+r.IntN(2)), s.n+r.IntN(3)
	x := make([]uint16, s.m*ldx)
	for row := range s.m {
		for i := range s.k {
			x[row*ldx+i] = toBF16(next(r))
		}
	}
	wide := make([]float32, s.n*s.k)
	w := make([]uint16, s.n*s.k)
	begin := make([]float32, s.m*s.n)
	fill(wide, r, next)
	fill(begin, r, next)
	RoundBF16(w, wide)
	packed := make([]uint16, PanelLenBF16(s.n, s.k))
	PackBF16(packed, wide, s.n, s.k, s.k)
	for _, acc := range []bool{false, true} {
		want := chainsBF16(begin, x, ldx, w, s, acc)
		dst := output(begin, s.m, s.n, ldd)
		cut := r.IntN(panels(s.n) + 1)
		MatMulBF16(dst, ldd, x, ldx, s.m, packed, s.k, s.n, cut, panels(s.n), acc)
		MatMulBF16(dst, ldd, x, ldx, s.m, packed, s.k, s.n, 0, cut, acc)
		compareProduct(t, fmt.Sprintf("%v acc=%v %s", s, acc, name), dst, ldd, want, s.n)
	}
}

func BenchmarkMatMulBF16(b *testing.B) {
	for _, s := range benchShapes {
		x := make([]uint16, s.m*s.k)
		w := make([]uint16, PanelLenBF16(s.n, s.k))
		r := rand.New(rand.NewPCG(1, 2))
		for _, v := range [][]uint16{x, w} {
			for i := range v {
				v[i] = toBF16(float32(r.NormFloat64()))
			}
		}
		dst := make([]float32, s.m*s.n)
		benchProduct(b, s, 2*len(w), func() {
			MatMulBF16(dst, s.n, x, s.k, s.m, w, s.k, s.n, 0, panels(s.n), false)
		})
	}
}
