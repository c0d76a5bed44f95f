package checkpoint

// Q5_K: 256 elements in 176 bytes: d, dmin, scales and minima as in Q4_K; 32
// bytes of fifth bits (bit r of byte l is that of element 32·r+l); 128 bytes
// of low halves as in Q4_K. Element = (d·scale)·q − dmin·min.

func decodeQ5_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[176:] {
		d, dmin := half(src), half(src[2:])
		high := src[16:48]
		for run := range 8 { // 32 elements each
			sc, m := scaleMin(src[4:16], run)
			scale, low := d*float32(sc), float32(dmin*float32(m))
			q := src[48+run/2*32:][:32]
			shift := run % 2 * 4
			y := dst[32*run:][:32]
			for l, b := range q {
				y[l] = float32(scale*float32(b>>shift&15|high[l]>>run&1<<4)) - low
			}
		}
	}
}

func encodeQ5_K(dst []byte, src []float32) {
	var q [256]uint8
	for ; len(src) >= 256; dst, src = dst[176:], src[256:] {
		quantizeRuns(dst[:16], &q, (*[256]float32)(src), 31, -0.5, 15)
		high := dst[16:48]
		clear(high)
		for run := range 8 {
			for l := range 32 {
				high[l] |= q[32*run+l] >> 4 << run
			}
		}
		for j := range 4 {
			for l := range 32 {
				dst[48+32*j+l] = q[64*j+l]&15 | q[64*j+32+l]<<4
			}
		}
	}
}
