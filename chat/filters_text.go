package chat

import (
	"bytes"
	"html"
	"strings"
	"unicode"
)

func filterCenter(c *call) (Value, error) {
	width := c.args[1]
	if isMissing(width) {
		width = int64(80)
	}
	m := &call{ip: c.ip, name: "center", args: []Value{c.like(c.text(0)), width, missing}}
	v, err := m.pad(true, true)
	if m.err != nil {
		err = m.err
	}
	return v, err
}

func filterFormat(ip *interp, args arguments) (Value, error) {
	if len(args.pos) == 0 {
		return nil, typeErrorf("format() missing required argument: 'value'")
	}
	if len(args.pos) > 1 && len(args.names) > 0 {
		return nil, typeErrorf("can't handle positional and keyword arguments at the same time")
	}
	format, err := ip.str(args.pos[0])
	if err != nil {
		return nil, err
	}
	var values Value = newTuple(args.pos[1:]...)
	if len(args.names) > 0 {
		kw := &Dict{}
		for i, name := range args.names {
			kw.Set(name, args.vals[i])
		}
		values = kw
	}
	return ip.percentFormat(like(args.pos[0], format), format, values)
}

func filterIndent(c *call) (Value, error) {
	s, ok := asString(c.args[0])
	if !ok {
		c.wrongType(0, "str")
		return nil, nil
	}
	indent := "    "
	if c.has(1) {
		if w, ok := asString(c.args[1]); ok {
			indent = w
		} else {
			n := c.int(1, 4)
			if n > maxFormatWidth {
				return nil, c.ip.room(-1)
			}
			indent = strings.Repeat(" ", int(max(n, 0)))
		}
	}
	first, blank := c.bool(2, false), c.bool(3, false)
	lines := splitLines(s+"\n", false)
	if err := c.ip.room(len(s) + len(lines)*(len(indent)+1)); err != nil {
		return nil, err
	}
	for i, line := range lines {
		if i == 0 && first || i > 0 && (blank || line != "") {
			lines[i] = indent + line
		}
	}
	return c.like(strings.Join(lines, "\n")), c.err
}

func filterReplace(c *call) (Value, error) {
	count := int64(-1)
	if c.given(3) {
		count = c.int(3, -1)
	}
	old, new := c.text(1), c.text(2)
	s := c.text(0)
	if c.err != nil {
		return nil, c.err
	}
	if !c.ip.autoescape {
		return c.ip.replace(s, old, new, count)
	}
	if isMarkup(c.args[1]) || isMarkup(c.args[2]) && !isMarkup(c.args[0]) {
		if !isMarkup(c.args[0]) {
			s = escapeHTML(s)
		}
	} else if !isMarkup(c.args[0]) {
		return c.ip.replace(s, old, new, count)
	}
	if !isMarkup(c.args[2]) {
		new = escapeHTML(new)
	}
	s, err := c.ip.replace(s, old, new, count)
	return markup(s), err
}

// filterTitle begins words behind spaces, hyphens and opening brackets only.
func filterTitle(s string) string {
	var b strings.Builder
	start := true
	for i, r := range s {
		sep := r == '-' || isSpace(r) || strings.ContainsRune("({[<", r)
		switch {
		case sep:
			b.WriteRune(r)
		case start:
			b.WriteString(toUpper(string(r)))
		default:
			b.WriteString(lowerAt(s, i, r))
		}
		start = sep
	}
	return b.String()
}

func filterTrim(c *call) (Value, error) {
	m := &call{ip: c.ip, name: "trim", args: []Value{c.like(c.text(0)), c.args[1]}}
	v, err := m.strip(true, true)
	if m.err != nil {
		err = m.err
	}
	return v, err
}

func filterTruncate(c *call) (Value, error) {
	size, leeway, end := min(c.int(1, 255), 1<<40), int64(5), "..."
	if c.has(3) {
		end = c.str(3)
	}
	if c.given(4) {
		leeway = min(c.int(4, 5), 1<<40)
	}
	if n := int64(runeCount(end)); size < n {
		return nil, typeErrorf("expected length >= %d, got %d", n, size)
	}
	if leeway < 0 {
		return nil, typeErrorf("expected leeway >= 0, got %d", leeway)
	}
	n, ok := length(c.args[0])
	if ok && int64(n) <= size+leeway {
		return c.args[0], nil
	}
	s := c.str(0)
	if c.err != nil {
		return nil, c.err
	}
	s = firstRunes(s, int(size)-runeCount(end))
	if !c.bool(2, false) {
		if i := strings.LastIndexByte(s, ' '); i >= 0 {
			s = s[:i]
		}
	}
	return c.ip.add(c.like(s), end)
}

func isWordRune(r rune) bool {
	return r == '_' || isNumeric(r) || unicode.IsLetter(r)
}

func filterWordCount(c *call) (Value, error) {
	n, inWord := int64(0), false
	for _, r := range c.text(0) {
		w := isWordRune(r)
		if w && !inWord {
			n++
		}
		inWord = w
	}
	return n, nil
}

// stripTags removes comments and tags, joins white space to single spaces and
// resolves entities.
func stripTags(s string) string {
	s = cutBetween(s, "<!--", "-->")
	s = cutBetween(s, "<", ">")
	return html.UnescapeString(strings.Join(splitSpaceLeft(s, -1), " "))
}

// cutBetween removes every stretch from open to close, and what then comes
// together to form a new one.
func cutBetween(s, open, close string) string {
	buf := []byte(s)
	kept, next := 0, 0 // buf[:kept] is done, buf[next:] to come
	for {
		start := bytes.Index(buf[next:], []byte(open))
		if start < 0 {
			break
		}
		end := bytes.Index(buf[next+start:], []byte(close))
		if end < 0 {
			break
		}
		kept += copy(buf[kept:], buf[next:next+start])
		next += start + end + len(close)
		back := min(kept, len(open)-1) // may begin the next opening
		copy(buf[next-back:next], buf[kept-back:kept])
		kept, next = kept-back, next-back
	}
	kept += copy(buf[kept:], buf[next:])
	return string(buf[:kept])
}

const urlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"

// quoteURL is urllib's quote; in a query / is quoted too, and a space is +.
func quoteURL(s string, query bool) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case strings.IndexByte(urlSafe, c) >= 0, c == '/' && !query:
			b.WriteByte(c)
		case c == ' ' && query:
			b.WriteByte('+')
		default:
			b.WriteByte('%')
			b.WriteByte("0123456789ABCDEF"[c>>4])
			b.WriteByte("0123456789ABCDEF"[c&15])
		}
	}
	return b.String()
}

func filterURLEncode(c *call) (Value, error) {
	if _, ok := asString(c.args[0]); ok {
		return quoteURL(c.text(0), false), nil
	}
	var pairs []Value
	if d, ok := c.args[0].(*Dict); ok {
		pairs = (&call{ip: c.ip, args: []Value{&dictView{d, viewItems}}}).items(0)
	} else if _, err := c.ip.iterate(c.args[0]); err != nil {
		return quoteURL(c.text(0), false), nil
	} else {
		pairs = c.items(0)
	}
	var parts []string
	for _, p := range pairs {
		kv, err := c.ip.collect(p)
		if err != nil {
			return nil, err
		}
		if len(kv) != 2 {
			return nil, typeErrorf("expected pairs of key and value, found %d items", len(kv))
		}
		k, err := c.ip.str(kv[0])
		if err != nil {
			return nil, err
		}
		v, err := c.ip.str(kv[1])
		if err != nil {
			return nil, err
		}
		parts = append(parts, quoteURL(k, true)+"="+quoteURL(v, true))
	}
	return c.ip.join(parts, "&")
}

func filterXMLAttr(c *call) (Value, error) {
	d, ok := c.args[0].(*Dict)
	if !ok {
		c.wrongType(0, "dict")
		return nil, nil
	}
	var parts []string
	for i, k := range d.keys {
		v := d.vals[i]
		if _, undef := v.(*undefined); undef || v == nil {
			continue
		}
		key, ok := asString(k)
		if !ok {
			return nil, typeErrorf("expected string or bytes-like object, got '%s'", typeName(k))
		}
		if strings.ContainsAny(key, " \t\n\r\f\v/>=") {
			return nil, typeErrorf("Invalid character in attribute name: %s", reprString(key))
		}
		m, err := c.ip.escape(v)
		if err != nil {
			return nil, err
		}
		name, _ := c.ip.escape(k)
		parts = append(parts, string(name)+`="`+string(m)+`"`)
	}
	s, err := c.ip.join(parts, " ")
	if s != "" && c.bool(1, true) {
		s = " " + s
	}
	if c.ip.autoescape {
		return markup(s), err
	}
	return s, err
}
