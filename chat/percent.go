package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file is Python's "format % values".

// directive is one %… of the format.
type directive struct {
	key              string
	hasKey           bool
	minus, plus      bool
	space, zero, alt bool
	width, prec      int // prec -1: not given
	verb             byte
}

// percentArgs hands out the values of a % operation.
type percentArgs struct {
	items   []Value
	mapping *Dict
	next    int
	single  bool // the value was no tuple
}

func (p *percentArgs) take() (Value, error) {
	if p.next >= len(p.items) {
		return nil, typeErrorf("not enough arguments for format string")
	}
	p.next++
	return p.items[p.next-1], nil
}

// percentFormat formats; f is the format as a value and format its text.
func (ip *interp) percentFormat(f Value, format string, arg Value) (Value, error) {
	args := &percentArgs{items: []Value{arg}, single: true}
	if t, ok := arg.(*tuple); ok {
		args.items, args.single = t.items, false
	}
	args.mapping, _ = arg.(*Dict)
	_, marked := f.(markup)
	var b strings.Builder
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			b.WriteString(format)
			break
		}
		b.WriteString(format[:i])
		d, n, err := parseDirective(format[i:], args)
		if err != nil {
			return nil, err
		}
		format = format[i+n:]
		if d.verb == '%' && n == len("%%") {
			b.WriteByte('%')
			continue
		}
		s, err := ip.directive(d, args, marked)
		if err != nil {
			return nil, err
		}
		b.WriteString(s)
		if err := ip.room(b.Len()); err != nil {
			return nil, err
		}
	}
	if args.next < len(args.items) && !(args.single && subscriptable(arg)) {
		return nil, typeErrorf("not all arguments converted during string formatting")
	}
	return like(f, b.String()), ip.made(b.Len())
}

// subscriptable values may be left over: Python takes them for mappings.
func subscriptable(v Value) bool {
	switch v.(type) {
	case *Dict, *List, *rangeValue, *undefined:
		return true
	}
	return false
}

// parseDirective reads the % directive at the start of s and its length.
func parseDirective(s string, args *percentArgs) (directive, int, error) {
	d := directive{prec: -1}
	i := 1
	if i < len(s) && s[i] == '(' {
		depth, start := 1, i+1
		for i++; i < len(s) && depth > 0; i++ {
			switch s[i] {
			case '(':
				depth++
			case ')':
				depth--
			}
		}
		if depth > 0 {
			return d, 0, typeErrorf("incomplete format key")
		}
		if args.mapping == nil {
			return d, 0, typeErrorf("format requires a mapping")
		}
		d.key, d.hasKey = s[start:i-1], true
	}
flags:
	for ; i < len(s); i++ {
		switch s[i] {
		case '-':
			d.minus = true
		case '+':
			d.plus = true
		case ' ':
			d.space = true
		case '0':
			d.zero = true
		case '#':
			d.alt = true
		default:
			break flags
		}
	}
	var err error
	if d.width, i, err = starOrNumber(s, i, args); err != nil {
		return d, 0, err
	}
	if d.width < 0 {
		d.minus, d.width = true, -d.width
	}
	if i < len(s) && s[i] == '.' {
		if d.prec, i, err = starOrNumber(s, i+1, args); err != nil {
			return d, 0, err
		}
		d.prec = max(d.prec, 0)
	}
	for i < len(s) && strings.IndexByte("hlL", s[i]) >= 0 {
		i++
	}
	if i >= len(s) {
		return d, 0, typeErrorf("incomplete format")
	}
	d.verb = s[i]
	return d, i + 1, nil
}

const maxFormatWidth = 1 << 20

func starOrNumber(s string, i int, args *percentArgs) (n, end int, err error) {
	if i < len(s) && s[i] == '*' {
		v, err := args.take()
		if err != nil {
			return 0, 0, err
		}
		k, ok := integer(v)
		if !ok {
			return 0, 0, typeErrorf("* wants int")
		}
		if k > maxFormatWidth || k < -maxFormatWidth {
			return 0, 0, errorf(Limit, "a format width is above %d", maxFormatWidth)
		}
		return int(k), i + 1, nil
	}
	for ; i < len(s) && isDecimal(s[i]); i++ {
		n = n*10 + int(s[i]-'0')
		if n > maxFormatWidth {
			return 0, 0, errorf(Limit, "a format width is above %d", maxFormatWidth)
		}
	}
	return n, i, nil
}

func (ip *interp) directive(d directive, args *percentArgs, marked bool) (string, error) {
	var v Value
	var err error
	if d.hasKey {
		var ok bool
		if v, ok, err = args.mapping.lookup(d.key); err == nil && !ok {
			err = typeErrorf("key %s not found", reprString(d.key))
		}
		args.next = len(args.items)
	} else {
		v, err = args.take()
	}
	if err != nil {
		return "", err
	}
	switch d.verb {
	case 's', 'r', 'a':
		return ip.textDirective(d, v, marked)
	case 'c':
		return charDirective(d, v)
	case 'd', 'i', 'u', 'x', 'X', 'o':
		return intDirective(d, v)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		n, ok := number(v)
		if !ok {
			return "", typeErrorf("must be real number, not %s", typeName(v))
		}
		f, err := toFloat(n)
		if err != nil {
			return "", err
		}
		s := formatFloatVerb(math.Abs(f), d.verb, d.prec, d.alt)
		return d.number(signOf(math.Signbit(f) && !math.IsNaN(f), d.plus, d.space), "", s), nil
	}
	return "", typeErrorf("unsupported format character '%c'", d.verb)
}

func (ip *interp) textDirective(d directive, v Value, marked bool) (string, error) {
	var s string
	var err error
	if d.verb == 's' {
		s, err = ip.str(v)
	} else {
		s, err = ip.repr(v)
	}
	if err != nil {
		return "", err
	}
	if _, safe := v.(markup); marked && !(safe && d.verb == 's') {
		s = escapeHTML(s)
	}
	if d.verb == 'a' {
		s = asciiOnly(s)
	}
	if d.prec >= 0 {
		s = firstRunes(s, d.prec)
	}
	return d.pad(s), nil
}

// asciiOnly escapes what is not ASCII, as Python's ascii().
func asciiOnly(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		h := strconv.FormatInt(int64(r), 16)
		switch {
		case r < 0x100:
			b.WriteString(`\x` + h)
		case r < 0x10000:
			b.WriteString(`\u` + strings.Repeat("0", 4-len(h)) + h)
		default:
			b.WriteString(`\U` + strings.Repeat("0", 8-len(h)) + h)
		}
	}
	return b.String()
}

func firstRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func charDirective(d directive, v Value) (string, error) {
	if s, ok := asString(v); ok && runeCount(s) == 1 {
		return d.pad(s), nil
	}
	n, ok := integer(v)
	if !ok {
		return "", typeErrorf("%%c requires int or char")
	}
	if n < 0 || n > utf8.MaxRune {
		return "", typeErrorf("%%c arg not in range(0x110000)")
	}
	return d.pad(string(rune(n))), nil
}

func intDirective(d directive, v Value) (string, error) {
	n, ok := number(v)
	if f, isFloat := n.(float64); isFloat {
		if strings.IndexByte("xXo", d.verb) >= 0 {
			return "", typeErrorf("%%%c format: an integer is required, not float", d.verb)
		}
		var err error
		if n, err = intFromFloat(f); err != nil {
			return "", err
		}
	}
	if !ok {
		return "", typeErrorf("%%%c format: a real number is required, not %s", d.verb, typeName(v))
	}
	base, prefix := 10, ""
	switch d.verb {
	case 'x', 'X':
		base, prefix = 16, "0"+string(d.verb)
	case 'o':
		base, prefix = 8, "0o"
	}
	digits := new(big.Int).Abs(toBig(n)).Text(base)
	if base == 10 && len(digits) > 4300 {
		return "", typeErrorf("exceeds the limit (4300 digits) for integer string conversion")
	}
	if d.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if d.prec > len(digits) {
		digits = strings.Repeat("0", d.prec-len(digits)) + digits
	}
	if !d.alt {
		prefix = ""
	}
	return d.number(signOf(toBig(n).Sign() < 0, d.plus, d.space), prefix, digits), nil
}

func signOf(negative, plus, space bool) string {
	switch {
	case negative:
		return "-"
	case plus:
		return "+"
	case space:
		return " "
	}
	return ""
}

// number puts sign, prefix and digits together, zeros between them if asked.
func (d directive) number(sign, prefix, digits string) string {
	n := len(sign) + len(prefix) + len(digits)
	if d.zero && !d.minus && n < d.width {
		digits = strings.Repeat("0", d.width-n) + digits
	}
	return d.pad(sign + prefix + digits)
}

func (d directive) pad(s string) string {
	n := d.width - runeCount(s)
	if n <= 0 {
		return s
	}
	if d.minus {
		return s + strings.Repeat(" ", n)
	}
	return strings.Repeat(" ", n) + s
}

// formatFloatVerb formats a float ≥ 0 as C does; prec < 0 means 6.
func formatFloatVerb(f float64, verb byte, prec int, alt bool) string {
	upper := verb == 'E' || verb == 'F' || verb == 'G'
	s := ""
	switch {
	case math.IsNaN(f):
		s = "nan"
	case math.IsInf(f, 0):
		s = "inf"
	default:
		if prec < 0 {
			prec = 6
		}
		prec = min(prec, 1100) // all further digits of a float64 are zeros
		s = finiteFloat(f, verb|0x20, prec, alt)
	}
	if upper {
		s = strings.ToUpper(s)
	}
	return s
}

func finiteFloat(f float64, verb byte, prec int, alt bool) string {
	if verb != 'g' {
		s := strconv.FormatFloat(f, verb, prec, 64)
		if alt && prec == 0 {
			mantissa, exp, ok := strings.Cut(s, "e")
			if s = mantissa + "."; ok {
				s += "e" + exp
			}
		}
		return s
	}
	prec = max(prec, 1)
	e := strconv.FormatFloat(f, 'e', prec-1, 64)
	mantissa, exp, _ := strings.Cut(e, "e")
	x, _ := strconv.Atoi(exp)
	if x < -4 || x >= prec {
		if !alt {
			mantissa = trimZeros(mantissa)
		}
		return mantissa + "e" + exp
	}
	s := strconv.FormatFloat(f, 'f', prec-1-x, 64)
	if alt {
		if !strings.Contains(s, ".") {
			s += "."
		}
		return s
	}
	return trimZeros(s)
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
