package tokenizer

import (
	"strings"
	"testing"
	"time"
)

func matches(t testing.TB, pattern, s string) string {
	re, err := compileRegex(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	re.eachMatch(s, func(start, end int) { out = append(out, s[start:end]) })
	return strings.Join(out, "|")
}

func TestRegex(t *testing.T) {
	for _, c := range []struct{ pattern, s, want string }{
		{`a+`, "aabaaa", "aa|aaa"},
		{`a|ab`, "ab", "a"},
		{`(?:a|ab)(?:c|bcd)`, "abcd", "abcd"},
		{`a{2,3}`, "aaaaaaa", "aaa|aaa"},
		{`a{2}?`, "aaaa", "aa|aa"}, // optional, not lazy
		{`a{1,2}+`, "aaaaa", "aaaaa"},
		{`a+?b`, "aab", "aab"},
		{`a*?`, "aa", "||"},
		{`a++a`, "aaa", ""},
		{`a?+a`, "a", ""},
		{`\s+(?!\S)|\s+`, "a  b ", " | | "},
		{`(?<=a)b`, "abb", "b"},
		{`(?<!a)b`, "abb", "b"},
		{`(?<!a|c)b`, "abcbb", "b"},
		{`\d{1,3}(?=(?:\d{3})*\b)`, "1234567 12", "1|234|567|12"},
		{`(?i:'S|'ll)`, "'s'S'\u017f'LL", "'s|'S|'\u017f|'LL"},
		{`(?i)straße`, "STRASSE STRAßE", "STRAßE"},
		{`[^\r\n\p{L}\p{N}]?\p{L}+`, "Ab, cd12é", "Ab| cd|é"},
		{`[\p{L}&&[^a-m]]+`, "abxyzéa", "xyzé"},
		{`[[:punct:]]+`, "a,b$c。", ",|$|。"},
		{`[]a]`, "]a", "]|a"},
		{`[a\-c]+`, "ab-c", "a|-c"},
		{`[a-]+`, "a-b", "a-"},
		{`^\w|\w$`, "ab\ncd", "a|b|c|d"},
		{`\bx`, "x ax x", "x|x"},
		{`\x41\x{4e2d}\u4e2d`, "A中中", "A中中"},
		{`(?x) a b # note`, "ab", "ab"},
		{`(?>a|ab)c`, "abc ac", "ac"},
		{`(a*)*b`, "aaab", "aaab"},
		{`\P{L}+`, "a1 b", "1 "},
		{`\p{^L}+`, "a1 b", "1 "},
		{`.`, "\n中\xff", "中|\xff"},
		{`\w+`, "x²·", "x²"},
		{`[\w]+`, "x²·", "x"},
		{`[^\w]+`, "x²·", "²·"},
		{`\p{Punct}+`, "$,", ","},
		{`x{,2}y`, "xxxy", "xxy"},
		{`a{x`, "a{x", "a{x"},
		{`[一-龥]+`, "a中文b", "中文"},
	} {
		if got := matches(t, c.pattern, c.s); got != c.want {
			t.Errorf("%s on %q: %q, want %q", c.pattern, c.s, got, c.want)
		}
	}
}

func TestRegexErrors(t *testing.T) {
	for _, pattern := range []string{
		`(`, `)`, `[a`, `a**b)`, `*a`, `(?<x`, `\p{Nonsense}`, `\p`, `(a)\1`, `(?<=a+)b`, `(?>a+)`, `(?:ab)++`,
		`[z-a]`, `a{3,2}`, `a{100000}`, `(?:(?:a{1000}){1000}){1000}`, `(?:(?:(?:){1000}){1000}){1000}`, `\`, "\xff",
		strings.Repeat("(", 5000), strings.Repeat("[", 5000), strings.Repeat("a", 1<<17), `(?=a**)`, `\K`, `(?#`, `(?P`,
	} {
		if _, err := compileRegex(pattern); err == nil && pattern != `(?#` {
			t.Errorf("%s compiles", shorten(pattern))
		}
	}
}

// Patterns on which backtracking alone takes exponential or quadratic time.
func TestRegexIsLinear(t *testing.T) {
	const n = 200_000
	long := strings.Repeat("a", n)
	for _, c := range []struct{ pattern, s string }{
		{`(a*)*b`, long}, {`(a+)+b`, long}, {`(a|aa)+b`, long}, {`a*a*a*a*b`, long}, {`a.*b|a`, long},
		{`a++b|a`, long}, {`\d{1,3}(?=(?:\d{3})*\b)`, strings.Repeat("1", n)}, {`(?=a*b)a|a`, long},
		{`\s+(?!\S)|\s+`, strings.Repeat(" ", n) + "x"}, {`(?:(?:a?){20})*b`, long[:n/10]},
	} {
		began := time.Now()
		matches(t, c.pattern, c.s)
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("%s took %v", c.pattern, d)
		}
	}
}
