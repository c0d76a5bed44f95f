package chat

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokData
	tokVariableBegin
	tokVariableEnd
	tokBlockBegin
	tokBlockEnd
	tokName
	tokString
	tokInteger
	tokFloat
	tokOperator
)

type token struct {
	kind  tokenKind
	line  int
	text  string // of names, strings (unescaped), operators and data
	value Value  // of numbers
}

// lexer cuts a template into tokens. It follows Jinja 3.1 with trim_blocks and
// lstrip_blocks set, keep_trailing_newline not (jinja2/lexer.py).
type lexer struct {
	src    string
	pos    int
	line   int
	tokens []token
	// lineStart is whether the last match ended with a newline: the next tag
	// may then be the first thing on its line.
	lineStart bool
}

func lex(source string) ([]token, error) {
	if !utf8.ValidString(source) {
		valid, _, _ := strings.Cut(strings.ToValidUTF8(source, "\xff"), "\xff")
		return nil, at(errorf(Syntax, "the template is not valid UTF-8"), 1+strings.Count(valid, "\n"))
	}
	if strings.Contains(source, "\r") {
		source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	}
	lx := &lexer{src: strings.TrimSuffix(source, "\n"), line: 1, lineStart: true}
	for lx.pos < len(lx.src) {
		if err := lx.root(); err != nil {
			return nil, at(err, lx.line)
		}
	}
	lx.emit(tokEOF, "")
	return lx.tokens, nil
}

func (lx *lexer) emit(kind tokenKind, text string) {
	lx.tokens = append(lx.tokens, token{kind: kind, line: lx.line, text: text})
}

// advance moves over n bytes.
func (lx *lexer) advance(n int) {
	s := lx.src[lx.pos : lx.pos+n]
	lx.line += strings.Count(s, "\n")
	if n > 0 {
		lx.lineStart = s[n-1] == '\n'
	}
	lx.pos += n
}

func (lx *lexer) rest() string { return lx.src[lx.pos:] }

// root reads template text up to the next tag, and the tag.
func (lx *lexer) root() error {
	open := nextTag(lx.rest())
	if open < 0 {
		lx.emit(tokData, lx.rest())
		lx.advance(len(lx.rest()))
		return nil
	}
	tag := lx.src[lx.pos+open:]
	raw := rawTag(tag)
	kind := tag[1]
	sign := byte(0)
	if len(tag) > 2 && (tag[2] == '-' || tag[2] == '+') {
		sign = tag[2]
	}
	lx.data(lx.rest()[:open], sign, kind != '{')
	lx.advance(open)
	switch {
	case raw > 0:
		lx.advance(raw)
		return lx.raw()
	case kind == '#':
		return lx.comment()
	}
	begin, end := tokVariableBegin, tokVariableEnd
	if kind == '%' {
		begin, end = tokBlockBegin, tokBlockEnd
	}
	lx.emit(begin, "")
	lx.advance(2)
	if sign != 0 {
		lx.advance(1)
	}
	return lx.expression(end)
}

func nextTag(s string) int {
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '{')
		if i < 0 || from+i+1 >= len(s) {
			return -1
		}
		from += i
		if c := s[from+1]; c == '%' || c == '{' || c == '#' {
			return from
		}
		from++
	}
}

// data emits text that a tag with the given sign follows, stripped as the sign
// and lstrip_blocks say.
func (lx *lexer) data(s string, sign byte, block bool) {
	if sign == '-' {
		s = strings.TrimRightFunc(s, isSpace)
	} else if sign != '+' && block {
		start := strings.LastIndexByte(s, '\n') + 1
		if (start > 0 || lx.lineStart) && trimSpace(s[start:]) == "" {
			s = s[:start]
		}
	}
	if s != "" {
		lx.emit(tokData, s)
	}
}

// rawTag returns the length of a {% raw %} tag at the start of s, else 0.
func rawTag(s string) int {
	rest, ok := strings.CutPrefix(s, "{%")
	if !ok {
		return 0
	}
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		rest = rest[1:]
	}
	rest, ok = strings.CutPrefix(trimLeft(rest), "raw")
	if !ok {
		return 0
	}
	rest = trimLeft(rest)
	if after, ok := strings.CutPrefix(rest, "-%}"); ok {
		return len(s) - len(trimLeft(after))
	}
	if after, ok := strings.CutPrefix(rest, "%}"); ok {
		return len(s) - len(after)
	}
	return 0
}

// raw reads up to {% endraw %}, the opening tag being read already.
func (lx *lexer) raw() error {
	s := lx.rest()
	for from := 0; ; {
		i := strings.Index(s[from:], "{%")
		if i < 0 {
			return errorf(Syntax, "missing end of raw directive")
		}
		from += i
		sign, tagLen := endRaw(s[from:])
		if tagLen > 0 {
			lx.data(s[:from], sign, true)
			lx.advance(from + tagLen)
			return nil
		}
		from += 2
	}
}

func endRaw(s string) (sign byte, length int) {
	rest := s[2:]
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		sign, rest = rest[0], rest[1:]
	}
	rest, ok := strings.CutPrefix(trimLeft(rest), "endraw")
	if !ok {
		return 0, 0
	}
	rest = trimLeft(rest)
	if n := tagEnd(rest, "%}"); n > 0 {
		return sign, len(s) - len(rest) + n
	}
	return 0, 0
}

// tagEnd returns the length of the closing of a block or comment at the start
// of s, with the white space that it swallows, else 0.
func tagEnd(s, end string) int {
	switch {
	case strings.HasPrefix(s, "+"+end):
		return 1 + len(end)
	case strings.HasPrefix(s, "-"+end):
		return len(s) - len(trimLeft(s[1+len(end):]))
	case strings.HasPrefix(s, end+"\n"):
		return len(end) + 1
	case strings.HasPrefix(s, end):
		return len(end)
	}
	return 0
}

func (lx *lexer) comment() error {
	lx.advance(2)
	if s := lx.rest(); s != "" && (s[0] == '-' || s[0] == '+') {
		lx.advance(1)
	}
	s := lx.rest()
	i := strings.Index(s, "#}")
	if i < 0 {
		return errorf(Syntax, "missing end of comment tag")
	}
	if i > 0 && (s[i-1] == '-' || s[i-1] == '+') {
		i--
	}
	lx.advance(i + tagEnd(s[i:], "#}"))
	return nil
}

// expression reads tokens up to the end of the tag.
func (lx *lexer) expression(end tokenKind) error {
	var open []byte // closing brackets awaited
	for {
		s := lx.rest()
		if s == "" {
			return nil // the parser finds the tag unclosed
		}
		if len(open) == 0 {
			if n := lx.closing(s, end); n > 0 {
				lx.emit(end, "")
				lx.advance(n)
				return nil
			}
		}
		if n := len(s) - len(trimLeft(s)); n > 0 {
			lx.advance(n)
			continue
		}
		n, err := lx.token(s)
		if err != nil {
			return err
		}
		if n == 0 {
			r, _ := utf8.DecodeRuneInString(s)
			return errorf(Syntax, "unexpected char %s at %d", reprString(string(r)), lx.pos)
		}
		if last := lx.tokens[len(lx.tokens)-1]; last.kind == tokOperator {
			if open, err = balance(open, last.text); err != nil {
				return err
			}
		}
		lx.advance(n)
	}
}

func (lx *lexer) closing(s string, end tokenKind) int {
	if end == tokBlockEnd {
		return tagEnd(s, "%}")
	}
	if strings.HasPrefix(s, "-}}") {
		return len(s) - len(trimLeft(s[3:]))
	}
	if strings.HasPrefix(s, "}}") {
		return 2
	}
	return 0
}

func balance(open []byte, op string) ([]byte, error) {
	switch op {
	case "(":
		return append(open, ')'), nil
	case "[":
		return append(open, ']'), nil
	case "{":
		return append(open, '}'), nil
	case ")", "]", "}":
		if len(open) == 0 {
			return nil, errorf(Syntax, "unexpected '%s'", op)
		}
		if want := open[len(open)-1]; want != op[0] {
			return nil, errorf(Syntax, "unexpected '%s', expected '%c'", op, want)
		}
		return open[:len(open)-1], nil
	}
	return open, nil
}

// token emits the token at the start of s and returns its length, 0 if there
// is none.
func (lx *lexer) token(s string) (int, error) {
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case '0' <= r && r <= '9':
		return lx.number(s)
	case r == '\'' || r == '"':
		return lx.quoted(s)
	case isNameRune(r):
		n := size
		for n < len(s) {
			c, size := utf8.DecodeRuneInString(s[n:])
			if !isNameRune(c) {
				break
			}
			n += size
		}
		if !(r == '_' || unicode.IsLetter(r) || unicode.Is(unicode.Nl, r)) {
			return 0, errorf(Syntax, "invalid character in identifier")
		}
		lx.emit(tokName, s[:n])
		return n, nil
	}
	for _, op := range []string{"//", "**", "==", "!=", ">=", "<="} {
		if strings.HasPrefix(s, op) {
			lx.emit(tokOperator, op)
			return 2, nil
		}
	}
	if strings.IndexByte("+-/*%~[](){}><=.:|,;", s[0]) >= 0 {
		lx.emit(tokOperator, s[:1])
		return 1, nil
	}
	return 0, nil
}

func isNameRune(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) ||
		r >= 0x80 && (unicode.In(r, unicode.Nl, unicode.Mn, unicode.Mc, unicode.Pc))
}

// digitRun returns the length of digits joined by single underscores.
func digitRun(s string, isDigit func(byte) bool) int {
	n := 0
	for n < len(s) {
		switch {
		case isDigit(s[n]):
			n++
		case s[n] == '_' && n > 0 && n+1 < len(s) && isDigit(s[n+1]):
			n += 2
		default:
			return n
		}
	}
	return n
}

func isDecimal(c byte) bool { return '0' <= c && c <= '9' }

func (lx *lexer) number(s string) (int, error) {
	afterDot := lx.pos > 0 && lx.src[lx.pos-1] == '.'
	if n := floatLength(s); n > 0 && !afterDot {
		f, err := strconv.ParseFloat(strings.ReplaceAll(s[:n], "_", ""), 64)
		if err != nil && !strings.Contains(err.Error(), "range") {
			return 0, errorf(Syntax, "invalid number %s", s[:n])
		}
		lx.emit(tokFloat, s[:n])
		lx.tokens[len(lx.tokens)-1].value = f
		return n, nil
	}
	n, base := integerLength(s)
	digits := strings.ReplaceAll(s[:n], "_", "")
	if base != 10 {
		digits = digits[2:]
	}
	if len(digits) > 4300 { // Python's limit
		return 0, errorf(Syntax, "an integer of %d digits is too long", len(digits))
	}
	i, ok := new(big.Int).SetString(digits, base)
	if !ok {
		return 0, errorf(Syntax, "invalid number %s", s[:n])
	}
	v, err := normInt(i)
	if err != nil {
		return 0, err
	}
	lx.emit(tokInteger, s[:n])
	lx.tokens[len(lx.tokens)-1].value = v
	return n, nil
}

// floatLength returns the length of a float literal: digits with a fraction,
// an exponent or both.
func floatLength(s string) int {
	n := digitRun(s, isDecimal)
	isFloat := false
	if n+1 < len(s) && s[n] == '.' {
		if d := digitRun(s[n+1:], isDecimal); d > 0 {
			n += 1 + d
			isFloat = true
		}
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		e := n + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if d := digitRun(s[e:], isDecimal); d > 0 {
			return e + d
		}
	}
	if isFloat {
		return n
	}
	return 0
}

func integerLength(s string) (n, base int) {
	bases := []struct {
		letter byte
		base   int
		digits string
	}{{'x', 16, "0123456789abcdefABCDEF"}, {'o', 8, "01234567"}, {'b', 2, "01"}}
	for _, b := range bases {
		if len(s) < 3 || s[0] != '0' || s[1]|0x20 != b.letter {
			continue
		}
		body := s[2:]
		lead := 0
		if body[0] == '_' {
			lead = 1
		}
		if d := digitRun(body[lead:], func(c byte) bool { return strings.IndexByte(b.digits, c) >= 0 }); d > 0 {
			return 2 + lead + d, b.base
		}
	}
	if s[0] == '0' {
		return digitRun(s, func(c byte) bool { return c == '0' }), 10
	}
	return digitRun(s, isDecimal), 10
}

func (lx *lexer) quoted(s string) (int, error) {
	for n := 1; n < len(s); n++ {
		switch s[n] {
		case '\\':
			n++
		case s[0]:
			str, err := unescape(s[1:n])
			if err != nil {
				return 0, err
			}
			lx.emit(tokString, str)
			return n + 1, nil
		}
	}
	return 0, nil
}

// unescape reads Python's backslash escapes. As in Jinja, a character beyond
// ASCII first becomes an escape itself, which shows only behind a backslash.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var ascii strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80:
			ascii.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&ascii, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		default:
			fmt.Fprintf(&ascii, `\U%08x`, r)
		}
	}
	s = ascii.String()
	var out []rune
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, rune(s[i]))
			i++
			continue
		}
		r, n, err := escapeSequence(s[i:])
		if err != nil {
			return "", err
		}
		out = append(out, r...)
		i += n
	}
	return joinSurrogates(out), nil
}

var simpleEscapes = map[byte]rune{'n': '\n', 't': '\t', 'r': '\r', '\\': '\\', '\'': '\'', '"': '"',
	'a': '\a', 'b': '\b', 'f': '\f', 'v': '\v'}

// escapeSequence decodes the escape at the start of s and returns its length.
func escapeSequence(s string) ([]rune, int, error) {
	c := s[1]
	if r, ok := simpleEscapes[c]; ok {
		return []rune{r}, 2, nil
	}
	switch {
	case c == '\n':
		return nil, 2, nil
	case '0' <= c && c <= '7':
		n := 2
		for n < len(s) && n < 4 && '0' <= s[n] && s[n] <= '7' {
			n++
		}
		v, _ := strconv.ParseUint(s[1:n], 8, 32)
		return []rune{rune(v)}, n, nil
	case c == 'x' || c == 'u' || c == 'U':
		n := map[byte]int{'x': 4, 'u': 6, 'U': 10}[c]
		if len(s) < n {
			return nil, 0, errorf(Syntax, `truncated \%c escape`, c)
		}
		v, err := strconv.ParseUint(s[2:n], 16, 32)
		if err != nil {
			return nil, 0, errorf(Syntax, `truncated \%c escape`, c)
		}
		if v > unicode.MaxRune {
			return nil, 0, errorf(Syntax, "illegal Unicode character")
		}
		return []rune{rune(v)}, n, nil
	case c == 'N':
		return nil, 0, errorf(Syntax, `\N escapes are not supported`)
	}
	return []rune{'\\', rune(c)}, 2, nil
}

// joinSurrogates turns pairs of escaped surrogates into the character meant.
func joinSurrogates(rs []rune) string {
	var b strings.Builder
	for i := 0; i < len(rs); i++ {
		r := rs[i]
		if 0xD800 <= r && r < 0xDC00 && i+1 < len(rs) && 0xDC00 <= rs[i+1] && rs[i+1] < 0xE000 {
			r = 0x10000 + (r-0xD800)<<10 + (rs[i+1] - 0xDC00)
			i++
		}
		b.WriteRune(r)
	}
	return b.String()
}
