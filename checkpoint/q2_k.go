package checkpoint

// Q2_K: 256 elements in 84 bytes: 16 bytes of scales (low half) and minima,
// one for each run of 16 elements; 64 bytes, in each half of the super-block
// 32, of which byte l holds elements l, l+32, l+64 and l+96, two bits each;
// d and dmin (float16). Element = (d·scale)·q − dmin·min.

func decodeQ2_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[84:] {
		d, dmin := half(src[80:]), half(src[82:])
		for run := range 16 { // 16 elements each
			scale := d * float32(src[run]&15)
			low := float32(dmin * float32(src[run]>>4))
			q := src[16+run/8*32+run%2*16:][:16]
			shift := run / 2 % 4 * 2
			y := dst[16*run:][:16]
			for l, b := range q {
				y[l] = float32(scale*float32(b>>shift&3)) - low
			}
		}
	}
}
