package eval

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// The reference programs of the text metrics are written in Python; these are
// its notions of space, word and lower case.

// isSpace is str.isspace: Go's, and the four separators below the space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// split is str.split().
func split(s string) []string { return strings.FieldsFunc(s, isSpace) }

func trim(s string) string { return strings.TrimFunc(s, isSpace) }

// isWord is \w of Python's re: letters, numbers, the underscore, but no marks.
func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }

// lower is str.lower: full mappings, with the sigma at the end of a word.
func lower(s string) string { return cases.Lower(language.Und).String(s) }

// isPunct is string.punctuation: ASCII's.
func isPunct(r rune) bool {
	return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
}

// counts counts equal values.
func counts[T comparable](values []T) map[T]int {
	m := map[T]int{}
	for _, v := range values {
		m[v]++
	}
	return m
}

// common is how many values two counts share.
func common[T comparable](a, b map[T]int) int {
	n := 0
	for v, count := range a {
		n += min(count, b[v])
	}
	return n
}
