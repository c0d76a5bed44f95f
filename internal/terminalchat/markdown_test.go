package terminalchat

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestMarkdown(t *testing.T) {
	for _, test := range []struct {
		source string
		width  int
		want   string
	}{
		{"one two three", 8, "one two\nthree"},
		{"a verse\nof two lines", 80, "a verse\nof two lines"},
		{"一段很长的话，要折行。", 10, "一段很长的\n话，要折\n行。"},
		{"（括号）", 4, "（括\n号）"},
		{"abcdefghij", 4, "abcd\nefgh\nij"},
		{"# 标题\n\n*a* **b** ~~c~~ `d  e` [f](http://g) <http://h>", 80, "# 标题\n\na b c d  e f (http://g) http://h"},
		{"- a\n- b\n  1. c\n", 80, "• a\n• b\n  1. c"},
		{"3) a\n\n4) b", 80, "3) a\n\n4) b"},
		{"> q\n> r", 80, "│ q\n│ r"},
		{"```go\nx := `a  b`\n\ty\n```", 80, "  x := `a  b`\n      y"},
		{"```\nunclosed **x**", 80, "  unclosed **x**"},
		{"a\n\n---\n\nb", 4, "a\n\n────\n\nb"},
		{"|a|b|\n|-|-|\n|你好|c|", 80, "a    │ b\n─────┼──\n你好 │ c"},
		{"|a|b|\n|-|-|\n|long words here|c|", 14, "a          │ b\n───────────┼──\nlong words │ c\nhere       │"},
		{"|a|b|\n|-|-|\n|c|d|", 6, "a │ b\nc │ d"},
		{"<b>x</b> a & b &lt; &#65;", 80, "<b>x</b> a & b < A"},
		{"<div>\nx\n</div>", 80, "<div>\nx\n</div>"},
		{strings.Repeat(">", 100) + " deep", 20, "│ │ │ │ deep"},
		{"", 80, ""},
	} {
		lines := markdown(test.source, test.width)
		if got := ansi.Strip(strings.Join(lines, "\n")); got != test.want {
			t.Errorf("%q in %d:\n%s\nwant\n%s", test.source, test.width, got, test.want)
		}
	}
}

// Whatever a model writes, lines hold no escape sequence but those of style, and
// are no wider than asked for.
func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{
		"\x1b[2J", "&#27;[2J", "&#x1b;]0;t&#7;", "[a](http://\x1b[2J)", "`\x1b`", "|\x1b|\n|-|", "<\x1b>", "![&#155;](&#27;)", "# \u009b", "&#x202e;",
		"\\&#27;", "```&#27;\n&#27;\n```", "1. > - # a", "👩‍👩‍👧 🇨🇳 é",
	} {
		f.Add(seed, 20)
	}
	f.Fuzz(func(t *testing.T, source string, width int) {
		width = 2 + (width%100+100)%100
		for _, line := range markdown(source, width) {
			if w := ansi.StringWidth(line); w > width {
				t.Errorf("%q in %d: %d columns", source, width, w)
			}
			for _, c := range ansi.Strip(line) {
				if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u202e' {
					t.Errorf("%q: %q", source, line)
				}
			}
			for rest := line; ; {
				_, after, ok := strings.Cut(rest, "\x1b")
				if !ok {
					break
				}
				end := strings.IndexFunc(after, func(r rune) bool { return !strings.ContainsRune("[;0123456789", r) })
				if end < 0 || after[end] != 'm' {
					t.Fatalf("%q: %q", source, line)
				}
				rest = after
			}
		}
	})
}
