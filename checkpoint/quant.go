package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The block formats are those of ggml, whose reference quantisers the
// functions named quantize… follow operation by operation, so that the blocks
// are the same to the byte (ggml-quants.c, quantize_row_*_ref; no importance
// matrix). Every product is converted to float32 explicitly where a sum
// follows: Go would otherwise fuse the two on some machines.

// Quantize writes src, whole blocks of it, as blocks of d, or as plain numbers
// where d is F32, F16 or BF16. dst takes d.RowBytes(len(src)) bytes.
func Quantize(d DType, dst []byte, src []float32) error {
	f := dtypes[d].encode
	if f == nil {
		return fmt.Errorf("writing %s is not supported", d)
	}
	if len(src)%d.BlockLen() != 0 {
		return fmt.Errorf("%d elements are not whole blocks of %s, which have %d", len(src), d, d.BlockLen())
	}
	if len(dst) != d.RowBytes(len(src)) {
		return fmt.Errorf("%d elements of %s take %d bytes, not %d", len(src), d, d.RowBytes(len(src)), len(dst))
	}
	f(dst, src)
	return nil
}

// Dequantize widens the blocks or plain numbers src to dst, whole blocks of it.
func Dequantize(d DType, dst []float32, src []byte) error {
	if len(dst)%d.BlockLen() != 0 {
		return fmt.Errorf("%d elements are not whole blocks of %s, which have %d", len(dst), d, d.BlockLen())
	}
	if len(src) != d.RowBytes(len(dst)) {
		return fmt.Errorf("%d elements of %s take %d bytes, not %d", len(dst), d, d.RowBytes(len(dst)), len(src))
	}
	dtypes[d].decode(dst, src)
	return nil
}

func half(b []byte) float32 { return halfToFloat(binary.LittleEndian.Uint16(b)) }

func putHalf(b []byte, x float32) { binary.LittleEndian.PutUint16(b, floatToHalf(x)) }

// truncate converts to a byte as C does on x86, where the references were
// made: towards zero to int32, of which the low byte remains; what int32
// cannot hold gives 0.
func truncate(x float32) uint8 {
	if x > -0x1p31 && x < 0x1p31 {
		return uint8(int32(x))
	}
	return 0
}

// nearest rounds to the nearest integer, ties to even, by the addition of
// 1.5 × 2²³, of which it keeps 23 bits: right up to 2²² in magnitude.
func nearest(x float32) int32 {
	return int32(math.Float32bits(x+0x1.8p23)&0x7fffff) - 0x400000
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// inverse returns 1/x, or 0 for 0.
func inverse(x float32) float32 {
	if x == 0 {
		return 0
	}
	return 1 / x
}

// largest returns the element of the largest magnitude, the first of equals.
func largest(x []float32) float32 {
	var size, value float32
	for _, v := range x {
		if a := abs(v); a > size {
			size, value = a, v
		}
	}
	return value
}

// bounds returns the smallest and the largest element.
func bounds(x []float32) (lo, hi float32) {
	lo, hi = math.MaxFloat32, -math.MaxFloat32
	for _, v := range x {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
	}
	return lo, hi
}
