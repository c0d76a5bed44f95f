package chat

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(v).
func (ip *interp) str(v Value) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case markup:
		return string(v), nil
	case *undefined:
		return "", nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	}
	return ip.repr(v)
}

// repr is Python's repr(v).
func (ip *interp) repr(v Value) (string, error) {
	p := &printer{ip: ip}
	if err := p.repr(v); err != nil {
		return "", err
	}
	return p.b.String(), ip.work(p.b.Len())
}

// printer builds the text of a value within the limits.
type printer struct {
	ip *interp
	b  strings.Builder
}

func (p *printer) write(s string) error {
	p.b.WriteString(s)
	return p.ip.room(p.b.Len())
}

func (p *printer) repr(v Value) error {
	if err := p.ip.enterValue(); err != nil {
		return err
	}
	defer p.ip.leaveValue()
	switch v := v.(type) {
	case string:
		return p.write(reprString(v))
	case markup:
		return p.write("Markup(" + reprString(string(v)) + ")")
	case *List:
		return p.sequence("[", v.Items, "]")
	case *tuple:
		if len(v.items) == 1 {
			return p.sequence("(", v.items, ",)")
		}
		return p.sequence("(", v.items, ")")
	case *Dict:
		return p.dict(v)
	case *dictView:
		return p.view(v)
	case *namespace:
		if err := p.write("<Namespace "); err != nil {
			return err
		}
		if err := p.dict(v.attrs); err != nil {
			return err
		}
		return p.write(">")
	case *loopContext:
		n, err := v.length()
		if err != nil {
			return err
		}
		return p.write(fmt.Sprintf("<LoopContext %d/%d>", v.index0+1, n))
	}
	s, err := reprScalar(v)
	if err != nil {
		return err
	}
	return p.write(s)
}

func reprScalar(v Value) (string, error) {
	switch v := v.(type) {
	case nil:
		return "None", nil
	case bool:
		if v {
			return "True", nil
		}
		return "False", nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case *big.Int:
		s := v.String()
		if len(s) > 4300 {
			return "", typeErrorf("exceeds the limit (4300 digits) for integer string conversion")
		}
		return s, nil
	case float64:
		return formatFloat(v), nil
	case *undefined:
		return "Undefined", nil
	case *rangeValue:
		if v.step == 1 {
			return fmt.Sprintf("range(%d, %d)", v.start, v.stop), nil
		}
		return fmt.Sprintf("range(%d, %d, %d)", v.start, v.stop, v.step), nil
	case *macro:
		if v.def.name == "" {
			return "<Macro anonymous>", nil
		}
		return "<Macro " + reprString(v.def.name) + ">", nil
	case *builtin:
		return "<function " + v.name + ">", nil
	case *boundMethod:
		return "<built-in method " + v.method.name + " of " + typeName(v.recv) + " object>", nil
	}
	return "<" + typeName(v) + " object>", nil
}

func (p *printer) sequence(open string, items []Value, end string) error {
	if err := p.write(open); err != nil {
		return err
	}
	for i, item := range items {
		if i > 0 {
			p.b.WriteString(", ")
		}
		if err := p.repr(item); err != nil {
			return err
		}
	}
	return p.write(end)
}

func (p *printer) dict(d *Dict) error {
	if err := p.write("{"); err != nil {
		return err
	}
	for i, k := range d.keys {
		if i > 0 {
			p.b.WriteString(", ")
		}
		if err := p.repr(k); err != nil {
			return err
		}
		p.b.WriteString(": ")
		if err := p.repr(d.vals[i]); err != nil {
			return err
		}
	}
	return p.write("}")
}

func (p *printer) view(v *dictView) error {
	items, err := p.ip.collect(v)
	if err != nil {
		return err
	}
	return p.sequence(typeName(v)+"([", items, "])")
}

// shortRepr is a repr for error messages, of scalars only.
func shortRepr(v Value) string {
	if s, ok := asString(v); ok {
		return reprString(s)
	}
	s, err := reprScalar(v)
	if err != nil {
		return typeName(v)
	}
	return s
}

// formatFloat is Python's repr of a float: the shortest digits that give it
// back, with an exponent below 1e-4 and from 1e16.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); f != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// reprString quotes s as Python does.
func reprString(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case isPrintable(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

func isPrintable(r rune) bool {
	if r < 0x7f {
		return r >= ' '
	}
	return unicode.IsPrint(r)
}
