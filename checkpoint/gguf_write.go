package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"wenmo/internal/atomicfile"
)

// WriteGGUF writes a GGUF file of version 3: all of it or, if anything fails,
// nothing. The metadata stands in the order given; see KV for its types. The
// data of every tensor begins at a multiple of general.alignment, or 32 bytes.
func WriteGGUF(path string, pairs []KV, tensors []Out) error {
	header, alignment, err := ggufHeader(pairs, tensors)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		if _, err := w.Write(header); err != nil {
			return err
		}
		for _, t := range tensors {
			if err := t.writeTo(w); err != nil {
				return err
			}
			size, err := t.bytes()
			if err != nil {
				return err
			}
			if _, err := w.Write(make([]byte, align(size, alignment)-size)); err != nil {
				return err
			}
		}
		return nil
	})
}

func align(n, alignment int) int { return (n + alignment - 1) / alignment * alignment }

// ggufHeader returns everything before the data, padding included, and the
// alignment of the data.
func ggufHeader(pairs []KV, tensors []Out) (header []byte, alignment int, err error) {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte(ggufMagic), ggufVersion)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(pairs)))
	if alignment, err = alignmentOf(pairs); err != nil {
		return nil, 0, err
	}
	seen := map[string]bool{}
	for _, kv := range pairs {
		if seen[kv.Key] {
			return nil, 0, fmt.Errorf("metadata %q stands twice", kv.Key)
		}
		seen[kv.Key] = true
		if b, err = appendValue(appendString(b, kv.Key), kv.Value); err != nil {
			return nil, 0, fmt.Errorf("metadata %q: %w", kv.Key, err)
		}
	}
	clear(seen)
	offset := 0
	for _, t := range tensors {
		size, err := t.bytes()
		if err != nil {
			return nil, 0, err
		}
		number := dtypes[t.DType].gguf
		if number == noGGUF || len(t.Shape) > ggufMaxDims || seen[t.Name] {
			return nil, 0, fmt.Errorf("tensor %q of %v, shape %v, cannot be written to GGUF or stands twice", t.Name, t.DType, t.Shape)
		}
		seen[t.Name] = true
		b = le.AppendUint32(appendString(b, t.Name), uint32(len(t.Shape)))
		for d := len(t.Shape) - 1; d >= 0; d-- {
			b = le.AppendUint64(b, uint64(t.Shape[d]))
		}
		b = le.AppendUint32(b, uint32(number))
		b = le.AppendUint64(b, uint64(offset))
		offset += align(size, alignment)
	}
	return append(b, make([]byte, align(len(b), alignment)-len(b))...), alignment, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue appends the type and the value.
func appendValue(b []byte, value any) ([]byte, error) {
	le := binary.LittleEndian
	switch x := value.(type) {
	case uint8:
		return append(kindOf(b, ggufUint8), x), nil
	case int8:
		return append(kindOf(b, ggufInt8), byte(x)), nil
	case uint16:
		return le.AppendUint16(kindOf(b, ggufUint16), x), nil
	case int16:
		return le.AppendUint16(kindOf(b, ggufInt16), uint16(x)), nil
	case uint32:
		return le.AppendUint32(kindOf(b, ggufUint32), x), nil
	case int32:
		return le.AppendUint32(kindOf(b, ggufInt32), uint32(x)), nil
	case uint64:
		return le.AppendUint64(kindOf(b, ggufUint64), x), nil
	case int64:
		return le.AppendUint64(kindOf(b, ggufInt64), uint64(x)), nil
	case float32:
		return le.AppendUint32(kindOf(b, ggufFloat32), math.Float32bits(x)), nil
	case float64:
		return le.AppendUint64(kindOf(b, ggufFloat64), math.Float64bits(x)), nil
	case bool:
		return appendBool(kindOf(b, ggufBool), x), nil
	case string:
		return appendString(kindOf(b, ggufString), x), nil
	case []uint8:
		return append(arrayOf(b, ggufUint8, len(x)), x...), nil
	case []int8:
		return appendAll(b, ggufInt8, x, func(b []byte, v int8) []byte { return append(b, byte(v)) }), nil
	case []uint16:
		return appendAll(b, ggufUint16, x, le.AppendUint16), nil
	case []int16:
		return appendAll(b, ggufInt16, x, func(b []byte, v int16) []byte { return le.AppendUint16(b, uint16(v)) }), nil
	case []uint32:
		return appendAll(b, ggufUint32, x, le.AppendUint32), nil
	case []int32:
		return appendAll(b, ggufInt32, x, func(b []byte, v int32) []byte { return le.AppendUint32(b, uint32(v)) }), nil
	case []uint64:
		return appendAll(b, ggufUint64, x, le.AppendUint64), nil
	case []int64:
		return appendAll(b, ggufInt64, x, func(b []byte, v int64) []byte { return le.AppendUint64(b, uint64(v)) }), nil
	case []float32:
		return appendAll(b, ggufFloat32, x, func(b []byte, v float32) []byte { return le.AppendUint32(b, math.Float32bits(v)) }), nil
	case []float64:
		return appendAll(b, ggufFloat64, x, func(b []byte, v float64) []byte { return le.AppendUint64(b, math.Float64bits(v)) }), nil
	case []bool:
		return appendAll(b, ggufBool, x, appendBool), nil
	case []string:
		return appendAll(b, ggufString, x, appendString), nil
	}
	return nil, fmt.Errorf("a value of type %T cannot be written", value)
}

func kindOf(b []byte, kind uint32) []byte { return binary.LittleEndian.AppendUint32(b, kind) }

func arrayOf(b []byte, kind uint32, n int) []byte {
	return binary.LittleEndian.AppendUint64(kindOf(kindOf(b, ggufArray), kind), uint64(n))
}

func appendAll[T any](b []byte, kind uint32, values []T, put func([]byte, T) []byte) []byte {
	b = arrayOf(b, kind, len(values))
	for _, v := range values {
		b = put(b, v)
	}
	return b
}

func appendBool(b []byte, x bool) []byte {
	if x {
		return append(b, 1)
	}
	return append(b, 0)
}
