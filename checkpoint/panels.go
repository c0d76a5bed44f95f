package checkpoint

import (
	"unsafe"

	"wenmo/kernel"
	"wenmo/tensor"
)

// quantTypes are the block types that have panels of their own.
var quantTypes = map[DType]kernel.QuantType{
	Q8_0: kernel.Q8_0, Q4_0: kernel.Q4_0, Q4_1: kernel.Q4_1, Q5_0: kernel.Q5_0, Q5_1: kernel.Q5_1,
	Q4_K: kernel.Q4_K, Q5_K: kernel.Q5_K, Q6_K: kernel.Q6_K,
}

// HasPanels says whether weights of type d, with rows of in elements, take
// part in products as they are: F32, BF16, and most block types.
func (d DType) HasPanels(in int) bool {
	_, quant := quantTypes[d]
	return d == F32 || d == BF16 || quant && in%d.BlockLen() == 0
}

// PanelBytes returns the size of the panels of a weight [out, in] of type d,
// for which HasPanels(in) holds.
func PanelBytes(d DType, out, in int) int {
	switch q, quant := quantTypes[d]; {
	case quant:
		quants, scales := kernel.QPanelSizes(q, out, in)
		return quants + scales
	case d == BF16:
		return kernel.PanelLenBF16(out, in) * int(unsafe.Sizeof(uint16(0)))
	}
	return kernel.PanelLenF32(out, in) * int(unsafe.Sizeof(float32(0)))
}

// Panels returns the weight whose panels lie in b, PanelBytes long. Those of a
// block type are its Quants and then its Scales. The weight shares b's memory,
// which need not be aligned.
func Panels(b []byte, name string, d DType, out, in int) tensor.Weight {
	w := tensor.Weight{Name: name, Out: out, In: in}
	switch q, quant := quantTypes[d]; {
	case quant:
		w.DType = tensor.Quant
		n, _ := kernel.QPanelSizes(q, out, in)
		w.Q = kernel.QPanels{Type: q, N: out, K: in, Quants: b[:n:n], Scales: b[n:]}
	case d == BF16:
		w.DType, w.BF16 = tensor.BF16, valuesOf[uint16](b)
	default:
		w.DType, w.F32 = tensor.F32, valuesOf[float32](b)
	}
	return w
}

// valuesOf sees bytes as numbers: all processors that wenmo runs on are little
// endian and read numbers at any address.
func valuesOf[T float32 | uint16](b []byte) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(zero)))
}
