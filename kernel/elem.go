package kernel

import "math"

// Every function of this file takes slices of one length, that of dst (or of
// its first argument); dst may be an argument itself.

// Add sets dst = a + b.
func Add(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := opAdd.run(dst, a, b, 0, 0); i < len(dst); i++ {
		dst[i] = a[i] + b[i]
	}
}

// Mul sets dst = a·b, element by element.
func Mul(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := opMul.run(dst, a, b, 0, 0); i < len(dst); i++ {
		dst[i] = a[i] * b[i]
	}
}

// Scale sets dst = s·a.
func Scale(dst, a []float32, s float32) {
	a = a[:len(dst)]
	for i := opScale.run(dst, a, nil, s, 0); i < len(dst); i++ {
		dst[i] = a[i] * s
	}
}

// AXPY sets dst = fma(s, x, dst).
func AXPY(dst []float32, s float32, x []float32) {
	x = x[:len(dst)]
	for i := opAXPY.run(dst, x, nil, s, 0); i < len(dst); i++ {
		dst[i] = fma32(s, x[i], dst[i])
	}
}

// MulAdd sets dst = fma(a, b, dst), element by element.
func MulAdd(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := opMulAdd.run(dst, a, b, 0, 0); i < len(dst); i++ {
		dst[i] = fma32(a[i], b[i], dst[i])
	}
}

// lanes is the number of partial results of a reduction: element i belongs to
// lane i mod 16.
const lanes = 16

// fold adds the lanes i and i+8, then i+4, i+2 and i+1.
func fold(l *[lanes]float32) float32 {
	for h := lanes / 2; h > 0; h /= 2 {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}

// Sum returns the sum of x in sixteen lanes.
func Sum(x []float32) float32 {
	var l [lanes]float32
	i, r := opSum.reduce(&l, x, x, nil, 0, 0)
	if i == len(x) && i > 0 {
		return r
	}
	for ; i < len(x); i++ {
		l[i%lanes] += x[i]
	}
	return fold(&l)
}

// SumSquares returns the sum of x² in sixteen lanes of fused steps.
func SumSquares(x []float32) float32 {
	var l [lanes]float32
	i, r := opSumSquares.reduce(&l, x, x, nil, 0, 0)
	if i == len(x) && i > 0 {
		return r
	}
	for ; i < len(x); i++ {
		l[i%lanes] = fma32(x[i], x[i], l[i%lanes])
	}
	return fold(&l)
}

// sumSquaresAround returns the sum of (x − mean)² in sixteen lanes of fused
// steps.
func sumSquaresAround(x []float32, mean float32) float32 {
	var l [lanes]float32
	i, r := opSumSquaresAround.reduce(&l, x, x, nil, mean, 0)
	if i == len(x) && i > 0 {
		return r
	}
	for ; i < len(x); i++ {
		d := x[i] - mean
		l[i%lanes] = fma32(d, d, l[i%lanes])
	}
	return fold(&l)
}

// Dot returns the sum of a·b in sixteen lanes of fused steps; the last step is
// filled up with zeros, which are added like any element.
func Dot(a, b []float32) float32 {
	b = b[:len(a)]
	var l [lanes]float32
	i, r := opDot.reduce(&l, a, a, b, 0, 0)
	if i == len(a) && i > 0 {
		return r
	}
	for ; i < len(a); i++ {
		l[i%lanes] = fma32(a[i], b[i], l[i%lanes])
	}
	for ; i%lanes != 0; i++ {
		l[i%lanes] += 0
	}
	return fold(&l)
}

// Max returns the maximum in sixteen lanes of `if v > m { m = v }`, which
// begin at −Inf: a NaN never wins, and of −0 and +0 the first of a lane stays.
func Max(x []float32) float32 {
	var l [lanes]float32
	for i := range l {
		l[i] = -inf32
	}
	i, r := opMax.reduce(&l, x, x, nil, 0, 0)
	if i == len(x) && i > 0 {
		return r
	}
	for ; i < len(x); i++ {
		if x[i] > l[i%lanes] {
			l[i%lanes] = x[i]
		}
	}
	return foldMax(&l)
}

// foldMax takes the maximum as fold takes the sum.
func foldMax(l *[lanes]float32) float32 {
	for h := lanes / 2; h > 0; h /= 2 {
		for i := range h {
			if l[i+h] > l[i] {
				l[i] = l[i+h]
			}
		}
	}
	return l[0]
}

// Exp sets dst = exp(x).
func Exp(dst, x []float32) {
	x = x[:len(dst)]
	for i := opExp.run(dst, x, nil, 0, 0); i < len(dst); i++ {
		dst[i] = Exp32(x[i])
	}
}

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }
