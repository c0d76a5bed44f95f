package checkpoint

// Q4_0: 32 elements in 18 bytes: scale d (float16), then 16 bytes, of which
// byte j holds elements j (low half) and j+16. Element = d·(q − 8).
//
// Q4_1: 20 bytes: d, minimum m (float16), then the same. Element = d·q + m.

func decodeQ4_0(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[18:] {
		d, q, lo, hi := half(src), src[2:18], dst[:16], dst[16:32]
		for j, b := range q {
			lo[j] = d * float32(int(b&15)-8)
			hi[j] = d * float32(int(b>>4)-8)
		}
	}
}

func encodeQ4_0(dst []byte, src []float32) {
	for ; len(src) >= 32; dst, src = dst[18:], src[32:] {
		d := largest(src[:32]) / -8
		id := inverse(d)
		putHalf(dst, d)
		for j := range 16 {
			lo := float32(src[j]*id) + 8.5
			hi := float32(src[j+16]*id) + 8.5
			dst[2+j] = fourBits(lo) | fourBits(hi)<<4
		}
	}
}

func decodeQ4_1(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[20:] {
		d, m, q, lo, hi := half(src), half(src[2:]), src[4:20], dst[:16], dst[16:32]
		for j, b := range q {
			lo[j] = float32(d*float32(b&15)) + m
			hi[j] = float32(d*float32(b>>4)) + m
		}
	}
}

func encodeQ4_1(dst []byte, src []float32) {
	for ; len(src) >= 32; dst, src = dst[20:], src[32:] {
		m, top := bounds(src[:32])
		d := (top - m) / 15
		id := inverse(d)
		putHalf(dst, d)
		putHalf(dst[2:], m)
		for j := range 16 {
			lo := float32((src[j]-m)*id) + 0.5
			hi := float32((src[j+16]-m)*id) + 0.5
			dst[4+j] = fourBits(lo) | fourBits(hi)<<4
		}
	}
}

// fourBits truncates to an int8 and clamps at 15; the references give nothing
// below zero.
func fourBits(x float32) uint8 { return uint8(min(int8(truncate(x)), 15)) }
