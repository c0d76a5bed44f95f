package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseJSON decodes JSON as Python's json.loads does: objects are *Dict with
// their keys in order, arrays *List, whole numbers int64 or *big.Int, others
// float64.
func ParseJSON(data []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("text after the JSON value at byte %d", d.InputOffset())
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (Value, error) {
	if depth > maxValueDeep {
		return nil, fmt.Errorf("JSON nested more than %d deep", maxValueDeep)
	}
	tok, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch tok := tok.(type) {
	case json.Number:
		return decodeNumber(string(tok))
	case json.Delim:
		if tok == '[' {
			return decodeArray(d, depth)
		}
		return decodeObject(d, depth)
	}
	return tok, nil // nil, bool or string
}

func decodeArray(d *json.Decoder, depth int) (Value, error) {
	l := &List{}
	for d.More() {
		v, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, v)
	}
	_, err := d.Token()
	return l, err
}

func decodeObject(d *json.Decoder, depth int) (Value, error) {
	o := &Dict{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		o.Set(key.(string), v)
	}
	_, err := d.Token()
	return o, err
}

func decodeNumber(s string) (Value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, err
		}
		return f, nil
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, nil
	}
	if len(s) > 4300 { // Python's limit
		return nil, fmt.Errorf("a JSON number has %d digits", len(s))
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return nil, fmt.Errorf("invalid JSON number %q", s)
	}
	return n, nil
}

// UnmarshalJSON decodes an object, keeping the order of its keys.
func (d *Dict) UnmarshalJSON(data []byte) error {
	v, err := ParseJSON(data)
	if err != nil {
		return err
	}
	o, ok := v.(*Dict)
	if !ok {
		return fmt.Errorf("want a JSON object, found %s", typeName(v))
	}
	*d = *o
	return nil
}

// MarshalJSON encodes the dict with its keys in order.
func (d *Dict) MarshalJSON() ([]byte, error) { return toJSON(d) }

// MarshalJSON encodes the list.
func (l *List) MarshalJSON() ([]byte, error) { return toJSON(l) }

func toJSON(v Value) ([]byte, error) {
	ip := &interp{tmpl: &Template{limits: defaultLimits}, limits: defaultLimits}
	w := &jsonWriter{printer: printer{ip: ip}, item: ",", key: ":"}
	err := w.value(v, 0)
	return []byte(w.b.String()), err
}

// jsonWriter is Python's json.dumps.
type jsonWriter struct {
	printer
	ascii     bool
	indented  bool
	indent    string
	item, key string // separators
	sort      bool
}

// filterToJSON is the filter of transformers, not Jinja's: plain JSON without
// escapes for HTML.
func filterToJSON(c *call) (Value, error) {
	w := &jsonWriter{printer: printer{ip: c.ip}, ascii: c.bool(1, false), sort: c.bool(4, false), item: ", ", key: ": "}
	if c.given(2) {
		w.indented, w.item = true, ","
		if s, ok := asString(c.args[2]); ok {
			w.indent = s
		} else if n := c.int(2, 0); n > 0 {
			if n > 1<<16 {
				return nil, typeErrorf("tojson: an indent of %d is too large", n)
			}
			w.indent = strings.Repeat(" ", int(n))
		}
	}
	if c.given(3) {
		seps := c.items(3)
		if len(seps) != 2 || typeName(seps[0]) != "str" || typeName(seps[1]) != "str" {
			return nil, typeErrorf("tojson: separators must be two strings")
		}
		w.item, w.key = text(seps[0]), text(seps[1])
	}
	if c.err != nil {
		return nil, c.err
	}
	err := w.value(c.args[0], 0)
	return w.b.String(), err
}

func (w *jsonWriter) value(v Value, depth int) error {
	if err := w.ip.enterValue(); err != nil {
		return err
	}
	defer w.ip.leaveValue()
	if s, ok := asString(v); ok {
		return w.string(s)
	}
	if items, ok := sequence(v); ok {
		return w.list(items, depth)
	}
	switch v := v.(type) {
	case nil:
		return w.write("null")
	case bool:
		return w.write(strconv.FormatBool(v))
	case int64, *big.Int:
		s, err := reprScalar(v)
		if err != nil {
			return err
		}
		return w.write(s)
	case float64:
		return w.write(jsonFloat(v))
	case *Dict:
		return w.dict(v, depth)
	}
	return typeErrorf("Object of type %s is not JSON serializable", typeName(v))
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return formatFloat(f)
}

// newline starts a line at a depth if the output is indented.
func (w *jsonWriter) newline(depth int) error {
	if !w.indented {
		return nil
	}
	if err := w.ip.room(w.b.Len() + depth*len(w.indent)); err != nil {
		return err
	}
	return w.write("\n" + strings.Repeat(w.indent, depth))
}

func (w *jsonWriter) list(items []Value, depth int) error {
	if len(items) == 0 {
		return w.write("[]")
	}
	w.b.WriteByte('[')
	for i, v := range items {
		if i > 0 {
			w.b.WriteString(w.item)
		}
		if err := w.newline(depth + 1); err != nil {
			return err
		}
		if err := w.value(v, depth+1); err != nil {
			return err
		}
	}
	if err := w.newline(depth); err != nil {
		return err
	}
	return w.write("]")
}

func (w *jsonWriter) dict(d *Dict, depth int) error {
	if d.Len() == 0 {
		return w.write("{}")
	}
	order, err := w.order(d)
	if err != nil {
		return err
	}
	w.b.WriteByte('{')
	for n, i := range order {
		if n > 0 {
			w.b.WriteString(w.item)
		}
		if err := w.newline(depth + 1); err != nil {
			return err
		}
		key, err := jsonKey(d.keys[i])
		if err != nil {
			return err
		}
		if err := w.string(key); err != nil {
			return err
		}
		w.b.WriteString(w.key)
		if err := w.value(d.vals[i], depth+1); err != nil {
			return err
		}
	}
	if err := w.newline(depth); err != nil {
		return err
	}
	return w.write("}")
}

// order returns the indexes of d's entries as they are written.
func (w *jsonWriter) order(d *Dict) ([]int, error) {
	order := make([]int, d.Len())
	for i := range order {
		order[i] = i
	}
	if !w.sort {
		return order, nil
	}
	var failed error
	slices.SortStableFunc(order, func(i, j int) int {
		less, err := w.ip.compare("<", d.keys[i], d.keys[j])
		if err != nil {
			failed = err
		}
		if less {
			return -1
		}
		more, _ := w.ip.compare(">", d.keys[i], d.keys[j])
		if more {
			return 1
		}
		return 0
	})
	return order, failed
}

func jsonKey(k Value) (string, error) {
	switch k := k.(type) {
	case string:
		return k, nil
	case markup:
		return string(k), nil
	case nil:
		return "null", nil
	case bool:
		return strconv.FormatBool(k), nil
	case float64:
		return jsonFloat(k), nil
	case int64, *big.Int:
		return reprScalar(k)
	}
	return "", typeErrorf("keys must be str, int, float, bool or None, not %s", typeName(k))
}

const hexDigits = "0123456789abcdef"

func (w *jsonWriter) string(s string) error {
	w.b.WriteByte('"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x7f && w.ascii {
			w.b.WriteString(s[start:i])
			r, n := utf8.DecodeRuneInString(s[i:])
			w.unicode(r)
			i += n
			start = i
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		w.b.WriteString(s[start:i])
		switch c {
		case '"', '\\':
			w.b.WriteByte('\\')
			w.b.WriteByte(c)
		case '\n':
			w.b.WriteString(`\n`)
		case '\r':
			w.b.WriteString(`\r`)
		case '\t':
			w.b.WriteString(`\t`)
		case '\b':
			w.b.WriteString(`\b`)
		case '\f':
			w.b.WriteString(`\f`)
		default:
			w.unicode(rune(c))
		}
		i++
		start = i
	}
	w.b.WriteString(s[start:])
	return w.write(`"`)
}

func (w *jsonWriter) unicode(r rune) {
	if r >= 0x10000 {
		r -= 0x10000
		w.unicode(0xd800 + r>>10)
		r = 0xdc00 + r&0x3ff
	}
	w.b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		w.b.WriteByte(hexDigits[r>>shift&15])
	}
}
