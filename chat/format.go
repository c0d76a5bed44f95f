package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file is Python's str.format and its format specifications.

func strFormat(ip *interp, args arguments) (Value, error) {
	kw := &Dict{}
	for i, name := range args.names {
		kw.Set(name, args.vals[i])
	}
	return ip.formatString(args.pos[0], args.pos[1:], kw)
}

// formatter fills the fields of one str.format call.
type formatter struct {
	ip     *interp
	pos    []Value
	kw     *Dict
	auto   int // next automatic index; -1 once fields are numbered
	marked bool
}

func (ip *interp) formatString(f Value, pos []Value, kw *Dict) (Value, error) {
	_, marked := f.(markup)
	ft := &formatter{ip: ip, pos: pos, kw: kw, marked: marked}
	s, err := ft.format(text(f), 2)
	return like(f, s), err
}

// format replaces the fields of s; fields within a specification may nest once
// more (depth 2 to 0).
func (f *formatter) format(s string, depth int) (string, error) {
	if depth < 0 {
		return "", typeErrorf("max string recursion exceeded")
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		if i+1 < len(s) && s[i+1] == s[i] {
			b.WriteByte(s[i])
			s = s[i+2:]
			continue
		}
		if s[i] == '}' {
			return "", typeErrorf("single '}' encountered in format string")
		}
		field, rest, err := cutField(s[i+1:])
		if err != nil {
			return "", err
		}
		out, err := f.field(field, depth)
		if err != nil {
			return "", err
		}
		b.WriteString(out)
		if err := f.ip.made(len(out)); err != nil {
			return "", err
		}
		s = rest
	}
	return b.String(), f.ip.room(b.Len())
}

// cutField returns the field up to its closing brace, and what follows.
func cutField(s string) (field, rest string, err error) {
	depth := 1
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth--
			if depth == 0 {
				return s[:i], s[i+1:], nil
			}
		}
	}
	return "", "", typeErrorf("expected '}' before end of string")
}

// field formats name!conversion:spec.
func (f *formatter) field(s string, depth int) (string, error) {
	name, spec, conv := splitField(s)
	v, err := f.lookup(name)
	if err != nil {
		return "", err
	}
	switch conv {
	case "":
	case "s":
		v, err = f.ip.str(v)
	case "r":
		v, err = f.ip.repr(v)
	case "a":
		var s string
		s, err = f.ip.repr(v)
		v = asciiOnly(s)
	default:
		err = typeErrorf("unknown conversion specifier %s", conv)
	}
	if err != nil {
		return "", err
	}
	if spec, err = f.format(spec, depth-1); err != nil {
		return "", err
	}
	if m, ok := v.(markup); ok && f.marked {
		if spec != "" {
			return "", typeErrorf("unsupported format specification for Markup")
		}
		return string(m), nil
	}
	out, err := f.ip.formatValue(v, spec)
	if f.marked {
		out = escapeHTML(out)
	}
	return out, err
}

func splitField(s string) (name, spec, conv string) {
	bracket := false
	for i := range len(s) {
		switch {
		case s[i] == '[':
			bracket = true
		case s[i] == ']':
			bracket = false
		case bracket:
		case s[i] == ':':
			return s[:i], s[i+1:], ""
		case s[i] == '!':
			conv, spec, _ := strings.Cut(s[i+1:], ":")
			return s[:i], spec, conv
		}
	}
	return s, "", ""
}

// lookup finds the value of 0, name, name.attr, name[key] …
func (f *formatter) lookup(name string) (Value, error) {
	first, rest := name, ""
	if i := strings.IndexAny(name, ".["); i >= 0 {
		first, rest = name[:i], name[i:]
	}
	v, err := f.first(first)
	for err == nil && rest != "" {
		if rest[0] == '.' {
			part := rest[1:]
			if i := strings.IndexAny(part, ".["); i >= 0 {
				part = part[:i]
			}
			if part == "" {
				return nil, typeErrorf("empty attribute in format string")
			}
			rest = rest[1+len(part):]
			v, err = f.ip.getattr(v, part)
			continue
		}
		key, after, ok := strings.Cut(rest[1:], "]")
		if rest[0] != '[' || !ok || key == "" {
			return nil, typeErrorf("malformed field name in format string")
		}
		rest = after
		var k Value = key
		if n, isInt := parseInt(key, 10); isInt && isDecimal(key[0]) {
			k = n
		}
		v, err = f.ip.getitem(v, k)
	}
	return v, err
}

func (f *formatter) first(name string) (Value, error) {
	if name == "" || isDecimal(name[0]) && strings.Trim(name, "0123456789") == "" {
		i := f.auto
		if name != "" {
			if f.auto > 0 {
				return nil, typeErrorf("cannot switch from automatic field numbering to manual field specification")
			}
			f.auto = -1
			n, err := strconv.Atoi(name)
			if err != nil {
				return nil, typeErrorf("too many decimal digits in format string")
			}
			i = n
		} else if f.auto < 0 {
			return nil, typeErrorf("cannot switch from manual field specification to automatic field numbering")
		} else {
			f.auto++
		}
		if i >= len(f.pos) {
			return nil, typeErrorf("replacement index %d out of range for positional args tuple", i)
		}
		return f.pos[i], nil
	}
	v, ok := f.kw.Get(name)
	if !ok {
		return nil, typeErrorf("key %s not found", reprString(name))
	}
	return v, nil
}

// formatSpec is [[fill]align][sign][z][#][0][width][grouping][.precision][type].
type formatSpec struct {
	fill, align string
	sign        byte
	noMinusZero bool
	alt         bool
	width, prec int
	comma       byte
	verb        byte
}

func parseSpec(s string) (formatSpec, error) {
	sp := formatSpec{fill: " ", prec: -1}
	filled := false
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case len(s) > n && strings.IndexByte("<>=^", s[n]) >= 0:
		sp.fill, sp.align, s = string(r), s[n:n+1], s[n+1:]
		filled = true
	case s != "" && strings.IndexByte("<>=^", s[0]) >= 0:
		sp.align, s = s[:1], s[1:]
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		sp.sign, s = s[0], s[1:]
	}
	s, sp.noMinusZero = strings.CutPrefix(s, "z")
	s, sp.alt = strings.CutPrefix(s, "#")
	if s != "" && s[0] == '0' && !filled {
		s = s[1:]
		sp.fill = "0"
		if sp.align == "" {
			sp.align = zeroAlign
		}
	}
	var i int
	var err error
	if sp.width, i, err = starOrNumber(s, 0, &percentArgs{}); err != nil {
		return sp, err
	}
	s = s[i:]
	if s != "" && (s[0] == ',' || s[0] == '_') {
		sp.comma, s = s[0], s[1:]
	}
	if strings.HasPrefix(s, ".") {
		if len(s) < 2 || !isDecimal(s[1]) {
			return sp, typeErrorf("format specifier missing precision")
		}
		if sp.prec, i, err = starOrNumber(s, 1, &percentArgs{}); err != nil {
			return sp, err
		}
		s = s[i:]
	}
	if len(s) > 1 {
		return sp, typeErrorf("invalid format specifier")
	}
	if s != "" {
		sp.verb = s[0]
	}
	return sp, nil
}

// zeroAlign is what a width such as 08 asks for: zeros behind the sign of a
// number, or behind text.
const zeroAlign = "0"

// formatValue is Python's format(v, spec).
func (ip *interp) formatValue(v Value, spec string) (string, error) {
	if spec == "" {
		return ip.str(v)
	}
	sp, err := parseSpec(spec)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return sp.text(v)
	case markup:
		return sp.text(string(v))
	}
	if n, ok := number(v); ok {
		return sp.number(n)
	}
	return "", typeErrorf("unsupported format string passed to %s.__format__", typeName(v))
}

func (sp formatSpec) text(s string) (string, error) {
	if sp.verb != 0 && sp.verb != 's' || sp.sign != 0 || sp.alt || sp.comma != 0 || sp.noMinusZero || sp.align == "=" {
		return "", typeErrorf("format specification not allowed for 'str'")
	}
	if sp.align == zeroAlign {
		sp.align = "<"
	}
	if sp.prec >= 0 {
		s = firstRunes(s, sp.prec)
	}
	return sp.pad("", s, "<"), nil
}

func (sp formatSpec) number(v Value) (string, error) {
	if sp.align == zeroAlign {
		sp.align = "="
	}
	_, isFloat := v.(float64)
	if !isFloat && strings.IndexByte("\x00dbcoxXn", sp.verb) >= 0 {
		return sp.integer(toBig(v))
	}
	f, err := toFloat(v)
	if err != nil {
		return "", err
	}
	if strings.IndexByte("\x00eEfFgGn%", sp.verb) < 0 {
		return "", typeErrorf("unknown format code '%c' for object of type '%s'", sp.verb, typeName(v))
	}
	digits := sp.floatDigits(math.Abs(f))
	negative := math.Signbit(f) && !math.IsNaN(f)
	if sp.noMinusZero && strings.Trim(digits, "0.") == "" {
		negative = false
	}
	sign := signOf(negative, sp.sign == '+', sp.sign == ' ')
	return sp.pad(sign, sp.group(sign, digits, 3), ">"), nil
}

func (sp formatSpec) floatDigits(f float64) string {
	switch sp.verb {
	case '%':
		return formatFloatVerb(f*100, 'f', sp.prec, sp.alt) + "%"
	case 0:
		if sp.prec < 0 {
			return formatFloat(f)
		}
		s := formatFloatVerb(f, 'g', sp.prec, sp.alt)
		if strings.Trim(s, "0123456789") != "" {
			return s
		}
		if len(s) < sp.prec {
			return s + ".0"
		}
		// as many digits before the point as the precision allows: Python
		// then shows the exponent, to tell it from an int
		return formatExponent(f, sp.prec)
	case 'n':
		return formatFloatVerb(f, 'g', sp.prec, sp.alt)
	}
	return formatFloatVerb(f, sp.verb, sp.prec, sp.alt)
}

func formatExponent(f float64, prec int) string {
	mantissa, exp, _ := strings.Cut(strconv.FormatFloat(f, 'e', max(prec-1, 0), 64), "e")
	return trimZeros(mantissa) + "e" + exp
}

func (sp formatSpec) integer(n *big.Int) (string, error) {
	if sp.noMinusZero {
		return "", typeErrorf("negative zero coercion (z) not allowed in integer format specifier")
	}
	if sp.prec >= 0 {
		return "", typeErrorf("precision not allowed in integer format specifier")
	}
	if sp.verb == 'c' {
		if !n.IsInt64() || n.Int64() < 0 || n.Int64() > utf8.MaxRune {
			return "", typeErrorf("%%c arg not in range(0x110000)")
		}
		return sp.pad("", string(rune(n.Int64())), "<"), nil
	}
	base, every, prefix := 10, 3, ""
	switch sp.verb {
	case 'b':
		base, every, prefix = 2, 4, "0b"
	case 'o':
		base, every, prefix = 8, 4, "0o"
	case 'x', 'X':
		base, every, prefix = 16, 4, "0"+string(sp.verb)
	}
	if sp.comma == ',' && base != 10 {
		return "", typeErrorf("cannot specify ',' with '%c'", sp.verb)
	}
	digits := new(big.Int).Abs(n).Text(base)
	if base == 10 && len(digits) > 4300 {
		return "", typeErrorf("exceeds the limit (4300 digits) for integer string conversion")
	}
	if sp.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	sign := signOf(n.Sign() < 0, sp.sign == '+', sp.sign == ' ')
	if sp.alt {
		sign += prefix
	}
	return sp.pad(sign, sp.group(sign, digits, every), ">"), nil
}

// group puts the thousands separator into the digits before the point, padding
// with zeros to the width if that is how the number is filled.
func (sp formatSpec) group(sign, digits string, every int) string {
	end := 0
	for end < len(digits) && strings.IndexByte("0123456789abcdefABCDEF", digits[end]) >= 0 {
		if every == 3 && !isDecimal(digits[end]) {
			break
		}
		end++
	}
	whole, rest := digits[:end], digits[end:]
	if sp.comma == 0 || whole == "" {
		return digits
	}
	out := groupDigits(whole, every, sp.comma)
	if sp.fill == "0" && sp.align == "=" {
		n := len(whole)
		for len(sign)+n+(n-1)/every+len(rest) < sp.width {
			n++
		}
		out = groupDigits(strings.Repeat("0", n-len(whole))+whole, every, sp.comma)
	}
	return out + rest
}

func groupDigits(s string, every int, sep byte) string {
	var b strings.Builder
	for i := range len(s) {
		if i > 0 && (len(s)-i)%every == 0 {
			b.WriteByte(sep)
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (sp formatSpec) pad(sign, s, align string) string {
	if sp.align != "" {
		align = sp.align
	}
	n := sp.width - len(sign) - runeCount(s)
	if n <= 0 {
		return sign + s
	}
	switch align {
	case "<":
		return sign + s + strings.Repeat(sp.fill, n)
	case "^":
		return strings.Repeat(sp.fill, n/2) + sign + s + strings.Repeat(sp.fill, n-n/2)
	case "=":
		return sign + strings.Repeat(sp.fill, n) + s
	}
	return strings.Repeat(sp.fill, n) + sign + s
}
