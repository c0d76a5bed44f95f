package chat

import (
	"regexp"
	"slices"
	"strings"
)

const word = `[\p{L}\p{N}_]`

var (
	urlPattern = regexp.MustCompile(`(?is)^((https?://|www\.)((` + `[\p{L}\p{N}_%-]` + `+\.)+)?([a-z]{2,63}|xn--[\p{L}\p{N}_%]{2,59})` +
		`|([\p{L}\p{N}_%-]{2,63}\.)+(com|net|int|edu|gov|org|info|mil)` +
		`|(https?://)(((\p{Nd}{1,3})(\.\p{Nd}{1,3}){3})|(\[([\p{Nd}a-f]{0,4}:){2}([\p{Nd}a-f]{0,4}:?){1,6}\])))` +
		`(?::\p{Nd}{1,5})?(?:[/?#].*)?$`)
	emailPattern  = regexp.MustCompile(`(?s)^.+@` + word + `[\p{L}\p{N}_.-]*\.` + word + `+$`)
	schemePattern = regexp.MustCompile(`^[\p{L}\p{N}_.+-]{2,}:/{0,2}$`)
	headPattern   = regexp.MustCompile(`^([(<]|&lt;)+`)
	tailPattern   = regexp.MustCompile(`([)>.,\n]|&gt;)+$`)
)

// linker turns what looks like a URL or an address into a link.
type linker struct {
	limit   int // of the text shown, in characters; -1: none
	attrs   string
	schemes []string
}

func filterURLize(c *call) (Value, error) {
	l := &linker{limit: -1}
	if c.given(1) {
		l.limit = int(c.int(1, 0))
	}
	rel := []string{"noopener"}
	if c.given(4) {
		rel = append(rel, splitSpaceLeft(c.str(4), -1)...)
	}
	if c.bool(2, false) {
		rel = append(rel, "nofollow")
	}
	slices.Sort(rel)
	l.attrs = ` rel="` + escapeHTML(strings.Join(slices.Compact(rel), " ")) + `"`
	if c.given(3) && truth(c.args[3]) {
		l.attrs += ` target="` + escapeHTML(c.text(3)) + `"`
	}
	if c.given(5) {
		for _, s := range c.items(5) {
			if !schemePattern.MatchString(text(s)) {
				return nil, typeErrorf("%s is not a valid URI scheme prefix.", shortRepr(s))
			}
			l.schemes = append(l.schemes, text(s))
		}
	}
	m, err := c.ip.escape(c.args[0])
	if err != nil {
		return nil, err
	}
	if err := c.ip.work(512 * len(m)); err != nil {
		return nil, err
	}
	var b strings.Builder
	for s := string(m); s != ""; {
		n := len(s) - len(trimLeft(s))
		b.WriteString(s[:n])
		s = s[n:]
		if n = strings.IndexFunc(s, isSpace); n < 0 {
			n = len(s)
		}
		b.WriteString(l.word(s[:n]))
		s = s[n:]
		if err := c.ip.room(b.Len()); err != nil {
			return nil, err
		}
	}
	if c.ip.autoescape {
		return markup(b.String()), nil
	}
	return b.String(), nil
}

func (l *linker) word(s string) string {
	head := headPattern.FindString(s)
	middle := s[len(head):]
	tail := tailPattern.FindString(middle)
	middle = middle[:len(middle)-len(tail)]
	for _, pair := range [][2]string{{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}} {
		open := strings.Count(middle, pair[0])
		if open <= strings.Count(middle, pair[1]) {
			continue
		}
		for range min(open, strings.Count(tail, pair[1])) {
			end := strings.Index(tail, pair[1]) + len(pair[1])
			middle += tail[:end]
			tail = tail[end:]
		}
	}
	return head + l.link(middle) + tail
}

func (l *linker) link(s string) string {
	shown := s
	if l.limit >= 0 && runeCount(s) > l.limit {
		shown = firstRunes(s, l.limit) + "..."
	}
	switch {
	case urlPattern.MatchString(s):
		href := s
		if !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
			href = "https://" + s
		}
		return `<a href="` + href + `"` + l.attrs + `>` + shown + `</a>`
	case strings.HasPrefix(s, "mailto:") && emailPattern.MatchString(s[7:]):
		return `<a href="` + s + `">` + s[7:] + `</a>`
	case strings.Contains(s, "@") && !strings.HasPrefix(s, "www.") && !strings.HasPrefix(s, "@") &&
		!strings.Contains(s, ":") && emailPattern.MatchString(s):
		return `<a href="mailto:` + s + `">` + s + `</a>`
	}
	for _, scheme := range l.schemes {
		if s != scheme && strings.HasPrefix(s, scheme) {
			s = `<a href="` + s + `"` + l.attrs + `>` + s + `</a>`
		}
	}
	return s
}
