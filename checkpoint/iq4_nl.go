package checkpoint

// IQ4_NL: 32 elements in 18 bytes, laid out as Q4_0, but q picks from a table.
// Element = d·table[q].

var iq4Table = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func decodeIQ4_NL(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[18:] {
		d, q, lo, hi := half(src), src[2:18], dst[:16], dst[16:32]
		for j, b := range q {
			lo[j] = d * iq4Table[b&15]
			hi[j] = d * iq4Table[b>>4]
		}
	}
}
