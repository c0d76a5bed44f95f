package tokenizer

import (
	_ "embed"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:embed unicode.txt
var unicodeText string

// Bits of a character's class; unicode.txt says whose view of Unicode each is.
const (
	isLetter  uint16 = 1 << iota // L
	isNumber                     // N
	isSpace                      // White_Space
	isMark                       // M
	isUpper                      // Lu, Lt
	isLower                      // Ll
	isPunct                      // P
	isSymbol                     // S
	isWord                       // \w of Rust's regular expressions
	isNumeric                    // Rust's char::is_numeric
	isBertPunct
	isControl // what BERT's clean_text removes
	isNonspacing
	isCombining
	isNormal // has a combining class or a decomposition
	isNFC    // may change under NFC
)

// badByte + b stands for a byte b that is no part of a character. Such a
// "character" has class 0 and is written back as the byte.
const badByte rune = 0x110000

const (
	pageBits = 7
	pageSize = 1 << pageBits
)

// unicodeData is unicode.txt, read.
type unicodeData struct {
	pages   [(0x110000+256)>>pageBits + 1]uint16
	classes []uint16 // pages of pageSize classes
	ranges  map[string][]runeRange
	lower   map[rune]rune // where Go's tables are older
	scripts []scriptRange // ascending
}

type runeRange struct{ lo, hi rune }

type scriptRange struct {
	runeRange
	script int // from 1; 0 is no script
}

var loadUnicode = sync.OnceValue(func() *unicodeData {
	u := &unicodeData{ranges: map[string][]runeRange{}, lower: map[rune]rune{}}
	scripts := 0
	for line := range strings.Lines(unicodeText) {
		name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch {
		case name == "#":
		case name == "lower":
			for f := range strings.FieldsSeq(rest) {
				from, to, _ := strings.Cut(f, ">")
				u.lower[hexRune(from)] = hexRune(to)
			}
		default:
			u.ranges[name] = parseRanges(rest)
			if strings.HasPrefix(name, "script:") {
				scripts++
				for _, r := range u.ranges[name] {
					u.scripts = append(u.scripts, scriptRange{r, scripts})
				}
			}
		}
	}
	sort.Slice(u.scripts, func(i, j int) bool { return u.scripts[i].lo < u.scripts[j].lo })
	u.buildClasses()
	return u
})

func parseRanges(s string) []runeRange {
	var out []runeRange
	for f := range strings.FieldsSeq(s) {
		lo, hi, ok := strings.Cut(f, "-")
		if !ok {
			hi = lo
		}
		out = append(out, runeRange{hexRune(lo), hexRune(hi)})
	}
	return out
}

func hexRune(s string) rune {
	v, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		panic(fmt.Sprintf("unicode.txt: %v", err))
	}
	return rune(v)
}

// classBits says which bits the lines of unicode.txt set.
var classBits = map[string]uint16{
	"Lu": isLetter | isUpper, "Lt": isLetter | isUpper, "Ll": isLetter | isLower,
	"Lm": isLetter, "Lo": isLetter, "Mn": isMark, "Mc": isMark, "Me": isMark,
	"Nd": isNumber, "Nl": isNumber, "No": isNumber, "Zs": isSpace, "Zl": isSpace, "Zp": isSpace,
	"Pc": isPunct, "Pd": isPunct, "Ps": isPunct, "Pe": isPunct, "Pi": isPunct, "Pf": isPunct, "Po": isPunct,
	"Sm": isSymbol, "Sc": isSymbol, "Sk": isSymbol, "So": isSymbol,
	"word": isWord, "numeric": isNumeric, "punctuation": isBertPunct, "control": isControl,
	"nonspacing": isNonspacing, "combining": isCombining, "normal": isNormal, "nfc": isNFC,
}

func (u *unicodeData) buildClasses() {
	u.classes = make([]uint16, pageSize) // page 0: no class
	shared := map[uint16]uint16{0: 0}    // pages whose characters all have one class
	set := func(lo, hi rune, bits uint16) {
		for lo <= hi {
			first, last := lo&^(pageSize-1), lo|(pageSize-1)
			page := &u.pages[lo>>pageBits]
			if lo == first && hi >= last { // the whole page
				if one, ok := u.uniform(*page); ok {
					*page = u.sharedPage(shared, one|bits)
					lo = last + 1
					continue
				}
			}
			if _, ok := u.uniform(*page); ok { // a page of its own
				own := uint16(len(u.classes) / pageSize)
				u.classes = append(u.classes, u.classes[int(*page)*pageSize:][:pageSize]...)
				*page = own
			}
			for ; lo <= min(hi, last); lo++ {
				u.classes[int(*page)*pageSize+int(lo&(pageSize-1))] |= bits
			}
		}
	}
	for name, bits := range classBits {
		for _, r := range u.ranges[name] {
			set(r.lo, r.hi, bits)
		}
	}
	set('\t', '\r', isSpace)
	set(0x85, 0x85, isSpace)
}

// uniform reports whether all characters of a page have one class, and which.
func (u *unicodeData) uniform(page uint16) (uint16, bool) {
	p := u.classes[int(page)*pageSize:][:pageSize]
	for _, c := range p[1:] {
		if c != p[0] {
			return 0, false
		}
	}
	return p[0], true
}

func (u *unicodeData) sharedPage(shared map[uint16]uint16, class uint16) uint16 {
	page, ok := shared[class]
	if !ok {
		page = uint16(len(u.classes) / pageSize)
		shared[class] = page
		for range pageSize {
			u.classes = append(u.classes, class)
		}
	}
	return page
}

// class returns the bits of r.
func (u *unicodeData) class(r rune) uint16 {
	return u.classes[int(u.pages[r>>pageBits])<<pageBits|int(r&(pageSize-1))]
}

// script returns a number for the script of r, 0 if it has none.
func (u *unicodeData) script(r rune) int {
	i := sort.Search(len(u.scripts), func(i int) bool { return u.scripts[i].hi >= r })
	if i == len(u.scripts) || u.scripts[i].lo > r {
		return 0
	}
	return u.scripts[i].script
}

// toLower returns the small letter of r. U+0130 is the one character with two
// of them: i and a combining dot, which is left to the caller.
func (u *unicodeData) toLower(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	c := u.class(r)
	if c&isLetter != 0 && c&isUpper == 0 {
		return r
	}
	if l, ok := u.lower[r]; ok {
		return l
	}
	return unicode.ToLower(r)
}

// decodeRune returns the first character of s and its length; badByte + b for
// a byte that is no part of a character.
func decodeRune(s string) (rune, int) {
	if s[0] < utf8.RuneSelf {
		return rune(s[0]), 1
	}
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		return badByte + rune(s[0]), 1
	}
	return r, n
}

// lastRune is decodeRune for the last character.
func lastRune(s string) (rune, int) {
	r, n := utf8.DecodeLastRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		return badByte + rune(s[len(s)-1]), 1
	}
	return r, n
}

func appendRune(b []byte, r rune) []byte {
	if r >= badByte {
		return append(b, byte(r))
	}
	return utf8.AppendRune(b, r)
}
