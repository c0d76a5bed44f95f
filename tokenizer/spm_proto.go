package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// protoField is a field of a protobuf message
// (protobuf.dev/programming-guides/encoding).
type protoField struct {
	number uint64
	value  uint64 // of a number; of a float its bits
	bytes  []byte // of a string or message, in the memory of the whole
}

var errProtoCut = errors.New("the file is cut short, or no protobuf")

// eachProtoField calls f for every field of a message.
func eachProtoField(b []byte, f func(protoField) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errProtoCut
		}
		b = b[n:]
		field := protoField{number: tag >> 3}
		switch tag & 7 {
		case 0:
			field.value, n = binary.Uvarint(b)
		case 1:
			if n = 8; len(b) >= n {
				field.value = binary.LittleEndian.Uint64(b)
			}
		case 2:
			var size uint64
			if size, n = binary.Uvarint(b); n > 0 && size <= uint64(len(b)-n) {
				field.bytes = b[n : n+int(size)]
				n += int(size)
			} else {
				n = 0
			}
		case 5:
			if n = 4; len(b) >= n {
				field.value = uint64(binary.LittleEndian.Uint32(b))
			}
		default:
			return fmt.Errorf("field %d has wire type %d: no protobuf", field.number, tag&7)
		}
		if n <= 0 || n > len(b) {
			return errProtoCut
		}
		b = b[n:]
		if err := f(field); err != nil {
			return err
		}
	}
	return nil
}
