package checkpoint

import "encoding/binary"

// finite says that no element is NaN or infinite. Of blocks it looks at the
// scales, where alone such a value can stand.
func (d DType) finite(b []byte) bool {
	switch d {
	case F32:
		return finiteWords(b, 0x7f800000_7f800000, 0x00800000_00800000)
	case BF16:
		return finiteWords(b, 0x7f80_7f80_7f80_7f80, 0x0080_0080_0080_0080)
	case F16:
		return finiteWords(b, 0x7c00_7c00_7c00_7c00, 0x0400_0400_0400_0400)
	case F64:
		return finiteWords(b, 0x7ff0000000000000, 0x0010000000000000)
	}
	for _, at := range scaleOffsets[d] {
		for i := at; i < len(b); i += d.BlockBytes() {
			if binary.LittleEndian.Uint16(b[i:])&0x7c00 == 0x7c00 {
				return false
			}
		}
	}
	return true
}

// scaleOffsets gives where the float16 numbers of a block stand.
var scaleOffsets = map[DType][]int{
	Q8_0: {0}, Q4_0: {0}, Q4_1: {0, 2}, Q5_0: {0}, Q5_1: {0, 2}, IQ4_NL: {0},
	Q2_K: {80, 82}, Q3_K: {108}, Q4_K: {0, 2}, Q5_K: {0, 2}, Q6_K: {208},
}

// finiteWords looks at eight bytes at a time: an exponent of all ones plus one
// in its lowest place carries into the sign's.
func finiteWords(b []byte, exponents, ones uint64) bool {
	var carry uint64
	for ; len(b) >= 32; b = b[32:] {
		four := (*[32]byte)(b)
		carry |= binary.LittleEndian.Uint64(four[0:])&exponents + ones
		carry |= binary.LittleEndian.Uint64(four[8:])&exponents + ones
		carry |= binary.LittleEndian.Uint64(four[16:])&exponents + ones
		carry |= binary.LittleEndian.Uint64(four[24:])&exponents + ones
	}
	for ; len(b) >= 8; b = b[8:] {
		carry |= binary.LittleEndian.Uint64(b)&exponents + ones
	}
	var rest [8]byte
	copy(rest[:], b)
	carry |= binary.LittleEndian.Uint64(rest[:])&exponents + ones
	signs := exponents << 1 &^ exponents
	return carry&signs == 0
}
