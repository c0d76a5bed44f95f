package kernel

import "math"

// The functions of this file are the definitions that assembly repeats
// operation by operation. Products are rounded before they are added
// (float32(x*y) + z), so that no compiler joins them into a fused operation.
// Polynomials are minimax fits whose coefficients were rounded to float32 one
// after the other, each time refitting the rest.

var inf32 = float32(math.Inf(1))

const (
	log2E = 1.44269504 // 1/ln 2
	// ln 2 in two parts; the first has 15 bits, so that its product with an
	// exponent is exact.
	ln2Hi = 0.693145751953125
	ln2Lo = 1.42860677e-06

	// Outside these eˣ has become 0 and +Inf.
	expMin = -87.6
	expMax = 89

	// Adding roundMagic = 1.5·2²³ + 126 rounds to an integer n, nearest even,
	// and leaves n + 126 in the low bits of the sum: shifted to the place of
	// the exponent these are 2ⁿ⁻¹, or 0 for n = −126.
	roundMagic = 0x1.8p23 + 126

	// (eʳ − 1 − r)/r² for |r| ≤ ln 2 / 2; error 3e-9 relative to eʳ.
	expC2 = 0.49999994
	expC3 = 0.166665167
	expC4 = 0.0416681021
	expC5 = 0.00836916547
	expC6 = 0.00138380029
)

// Exp32 returns eˣ within one unit in the last place; results below 2^−125.5
// are 0.
func Exp32(x float32) float32 {
	half, q := expReduce(clamp(x, expMin, expMax))
	y := 1 + q
	return (y + y) * half
}

// expReduce returns half = 2ⁿ⁻¹ and q with eˣ = 2ⁿ(1 + q), |q| < 0.42.
func expReduce(x float32) (half, q float32) {
	t := float32(x*log2E) + roundMagic
	half = math.Float32frombits(math.Float32bits(t) << 23)
	n := t - roundMagic
	r := (x - float32(n*ln2Hi)) - float32(n*ln2Lo)
	p := float32(r*expC6) + expC5
	p = float32(r*p) + expC4
	p = float32(r*p) + expC3
	p = float32(r*p) + expC2
	return half, float32(float32(r*r)*p) + r
}

// clamp returns x limited to [lo, hi]; NaN stays.
func clamp(x, lo, hi float32) float32 {
	if x > hi {
		x = hi
	}
	if x < lo {
		x = lo
	}
	return x
}

// Sigmoid32 returns 1/(1 + e⁻ˣ).
func Sigmoid32(x float32) float32 { return 1 / (1 + Exp32(-x)) }

// tanhMax is where tanh has become 1.
const tanhMax = 10

// Tanh32 returns tanh x, accurate to a few units in the last place near zero
// too: with e⁻²ˣ − 1 = 2ⁿq + (2ⁿ − 1) = m, tanh x is −m/(2 + m).
func Tanh32(x float32) float32 {
	half, q := expReduce(clamp(-2*abs32(x), -2*tanhMax, 0))
	s := half + half
	m := float32(s*q) + (s - 1)
	return copySign32(m/(2+m), x)
}

const (
	erfcP = 0.42 // erfc(z) = t·P(t)·exp(−z²) with t = 1/(1 + erfcP·z)

	erfcC0 = 0.236843646
	erfcC1 = 0.239370763
	erfcC2 = 0.195524633
	erfcC3 = 0.267856419
	erfcC4 = -0.131889492
	erfcC5 = 0.445079207
	erfcC6 = -0.3242881
	erfcC7 = 0.0715029314

	// (erf z)/z − 1 in z² for z < erfSmall.
	erfSmall = 0.75
	erfC0    = 0.128379166
	erfC1    = -0.3761262
	erfC2    = 0.11283379
	erfC3    = -0.0268343352
	erfC4    = 0.00511315698
	erfC5    = -0.000673758332
)

// Erf32 returns the error function, absolute error below 2e-7 and relative
// error below 5e-7.
func Erf32(x float32) float32 {
	z := abs32(x)
	if z < erfSmall {
		u := float32(z * z)
		p := float32(u*erfC5) + erfC4
		p = float32(u*p) + erfC3
		p = float32(u*p) + erfC2
		p = float32(u*p) + erfC1
		p = float32(u*p) + erfC0
		return copySign32(float32(z*p)+z, x)
	}
	return copySign32(1-erfc32(z, float32(z*z)), x)
}

// erfc32 returns 1 − erf(z) for z ≥ 0, where zz is z². Its absolute error is
// below 1e-7; the relative error grows towards 1e-5 in the far tail.
func erfc32(z, zz float32) float32 {
	t := 1 / (1 + float32(erfcP*z))
	p := float32(t*erfcC7) + erfcC6
	p = float32(t*p) + erfcC5
	p = float32(t*p) + erfcC4
	p = float32(t*p) + erfcC3
	p = float32(t*p) + erfcC2
	p = float32(t*p) + erfcC1
	p = float32(t*p) + erfcC0
	return float32(float32(t*p) * Exp32(-zz))
}

const (
	// (atanh(s)/s − 1)/s² in s², for |s| ≤ 1/3.
	atanhC0 = 0.333333373
	atanhC1 = 0.199994743
	atanhC2 = 0.143076077
	atanhC3 = 0.107219078
	atanhC4 = 0.121228285

	sqrtHalfBits = 0x3f3504f3
)

// log1pRatio returns log((1+s)/(1−s)) = 2·atanh s for |s| ≤ 1/3.
func log1pRatio(s float32) float32 {
	u := float32(s * s)
	p := float32(u*atanhC4) + atanhC3
	p = float32(u*p) + atanhC2
	p = float32(u*p) + atanhC1
	p = float32(u*p) + atanhC0
	s += s
	return float32(float32(s*u)*p) + s
}

// Log32 returns the natural logarithm: −Inf for ±0, NaN below.
func Log32(x float32) float32 {
	switch {
	case x < 0:
		return float32(math.NaN())
	case x == 0:
		return -inf32
	case !(x < inf32):
		return x // +Inf and NaN
	}
	var e int32
	if x < minNormal {
		x *= 0x1p23
		e = -23
	}
	// x = 2ᵉ·m with m in [√½, √2).
	b := int32(math.Float32bits(x)) - sqrtHalfBits
	e += b >> 23
	m := math.Float32frombits(uint32(b&(1<<23-1) + sqrtHalfBits))
	l := log1pRatio((m - 1) / (m + 1))
	return float32(float32(e)*ln2Hi) + (float32(float32(e)*ln2Lo) + l)
}

// Softplus32 returns log(1 + eˣ).
func Softplus32(x float32) float32 {
	e := Exp32(-abs32(x))
	y := log1pRatio(e / (2 + e))
	if x > 0 {
		y += x
	}
	return y
}

const (
	twoOverPi = 0x1.45f306dc9c883p-1
	// π/2 in three parts; the first two have 33 bits, so that their product
	// with a quadrant up to 2²⁰ is exact.
	halfPi1 = 0x1.921fb544p+0
	halfPi2 = 0x1.0b4611a6p-34
	halfPi3 = 0x1.3198a2e037073p-69

	sinCosMax = 1 << 30
)

// SinCos32 returns sine and cosine of x, computed in float64 and rounded: the
// same bits on every processor, which math.Sincos does not promise. It makes
// the tables of RoPE.
func SinCos32(x float64) (sin, cos float32) {
	if !(x > -sinCosMax && x < sinCosMax) {
		x = math.Mod(x, 2*math.Pi)
	}
	k := math.RoundToEven(float64(x * twoOverPi))
	r := x - float64(k*halfPi1)
	r -= float64(k * halfPi2)
	r -= float64(k * halfPi3)
	s, c := sinCosPoly(r)
	switch int64(k) & 3 {
	case 1:
		s, c = c, -s
	case 2:
		s, c = -s, -c
	case 3:
		s, c = -c, s
	}
	return float32(s), float32(c)
}

// sinCosPoly sums the Taylor series, which for |r| ≤ π/4 end below 1e-13.
func sinCosPoly(r float64) (sin, cos float64) {
	u := float64(r * r)
	s, c := 1.0, 1.0
	for n := 14.0; n >= 2; n -= 2 {
		s = 1 - float64(u*s)/float64(n*(n+1))
		c = 1 - float64(u*c)/float64(n*(n-1))
	}
	return float64(r * s), c
}

const signBit = 1 << 31

func abs32(x float32) float32 {
	return math.Float32frombits(math.Float32bits(x) &^ signBit)
}

// copySign32 returns |x| with the sign of sign.
func copySign32(x, sign float32) float32 {
	return math.Float32frombits(math.Float32bits(x)&^signBit | math.Float32bits(sign)&signBit)
}
