package tensor_test

import (
	"math"
	"testing"

	"wenmo/kernel"
	"wenmo/tensor"
)

// addScaled adds to some columns of a tensor, in their place.
var addScaled = op{"add_scaled", func(s size) [][2]int { return [][2]int{{s.tokens, s.width}, {s.tokens, s.width - 5}} },
	func(e *env) *tensor.Tensor {
		y := e.g.Scale(e.in[0], 2)
		e.g.AddScaled(e.g.Columns(y, 3, e.width-2), e.in[1], -0.75)
		return y
	}, func(s size, in []mat) mat {
		y := zeros(s.tokens, s.width)
		for i := range y.v {
			y.v[i] = 2 * in[0].v[i]
			if c := i%s.width - 3; c >= 0 && c < s.width-5 {
				y.v[i] -= 0.75 * in[1].row(i / s.width)[c]
			}
		}
		return y
	}}

// magnitude is DoRA: of a weight, operand 1, and matrices, operands 2 and 3,
// whose gradients do not go through the norm.
func magnitude(name string, biased bool) op {
	return op{name, func(s size) [][2]int { return [][2]int{{s.tokens, s.width}, {1, s.width - 5}} },
		func(e *env) *tensor.Tensor {
			w, a, b := doraWeights(e)
			norm := make([]float32, w.Out)
			e.g.RowNorms(norm, w, a, b, 0.5)
			var bias []float32
			if biased {
				bias = random(e.width-5, 43)
			}
			y := e.g.Scale(e.in[0], 2)
			e.g.Magnitude(e.g.Columns(y, 3, e.width-2), e.in[1], norm, bias)
			return y
		}, func(s size, in []mat) mat {
			norms := doraNorms(s)
			bias := random(s.width-5, 43)
			y := zeros(s.tokens, s.width)
			for i := range y.v {
				y.v[i] = 2 * in[0].v[i]
				if c := i%s.width - 3; c >= 0 && c < s.width-5 {
					b := 0.0
					if biased {
						b = float64(bias[c])
					}
					y.v[i] = in[1].v[c]/norms[c]*(y.v[i]-b) + b
				}
			}
			return y
		}}
}

const doraIn, doraRank = 21, 3

func doraWeights(e *env) (w, a, b *tensor.Weight) {
	n := e.width - 5
	w = newWeight(e.g, random(n*doraIn, 40), n, doraIn, tensor.F32)
	a = newWeight(e.g, random(doraRank*doraIn, 41), doraRank, doraIn, tensor.F32)
	b = newWeight(e.g, random(n*doraRank, 42), n, doraRank, tensor.F32)
	return w, a, b
}

func doraNorms(s size) []float64 {
	n := s.width - 5
	w, a, b := random(n*doraIn, 40), random(doraRank*doraIn, 41), random(n*doraRank, 42)
	norms := make([]float64, n)
	for i := range norms {
		for k := range doraIn {
			x := float64(w[i*doraIn+k])
			for r := range doraRank {
				x += 0.5 * float64(b[i*doraRank+r]) * float64(a[r*doraIn+k])
			}
			norms[i] += x * x
		}
		norms[i] = math.Sqrt(norms[i])
	}
	return norms
}

// TestRowNormsReuse: what RowNorms works in is not handed out again where the
// pass has reused its memory meanwhile.
func TestRowNormsReuse(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	w, a, b := doraWeights(&env{size: small, g: g})
	norm := make([]float32, w.Out)
	keep := g.New(1, 1)
	mark := g.Mark()
	x := g.New(1, 1)
	g.RowNorms(norm, w, a, b, 0.5)
	g.Reuse(mark, x, keep)
	live := g.New(64, 64)
	clear(live.Data)
	g.RowNorms(norm, w, a, b, 0.5)
	for i, v := range live.Data {
		if v != 0 {
			t.Fatalf("element %d of a tensor made before has become %v", i, v)
		}
	}
}
