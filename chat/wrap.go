package chat

import (
	"slices"
	"strings"
	"unicode"
)

func filterWordWrap(c *call) (Value, error) {
	s, width, sep := c.str(0), c.int(1, 79), "\n"
	if c.given(3) {
		sep = c.str(3)
	}
	if width <= 0 && s != "" {
		return nil, typeErrorf("invalid width %d (must be > 0)", width)
	}
	w := &wrapper{width: int(min(width, 1<<30)), breakLong: c.bool(2, true), hyphens: c.bool(4, true)}
	if err := c.ip.work(512 * len(s)); err != nil || c.err != nil {
		return nil, err
	}
	var paragraphs []string
	for _, line := range splitLines(s, false) {
		p, err := c.ip.join(w.wrap([]rune(line)), sep)
		if err != nil {
			return nil, err
		}
		paragraphs = append(paragraphs, p)
	}
	return c.ip.join(paragraphs, sep)
}

// wrapper breaks a line as Python's textwrap does.
type wrapper struct {
	width              int
	breakLong, hyphens bool
}

func isWrapSpace(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }

func (w *wrapper) wrap(s []rune) []string {
	chunks := w.chunks(s)
	var lines []string
	for len(chunks) > 0 {
		var line []rune
		parts := 0
		if len(lines) > 0 && blank(chunks[0]) {
			chunks = chunks[1:]
		}
		last := 0 // start of the last chunk on the line
		for len(chunks) > 0 && len(line)+len(chunks[0]) <= w.width {
			last = len(line)
			line = append(line, chunks[0]...)
			chunks = chunks[1:]
			parts++
		}
		if len(chunks) > 0 && len(chunks[0]) > w.width {
			if n := w.cut(chunks[0], w.width-len(line), parts == 0); n >= 0 {
				last = len(line)
				line = append(line, chunks[0][:n]...)
				parts++
				if chunks[0] = chunks[0][n:]; len(chunks[0]) == 0 {
					chunks = chunks[1:]
				}
			}
		}
		if parts > 0 && blank(line[last:]) {
			line = line[:last]
			parts--
		}
		if parts > 0 {
			lines = append(lines, string(line))
		}
	}
	return lines
}

func blank(rs []rune) bool { return !slices.ContainsFunc(rs, func(r rune) bool { return !isSpace(r) }) }

// cut says how much of a word longer than a line goes on this one: -1 for
// none of it.
func (w *wrapper) cut(word []rune, room int, empty bool) int {
	if !w.breakLong {
		if empty {
			return len(word)
		}
		return -1
	}
	if w.hyphens && len(word) > room {
		for i := room - 1; i > 0; i-- {
			if word[i] == '-' {
				if slices.ContainsFunc(word[:i], func(r rune) bool { return r != '-' }) {
					return i + 1
				}
				break
			}
		}
	}
	return room
}

// chunks cuts a line where it may be broken.
func (w *wrapper) chunks(s []rune) [][]rune {
	var out [][]rune
	for i := 0; i < len(s); {
		n := w.chunk(s, i)
		out = append(out, s[i:n])
		i = n
	}
	return out
}

// chunk returns the end of the chunk that starts at i: white space, a dash
// between words, or a word up to a hyphen within it.
func (w *wrapper) chunk(s []rune, i int) int {
	j := i
	for j < len(s) && isWrapSpace(s[j]) {
		j++
	}
	if j > i {
		return j
	}
	if w.hyphens {
		if n := dash(s, i); n > i {
			return n
		}
	}
	for j = i + 1; j < len(s) && !isWrapSpace(s[j]); j++ {
		if !w.hyphens {
			continue
		}
		if s[j] == '-' && hyphenated(s, j) {
			return j + 1
		}
		if dash(s, j) > j {
			return j
		}
	}
	return j
}

// dash returns the end of two or more hyphens at i between words, else i.
func dash(s []rune, i int) int {
	if i == 0 || s[i] != '-' || !isWordRune(s[i-1]) && !strings.ContainsRune(`!"'&.,?`, s[i-1]) {
		return i
	}
	j := i
	for j < len(s) && s[j] == '-' {
		j++
	}
	if j-i >= 2 && j < len(s) && isWordRune(s[j]) {
		return j
	}
	return i
}

func isWordLetter(s []rune, i int) bool {
	return i >= 0 && i < len(s) && isWordRune(s[i]) && !unicode.IsDigit(s[i])
}

// hyphenated reports whether the hyphen at j stands inside a word: behind two
// letters (or a letter, a hyphen and a letter), before two more.
func hyphenated(s []rune, j int) bool {
	behind := isWordLetter(s, j-1) && (isWordLetter(s, j-2) || j >= 3 && s[j-2] == '-' && isWordLetter(s, j-3))
	if !behind || !isWordLetter(s, j+1) {
		return false
	}
	return isWordLetter(s, j+2) || j+2 < len(s) && s[j+2] == '-' && isWordLetter(s, j+3)
}
