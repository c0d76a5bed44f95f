package checkpoint

import "encoding/binary"

// Q5_0: 32 elements in 22 bytes: scale d (float16), the fifth bits (uint32, bit
// j of element j), then 16 bytes, of which byte j holds the low four bits of
// elements j (low half) and j+16. Element = d·(q − 16).
//
// Q5_1: 24 bytes: d, minimum m (float16), then the same. Element = d·q + m.

func decodeQ5_0(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[22:] {
		d, high, q, y := half(src), binary.LittleEndian.Uint32(src[2:]), src[6:22], dst[:32]
		for j, b := range q {
			y[j] = d * float32(int(uint32(b&15)|high>>j<<4&16)-16)
			y[j+16] = d * float32(int(uint32(b>>4)|high>>(j+12)&16)-16)
		}
	}
}

func encodeQ5_0(dst []byte, src []float32) {
	for ; len(src) >= 32; dst, src = dst[22:], src[32:] {
		d := largest(src[:32]) / -16
		id := inverse(d)
		putHalf(dst, d)
		var high uint32
		for j := range 16 {
			lo := uint8(min(int8(truncate(float32(src[j]*id)+16.5)), 31))
			hi := uint8(min(int8(truncate(float32(src[j+16]*id)+16.5)), 31))
			dst[6+j] = lo&15 | hi<<4
			high |= uint32(lo>>4&1)<<j | uint32(hi>>4&1)<<(j+16)
		}
		binary.LittleEndian.PutUint32(dst[2:], high)
	}
}

func decodeQ5_1(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[24:] {
		d, m, high, q, y := half(src), half(src[2:]), binary.LittleEndian.Uint32(src[4:]), src[8:24], dst[:32]
		for j, b := range q {
			y[j] = float32(d*float32(uint32(b&15)|high>>j<<4&16)) + m
			y[j+16] = float32(d*float32(uint32(b>>4)|high>>(j+12)&16)) + m
		}
	}
}

func encodeQ5_1(dst []byte, src []float32) {
	for ; len(src) >= 32; dst, src = dst[24:], src[32:] {
		m, top := bounds(src[:32])
		d := (top - m) / 31
		id := inverse(d)
		putHalf(dst, d)
		putHalf(dst[2:], m)
		var high uint32
		for j := range 16 {
			lo := truncate(float32((src[j]-m)*id) + 0.5)
			hi := truncate(float32((src[j+16]-m)*id) + 0.5)
			dst[8+j] = lo&15 | hi<<4
			high |= uint32(lo>>4&1)<<j | uint32(hi>>4&1)<<(j+16)
		}
		binary.LittleEndian.PutUint32(dst[4:], high)
	}
}
