package tokenizer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader reads JSON from a string. It serves for vocabularies, where
// encoding/json would take most of the time of a start, and cuts the rest into
// the pieces that encoding/json then gets.
type jsonReader struct {
	s     string
	pos   int
	depth int
}

const maxJSONDepth = 200

func (r *jsonReader) errorf(format string, args ...any) error {
	return fmt.Errorf("byte %d: %s", r.pos, fmt.Sprintf(format, args...))
}

// peek returns the next byte that is not white space, 0 at the end.
func (r *jsonReader) peek() byte {
	for r.pos < len(r.s) {
		switch c := r.s[r.pos]; c {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

func (r *jsonReader) expect(c byte) error {
	got := r.peek()
	if got == c {
		r.pos++
		return nil
	}
	if got == 0 {
		return r.errorf("the file ends where %q is due", c)
	}
	return r.errorf("%q where %q is due", got, c)
}

// open and shut count the nesting.
func (r *jsonReader) open(c byte) error {
	if r.depth++; r.depth > maxJSONDepth {
		return r.errorf("nested deeper than %d", maxJSONDepth)
	}
	return r.expect(c)
}

// more reports whether another item follows in an object or array that ends
// with end.
func (r *jsonReader) more(first bool, end byte) (bool, error) {
	if r.peek() == end {
		r.pos++
		r.depth--
		return false, nil
	}
	if first {
		return true, nil
	}
	return true, r.expect(',')
}

// object calls f for every key; f reads the value.
func (r *jsonReader) object(f func(key string) error) error {
	if err := r.open('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := r.more(first, '}')
		if err != nil || !more {
			return err
		}
		key, err := r.str()
		if err != nil {
			return err
		}
		if err := r.expect(':'); err != nil {
			return err
		}
		if err := f(key); err != nil {
			return err
		}
	}
}

// array calls f for every item, which f reads.
func (r *jsonReader) array(f func(i int) error) error {
	if err := r.open('['); err != nil {
		return err
	}
	for i := 0; ; i++ {
		more, err := r.more(i == 0, ']')
		if err != nil || !more {
			return err
		}
		if err := f(i); err != nil {
			return err
		}
	}
}

// str reads a string; without escapes it is a part of r.s.
func (r *jsonReader) str() (string, error) {
	if err := r.expect('"'); err != nil {
		return "", err
	}
	start := r.pos
	for r.pos < len(r.s) {
		switch c := r.s[r.pos]; {
		case c == '"':
			r.pos++
			return r.s[start : r.pos-1], nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", r.errorf("control character %#x in a string", c)
		}
		r.pos++
	}
	return "", r.errorf("a string without end")
}

func (r *jsonReader) escaped(start int) (string, error) {
	b := append(make([]byte, 0, 2*(r.pos-start)+16), r.s[start:r.pos]...)
	for r.pos < len(r.s) {
		c := r.s[r.pos]
		r.pos++
		switch {
		case c == '"':
			return string(b), nil
		case c < ' ':
			return "", r.errorf("control character %#x in a string", c)
		case c != '\\':
			b = append(b, c)
			continue
		}
		v, err := r.escape()
		if err != nil {
			return "", err
		}
		b = utf8.AppendRune(b, v)
	}
	return "", r.errorf("a string without end")
}

func (r *jsonReader) escape() (rune, error) {
	if r.pos >= len(r.s) {
		return 0, r.errorf("a string without end")
	}
	c := r.s[r.pos]
	r.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		v, err := r.hex4()
		if err != nil || !utf16.IsSurrogate(v) {
			return v, err
		}
		if strings.HasPrefix(r.s[r.pos:], `\u`) {
			r.pos += 2
			low, err := r.hex4()
			if err != nil {
				return 0, err
			}
			if pair := utf16.DecodeRune(v, low); pair != utf8.RuneError {
				return pair, nil
			}
		}
		return 0, r.errorf("half a surrogate pair in a string")
	}
	return 0, r.errorf("escape \\%c in a string", c)
}

func (r *jsonReader) hex4() (rune, error) {
	if r.pos+4 > len(r.s) {
		return 0, r.errorf("a string without end")
	}
	v, err := strconv.ParseUint(r.s[r.pos:r.pos+4], 16, 16)
	if err != nil {
		return 0, r.errorf("%q after \\u", r.s[r.pos:r.pos+4])
	}
	r.pos += 4
	return rune(v), nil
}

// word returns the number or literal that stands next.
func (r *jsonReader) word() string {
	r.peek()
	start := r.pos
	for r.pos < len(r.s) && strings.IndexByte(" \t\n\r,]}:\"[{", r.s[r.pos]) < 0 {
		r.pos++
	}
	return r.s[start:r.pos]
}

// id reads a token's id.
func (r *jsonReader) id() (int32, error) {
	w := r.word()
	v, err := strconv.ParseInt(w, 10, 32)
	if err != nil || v < 0 {
		return 0, r.errorf("%s where an id is due", shorten(w))
	}
	return int32(v), nil
}

func (r *jsonReader) float() (float64, error) {
	w := r.word()
	v, err := strconv.ParseFloat(w, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, r.errorf("%s where a number is due", shorten(w))
	}
	return v, nil
}

// raw reads any value and returns its text.
func (r *jsonReader) raw() (string, error) {
	r.peek()
	start := r.pos
	err := r.skip()
	return r.s[start:r.pos], err
}

func (r *jsonReader) skip() error {
	switch r.peek() {
	case '{':
		return r.object(func(string) error { return r.skip() })
	case '[':
		return r.array(func(int) error { return r.skip() })
	case '"':
		_, err := r.str()
		return err
	}
	switch w := r.word(); w {
	case "true", "false", "null":
		return nil
	default:
		if _, err := strconv.ParseFloat(w, 64); err != nil && !errors.Is(err, strconv.ErrRange) || w == "" {
			return r.errorf("%s where a value is due", shorten(w))
		}
	}
	return nil
}
