package terminalchat

import (
	"strings"
	"unicode"
)

// clean replaces what a terminal would obey, or what turns the order of the
// text around it: a message, and an answer, may hold any of it.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case unicode.IsControl(r), r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return unicode.ReplacementChar
		}
		return r
	}, strings.NewReplacer("\r\n", "\n", "\t", "    ").Replace(text))
}
