package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestRope(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		for _, pairs := range []int{0, 1, 2, 3, 4, 6, 7, 8, 9, 15, 16, 17, 24, 32, 40, 48, 64, 67, 128} {
			for _, pairing := range []Pairing{HalfSplit, Interleaved} {
				checkRope(t, r, pairs, pairing)
			}
		}
	})
}

func checkRope(t *testing.T, r *rand.Rand, pairs int, pairing Pairing) {
	t.Helper()
	x := randoms(r, 2*pairs+5, 1)
	cos, sin := make([]float32, pairs), make([]float32, pairs)
	for i := range cos {
		sin[i], cos[i] = SinCos32(r.Float64() * 1000)
	}
	y := append([]float32(nil), x...)
	Rope(y, cos, sin, pairing)
	back := append([]float32(nil), y...)
	RopeBackward(back, cos, sin, pairing)
	for i := range pairs {
		p, q := i, i+pairs
		if pairing == Interleaved {
			p, q = 2*i, 2*i+1
		}
		a, b := x[p], x[q]
		if want := float32(a*cos[i]) - float32(b*sin[i]); !sameBits(y[p], want) {
			t.Fatalf("pairing %d, %d pairs: [%d] = %g, want %g", pairing, pairs, p, y[p], want)
		}
		if want := float32(b*cos[i]) + float32(a*sin[i]); !sameBits(y[q], want) {
			t.Fatalf("pairing %d, %d pairs: [%d] = %g, want %g", pairing, pairs, q, y[q], want)
		}
		if !near(back[p], float64(a), 1e-6, 0) || !near(back[q], float64(b), 1e-6, 0) {
			t.Fatalf("pairing %d, %d pairs: rotated back to %g, %g, want %g, %g", pairing, pairs, back[p], back[q], a, b)
		}
	}
	for i := 2 * pairs; i < len(x); i++ {
		if y[i] != x[i] || back[i] != x[i] {
			t.Fatalf("pairing %d, %d pairs: dimension %d was touched", pairing, pairs, i)
		}
	}
}

// TestRopeIsRelative: the product of a query and a key depends on the distance
// of their positions alone.
func TestRopeIsRelative(t *testing.T) {
	const dim, base = 64, 10000.0
	r := rand.New(rand.NewPCG(19, 20))
	q, k := randoms(r, dim, 1), randoms(r, dim, 1)
	score := func(at, to float64, pairing Pairing) float32 {
		cos, sin := make([]float32, dim/2), make([]float32, dim/2)
		turn := func(x []float32, pos float64) []float32 {
			y := append([]float32(nil), x...)
			for i := range cos {
				sin[i], cos[i] = SinCos32(pos * math.Pow(base, -2*float64(i)/dim))
			}
			Rope(y, cos, sin, pairing)
			return y
		}
		return Dot(turn(q, at), turn(k, to))
	}
	for _, pairing := range []Pairing{HalfSplit, Interleaved} {
		if a, b := score(17, 5, pairing), score(50012, 50000, pairing); abs32(a-b) > 1e-4 {
			t.Errorf("pairing %d: %g at distance 12 near, %g far", pairing, a, b)
		}
	}
}
