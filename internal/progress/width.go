package progress

import (
	"strings"
	"unicode"
)

// wide are the ranges of characters that take two columns of a terminal
// (East Asian Width W and F of Unicode, whole blocks, and emoji).
var wide = [][2]rune{
	{0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f},
	{0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd},
}

func runeColumns(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	for _, block := range wide {
		if r >= block[0] && r <= block[1] {
			return 2
		}
	}
	return 1
}

// columns is how wide s is on a terminal.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// cut shortens s to at most width columns; ".." stands for what is gone.
func cut(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	room := width - 2
	for i, r := range s {
		if room -= runeColumns(r); room < 0 {
			return s[:i] + ".."[:max(0, min(2, width))]
		}
	}
	return s
}

// printable replaces what a terminal would obey rather than show.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// Tame replaces what a terminal would obey, or what turns the order of the text
// around it, but line ends and tabs: a model writes any of it, and so do files.
func Tame(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
