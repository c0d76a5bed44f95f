package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Types of metadata values (enum gguf_type).
const (
	ggufUint8 = iota
	ggufInt8
	ggufUint16
	ggufInt16
	ggufUint32
	ggufInt32
	ggufFloat32
	ggufBool
	ggufString
	ggufArray
	ggufUint64
	ggufInt64
	ggufFloat64
)

// pair reads metadata number i.
func (c *cursor) pair(i int) (KV, error) {
	key, err := c.str(fmt.Sprintf("metadata key %d", i))
	if err != nil {
		return KV{}, err
	}
	what := fmt.Sprintf("metadata %q", key)
	kind, err := c.u32(what)
	if err != nil {
		return KV{}, err
	}
	if kind == ggufArray {
		value, err := c.array(what)
		return KV{key, value}, err
	}
	if kind == ggufString {
		value, err := c.str(what)
		return KV{key, value}, err
	}
	value, err := c.scalar(kind, what)
	return KV{key, value}, err
}

// scalar reads a number or truth value.
func (c *cursor) scalar(kind uint32, what string) (any, error) {
	size, ok := scalarSizes[kind]
	if !ok {
		return nil, fmt.Errorf("%s: %s: value type %d is unknown", c.path, what, kind)
	}
	b, err := c.take(uint64(size), what)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch kind {
	case ggufUint8:
		return b[0], nil
	case ggufInt8:
		return int8(b[0]), nil
	case ggufUint16:
		return le.Uint16(b), nil
	case ggufInt16:
		return int16(le.Uint16(b)), nil
	case ggufUint32:
		return le.Uint32(b), nil
	case ggufInt32:
		return int32(le.Uint32(b)), nil
	case ggufFloat32:
		return math.Float32frombits(le.Uint32(b)), nil
	case ggufBool:
		return b[0] != 0, nil
	case ggufUint64:
		return le.Uint64(b), nil
	case ggufInt64:
		return int64(le.Uint64(b)), nil
	}
	return math.Float64frombits(le.Uint64(b)), nil
}

// scalarSizes gives the bytes of a value.
var scalarSizes = map[uint32]int{
	ggufUint8: 1, ggufInt8: 1, ggufUint16: 2, ggufInt16: 2, ggufUint32: 4, ggufInt32: 4,
	ggufFloat32: 4, ggufBool: 1, ggufUint64: 8, ggufInt64: 8, ggufFloat64: 8,
}

// array reads the type of the elements, their number, and the elements.
func (c *cursor) array(what string) (any, error) {
	kind, err := c.u32(what)
	if err != nil {
		return nil, err
	}
	if kind == ggufArray {
		return nil, fmt.Errorf("%s: %s: arrays of arrays are not supported", c.path, what)
	}
	if kind == ggufString {
		return c.strings(what)
	}
	size, ok := scalarSizes[kind]
	if !ok {
		return nil, fmt.Errorf("%s: %s: element type %d is unknown", c.path, what, kind)
	}
	n, err := c.count("length of "+what, size)
	if err != nil {
		return nil, err
	}
	b, err := c.take(uint64(n)*uint64(size), what)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch kind {
	case ggufUint8:
		return each(n, b, 1, func(b []byte) uint8 { return b[0] }), nil
	case ggufInt8:
		return each(n, b, 1, func(b []byte) int8 { return int8(b[0]) }), nil
	case ggufUint16:
		return each(n, b, 2, le.Uint16), nil
	case ggufInt16:
		return each(n, b, 2, func(b []byte) int16 { return int16(le.Uint16(b)) }), nil
	case ggufUint32:
		return each(n, b, 4, le.Uint32), nil
	case ggufInt32:
		return each(n, b, 4, func(b []byte) int32 { return int32(le.Uint32(b)) }), nil
	case ggufFloat32:
		return each(n, b, 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }), nil
	case ggufBool:
		return each(n, b, 1, func(b []byte) bool { return b[0] != 0 }), nil
	case ggufUint64:
		return each(n, b, 8, le.Uint64), nil
	case ggufInt64:
		return each(n, b, 8, func(b []byte) int64 { return int64(le.Uint64(b)) }), nil
	}
	return each(n, b, 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }), nil
}

func each[T any](n int, b []byte, size int, get func([]byte) T) []T {
	values := make([]T, n)
	for i := range values {
		values[i] = get(b[i*size:])
	}
	return values
}

// strings reads an array of strings. Vocabularies have 10⁵ of them, so they
// share one copy of the bytes.
func (c *cursor) strings(what string) ([]string, error) {
	n, err := c.count("length of "+what, 8)
	if err != nil {
		return nil, err
	}
	start := c.pos
	for i := range n {
		size, err := c.u64(what)
		if err != nil || size > uint64(len(c.data)-c.pos) {
			return nil, fmt.Errorf("%s: %s: the file ends in element %d of %d", c.path, what, i, n)
		}
		c.pos += int(size)
	}
	block := string(c.data[start:c.pos])
	values := make([]string, n)
	at := 0
	for i := range values {
		size := int(binary.LittleEndian.Uint64(c.data[start+at:]))
		values[i] = block[at+8:][:size]
		at += 8 + size
	}
	return values, nil
}
