package checkpoint

// Q3_K: 256 elements in 110 bytes: 32 bytes of third bits (bit r of byte l is
// that of element 32·r+l); 64 bytes of two bits as in Q2_K; 12 bytes of 16
// six-bit scales; d (float16). Element = d·(scale − 32)·(q − 4).

func decodeQ3_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[110:] {
		d := half(src[108:])
		for run := range 16 { // 16 elements each
			scale := d * float32(scaleQ3_K(src[96:108], run)-32)
			q := src[32+run/8*32+run%2*16:][:16]
			high := src[run%2*16:][:16]
			shift, bit := run/2%4*2, run/2
			y := dst[16*run:][:16]
			for l, b := range q {
				y[l] = scale * float32(int(b>>shift&3|high[l]>>bit&1<<2)-4)
			}
		}
	}
}

// scaleQ3_K returns scale i of 16: its low four bits lie in bytes 0 to 7, the
// first eight in the low halves; its high two in bytes 8 to 11, by column.
func scaleQ3_K(b []byte, i int) int {
	low := b[i%8] >> (i / 8 * 4) & 15
	high := b[8+i%4] >> (i / 4 * 2) & 3
	return int(low | high<<4)
}
