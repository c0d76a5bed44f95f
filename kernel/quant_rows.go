package kernel

import "math"

// QRows holds M rows of K activations as signed bytes, in blocks of 32 with a
// scale each; K counts as padded to a multiple of 32 with zeros.
type QRows struct {
	M, K   int
	Q      []int8     // [M][kpad]
	Scale  []float32  // [M][kpad/32]
	Sum    []int32    // [M][kpad/32]: the sum of the 32 numbers of a block
	Halves [][2]int16 // [M][kpad/32]: the sums of its first and its last sixteen
}

// QRowSizes returns the lengths of Q, and of Scale, Sum and Halves, for m rows
// of k.
func QRowSizes(m, k int) (q, blocks int) {
	b := (k + qBlock - 1) / qBlock
	return m * b * qBlock, m * b
}

// MakeQRows allocates rows for m times k activations.
func MakeQRows(m, k int) QRows {
	q, blocks := QRowSizes(m, k)
	return QRows{
		M: m, K: k, Q: make([]int8, q),
		Scale: make([]float32, blocks), Sum: make([]int32, blocks), Halves: make([][2]int16, blocks),
	}
}

// QuantizeRows writes rows r0…r0+m of dst from m rows of x, which are dst.K
// long with row stride ldx. Per block of 32: scale = amax/127,
// q = roundToEven(x·(1/scale)) clamped to ±127; a scale of 0 gives 0. A NaN
// among the 32 makes the scale NaN, and so every product with them.
func QuantizeRows(dst *QRows, r0 int, x []float32, ldx, m int) {
	blocks := (dst.K + qBlock - 1) / qBlock
	for r := range m {
		row, first := x[r*ldx:][:dst.K], (r0+r)*blocks
		for b := quantizeWhole(dst, first, row); b < blocks; b++ {
			quantizeBlock(dst, first+b, row[b*qBlock:min(dst.K, (b+1)*qBlock)])
		}
	}
}

// quantizeBlock writes block number at of dst.
func quantizeBlock(dst *QRows, at int, x []float32) {
	var amax uint32 // as bits, where a NaN is above everything
	for _, v := range x {
		amax = max(amax, math.Float32bits(v)&0x7fffffff)
	}
	scale := math.Float32frombits(amax) / 127
	inv := float32(0)
	if scale != 0 {
		inv = 1 / scale
	}
	q := dst.Q[at*qBlock:][:qBlock]
	clear(q)
	var halves [2]int16
	for i, v := range x {
		q[i] = quantized(float32(v * inv))
		halves[i/(qBlock/2)] += int16(q[i])
	}
	dst.Scale[at], dst.Halves[at] = scale, halves
	dst.Sum[at] = int32(halves[0]) + int32(halves[1])
}

// quantized rounds to even within ±127. What is not a number becomes 0 (it
// comes of a NaN in the block, or of 0 times an overflowed 1/scale).
func quantized(v float32) int8 {
	switch {
	case v != v:
		return 0
	case v > 127:
		return 127
	case v < -127:
		return -127
	}
	const shift = 3 << 22 // adding it rounds to a whole number
	return int8(float32(v+shift) - shift)
}
