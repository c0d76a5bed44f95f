package checkpoint

// Q6_K: 256 elements in 210 bytes, in two halves of 128: 128 bytes of low four
// bits (byte l of a half's 64 holds elements l and l+64, l < 64); 64 bytes of
// high two bits (byte l of a half's 32 holds those of l, l+32, l+64, l+96);
// 16 int8 scales, one for each run of 16 elements; d (float16).
// Element = (d·scale)·(q − 32).

func decodeQ6_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[210:] {
		d := half(src[208:])
		for run := range 16 { // 16 elements each
			scale := d * float32(int8(src[192+run]))
			part := run % 8 * 16 // within the half
			low := src[run/8*64+part%64:][:16]
			high := src[128+run/8*32+part%32:][:16]
			lowShift, highShift := part/64*4, part/32*2
			y := dst[16*run:][:16]
			for l := range y {
				y[l] = scale * float32(int(low[l]>>lowShift&15|high[l]>>highShift&3<<4)-32)
			}
		}
	}
}

func encodeQ6_K(dst []byte, src []float32) {
	var q [256]uint8
	for ; len(src) >= 256; dst, src = dst[210:], src[256:] {
		block, x := dst[:210], src[:256]
		var scales [16]float32
		for run := range scales {
			scales[run] = fitSymmetric((*[16]uint8)(q[16*run:]), (*[16]float32)(x[16*run:]))
		}
		top := largest(scales[:])
		if abs(top) < tiny {
			clear(block)
			continue
		}
		inv := -128 / top
		putHalf(block[208:], 1/inv)
		for run, s := range scales {
			block[192+run] = uint8(min(127, nearest(float32(inv*s))))
		}
		requantizeQ6_K(q[:], x, block)
		packQ6_K(block, q[:])
	}
}

// requantizeQ6_K chooses the numbers anew for the scales as they were stored.
func requantizeQ6_K(q []uint8, x []float32, block []byte) {
	for run := range 16 {
		d := half(block[208:]) * float32(int8(block[192+run]))
		if d == 0 {
			continue
		}
		for l := 16 * run; l < 16*run+16; l++ {
			q[l] = uint8(max(-32, min(31, nearest(x[l]/d))) + 32)
		}
	}
}

func packQ6_K(block []byte, q []uint8) {
	for h := range 2 { // halves of 128
		q, low, high := q[128*h:][:128], block[64*h:][:64], block[128+32*h:][:32]
		for l := range low {
			low[l] = q[l]&15 | q[l+64]<<4
		}
		for l := range high {
			high[l] = q[l]>>4 | q[l+32]>>4<<2 | q[l+64]>>4<<4 | q[l+96]>>4<<6
		}
	}
}

// fitSymmetric finds the scale s so that s·(q − 32) with q in 0 to 63 is close
// to x, in squares weighted by x² (make_qx_quants): it tries the scale that
// takes the largest element to −32 and eighteen around it. q gets the numbers.
func fitSymmetric(q *[16]uint8, x *[16]float32) float32 {
	top := largest(x[:])
	if abs(top) < tiny {
		clear(q[:])
		return 0
	}
	inv := -32 / top
	setSymmetric(q, x, inv)
	sumLX, sumL2 := sumsSymmetric(x, inv)
	var scale float32
	if sumL2 != 0 {
		scale = sumLX / sumL2
	}
	best := float32(scale * sumLX)
	for step := -9; step <= 9; step++ {
		if step == 0 {
			continue
		}
		inv := -(32 + float32(0.1*float32(step))) / top
		sumLX, sumL2 := sumsSymmetric(x, inv)
		if sumL2 > 0 && float32(sumLX*sumLX) > float32(best*sumL2) {
			setSymmetric(q, x, inv)
			scale = sumLX / sumL2
			best = float32(scale * sumLX)
		}
	}
	return scale
}

// setSymmetric sets q to 32 + x·inv, rounded and clamped.
func setSymmetric(q *[16]uint8, x *[16]float32, inv float32) {
	for i, v := range x {
		q[i] = uint8(32 + max(-32, min(31, nearest(float32(inv*v)))))
	}
}

// sumsSymmetric returns Σw·l·x and Σw·l² for w = x² and the l that setSymmetric
// would set.
func sumsSymmetric(x *[16]float32, inv float32) (sumLX, sumL2 float32) {
	for _, v := range x {
		l := float32(max(-32, min(31, nearest(float32(inv*v)))))
		w := float32(v * v)
		sumLX += float32(float32(w*v) * l)
		sumL2 += float32(float32(w*l) * l)
	}
	return sumLX, sumL2
}
