package tokenizer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// textBlock is whole lines of a source, from an offset in bytes on.
type textBlock struct {
	text   []byte
	source string
	offset int64
}

// readBlocks sends r in blocks of whole lines.
func readBlocks(ctx context.Context, r io.Reader, source string, blocks chan<- textBlock, spare <-chan []byte) error {
	var rest []byte // the begun line behind the last block
	offset := int64(0)
	for {
		buf := append(takeBuffer(spare), rest...)
		start := len(buf)
		buf = slices.Grow(buf, blockSize)[:start+blockSize]
		n, err := io.ReadFull(r, buf[start:])
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return fmt.Errorf("%s: %w", source, err)
		}
		buf = buf[:start+n]
		size := len(buf)
		if !end {
			size = wholeLines(buf)
		}
		rest = append(rest[:0], buf[size:]...)
		if size > 0 {
			select {
			case blocks <- textBlock{buf[:size], source, offset}:
			case <-ctx.Done():
				return ctx.Err()
			}
			offset += int64(size)
		}
		if end {
			return nil
		}
	}
}

// wholeLines returns the length of the lines that end in b: 0 where none does,
// unless the line is too long to wait for its end.
func wholeLines(b []byte) int {
	if n := bytes.LastIndexByte(b, '\n') + 1; n > 0 || len(b) < maxLine {
		return n
	}
	if n := bytes.LastIndexByte(b[len(b)/2:], ' '); n > 0 {
		return len(b)/2 + n
	}
	n := len(b) - 1
	for n > len(b)-utf8.UTFMax && !utf8.RuneStart(b[n]) {
		n--
	}
	return n
}

func takeBuffer(spare <-chan []byte) []byte {
	select {
	case b := <-spare:
		return b[:0]
	default:
		return make([]byte, 0, blockSize+blockSize/8)
	}
}

// firstInvalid returns the offset of the first byte that is not UTF-8.
func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}
