package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func softCap30(dst, x []float32)            { SoftCap(dst, x, 30) }
func softCap30Backward(dx, dy, x []float32) { SoftCapBackward(dx, dy, x, 30) }
func sigmoid64(x float64) float64           { return 1 / (1 + math.Exp(-x)) }
func gelu64(x float64) float64              { return x * math.Erfc(-x/math.Sqrt2) / 2 }
func silu64(x float64) float64              { return x * sigmoid64(x) }
func geluTanh64(x float64) float64 {
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// activations: every function of one argument, with its backward and what it
// is in float64.
var activations = []struct {
	name     string
	forward  func(dst, x []float32)
	backward func(dx, dy, x []float32)
	scalar   func(float32) float32
	ref      func(float64) float64
}{
	{"SiLU", SiLU, SiLUBackward, silu, silu64},
	{"GELU", GELU, GELUBackward, gelu, gelu64},
	{"GELUTanh", GELUTanh, GELUTanhBackward, geluTanh, geluTanh64},
	{"QuickGELU", QuickGELU, QuickGELUBackward, quickGELU, func(x float64) float64 { return x * sigmoid64(1.702*x) }},
	{"ReLU", ReLU, ReLUBackward, nil, func(x float64) float64 { return max(x, 0) }},
	{"ReLU2", ReLU2, ReLU2Backward, nil, func(x float64) float64 { return max(x, 0) * max(x, 0) }},
	{"Sigmoid", Sigmoid, SigmoidBackward, Sigmoid32, sigmoid64},
	{"Tanh", Tanh, TanhBackward, Tanh32, math.Tanh},
	{"Softplus", Softplus, SoftplusBackward, Softplus32, func(x float64) float64 { return math.Log1p(math.Exp(x)) }},
	{"SoftCap", softCap30, softCap30Backward, nil, func(x float64) float64 { return 30 * math.Tanh(x/30) }},
}

var gated = []struct {
	name     string
	forward  func(dst, gate, up []float32)
	backward func(dgate, dup, dy, gate, up []float32)
	scalar   func(float32) float32
	ref      func(float64) float64 // of the gate
}{
	{"SwiGLU", SwiGLU, SwiGLUBackward, silu, silu64},
	{"GeGLU", GeGLU, GeGLUBackward, gelu, gelu64},
	{"GeGLUTanh", GeGLUTanh, GeGLUTanhBackward, geluTanh, geluTanh64},
}

// slope is the central difference of f at x.
func slope(f func(float64) float64, x float64) float64 {
	const h = 1e-6
	return (f(x+h) - f(x-h)) / (2 * h)
}

func near(got float32, want, abs, rel float64) bool {
	return math.Abs(float64(got)-want) <= abs+rel*math.Abs(want)
}

func TestActivations(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, a := range activations {
			for _, n := range lengths() {
				x, dy := randoms(r, n, 4), randoms(r, n, 1)
				y, dx := make([]float32, n), make([]float32, n)
				a.forward(y, x)
				a.backward(dx, dy, x)
				for i, v := range x {
					if a.scalar != nil && !sameBits(y[i], a.scalar(v)) {
						t.Fatalf("%s(%g) = %g, the scalar says %g", a.name, v, y[i], a.scalar(v))
					}
					if want := a.ref(float64(v)); !near(y[i], want, 2e-7, 5e-7) {
						t.Fatalf("%s(%g) = %g, want %g", a.name, v, y[i], want)
					}
					if want := float64(dy[i]) * slope(a.ref, float64(v)); abs32(v) > 1e-5 && !near(dx[i], want, 1e-6, 1e-5) {
						t.Fatalf("%sBackward at %g = %g, want %g", a.name, v, dx[i], want)
					}
				}
				a.forward(x, x)
				for i := range x {
					if !sameBits(x[i], y[i]) {
						t.Fatalf("%s in place: [%d] = %g, want %g", a.name, i, x[i], y[i])
					}
				}
			}
		}
	})
}

func TestGatedActivations(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, a := range gated {
			for _, n := range lengths() {
				gate, up, dy := randoms(r, n, 4), randoms(r, n, 1), randoms(r, n, 1)
				y, dgate, dup := make([]float32, n), make([]float32, n), make([]float32, n)
				a.forward(y, gate, up)
				a.backward(dgate, dup, dy, gate, up)
				for i := range y {
					g, u, d := float64(gate[i]), float64(up[i]), float64(dy[i])
					if want := a.scalar(gate[i]) * up[i]; !sameBits(y[i], want) {
						t.Fatalf("%s(%g, %g) = %g, want %g", a.name, g, u, y[i], want)
					}
					if want := d * u * slope(a.ref, g); !near(dgate[i], want, 1e-6, 1e-5) {
						t.Fatalf("%sBackward, gate at (%g, %g) = %g, want %g", a.name, g, u, dgate[i], want)
					}
					if want := d * a.ref(g); !near(dup[i], want, 1e-6, 1e-5) {
						t.Fatalf("%sBackward, up at (%g, %g) = %g, want %g", a.name, g, u, dup[i], want)
					}
				}
			}
		}
	})
}

func TestActivationsOfSpecialValues(t *testing.T) {
	nan, negZero := float32(math.NaN()), copySign32(0, -1)
	onEveryPath(t, func(t *testing.T) {
		x := []float32{nan, negZero, inf32, -inf32, -1}
		y := make([]float32, len(x))
		for _, c := range []struct {
			name string
			f    func(dst, x []float32)
			want []float32
		}{
			{"ReLU", ReLU, []float32{nan, negZero, inf32, 0, 0}},
			{"ReLU2", ReLU2, []float32{nan, 0, inf32, 0, 0}},
			{"SoftCap", softCap30, []float32{nan, negZero, 30, -30, 30 * Tanh32(float32(-1)*(float32(1)/30))}},
		} {
			c.f(y, x)
			for i := range y {
				if !sameBits(y[i], c.want[i]) {
					t.Errorf("%s(%g) = %g, want %g", c.name, x[i], y[i], c.want[i])
				}
			}
		}
	})
}
