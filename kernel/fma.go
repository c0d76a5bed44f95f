package kernel

import "math"

// fma32 returns a·b + c, rounded once to float32. The product is exact in
// float64; a sum that was rounded and then lies half-way between two float32
// is rounded to odd instead, so that the second rounding goes the right way.
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	if math.Float64bits(s)<<36 == 0 {
		s = toOdd(s, p, float64(c))
	}
	return float32(s)
}

// toOdd turns s, the rounded sum of p and c whose last bit is zero, into the
// sum rounded to odd: where s is not exact it is moved by one last place
// towards the exact sum (2Sum gives the difference).
func toOdd(s, p, c float64) float64 {
	t := s - p
	e := (p - (s - t)) + (c - t)
	switch {
	case e > 0 && s > 0, e < 0 && s < 0:
		return math.Float64frombits(math.Float64bits(s) + 1)
	case e > 0, e < 0:
		return math.Float64frombits(math.Float64bits(s) - 1)
	}
	return s // exact, or not a number
}

const (
	minNormal = 0x1p-126
	// An exact sum below this counts as tiny: it would not round up to
	// minNormal with float32's 24 bits.
	tinyBelow = 0x1p-126 - 0x1p-151
)

// bf16Step returns w·x + acc as VDPBF16PS does: subnormal inputs and a
// subnormal accumulator count as zero, the sum is rounded once, and a tiny sum
// becomes zero with its sign.
func bf16Step(w, x uint16, acc float32) float32 {
	p := float64(flushed(fromBF16(w))) * float64(flushed(fromBF16(x)))
	c := float64(flushed(acc))
	s := p + c
	if math.Float64bits(s)<<36 == 0 {
		s = toOdd(s, p, c)
	}
	if s > -tinyBelow && s < tinyBelow {
		return float32(math.Copysign(0, s))
	}
	return float32(s)
}

// flushed returns x, or a zero of its sign where x is subnormal.
func flushed(x float32) float32 {
	if b := math.Float32bits(x); b&0x7f800000 == 0 {
		return math.Float32frombits(b & 0x80000000)
	}
	return x
}

func fromBF16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// toBF16 rounds to nearest even. A NaN stays one and becomes quiet.
func toBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
