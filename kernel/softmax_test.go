package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func softmax64(x []float64) []float64 {
	m, sum := math.Inf(-1), 0.0
	for _, v := range x {
		m = max(m, v)
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Exp(v - m)
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
	return y
}

func logSoftmax64(x []float64) []float64 {
	y := softmax64(x)
	for i, v := range y {
		y[i] = math.Log(v)
	}
	return y
}

func TestSoftmax(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		for _, n := range lengths()[1:] {
			x := randoms(r, n, 5)
			y, l := make([]float32, n), make([]float32, n)
			Softmax(y, x)
			LogSoftmax(l, x)
			checkNear(t, "Softmax", y, softmax64(widened(x)), 1e-7, 1e-6)
			checkNear(t, "LogSoftmax", l, logSoftmax64(widened(x)), 5e-6, 5e-7)
			if s := Sum(y); abs32(s-1) > 1e-6 {
				t.Fatalf("Softmax of %d sums to %g", n, s)
			}
			if n > 100 {
				continue
			}
			dy, dx := randoms(r, n, 1), make([]float32, n)
			SoftmaxBackward(dx, dy, y)
			checkNear(t, "SoftmaxBackward", dx, gradientOf(x, func(x []float64) float64 {
				return weightedSum(dy, softmax64(x))
			}), 2e-6, 1e-4)
			LogSoftmaxBackward(dx, dy, l)
			checkNear(t, "LogSoftmaxBackward", dx, gradientOf(x, func(x []float64) float64 {
				return weightedSum(dy, logSoftmax64(x))
			}), 1e-5, 1e-4)
			Softmax(x, x)
			for i := range x {
				if !sameBits(x[i], y[i]) {
					t.Fatalf("Softmax in place: [%d] = %g, want %g", i, x[i], y[i])
				}
			}
		}
	})
}

func TestSoftmaxOfSpecialRows(t *testing.T) {
	inf, nan := inf32, float32(math.NaN())
	onEveryPath(t, func(t *testing.T) {
		for _, c := range []struct{ x, want []float32 }{
			{[]float32{3}, []float32{1}},
			{[]float32{3e38, -3e38}, []float32{1, 0}},
			{[]float32{-inf, 5, -inf, 5}, []float32{0, 0.5, 0, 0.5}},
			{[]float32{nan, 1}, []float32{nan, nan}},
			{[]float32{-inf, -inf}, []float32{nan, nan}},
			{[]float32{inf, 1}, []float32{nan, nan}},
			{nil, nil},
		} {
			y := make([]float32, len(c.x))
			Softmax(y, c.x)
			for i := range y {
				if !sameBits(y[i], c.want[i]) {
					t.Errorf("Softmax(%g) = %g, want %g", c.x, y, c.want)
					break
				}
			}
		}
		y := make([]float32, 3)
		LogSoftmax(y, []float32{1e30, 1e30, -inf})
		if y[0] != -math.Ln2 || y[1] != -math.Ln2 || y[2] != -inf {
			t.Errorf("LogSoftmax of huge logits: %g", y)
		}
	})
}

// TestTileSoftmax folds tiles of rows of every length, with masked keys, and
// compares the outcome with one softmax over the row.
func TestTileSoftmax(t *testing.T) {
	const tile, width = 64, 3
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 16))
		for n := 1; n < 300; n += 7 {
			x, v := randoms(r, n, 6), randoms(r, n*width, 1)
			for i := 0; i < n; i += 5 {
				if i > 0 {
					x[i] = -inf32
				}
			}
			m, l := -inf32, float32(0)
			acc := make([]float32, width)
			for first := 0; first < n; first += tile {
				s := make([]float32, tile)
				for i := range s {
					s[i] = -inf32
				}
				copy(s, x[first:])
				mt, lt := TileSoftmax(s)
				sum := make([]float32, width)
				for i, p := range s[:min(tile, n-first)] {
					AXPY(sum, p, v[(first+i)*width:][:width])
				}
				mNew := max(m, mt)
				a, b := Exp32(m-mNew), Exp32(mt-mNew)
				m, l = mNew, fma32(l, a, lt*b)
				FoldTile(acc, a, sum, b)
			}
			want := make([]float64, width)
			for i, p := range softmax64(widened(x)) {
				for j := range want {
					want[j] += p * float64(v[i*width+j])
				}
			}
			Scale(acc, acc, 1/l)
			checkNear(t, "attention in tiles", acc, want, 1e-6, 1e-5)
		}
	})
}

func TestTileSoftmaxOfSpecialTiles(t *testing.T) {
	inf, nan := inf32, float32(math.NaN())
	onEveryPath(t, func(t *testing.T) {
		for _, c := range []struct {
			name    string
			s, want []float32
			m, l    float32
		}{
			{"equal", []float32{1, 1, -inf}, []float32{1, 1, 0}, 1, 2},
			{"masked", []float32{-inf, -inf}, []float32{0, 0}, -inf, 0},
			{"none", nil, nil, -inf, 0},
			{"NaN", []float32{nan, 1}, []float32{nan, 1}, 1, nan},
			{"NaN alone", []float32{nan, -inf}, []float32{nan, 0}, -inf, nan},
			{"far apart", []float32{500, -500}, []float32{1, 0}, 500, 1},
		} {
			s := append([]float32(nil), c.s...)
			m, l := TileSoftmax(s)
			if !sameBits(m, c.m) || !sameBits(l, c.l) {
				t.Errorf("%s: m, l = %g, %g, want %g, %g", c.name, m, l, c.m, c.l)
			}
			for i := range s {
				if !sameBits(s[i], c.want[i]) {
					t.Errorf("%s: weights %g, want %g", c.name, s, c.want)
					break
				}
			}
		}
	})
}
