package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var strMethods = table(
	def("capitalize(self, /)", func(c *call) (Value, error) { return c.like(capitalize(c.str(0))), nil }),
	def("casefold(self, /)", func(c *call) (Value, error) { return c.like(foldCase(c.str(0))), nil }),
	def("lower(self, /)", func(c *call) (Value, error) { return c.like(toLower(c.str(0))), nil }),
	def("upper(self, /)", func(c *call) (Value, error) { return c.like(toUpper(c.str(0))), nil }),
	def("swapcase(self, /)", func(c *call) (Value, error) { return c.like(swapCase(c.str(0))), nil }),
	def("title(self, /)", func(c *call) (Value, error) { return c.like(titleCase(c.str(0))), nil }),
	def("strip(self, chars?, /)", func(c *call) (Value, error) { return c.strip(true, true) }),
	def("lstrip(self, chars?, /)", func(c *call) (Value, error) { return c.strip(true, false) }),
	def("rstrip(self, chars?, /)", func(c *call) (Value, error) { return c.strip(false, true) }),
	def("center(self, width, fillchar?, /)", func(c *call) (Value, error) { return c.pad(true, true) }),
	def("ljust(self, width, fillchar?, /)", func(c *call) (Value, error) { return c.pad(false, true) }),
	def("rjust(self, width, fillchar?, /)", func(c *call) (Value, error) { return c.pad(true, false) }),
	def("zfill(self, width, /)", strZfill),
	def("expandtabs(self, tabsize?)", strExpandTabs),
	def("replace(self, old, new, count?, /)", strReplace),
	def("removeprefix(self, prefix, /)", func(c *call) (Value, error) {
		return c.like(strings.TrimPrefix(c.str(0), c.str(1))), nil
	}),
	def("removesuffix(self, suffix, /)", func(c *call) (Value, error) {
		return c.like(strings.TrimSuffix(c.str(0), c.str(1))), nil
	}),
	def("count(self, sub, start?, end?, /)", func(c *call) (Value, error) {
		s, _, ok := c.window()
		sub := c.str(1)
		if !ok {
			return int64(0), nil
		}
		return int64(strings.Count(s, sub)), nil
	}),
	def("find(self, sub, start?, end?, /)", func(c *call) (Value, error) { return c.find(strings.Index), nil }),
	def("rfind(self, sub, start?, end?, /)", func(c *call) (Value, error) { return c.find(strings.LastIndex), nil }),
	def("index(self, sub, start?, end?, /)", func(c *call) (Value, error) { return c.mustFind(strings.Index) }),
	def("rindex(self, sub, start?, end?, /)", func(c *call) (Value, error) { return c.mustFind(strings.LastIndex) }),
	def("startswith(self, prefix, start?, end?, /)", func(c *call) (Value, error) { return c.affix(strings.HasPrefix) }),
	def("endswith(self, suffix, start?, end?, /)", func(c *call) (Value, error) { return c.affix(strings.HasSuffix) }),
	def("split(self, sep?, maxsplit?)", func(c *call) (Value, error) { return c.split(splitLeft, splitSpaceLeft) }),
	def("rsplit(self, sep?, maxsplit?)", func(c *call) (Value, error) { return c.split(splitRight, splitSpaceRight) }),
	def("splitlines(self, keepends?)", func(c *call) (Value, error) {
		return c.list(splitLines(c.str(0), c.int(1, 0) != 0)), nil
	}),
	def("partition(self, sep, /)", func(c *call) (Value, error) {
		before, after, found := strings.Cut(c.str(0), c.separator())
		if !found {
			return newTuple(c.args[0], c.like(""), c.like("")), nil
		}
		return newTuple(c.like(before), c.like(c.str(1)), c.like(after)), nil
	}),
	def("rpartition(self, sep, /)", func(c *call) (Value, error) {
		s, sep := c.str(0), c.separator()
		i := strings.LastIndex(s, sep)
		if i < 0 {
			return newTuple(c.like(""), c.like(""), c.args[0]), nil
		}
		return newTuple(c.like(s[:i]), c.like(sep), c.like(s[i+len(sep):])), nil
	}),
	def("join(self, iterable, /)", strJoin),
	rawDef("format", strFormat),
	def("format_map(self, mapping, /)", func(c *call) (Value, error) {
		d, ok := c.args[1].(*Dict)
		if !ok {
			return nil, typeErrorf("format_map() argument must be a mapping, not %s", typeName(c.args[1]))
		}
		return c.ip.formatString(c.args[0], nil, d)
	}),
	predicate("isalnum", func(r rune) bool { return unicode.IsLetter(r) || isNumeric(r) }),
	predicate("isalpha", unicode.IsLetter),
	predicate("isdecimal", unicode.IsDigit),
	predicate("isdigit", isDigitRune),
	predicate("isnumeric", isNumeric),
	predicate("isspace", isSpace),
	def("isascii(self, /)", func(c *call) (Value, error) { return isASCII(c.str(0)), nil }),
	def("isprintable(self, /)", func(c *call) (Value, error) {
		return strings.IndexFunc(c.str(0), func(r rune) bool { return !isPrintable(r) }) < 0, nil
	}),
	def("isidentifier(self, /)", func(c *call) (Value, error) { return isIdentifier(c.str(0)), nil }),
	def("islower(self, /)", func(c *call) (Value, error) { return isLowerText(c.str(0)), nil }),
	def("isupper(self, /)", func(c *call) (Value, error) { return isUpperText(c.str(0)), nil }),
	def("istitle(self, /)", func(c *call) (Value, error) { return isTitleText(c.str(0)), nil }),
)

// predicate makes a method that wants every character of a non-empty string to
// pass.
func predicate(name string, pass func(rune) bool) *builtin {
	return def(name+"(self, /)", func(c *call) (Value, error) {
		s := c.str(0)
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !pass(r) }) < 0, nil
	})
}

// like returns s as plain or marked-up text, as the method's string is.
func (c *call) like(s string) Value { return like(c.args[0], s) }

func (c *call) list(parts []string) Value {
	items := make([]Value, len(parts))
	for i, s := range parts {
		items[i] = c.like(s)
	}
	return newList(items)
}

// escaped is string argument i, escaped if the method's string is marked up.
func (c *call) escaped(i int) string {
	if _, ok := c.args[0].(markup); ok {
		m, err := c.ip.escape(c.args[i])
		if err != nil {
			c.fail(err)
		}
		return string(m)
	}
	return c.str(i)
}

func (c *call) separator() string {
	sep := c.str(1)
	if sep == "" {
		c.fail(typeErrorf("empty separator"))
		return " "
	}
	return sep
}

func (c *call) strip(left, right bool) (Value, error) {
	s := c.str(0)
	drop := isSpace
	if c.given(1) {
		chars := c.str(1)
		drop = func(r rune) bool { return strings.ContainsRune(chars, r) }
		if err := c.ip.work(min(len(chars), 64) * min(len(s), 64)); err != nil {
			return nil, err
		}
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return c.like(s), nil
}

func (c *call) pad(left, right bool) (Value, error) {
	s, width, fill := c.str(0), c.int(1, 0), " "
	if c.has(2) {
		fill = c.escaped(2)
	}
	if runeCount(fill) != 1 {
		return nil, typeErrorf("the fill character must be exactly one character long")
	}
	n := int64(runeCount(s))
	if width <= n || c.err != nil {
		return c.like(s), nil
	}
	if width > 1<<40 {
		return nil, c.ip.room(-1)
	}
	if err := c.ip.room(int(width) * len(fill)); err != nil {
		return nil, err
	}
	marg := width - n
	before, after := marg, int64(0)
	switch {
	case left && right: // an odd space goes left where the width is odd, too
		before = marg/2 + marg&width&1
		after = marg - before
	case right:
		before, after = 0, marg
	}
	return c.like(strings.Repeat(fill, int(before)) + s + strings.Repeat(fill, int(after))), nil
}

func strZfill(c *call) (Value, error) {
	s, width := c.str(0), c.int(1, 0)
	n := int64(runeCount(s))
	if width <= n || c.err != nil {
		return c.like(s), nil
	}
	if err := c.ip.room(int(min(width, 1<<40))); err != nil {
		return nil, err
	}
	zeros := strings.Repeat("0", int(width-n))
	if s != "" && (s[0] == '+' || s[0] == '-') {
		return c.like(s[:1] + zeros + s[1:]), nil
	}
	return c.like(zeros + s), nil
}

func strExpandTabs(c *call) (Value, error) {
	s, size := c.str(0), c.int(1, 8)
	if size > 1<<20 {
		return nil, typeErrorf("tab size is too large")
	}
	if err := c.ip.room(len(s) + strings.Count(s, "\t")*int(max(size, 0))); err != nil {
		return nil, err
	}
	var b strings.Builder
	col := int64(0)
	for _, r := range s {
		switch r {
		case '\t':
			if size > 0 {
				n := size - col%size
				b.WriteString(strings.Repeat(" ", int(n)))
				col += n
			}
			continue
		case '\n', '\r':
			col = -1
		}
		b.WriteRune(r)
		col++
	}
	return c.like(b.String()), nil
}

func strReplace(c *call) (Value, error) {
	s, err := c.ip.replace(c.str(0), c.str(1), c.escaped(2), c.int(3, -1))
	return c.like(s), err
}

// replace is str.replace; count < 0 means all.
func (ip *interp) replace(s, old, new string, count int64) (string, error) {
	n := int64(strings.Count(s, old))
	if count >= 0 {
		n = min(n, count)
	}
	grow := int64(len(new) - len(old))
	if grow > 0 && n > ip.limits.memory/grow {
		return "", ip.room(-1)
	}
	if err := ip.work(len(s) + 16*int(n)); err != nil {
		return "", err
	}
	return strings.Replace(s, old, new, int(n)), ip.room(len(s) + int(max(grow*n, 0)))
}

// window is the stretch of the string that start and end (arguments 2 and 3)
// select, the number of characters before it, and whether there is one.
func (c *call) window() (s string, before int64, ok bool) {
	s = c.str(0)
	if !c.given(2) && !c.given(3) {
		return s, 0, true
	}
	n := int64(runeCount(s))
	bound := func(i int, def int64) int64 {
		if !c.given(i) {
			return def
		}
		k := c.int(i, def)
		if k < 0 {
			k = max(k+n, 0)
		}
		return k
	}
	start, end := bound(2, 0), min(bound(3, n), n)
	if start > n || start > end {
		return "", 0, false
	}
	return sliceText(s, start, 1, end-start), start, true
}

func (c *call) find(search func(s, sub string) int) Value {
	s, before, ok := c.window()
	sub := c.str(1)
	i := -1
	if ok {
		i = search(s, sub)
	}
	if i < 0 {
		return int64(-1)
	}
	return before + int64(runeCount(s[:i]))
}

func (c *call) mustFind(search func(s, sub string) int) (Value, error) {
	i := c.find(search)
	if i == int64(-1) {
		return nil, typeErrorf("substring not found")
	}
	return i, nil
}

func (c *call) affix(has func(s, affix string) bool) (Value, error) {
	s, _, ok := c.window()
	options := []Value{c.args[1]}
	if t, isTuple := c.args[1].(*tuple); isTuple {
		options = t.items
	}
	for _, o := range options {
		affix, isText := asString(o)
		if !isText {
			if u, ok := o.(*undefined); ok && len(options) == 1 {
				return nil, u.fail()
			}
			return nil, typeErrorf("%s first arg must be str or a tuple of str, not %s", c.name, typeName(o))
		}
		if ok && has(s, affix) {
			return true, nil
		}
	}
	return false, nil
}

func (c *call) split(bySep func(s, sep string, n int) []string, bySpace func(s string, n int) []string) (Value, error) {
	s, n := c.str(0), c.int(2, -1)
	limit := -1
	if n >= 0 && n < int64(len(s)) {
		limit = int(n)
	}
	if err := c.ip.room(16 * len(s)); err != nil {
		return nil, err
	}
	if !c.given(1) {
		return c.list(bySpace(s, limit)), nil
	}
	return c.list(bySep(s, c.separator(), limit)), nil
}

func splitLeft(s, sep string, n int) []string {
	if n < 0 {
		return strings.Split(s, sep)
	}
	return strings.SplitN(s, sep, n+1)
}

func splitRight(s, sep string, n int) []string {
	var parts []string
	for ; n != 0; n-- {
		i := strings.LastIndex(s, sep)
		if i < 0 {
			break
		}
		parts = append(parts, s[i+len(sep):])
		s = s[:i]
	}
	parts = append(parts, s)
	slices.Reverse(parts)
	return parts
}

func splitSpaceLeft(s string, n int) []string {
	var parts []string
	for s = trimLeft(s); s != ""; s = trimLeft(s) {
		i := strings.IndexFunc(s, isSpace)
		if i < 0 || n == 0 {
			return append(parts, s)
		}
		parts = append(parts, s[:i])
		s = s[i:]
		n--
	}
	return parts
}

func splitSpaceRight(s string, n int) []string {
	var parts []string
	for s = strings.TrimRightFunc(s, isSpace); s != ""; s = strings.TrimRightFunc(s, isSpace) {
		i := strings.LastIndexFunc(s, isSpace)
		if i < 0 || n == 0 {
			parts = append(parts, s)
			break
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		parts = append(parts, s[i+size:])
		s = s[:i]
		n--
	}
	slices.Reverse(parts)
	return parts
}

func strJoin(c *call) (Value, error) {
	items := c.items(1)
	marked := false
	if _, ok := c.args[0].(markup); ok {
		marked = true
	}
	parts := make([]string, len(items))
	for i, v := range items {
		s, ok := asString(v)
		if !ok && !marked {
			return nil, typeErrorf("sequence item %d: expected str instance, %s found", i, typeName(v))
		}
		if marked {
			m, err := c.ip.escape(v)
			if err != nil {
				return nil, err
			}
			s = string(m)
		}
		parts[i] = s
	}
	s, err := c.ip.join(parts, c.str(0))
	return c.like(s), err
}

// join is strings.Join within the limits.
func (ip *interp) join(parts []string, sep string) (string, error) {
	n := 0
	for _, p := range parts {
		n += len(p) + len(sep)
		if err := ip.room(n); err != nil {
			return "", err
		}
	}
	return strings.Join(parts, sep), ip.walk(len(parts))
}

func isDigitRune(r rune) bool {
	if unicode.IsDigit(r) {
		return true
	}
	for _, d := range otherDigits {
		if d[0] <= r && r <= d[1] {
			return true
		}
	}
	return false
}

// otherDigits are the digits that are not decimal (superscripts, circled):
// Numeric_Type=Digit.
var otherDigits = [][2]rune{{0xb2, 0xb3}, {0xb9, 0xb9}, {0x1369, 0x1371}, {0x19da, 0x19da}, {0x2070, 0x2070},
	{0x2074, 0x2079}, {0x2080, 0x2089}, {0x2460, 0x2468}, {0x2474, 0x247c}, {0x2488, 0x2490}, {0x24ea, 0x24ea},
	{0x24f5, 0x24fd}, {0x24ff, 0x24ff}, {0x2776, 0x277e}, {0x2780, 0x2788}, {0x278a, 0x2792}, {0x10a40, 0x10a43},
	{0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a}}

// cjkNumbers are the ideographs with a numeric value (Unihan).
const cjkNumbers = "㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零" +
	"𠀁𠁤𠃢𠄡𠤪𠦃𠦌𠦜𠫪𠫽𠬙𢎐𢦘𣬛𦉭"

func isNumeric(r rune) bool {
	return unicode.IsNumber(r) || r >= 0x3400 && strings.ContainsRune(cjkNumbers, r)
}

func isIdentifier(s string) bool {
	for i, r := range s {
		start := r == '_' || unicode.IsLetter(r) || unicode.Is(unicode.Nl, r)
		if !start && (i == 0 || !isNameRune(r)) {
			return false
		}
	}
	return s != ""
}

func isLowerText(s string) bool {
	cased := false
	for _, r := range s {
		if isUpperRune(r) || unicode.IsTitle(r) {
			return false
		}
		cased = cased || isLowerRune(r)
	}
	return cased
}

func isUpperText(s string) bool {
	cased := false
	for _, r := range s {
		if isLowerRune(r) || unicode.IsTitle(r) {
			return false
		}
		cased = cased || isUpperRune(r)
	}
	return cased
}

func isTitleText(s string) bool {
	cased, inWord := false, false
	for _, r := range s {
		switch {
		case isUpperRune(r) || unicode.IsTitle(r):
			if inWord {
				return false
			}
			cased, inWord = true, true
		case isLowerRune(r):
			if !inWord {
				return false
			}
			cased = true
		default:
			inWord = false
		}
	}
	return cased
}
