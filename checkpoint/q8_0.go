package checkpoint

import "math"

// Q8_0: 32 elements in 34 bytes: scale d (float16), then 32 int8 q.
// Element = d·q.

func decodeQ8_0(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[34:] {
		d, q, y := half(src), src[2:34], dst[:32]
		for j := range y {
			y[j] = d * float32(int8(q[j]))
		}
	}
}

func encodeQ8_0(dst []byte, src []float32) {
	for ; len(src) >= 32; dst, src = dst[34:], src[32:] {
		x, q := src[:32], dst[2:34]
		d := abs(largest(x)) / 127
		id := inverse(d)
		putHalf(dst, d)
		for j, v := range x {
			q[j] = roundAway(v * id)
		}
	}
}

// roundAway rounds to the nearest integer, ties away from zero; what is too
// large or NaN gives 0, as in truncate. The sum is exact in float64, or so
// close to 0.5 that it does not matter.
func roundAway(x float32) uint8 {
	if abs(x) < 128 {
		return uint8(int32(float64(x) + math.Copysign(0.5, float64(x))))
	}
	return 0
}
