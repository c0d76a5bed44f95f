package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// unicodeForm is NFC, NFD, NFKC or NFKD by the tables of Unicode 9, with the
// offsets that the reference gives (unicode-normalization-alignments).
type unicodeForm struct{ Form string }

func (p unicodeForm) typeName() string { return p.Form }

func (p unicodeForm) normalize(n *normalized) {
	u := loadUnicode()
	touched := isNormal | isNFC // classes that the form may change
	if p.Form == "NFC" {
		touched = isNFC
	}
	first := u.indexClass(n.s, touched)
	if first < 0 {
		return
	}
	f := former{unicodeForm: p, u: u, w: n.rewrite()}
	for first >= 0 {
		start := max(lastStart(n.s[:first]), f.w.pos) // the character that a mark may join
		end := first
		for end < len(n.s) {
			r, size := decodeRune(n.s[end:])
			if u.class(r)&touched == 0 {
				break
			}
			end += size
		}
		f.w.keep(start)
		f.segment(n.s[start:end])
		first = u.indexClass(n.s[end:], touched)
		if first >= 0 {
			first += end
		}
	}
	f.w.keep(len(n.s))
	f.w.done()
}

// indexClass returns where in s the first character with one of bits is.
func (u *unicodeData) indexClass(s string, bits uint16) int {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf { // none of them has a normal form of its own
			i++
			continue
		}
		if i+2 < len(s) && s[i]&0xf0 == 0xe0 {
			if r, ok := rune3(s[i], s[i+1], s[i+2]); ok && u.class(r)&bits == 0 {
				i += 3
				continue
			}
		}
		r, size := decodeRune(s[i:])
		if u.class(r)&bits != 0 {
			return i
		}
		i += size
	}
	return -1
}

func lastStart(s string) int {
	if s == "" {
		return 0
	}
	_, size := lastRune(s)
	return len(s) - size
}

// former brings the segments between characters that nothing can change into a
// normal form.
type former struct {
	unicodeForm
	u   *unicodeData
	w   rewriter
	buf []marked
}

// marked is a character with its combining class and its change as rewriter
// takes it.
type marked struct {
	r      rune
	class  uint8
	change int
}

func (f *former) segment(s string) {
	f.buf = f.buf[:0]
	sorted := 0 // up to here f.buf is in order
	for i := 0; i < len(s); {
		r, size := decodeRune(s[i:])
		for j, d := range f.decompose(r) {
			m := marked{r: d, class: f.class(d)}
			if j > 0 {
				m.change = 1
			}
			if m.class == 0 {
				f.sort(sorted)
				sorted = len(f.buf)
			}
			f.buf = append(f.buf, m)
		}
		i += size
	}
	f.sort(sorted)
	if f.Form == "NFC" || f.Form == "NFKC" {
		f.compose()
	}
	for _, m := range f.buf {
		f.w.emit(m.r, m.change)
	}
}

func (f *former) sort(from int) {
	slices.SortStableFunc(f.buf[from:], func(a, b marked) int { return int(a.class) - int(b.class) })
}

func (f *former) class(r rune) uint8 {
	if f.u.class(r)&isNormal == 0 {
		return 0
	}
	return norm.NFC.PropertiesString(string(r)).CCC()
}

const (
	hangulS, hangulL, hangulV, hangulT = 0xac00, 0x1100, 0x1161, 0x11a7
	hangulLs, hangulVs, hangulTs       = 19, 21, 28
	hangulSs                           = hangulLs * hangulVs * hangulTs
)

func (f *former) decompose(r rune) []rune {
	if f.u.class(r)&isNormal == 0 {
		return []rune{r}
	}
	if s := r - hangulS; 0 <= s && s < hangulSs {
		out := []rune{hangulL + s/(hangulVs*hangulTs), hangulV + s%(hangulVs*hangulTs)/hangulTs, hangulT + s%hangulTs}
		if s%hangulTs == 0 {
			out = out[:2]
		}
		return out
	}
	form := norm.NFD
	if f.Form == "NFKC" || f.Form == "NFKD" {
		form = norm.NFKD
	}
	if d := form.PropertiesString(string(r)).Decomposition(); d != nil {
		return []rune(string(d))
	}
	return []rune{r}
}

// compose joins marks with the starter before them, as far as none of their
// class or a higher one stands between.
func (f *former) compose() {
	out := f.buf[:0]
	starter := -1
	last := -1 // class of the last mark that did not join; -1: none
	for _, m := range f.buf {
		if starter >= 0 && (last < 0 || last < int(m.class)) {
			if r, ok := f.pair(out[starter].r, m.r); ok {
				out[starter].r = r
				out[starter].change += m.change - 1
				continue
			}
		}
		if m.class == 0 {
			starter, last = len(out), -1
		} else if starter >= 0 {
			last = int(m.class)
		}
		out = append(out, m)
	}
	f.buf = out
}

// pair returns the character that a and b make together.
func (f *former) pair(a, b rune) (rune, bool) {
	if l, v := a-hangulL, b-hangulV; 0 <= l && l < hangulLs && 0 <= v && v < hangulVs {
		return hangulS + (l*hangulVs+v)*hangulTs, true
	}
	if s, t := a-hangulS, b-hangulT; 0 <= s && s < hangulSs && s%hangulTs == 0 && 0 < t && t < hangulTs {
		return a + t, true
	}
	both := norm.NFC.String(string(a) + string(b))
	r, size := utf8.DecodeRuneInString(both)
	return r, size == len(both) && f.u.class(r)&isNormal != 0
}
