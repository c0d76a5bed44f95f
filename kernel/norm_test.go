package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// weightedSum is Σ upstream·y, the scalar whose gradient the backward tests
// measure.
func weightedSum(upstream []float32, y []float64) float64 {
	s := 0.0
	for i, v := range y {
		s += float64(upstream[i]) * v
	}
	return s
}

// gradientOf returns the central difference of f in every element of x.
func gradientOf(x []float32, f func(x []float64) float64) []float64 {
	const h = 1e-5
	p := make([]float64, len(x))
	for i, v := range x {
		p[i] = float64(v)
	}
	g := make([]float64, len(x))
	for i, v := range p {
		p[i] = v + h
		up := f(p)
		p[i] = v - h
		g[i] = (up - f(p)) / (2 * h)
		p[i] = v
	}
	return g
}

func checkNear(t *testing.T, what string, got []float32, want []float64, abs, rel float64) {
	t.Helper()
	for i, v := range got {
		if !near(v, want[i], abs, rel) {
			t.Fatalf("%s of %d: [%d] = %g, want %g", what, len(got), i, v, want[i])
		}
	}
}

func widened(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func rmsNorm64(x, w []float64, eps, offset float64) []float64 {
	ss := 0.0
	for _, v := range x {
		ss += v * v
	}
	y := make([]float64, len(x))
	for i, v := range x {
		g := 1.0
		if w != nil {
			g = offset + w[i]
		}
		y[i] = v / math.Sqrt(ss/float64(len(x))+eps) * g
	}
	return y
}

func TestRMSNorm(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		for _, n := range []int{1, 2, 7, 15, 16, 17, 33, 64, 100, 131} {
			for _, offset := range []float32{0, 1} {
				x, w, dy := randoms(r, n, 2), randoms(r, n, 1), randoms(r, n, 1)
				if offset == 1 && n%2 == 0 {
					w = nil
				}
				checkRMSNorm(t, x, w, dy, offset)
			}
		}
	})
}

func checkRMSNorm(t *testing.T, x, w, dy []float32, offset float32) {
	t.Helper()
	const eps = 1e-5
	n := len(x)
	var w64 []float64
	if w != nil {
		w64 = widened(w)
	}
	y := make([]float32, n)
	inv := RMSNorm(y, x, w, eps, offset)
	checkNear(t, "RMSNorm", y, rmsNorm64(widened(x), w64, eps, float64(offset)), 1e-6, 1e-6)

	dx, dw := make([]float32, n), make([]float32, n)
	RMSNormBackward(dx, dw, dy, x, w, inv, offset)
	checkNear(t, "dx of RMSNorm", dx, gradientOf(x, func(x []float64) float64 {
		return weightedSum(dy, rmsNorm64(x, w64, eps, float64(offset)))
	}), 1e-5, 1e-4)
	if w != nil {
		want := gradientOf(w, func(w []float64) float64 {
			return weightedSum(dy, rmsNorm64(widened(x), w, eps, float64(offset)))
		})
		checkNear(t, "dw of RMSNorm", dw, want, 1e-5, 1e-4)
		// A second row goes on where the first ended.
		before := append([]float32(nil), dw...)
		RMSNormBackward(dx, dw, dy, x, w, inv, offset)
		for i := range dw {
			if want := fma32(dy[i], float32(x[i]*inv), before[i]); !sameBits(dw[i], want) {
				t.Fatalf("dw chain: [%d] = %g, want %g", i, dw[i], want)
			}
		}
	}
	RMSNorm(x, x, w, eps, offset)
	for i := range x {
		if !sameBits(x[i], y[i]) {
			t.Fatalf("RMSNorm in place: [%d] = %g, want %g", i, x[i], y[i])
		}
	}
}

func layerNorm64(x, w, b []float64, eps float64) []float64 {
	mean, ss := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		ss += (v - mean) * (v - mean)
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v - mean) / math.Sqrt(ss/float64(len(x))+eps)
		if w != nil {
			y[i] *= w[i]
		}
		if b != nil {
			y[i] += b[i]
		}
	}
	return y
}

func TestLayerNorm(t *testing.T) {
	const eps = 1e-5
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for i, n := range []int{2, 3, 7, 15, 16, 17, 33, 64, 100, 131} {
			x, w, b, dy := randoms(r, n, 2), randoms(r, n, 1), randoms(r, n, 1), randoms(r, n, 1)
			w64, b64 := widened(w), widened(b)
			if i%3 == 1 {
				b, b64 = nil, nil
			} else if i%3 == 2 {
				w, b, w64, b64 = nil, nil, nil, nil
			}
			y := make([]float32, n)
			mean, inv := LayerNorm(y, x, w, b, eps)
			checkNear(t, "LayerNorm", y, layerNorm64(widened(x), w64, b64, eps), 2e-6, 1e-6)

			dx, dw, db := make([]float32, n), make([]float32, n), make([]float32, n)
			LayerNormBackward(dx, dw, db, dy, x, w, mean, inv)
			checkNear(t, "dx of LayerNorm", dx, gradientOf(x, func(x []float64) float64 {
				return weightedSum(dy, layerNorm64(x, w64, b64, eps))
			}), 2e-5, 1e-4)
			checkNear(t, "db of LayerNorm", db, widened(dy), 0, 0)
			if w != nil {
				checkNear(t, "dw of LayerNorm", dw, gradientOf(w, func(w []float64) float64 {
					return weightedSum(dy, layerNorm64(widened(x), w, b64, eps))
				}), 1e-5, 1e-4)
			}
		}
	})
}

// TestNormsOfSpecialRows: rows of zeros stay finite, large offsets do not
// destroy the variance, rows that overflow become NaN or zero but do not fault.
func TestNormsOfSpecialRows(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		y := make([]float32, 40)
		RMSNorm(y, make([]float32, 40), nil, 1e-6, 0)
		if Max(y) != 0 {
			t.Errorf("RMSNorm of zeros: %g", y)
		}
		x := make([]float32, 40)
		for i := range x {
			x[i] = 10000 + float32(i%2)
		}
		mean, inv := LayerNorm(y, x, nil, nil, 1e-12)
		if mean != 10000.5 || inv != 2 || y[0] != -1 || y[1] != 1 {
			t.Errorf("LayerNorm around 10000: mean %g, inv %g, %g", mean, inv, y[:2])
		}
		x[7] = float32(math.NaN())
		if RMSNorm(y, x, nil, 1e-6, 0); y[0] == y[0] {
			t.Errorf("RMSNorm hides a NaN: %g", y)
		}
	})
}
