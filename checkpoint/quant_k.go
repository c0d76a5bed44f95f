package checkpoint

import "math"

// This file holds what the K types share: how they choose scales.

// tiny is the magnitude below which a run counts as zeros (GROUP_MAX_EPS).
const tiny = 1e-15

// scaleMin returns the scale and minimum of run j of eight, six bits each, of
// the 12 bytes of Q4_K and Q5_K: the first four lie in the low six bits of
// bytes j and j+4; the others have their low halves in byte j+4 and their high
// two bits above the first four.
func scaleMin(b []byte, j int) (scale, m uint8) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}

func putScaleMin(b []byte, j int, scale, m uint8) {
	if j < 4 {
		b[j], b[j+4] = scale, m
		return
	}
	b[j+4] = scale&15 | m<<4
	b[j-4] |= scale >> 4 << 6
	b[j] |= m >> 4 << 6
}

// run is 32 elements, which share a scale and a minimum.
type run = [32]float32

// quantizeRuns quantizes 256 elements as Q4_K and Q5_K do, to numbers 0 to top
// in eight runs of 32. head takes the first 16 bytes of the block; rmin and
// steps are the search of fitWithMin.
func quantizeRuns(head []byte, q *[256]uint8, x *[256]float32, top int32, rmin float32, steps int) {
	var scales, mins [8]float32
	var weights run
	var maxScale, maxMin float32
	for j := range scales {
		part := (*run)(x[32*j:])
		var sum float32
		for _, v := range part {
			sum += float32(v * v)
		}
		average := float32(math.Sqrt(float64(sum / 32)))
		for l, v := range part {
			weights[l] = average + abs(v)
		}
		scales[j], mins[j] = fitWithMin((*[32]uint8)(q[32*j:]), part, &weights, top, rmin, steps)
		if scales[j] > maxScale {
			maxScale = scales[j]
		}
		if mins[j] > maxMin {
			maxMin = mins[j]
		}
	}
	var invScale, invMin float32
	if maxScale > 0 {
		invScale = 63 / maxScale
	}
	if maxMin > 0 {
		invMin = 63 / maxMin
	}
	for j := range scales {
		scale := min(uint8(nearest(float32(invScale*scales[j]))), 63)
		m := min(uint8(nearest(float32(invMin*mins[j]))), 63)
		putScaleMin(head[4:16], j, scale, m)
	}
	putHalf(head, maxScale/63)
	putHalf(head[2:], maxMin/63)
	requantize(head, q, x, top)
}

// requantize chooses the numbers anew for the scales as they were stored.
func requantize(head []byte, q *[256]uint8, x *[256]float32, top int32) {
	for j := range 8 {
		scale, m := scaleMin(head[4:16], j)
		d := half(head) * float32(scale)
		if d == 0 {
			continue
		}
		dm := float32(half(head[2:]) * float32(m))
		for l := 32 * j; l < 32*j+32; l++ {
			q[l] = uint8(max(0, min(top, nearest((x[l]+dm)/d))))
		}
	}
}

// fitWithMin finds scale s and minimum m ≥ 0 so that s·q − m with q in 0 to top
// is close to x, in squares weighted by w (make_qkx2_quants): it starts from
// the range of x, tries steps+1 scales around it, each followed by the best
// straight line, and keeps the best. q gets the numbers.
func fitWithMin(q *[32]uint8, x, w *run, top int32, rmin float32, steps int) (scale, m float32) {
	lo, hi := bounds(x[:])
	sumW := w[0]
	sumX := float32(sumW * x[0])
	for i := 1; i < len(x); i++ {
		sumW += w[i]
		sumX += float32(w[i] * x[i])
	}
	if lo > 0 {
		lo = 0
	}
	if hi == lo {
		clear(q[:])
		return 0, -lo
	}
	inv := float32(top) / (hi - lo)
	scale = 1 / inv
	var kept, trial run
	numbers(&kept, x, w, inv, lo, top)
	best := lineError(&kept, x, w, scale, lo)
	for step := range steps + 1 {
		inv = (rmin + float32(0.1*float32(step)) + float32(top)) / (hi - lo) // lo may have moved
		line := numbers(&trial, x, w, inv, lo, top)
		s, lowest, ok := line.fit(sumW, sumX)
		if !ok {
			continue
		}
		if e := lineError(&trial, x, w, s, lowest); e < best {
			kept, best, scale, lo = trial, e, s, lowest
		}
	}
	for i, l := range kept {
		q[i] = uint8(l)
	}
	return scale, -lo
}

// sums are those that a line of least squares is made from: Σw·l, Σw·l², Σw·l·x.
type sums struct{ l, l2, xl float32 }

// numbers sets q to (x − lo)·inv, rounded and clamped to 0 to top.
func numbers(q, x, w *run, inv, lo float32, top int32) sums {
	var s sums
	for i, v := range x {
		l := clamped(float32(inv*(v-lo)), top)
		q[i] = l
		wl := float32(w[i] * l)
		s.l += wl
		s.l2 += float32(wl * l)
		s.xl += float32(wl * v)
	}
	return s
}

// clamped is max(0, min(top, nearest(x))), done within the bits of the float.
func clamped(x float32, top int32) float32 {
	const zero = 0x4b400000 // 1.5 × 2²³
	bits := int32(math.Float32bits(x+0x1.8p23)&0x7fffff | 0x4b000000)
	return math.Float32frombits(uint32(max(zero, min(zero+top, bits)))) - 0x1.8p23
}

// fit returns the weighted least squares of scale·q + lo = x with lo ≤ 0, given
// Σw and Σw·x; it is not ok where all q are equal.
func (s sums) fit(sumW, sumX float32) (scale, lo float32, ok bool) {
	det := float32(sumW*s.l2) - float32(s.l*s.l)
	if !(det > 0) {
		return 0, 0, false
	}
	scale = (float32(sumW*s.xl) - float32(sumX*s.l)) / det
	lo = (float32(s.l2*sumX) - float32(s.l*s.xl)) / det
	if lo > 0 {
		return s.xl / s.l2, 0, true
	}
	return scale, lo, true
}

// lineError returns Σ w·(scale·q + lo − x)².
func lineError(q, x, w *run, scale, lo float32) float32 {
	var sum float32
	for i, v := range x {
		diff := float32(scale*q[i]) + lo - v
		sum += float32(w[i] * float32(diff*diff))
	}
	return sum
}
