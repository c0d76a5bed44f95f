package checkpoint

import "math"

// halfToFloat widens a float16.
func halfToFloat(h uint16) float32 {
	const (
		exponents = 0x7c00
		magic     = 0x1p112 // moves the exponent bias from 15 to 127; exact, subnormals too
	)
	sign := uint32(h&0x8000) << 16
	if h&exponents == exponents { // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | uint32(h&0x3ff)<<13)
	}
	magnitude := math.Float32frombits(uint32(h&0x7fff)<<13) * magic
	return math.Float32frombits(sign | math.Float32bits(magnitude))
}

// floatToHalf rounds to the nearest float16, ties to even; magnitudes from
// 65520 become infinity.
func floatToHalf(x float32) uint16 {
	bits := math.Float32bits(x)
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000: // NaN
		return sign | 0x7e00
	case bits >= 0x47800000: // 65536 and above
		return sign | 0x7c00
	case bits < 0x38800000: // below the smallest normal float16: fixed point
		// Adding 0.5 leaves the value in units of 2⁻²⁴ in the low bits, rounded
		// as the processor rounds, to even.
		return sign | uint16(math.Float32bits(math.Float32frombits(bits)+0.5))
	}
	// Round the 13 bits that go; a carry runs into the exponent as it should,
	// up to infinity.
	bits += 0xfff + bits>>13&1
	return sign | uint16((bits-0x38000000)>>13)
}

// floatToBrain rounds to the nearest bfloat16, ties to even; NaN stays NaN.
func floatToBrain(x float32) uint16 {
	bits := math.Float32bits(x)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
