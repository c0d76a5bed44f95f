package kernel

// RMSNorm normalizes one row: dst = x·inv·(offset + w) with
// inv = 1/√(mean(x²) + eps), which it returns for RMSNormBackward. offset is 1
// for models that store w − 1 (Gemma), else 0. A nil w counts as ones, and
// offset is then ignored. dst may be x. (Zhang & Sennrich 2019, eq. 4.)
func RMSNorm(dst, x, w []float32, eps, offset float32) (inv float32) {
	dst = dst[:len(x)]
	inv = 1 / sqrt32(SumSquares(x)/float32(len(x))+eps)
	if w == nil {
		Scale(dst, x, inv)
		return inv
	}
	w = w[:len(x)]
	for i := opRMSScale.run(dst, x, w, inv, offset); i < len(x); i++ {
		dst[i] = float32(x[i]*inv) * (offset + w[i])
	}
	return inv
}

// RMSNormBackward takes dy, the gradient of RMSNorm's result, back through one
// row. With g = offset + w and n = x·inv it sets
// dx = inv·(dy·g − n·mean(dy·g·n)) and continues the chain dw = fma(dy, n, dw).
// w may be nil, as in RMSNorm; dw may be nil. dx may be dy.
func RMSNormBackward(dx, dw, dy, x, w []float32, inv, offset float32) {
	dx, dy = dx[:len(x)], dy[:len(x)]
	normBackward(dx, dw, nil, dy, x, w, 0, inv, offset, false)
}

// normBackward is LayerNormBackward or, with mean 0 and centered false,
// RMSNormBackward.
func normBackward(dx, dw, db, dy, x, w []float32, mean, inv, offset float32, centered bool) {
	var l [2][lanes]float32
	i := 0
	if w != nil {
		w = w[:len(x)]
		i = runNormSums(&l, dy, x, w, mean, inv, offset)
	}
	for ; i < len(x); i++ {
		g := scaledBy(dy[i], w, i, offset)
		l[0][i%lanes] += g
		l[1][i%lanes] = fma32(g, float32((x[i]-mean)*inv), l[1][i%lanes])
	}
	c0, c1 := float32(0), fold(&l[1])/float32(len(x))
	if centered {
		c0 = fold(&l[0]) / float32(len(x))
	}
	if w != nil && dw == nil && db == nil {
		i = runNormBackward(dx, dy, x, w, mean, inv, offset, c0, c1)
	} else {
		i = 0
	}
	for ; i < len(x); i++ {
		n := float32((x[i] - mean) * inv)
		g := scaledBy(dy[i], w, i, offset)
		if dw != nil {
			dw[i] = fma32(dy[i], n, dw[i])
		}
		if db != nil {
			db[i] += dy[i]
		}
		dx[i] = inv * ((g - c0) - float32(n*c1))
	}
}

// scaledBy returns dy·(offset + w[i]), or dy without weights.
func scaledBy(dy float32, w []float32, i int, offset float32) float32 {
	if w == nil {
		return dy
	}
	return float32(dy * (offset + w[i]))
}

// LayerNorm normalizes one row: dst = (x − mean)·inv·w + b with
// inv = 1/√(variance + eps), and returns mean and inv for LayerNormBackward.
// The variance is the mean square around the mean. w and b may be nil. dst may
// be x. (Ba et al. 2016.)
func LayerNorm(dst, x, w, b []float32, eps float32) (mean, inv float32) {
	dst = dst[:len(x)]
	mean = Sum(x) / float32(len(x))
	inv = 1 / sqrt32(sumSquaresAround(x, mean)/float32(len(x))+eps)
	Center(dst, x, mean, inv)
	if w != nil {
		Mul(dst, dst, w)
	}
	if b != nil {
		Add(dst, dst, b)
	}
	return mean, inv
}

// Center sets dst = (x − mean)·inv. dst may be x.
func Center(dst, x []float32, mean, inv float32) {
	x = x[:len(dst)]
	for i := opCenter.run(dst, x, nil, mean, inv); i < len(dst); i++ {
		dst[i] = (x[i] - mean) * inv
	}
}

// LayerNormBackward takes dy, the gradient of LayerNorm's result, back through
// one row. With n = (x − mean)·inv and g = dy·w it sets
// dx = inv·(g − mean(g) − n·mean(g·n)) and continues the chains
// dw = fma(dy, n, dw), db = db + dy. w, dw and db may be nil. dx may be dy.
func LayerNormBackward(dx, dw, db, dy, x, w []float32, mean, inv float32) {
	dx, dy = dx[:len(x)], dy[:len(x)]
	normBackward(dx, dw, db, dy, x, w, mean, inv, 0, true)
}
