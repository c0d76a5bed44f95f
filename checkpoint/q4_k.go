package checkpoint

// Q4_K: 256 elements in 144 bytes: d and dmin (float16); 12 bytes of eight
// six-bit scales and minima, one for each run of 32 elements; 128 bytes, 32
// for each 64 elements, of which byte l holds elements l (low half) and l+32.
// Element = (d·scale)·q − dmin·min.

func decodeQ4_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[144:] {
		d, dmin := half(src), half(src[2:])
		for run := range 8 { // 32 elements each
			sc, m := scaleMin(src[4:16], run)
			scale, low := d*float32(sc), float32(dmin*float32(m))
			q := src[16+run/2*32:][:32]
			shift := run % 2 * 4
			y := dst[32*run:][:32]
			for l, b := range q {
				y[l] = float32(scale*float32(b>>shift&15)) - low
			}
		}
	}
}

func encodeQ4_K(dst []byte, src []float32) {
	var q [256]uint8
	for ; len(src) >= 256; dst, src = dst[144:], src[256:] {
		quantizeRuns(dst[:16], &q, (*[256]float32)(src), 15, -1, 20)
		for j := range 4 {
			for l := range 32 {
				dst[16+32*j+l] = q[64*j+l] | q[64*j+32+l]<<4
			}
		}
	}
}
