package eval

import (
	"regexp"
	"strings"
)

// bleuTokenizers are sacrebleu's, by the names it knows them by. Each returns
// tokens parted by spaces.
var bleuTokenizers = map[string]func(string) string{
	"13a":  tokenize13a,
	"zh":   tokenizeZh,
	"intl": tokenizeIntl,
	"char": tokenizeChar,
	"none": func(s string) string { return s },
}

// mteval are the rules of mteval-v13a.pl for Western languages: part
// punctuation, periods and commas but between digits, a dash behind a digit.
var mteval = []rewrite{
	{regexp.MustCompile("([{-~\\[-` -&(-+:-@/])"), " $1 "},
	{regexp.MustCompile(`([^0-9])([.,])`), "$1 $2 "},
	{regexp.MustCompile(`([.,])([^0-9])`), " $1 $2"},
	{regexp.MustCompile(`([0-9])(-)`), "$1 $2 "},
}

// international are the rules of mteval-v14.pl --international-tokenization.
var international = []rewrite{
	{regexp.MustCompile(`(\PN)(\pP)`), "$1 $2 "},
	{regexp.MustCompile(`(\pP)(\PN)`), " $1 $2"},
	{regexp.MustCompile(`(\pS)`), " $1 "},
}

func apply(rules []rewrite, s string) string {
	for _, r := range rules {
		s = r.re.ReplaceAllString(s, r.to)
	}
	return strings.Join(split(s), " ")
}

func tokenize13a(s string) string {
	s = strings.ReplaceAll(s, "<skipped>", "")
	s = strings.ReplaceAll(s, "-\n", "")
	s = strings.ReplaceAll(s, "\n", " ")
	for _, entity := range [][2]string{{"&quot;", `"`}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}} {
		s = strings.ReplaceAll(s, entity[0], entity[1])
	}
	return apply(mteval, " "+s+" ")
}

// tokenizeZh parts every Chinese character, and the rest as 13a does, but for
// its entities and line ends.
func tokenizeZh(s string) string {
	var b strings.Builder
	for _, r := range trim(s) {
		if isChinese(r) {
			b.WriteString(" " + string(r) + " ")
		} else {
			b.WriteRune(r)
		}
	}
	return apply(mteval, b.String())
}

// chineseRanges are sacrebleu's. It writes the two ranges above U+FFFF as
// "\u20000" to "\u2a6d6" and "\u2f800" to "\u2fa1d", which Python reads as four
// digits and a character: U+2001 to U+2A6D and U+2F81 to U+2FA1.
var chineseRanges = [][2]rune{
	{0x3400, 0x4db5}, {0x4e00, 0x9fa5}, {0x9fa6, 0x9fbb},
	{0xf900, 0xfa2d}, {0xfa30, 0xfa6a}, {0xfa70, 0xfad9},
	{0x2001, 0x2a6d}, {0x2f81, 0x2fa1},
	{0xff00, 0xffef}, {0x2e80, 0x2eff}, {0x3000, 0x303f}, {0x31c0, 0x31ef}, {0x2f00, 0x2fdf}, {0x2ff0, 0x2fff},
	{0x3100, 0x312f}, {0x31a0, 0x31bf}, {0xfe10, 0xfe1f}, {0xfe30, 0xfe4f},
	{0x2600, 0x26ff}, {0x2700, 0x27bf}, {0x3200, 0x32ff}, {0x3300, 0x33ff},
}

func isChinese(r rune) bool {
	for _, bounds := range chineseRanges {
		if bounds[0] <= r && r <= bounds[1] {
			return true
		}
	}
	return false
}

func tokenizeIntl(s string) string { return apply(international, s) }

func tokenizeChar(s string) string { return strings.Join(strings.Split(s, ""), " ") }
