package kernel

import "math"

// The activations work element by element: dst, x and the gradients have one
// length, and dst may be x, dx may be dy. Each backward sets dx = dy·f′(x), x
// being the forward's input. An infinite negative input of SiLU, GELU,
// GELUTanh and QuickGELU gives NaN, as −Inf·0 does in the references.

const (
	sqrtHalf      = 0.707106781
	geluTanhA     = 1.59576912   // 2·√(2/π)
	geluTanhB     = 0.0713548163 // geluTanhA · 0.044715
	geluTanhDB    = 0.214064449  // 3 · geluTanhB
	invSqrtTwoPi  = 0.398942280  // φ(0) of the normal distribution
	quickGELUBeta = 1.702
)

func silu(x float32) float32 { return x / (1 + Exp32(-x)) }

// dSiLU returns σ(1 + x(1 − σ)) with σ = sigmoid(x).
func dSiLU(x float32) float32 {
	s := Sigmoid32(x)
	return float32(s * (1 + float32(x*(1-s))))
}

// normalCDF returns Φ(x) = (1 + erf(x/√2))/2.
func normalCDF(x float32) float32 {
	h := float32(0.5 * erfc32(float32(abs32(x)*sqrtHalf), float32(float32(0.5*x)*x)))
	if math.Float32bits(x)&signBit != 0 {
		return h
	}
	return 1 - h
}

func gelu(x float32) float32 { return float32(x * normalCDF(x)) }

// dGELU returns Φ(x) + x·φ(x).
func dGELU(x float32) float32 {
	pdf := float32(invSqrtTwoPi * Exp32(-float32(float32(0.5*x)*x)))
	return normalCDF(x) + float32(x*pdf)
}

// geluTanh uses (1 + tanh u)/2 = sigmoid(2u), 2u = x·(A + B·x²).
func geluTanh(x float32) float32 {
	u := float32(x * (geluTanhA + float32(float32(x*x)*geluTanhB)))
	return x / (1 + Exp32(-u))
}

func dGELUTanh(x float32) float32 {
	xx := float32(x * x)
	s := Sigmoid32(float32(x * (geluTanhA + float32(xx*geluTanhB))))
	du := geluTanhA + float32(xx*geluTanhDB)
	return s + float32(float32(x*du)*float32(s*(1-s)))
}

func quickGELU(x float32) float32 { return x / (1 + Exp32(-float32(quickGELUBeta*x))) }

func dQuickGELU(x float32) float32 {
	s := Sigmoid32(float32(quickGELUBeta * x))
	return s + float32(float32(quickGELUBeta*x)*float32(s*(1-s)))
}

// SiLU sets dst = x·sigmoid(x).
func SiLU(dst, x []float32) {
	x = x[:len(dst)]
	for i := opSiLU.run(dst, x, nil, 0, 0); i < len(dst); i++ {
		dst[i] = silu(x[i])
	}
}

// SiLUBackward is SiLU's gradient.
func SiLUBackward(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := opSiLUBackward.run(dx, dy, x, 0, 0); i < len(dx); i++ {
		dx[i] = dy[i] * dSiLU(x[i])
	}
}

// GELU sets dst = x·Φ(x), Φ being the normal distribution (the exact form,
// with the error function). (Hendrycks & Gimpel 2016.)
func GELU(dst, x []float32) {
	x = x[:len(dst)]
	for i := opGELU.run(dst, x, nil, 0, 0); i < len(dst); i++ {
		dst[i] = gelu(x[i])
	}
}

// GELUBackward is GELU's gradient.
func GELUBackward(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := opGELUBackward.run(dx, dy, x, 0, 0); i < len(dx); i++ {
		dx[i] = dy[i] * dGELU(x[i])
	}
}

// GELUTanh sets dst = x/2·(1 + tanh(√(2/π)(x + 0.044715x³))).
func GELUTanh(dst, x []float32) {
	x = x[:len(dst)]
	for i := opGELUTanh.run(dst, x, nil, 0, 0); i < len(dst); i++ {
		dst[i] = geluTanh(x[i])
	}
}

// GELUTanhBackward is GELUTanh's gradient.
func GELUTanhBackward(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := opGELUTanhBackward.run(dx, dy, x, 0, 0); i < len(dx); i++ {
		dx[i] = dy[i] * dGELUTanh(x[i])
	}
}

// QuickGELU sets dst = x·sigmoid(1.702x).
func QuickGELU(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = quickGELU(v)
	}
}

// QuickGELUBackward is QuickGELU's gradient.
func QuickGELUBackward(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		dx[i] = dy[i] * dQuickGELU(v)
	}
}

// ReLU sets dst = 0 where x < 0, else x.
func ReLU(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		if v < 0 {
			v = 0
		}
		dst[i] = v
	}
}

// ReLUBackward is ReLU's gradient: dy where x > 0, else 0.
func ReLUBackward(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		d := dy[i]
		if !(v > 0) {
			d = 0
		}
		dx[i] = d
	}
}

// ReLU2 sets dst = ReLU(x)². (So et al. 2021.)
func ReLU2(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		if v < 0 {
			v = 0
		}
		dst[i] = v * v
	}
}

// ReLU2Backward is ReLU2's gradient.
func ReLU2Backward(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		if v < 0 {
			v = 0
		}
		dx[i] = dy[i] * (v + v)
	}
}

// Sigmoid sets dst = 1/(1 + e⁻ˣ).
func Sigmoid(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = Sigmoid32(v)
	}
}

// SigmoidBackward is Sigmoid's gradient.
func SigmoidBackward(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		s := Sigmoid32(v)
		dx[i] = dy[i] * float32(s*(1-s))
	}
}

// Tanh sets dst = tanh x.
func Tanh(dst, x []float32) {
	x = x[:len(dst)]
	for i := opTanh.run(dst, x, nil, 0, 0); i < len(dst); i++ {
		dst[i] = Tanh32(x[i])
	}
}

// TanhBackward is Tanh's gradient.
func TanhBackward(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		t := Tanh32(v)
		dx[i] = dy[i] * (1 - float32(t*t))
	}
}

// Softplus sets dst = log(1 + eˣ).
func Softplus(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = Softplus32(v)
	}
}

// SoftplusBackward is Softplus's gradient.
func SoftplusBackward(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		dx[i] = dy[i] * Sigmoid32(v)
	}
}

// SoftCap sets dst = cap·tanh(x/cap). (Gemma 2.)
func SoftCap(dst, x []float32, cap float32) {
	x = x[:len(dst)]
	inv := 1 / cap
	for i := opSoftCap.run(dst, x, nil, cap, inv); i < len(dst); i++ {
		dst[i] = cap * Tanh32(float32(x[i]*inv))
	}
}

// SoftCapBackward is SoftCap's gradient.
func SoftCapBackward(dx, dy, x []float32, cap float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	inv := 1 / cap
	for i, v := range x {
		t := Tanh32(float32(v * inv))
		dx[i] = dy[i] * (1 - float32(t*t))
	}
}

// SwiGLU sets dst = SiLU(gate)·up. (Shazeer 2020.)
func SwiGLU(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i := opSwiGLU.run(dst, gate, up, 0, 0); i < len(dst); i++ {
		dst[i] = silu(gate[i]) * up[i]
	}
}

// SwiGLUBackward sets the gradients of SwiGLU's inputs; both may be dy or an
// input.
func SwiGLUBackward(dgate, dup, dy, gate, up []float32) {
	gatedBackward(opSwiGLUBackward, dgate, dup, dy, gate, up, silu, dSiLU)
}

// GeGLU sets dst = GELU(gate)·up. (Shazeer 2020.)
func GeGLU(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i := opGeGLU.run(dst, gate, up, 0, 0); i < len(dst); i++ {
		dst[i] = gelu(gate[i]) * up[i]
	}
}

// GeGLUBackward sets the gradients of GeGLU's inputs.
func GeGLUBackward(dgate, dup, dy, gate, up []float32) {
	gatedBackward(opGeGLUBackward, dgate, dup, dy, gate, up, gelu, dGELU)
}

// GeGLUTanh sets dst = GELUTanh(gate)·up.
func GeGLUTanh(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i := opGeGLUTanh.run(dst, gate, up, 0, 0); i < len(dst); i++ {
		dst[i] = geluTanh(gate[i]) * up[i]
	}
}

// GeGLUTanhBackward sets the gradients of GeGLUTanh's inputs.
func GeGLUTanhBackward(dgate, dup, dy, gate, up []float32) {
	gatedBackward(opGeGLUTanhBackward, dgate, dup, dy, gate, up, geluTanh, dGELUTanh)
}

func gatedBackward(op vecOp, dgate, dup, dy, gate, up []float32, f, df func(float32) float32) {
	dup, dy = dup[:len(dgate)], dy[:len(dgate)]
	gate, up = gate[:len(dgate)], up[:len(dgate)]
	for i := op.runGatedBackward(dgate, dup, dy, gate, up); i < len(gate); i++ {
		g, u, d := gate[i], up[i], dy[i]
		dgate[i] = float32(d*u) * df(g)
		dup[i] = d * f(g)
	}
}
