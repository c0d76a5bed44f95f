package checkpoint

import "fmt"

// DType is the element type of a stored tensor. The quantised types hold
// blocks of elements that share scales, in the layout of ggml.
type DType uint8

// The types that checkpoints hold. U8 to F64 and Bool are plain little-endian
// numbers; the others are blocks.
const (
	F32 DType = iota + 1
	F16
	BF16
	F64
	I8
	I16
	I32
	I64
	U8
	U16
	U32
	U64
	Bool
	Q8_0
	Q4_0
	Q4_1
	Q5_0
	Q5_1
	Q2_K
	Q3_K
	Q4_K
	Q5_K
	Q6_K
	IQ4_NL
)

// noGGUF marks a type that GGUF has no number for.
const noGGUF = -1

// dtypes gives, for each type, its name, the elements and bytes of a block,
// its number in GGUF (enum ggml_type), its name in safetensors, and the
// functions from and to float32 (encode is nil for types that are only read).
var dtypes = [...]struct {
	name        string
	length      int
	bytes       int
	gguf        int
	safetensors string
	decode      func(dst []float32, src []byte)
	encode      func(dst []byte, src []float32)
}{
	F32:    {"F32", 1, 4, 0, "F32", widenF32, narrowF32},
	F16:    {"F16", 1, 2, 1, "F16", widenF16, narrowF16},
	BF16:   {"BF16", 1, 2, 30, "BF16", widenBF16, narrowBF16},
	F64:    {"F64", 1, 8, 28, "F64", widenF64, nil},
	I8:     {"I8", 1, 1, 24, "I8", widenI8, nil},
	I16:    {"I16", 1, 2, 25, "I16", widenI16, nil},
	I32:    {"I32", 1, 4, 26, "I32", widenI32, nil},
	I64:    {"I64", 1, 8, 27, "I64", widenI64, nil},
	U8:     {"U8", 1, 1, noGGUF, "U8", widenU8, nil},
	U16:    {"U16", 1, 2, noGGUF, "U16", widenU16, nil},
	U32:    {"U32", 1, 4, noGGUF, "U32", widenU32, nil},
	U64:    {"U64", 1, 8, noGGUF, "U64", widenU64, nil},
	Bool:   {"Bool", 1, 1, noGGUF, "BOOL", widenU8, nil},
	Q8_0:   {"Q8_0", 32, 34, 8, "", decodeQ8_0, encodeQ8_0},
	Q4_0:   {"Q4_0", 32, 18, 2, "", decodeQ4_0, encodeQ4_0},
	Q4_1:   {"Q4_1", 32, 20, 3, "", decodeQ4_1, encodeQ4_1},
	Q5_0:   {"Q5_0", 32, 22, 6, "", decodeQ5_0, encodeQ5_0},
	Q5_1:   {"Q5_1", 32, 24, 7, "", decodeQ5_1, encodeQ5_1},
	Q2_K:   {"Q2_K", 256, 84, 10, "", decodeQ2_K, nil},
	Q3_K:   {"Q3_K", 256, 110, 11, "", decodeQ3_K, nil},
	Q4_K:   {"Q4_K", 256, 144, 12, "", decodeQ4_K, encodeQ4_K},
	Q5_K:   {"Q5_K", 256, 176, 13, "", decodeQ5_K, encodeQ5_K},
	Q6_K:   {"Q6_K", 256, 210, 14, "", decodeQ6_K, encodeQ6_K},
	IQ4_NL: {"IQ4_NL", 32, 18, 20, "", decodeIQ4_NL, nil},
}

// String returns the name that GGUF and safetensors use.
func (d DType) String() string {
	if int(d) < len(dtypes) && d != 0 {
		return dtypes[d].name
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// ParseDType returns the type of a name as String gives it.
func ParseDType(name string) (DType, error) {
	for d, info := range dtypes {
		if d != 0 && info.name == name {
			return DType(d), nil
		}
	}
	return 0, fmt.Errorf("unknown dtype %q", name)
}

// BlockLen returns the number of elements in a block, 1 for plain types.
func (d DType) BlockLen() int { return dtypes[d].length }

// BlockBytes returns the bytes of a block, for plain types of an element.
func (d DType) BlockBytes() int { return dtypes[d].bytes }

// Quantized says whether the type has blocks of more than one element.
func (d DType) Quantized() bool { return dtypes[d].length > 1 }

// RowBytes returns the bytes of a row of k elements; k must be a multiple of
// BlockLen.
func (d DType) RowBytes(k int) int { return k / dtypes[d].length * dtypes[d].bytes }

// safetensorsTypes maps the names of safetensors to types.
var safetensorsTypes = func() map[string]DType {
	types := map[string]DType{}
	for d, info := range dtypes {
		if info.safetensors != "" {
			types[info.safetensors] = DType(d)
		}
	}
	return types
}()

// ggufTypes maps the numbers of GGUF to types.
var ggufTypes = func() map[uint32]DType {
	types := map[uint32]DType{}
	for d, info := range dtypes {
		if d != 0 && info.gguf != noGGUF {
			types[uint32(info.gguf)] = DType(d)
		}
	}
	return types
}()
