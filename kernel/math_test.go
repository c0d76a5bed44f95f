package kernel

import (
	"math"
	"testing"
)

// floats calls f with every stride-th float32 of [lo, hi] (lo ≥ 0) and its
// negative.
func floats(lo, hi float32, stride uint32, f func(x float32)) {
	for b := math.Float32bits(lo); b <= math.Float32bits(hi); b += stride {
		f(math.Float32frombits(b))
		f(math.Float32frombits(b | 1<<31))
	}
}

// ulp32 returns the distance of neighbouring float32 around x.
func ulp32(x float64) float64 {
	_, e := math.Frexp(x)
	return math.Ldexp(1, max(e-24, -149))
}

// TestAccuracy measures the scalar definitions against float64 over sweeps of
// all magnitudes. Bounds are absolute, relative, or in units of the last place;
// one that holds is enough.
func TestAccuracy(t *testing.T) {
	sqrt2OverPi := math.Sqrt(2 / math.Pi)
	for _, c := range []struct {
		name           string
		f              func(float32) float32
		ref            func(float64) float64
		abs, rel, ulps float64
		min, max       float32 // of |x|
	}{
		{name: "exp", f: Exp32, ref: math.Exp, ulps: 1, abs: 1.7e-38, max: 88.72283},
		{name: "tanh", f: Tanh32, ref: math.Tanh, ulps: 2.6, max: 3e38},
		{name: "tanh abs", f: Tanh32, ref: math.Tanh, abs: 1.6e-7, max: 3e38},
		{name: "erf", f: Erf32, ref: math.Erf, abs: 1.4e-7, max: 3e38},
		{name: "erf rel", f: Erf32, ref: math.Erf, rel: 2e-7, min: 1e-37, max: 3e38},
		{name: "sigmoid", f: Sigmoid32, ref: func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
			rel: 1.5e-7, max: 87},
		{name: "softplus", f: Softplus32, ref: func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) },
			ulps: 3, abs: 1.7e-38, max: 3e38},
		{name: "log", f: func(x float32) float32 { return Log32(abs32(x)) }, ref: func(x float64) float64 { return math.Log(math.Abs(x)) },
			ulps: 2.1, min: 1e-45, max: 3e38},
		{name: "silu", f: silu, ref: func(x float64) float64 { return x / (1 + math.Exp(-x)) },
			rel: 2e-7, abs: 1e-36, max: 3e38},
		{name: "quick gelu", f: quickGELU, ref: func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) },
			rel: 2e-7, abs: 2e-7, max: 3e38},
		{name: "gelu", f: gelu, ref: func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 },
			rel: 1.6e-7, abs: 1e-7, max: 3e38},
		{name: "gelu tanh", f: geluTanh, ref: func(x float64) float64 {
			return x / (1 + math.Exp(-2*sqrt2OverPi*(x+0.044715*x*x*x)))
		}, rel: 1.6e-7, abs: 1.5e-7, max: 3e38},
		{name: "sin", f: func(x float32) float32 { s, _ := SinCos32(float64(x)); return s }, ref: math.Sin, ulps: 0.501, max: 1.6e6},
		{name: "cos", f: func(x float32) float32 { _, c := SinCos32(float64(x)); return c }, ref: math.Cos, ulps: 0.501, max: 1.6e6},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := 0
			floats(c.min, c.max, 20011, func(x float32) {
				got, want := float64(c.f(x)), c.ref(float64(x))
				e := math.Abs(got - want)
				if !(e <= c.abs || e <= c.rel*math.Abs(want) || e <= c.ulps*ulp32(want)) {
					if bad++; bad < 5 {
						t.Errorf("f(%g) = %g, want %g: off by %.2g, %.2f ulp", x, got, want, e, e/ulp32(want))
					}
				}
			})
		})
	}
}

func TestSpecialValues(t *testing.T) {
	inf, nan := inf32, float32(math.NaN())
	negZero := copySign32(0, -1)
	for _, c := range []struct {
		name    string
		f       func(float32) float32
		x, want float32
	}{
		{"exp", Exp32, 0, 1}, {"exp", Exp32, negZero, 1}, {"exp", Exp32, inf, inf}, {"exp", Exp32, -inf, 0},
		{"exp", Exp32, nan, nan}, {"exp", Exp32, 88.72284, inf}, {"exp", Exp32, 88.72283, 3.4027985e38},
		{"exp", Exp32, -86.99, 0}, {"exp", Exp32, -86.9898, 1.6626855e-38}, {"exp", Exp32, -90, 0}, {"exp", Exp32, 3e38, inf}, {"exp", Exp32, -3e38, 0},
		{"exp", Exp32, 1e-45, 1},
		{"tanh", Tanh32, 0, 0}, {"tanh", Tanh32, negZero, negZero}, {"tanh", Tanh32, inf, 1}, {"tanh", Tanh32, -inf, -1},
		{"tanh", Tanh32, nan, nan}, {"tanh", Tanh32, 1e-45, 1e-45}, {"tanh", Tanh32, 9.5, 1},
		{"erf", Erf32, 0, 0}, {"erf", Erf32, negZero, negZero}, {"erf", Erf32, inf, 1}, {"erf", Erf32, -inf, -1},
		{"erf", Erf32, nan, nan}, {"erf", Erf32, 3e38, 1},
		{"log", Log32, 1, 0}, {"log", Log32, 0, -inf}, {"log", Log32, negZero, -inf}, {"log", Log32, inf, inf},
		{"log", Log32, -1, nan}, {"log", Log32, -inf, nan}, {"log", Log32, nan, nan}, {"log", Log32, 0x1p-149, -103.27893},
		{"sigmoid", Sigmoid32, 0, 0.5}, {"sigmoid", Sigmoid32, inf, 1}, {"sigmoid", Sigmoid32, -inf, 0}, {"sigmoid", Sigmoid32, nan, nan},
		{"softplus", Softplus32, inf, inf}, {"softplus", Softplus32, -inf, 0}, {"softplus", Softplus32, nan, nan},
		{"silu", silu, 0, 0}, {"silu", silu, inf, inf}, {"silu", silu, -3e38, negZero}, {"silu", silu, nan, nan},
		{"gelu", gelu, inf, inf}, {"gelu", gelu, -3e38, negZero}, {"gelu", gelu, nan, nan}, {"gelu", gelu, 3e38, 3e38},
		{"gelu tanh", geluTanh, inf, inf}, {"gelu tanh", geluTanh, -3e38, negZero}, {"gelu tanh", geluTanh, 3e38, 3e38},
	} {
		if got := c.f(c.x); !sameBits(got, c.want) {
			t.Errorf("%s(%g) = %g, want %g", c.name, c.x, got, c.want)
		}
	}
	for _, x := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
		if s, c := SinCos32(x); s == s || c == c {
			t.Errorf("SinCos32(%g) = %g, %g, want NaN", x, s, c)
		}
	}
	if s, c := SinCos32(1e300); abs32(s) > 1 || abs32(c) > 1 {
		t.Errorf("SinCos32(1e300) = %g, %g", s, c)
	}
}

// TestMonotone walks neighbouring floats in many places, among them those
// where Exp32 changes its power of two. (All 2³² were walked once.)
func TestMonotone(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(float32) float32
	}{{"exp", Exp32}, {"tanh", Tanh32}, {"erf", Erf32}, {"sigmoid", Sigmoid32}} {
		for i := range 200 {
			x := float32(i-100) * math.Ln2 / 2
			before := c.f(x)
			for range 2000 {
				x = math.Nextafter32(x, inf32)
				y := c.f(x)
				if y < before {
					t.Fatalf("%s(%g) = %g, but %g for the float before", c.name, x, y, before)
				}
				before = y
			}
		}
	}
}
