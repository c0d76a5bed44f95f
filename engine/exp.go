package engine

import "math"

// The exponential and the logarithm of package math are assembly on some
// processors and fused differently on others. These two are the same bits
// everywhere: only correctly rounded operations, and the conversions keep the
// compiler from fusing a product with a sum.

const (
	ln2Hi   = 0x1.62e42fep-1   // 28 bits of ln 2, so that k*ln2Hi is exact
	ln2Lo   = math.Ln2 - ln2Hi // the rest
	expStep = 64               // exp64 works in steps of ln 2 / 64
	perStep = expStep / math.Ln2
)

var exp2Table = makeExp2Table()

// makeExp2Table returns 2^(i/64), as products of the square roots of two.
func makeExp2Table() (t [expStep]float64) {
	for i := range t {
		t[i] = 1
		root := 2.0
		for bit := expStep / 2; bit > 0; bit /= 2 {
			root = math.Sqrt(root)
			if i&bit != 0 {
				t[i] = float64(t[i] * root)
			}
		}
	}
	return t
}

// exp64 returns e^x to within 1e-15 of its value.
func exp64(x float64) float64 {
	switch {
	case x != x:
		return x
	case x < -746:
		return 0
	case x > 710:
		return math.Inf(1)
	}
	k := int(math.Floor(float64(x*perStep) + 0.5))
	p := exp2Table[k&(expStep-1)] * expTail(x, float64(k))
	return math.Ldexp(p, k>>6)
}

// expTail returns e^(x - k·ln2/64) for x within half a step of k.
func expTail(x, k float64) float64 {
	r := float64(x-float64(k*(ln2Hi/expStep))) - float64(k*(ln2Lo/expStep))
	p := float64(r*(1.0/120)) + 1.0/24
	p = float64(r*p) + 1.0/6
	p = float64(r*p) + 0.5
	p = float64(r*p) + 1
	return float64(r*p) + 1
}

// log64 returns the natural logarithm of a positive normal number.
func log64(x float64) float64 {
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, k = 2*m, k-1
	}
	s := (m - 1) / (m + 1)
	z := float64(s * s)
	sum := 0.0
	for n := 23.0; n >= 1; n -= 2 { // 2·artanh(s), |s| ≤ 0.172
		sum = float64(sum*z) + 1/n
	}
	tail := float64(float64(2*s)*sum) + float64(float64(k)*ln2Lo)
	return float64(float64(k)*ln2Hi) + tail
}

// pow64 returns x^y for x ≥ 1.
func pow64(x, y float64) float64 { return exp64(float64(y * log64(x))) }

// powInt returns x^n for n ≥ 0 by repeated squaring.
func powInt(x float64, n int) float64 {
	p := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			p = float64(p * x)
		}
		x = float64(x * x)
	}
	return p
}

// massBits is the position of the binary point of a mass: the unit is 2^-42 of
// the most likely token. Less than 2^22 tokens cannot overflow a uint64.
const (
	massBits = 42
	massOne  = uint64(1) << massBits
	// massZero is the logit distance from the maximum below which a mass is zero.
	massZero = -30
	maxVocab = 1 << 22
)

// massOf returns e^d as a mass, for d ≤ 0.
func massOf(d float64) uint64 {
	if !(d > massZero) {
		return 0
	}
	const round = 3 << 51 // adding it rounds to a whole number, in the low bits
	shifted := float64(d*perStep) + round
	k := int32(math.Float64bits(shifted))
	e := exp2Table[k&(expStep-1)] * expTail(d, shifted-round)
	scale := math.Float64frombits(uint64(1023+massBits+k>>6) << 52)
	return uint64(int64(e*scale + 0.5)) // by way of int64, which is one instruction
}
