package kernel

// Softmax sets dst = exp(x − max x)/Σ for one row. dst may be x. A row without
// a finite element gives NaN.
func Softmax(dst, x []float32) {
	dst = dst[:len(x)]
	Scale(dst, dst, 1/expSum(dst, x, Max(x)))
}

// expSum sets dst = exp(x − m) and returns the sum in sixteen lanes.
func expSum(dst, x []float32, m float32) float32 {
	var l [lanes]float32
	dst = dst[:len(x)]
	i, r := opExpSum.reduce(&l, dst, x, nil, m, 0)
	if i == len(x) && i > 0 {
		return r
	}
	for ; i < len(x); i++ {
		e := Exp32(x[i] - m)
		dst[i] = e
		l[i%lanes] += e
	}
	return fold(&l)
}

// SoftmaxBackward sets dx = y·(dy − Σ dy·y) for one row, where y is Softmax's
// result. dx may be dy.
func SoftmaxBackward(dx, dy, y []float32) {
	dx, dy = dx[:len(y)], dy[:len(y)]
	c := Dot(dy, y)
	for i, v := range y {
		dx[i] = v * (dy[i] - c)
	}
}

// LogSoftmax sets dst = x − max x − log Σ exp(x − max x) for one row. dst must
// not be x.
func LogSoftmax(dst, x []float32) {
	dst = dst[:len(x)]
	m := Max(x)
	l := Log32(expSum(dst, x, m))
	for i, v := range x {
		dst[i] = (v - m) - l
	}
}

// LogSoftmaxBackward sets dx = dy − exp(y)·Σ dy for one row, where y is
// LogSoftmax's result. dx may be dy.
func LogSoftmaxBackward(dx, dy, y []float32) {
	dx, dy = dx[:len(y)], dy[:len(y)]
	c := Sum(dy)
	for i, v := range y {
		dx[i] = dy[i] - float32(Exp32(v)*c)
	}
}

// TileSoftmax sets s = exp(s − max s), the weights of one row over one tile of
// keys, and returns the maximum and the sum of the weights. Masked scores are
// −Inf; where all are, the weights are 0, m is −Inf and l is 0. A tile is
// treated on its own, without the tiles before it, so that tiles may be
// computed anywhere and folded in order (FoldTile): DESIGN, "pages".
func TileSoftmax(s []float32) (m, l float32) {
	if m, l, ok := runTileSoftmax(s); ok {
		return m, l
	}
	m = Max(s)
	if m == -inf32 {
		return m, expSum(s, s, 0) // exp(−Inf) = 0; a NaN shows in l
	}
	return m, expSum(s, s, m)
}

// FoldTile adds a tile's weighted sum of values, worth b, to that of the tiles
// before, worth a: acc = fma(acc, a, tile·b). With the running maximum m and
// the tile's mt, a = exp(m − max(m, mt)) and b = exp(mt − max(m, mt)). (Milakov
// & Gimelshein 2018; Dao et al. 2022.)
func FoldTile(acc []float32, a float32, tile []float32, b float32) {
	tile = tile[:len(acc)]
	for i := opFoldTile.run(acc, tile, nil, a, b); i < len(acc); i++ {
		acc[i] = fma32(acc[i], a, float32(tile[i]*b))
	}
}
