package terminalchat

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// span is a text in one style.
type span struct {
	text  string
	style ansi.Style
}

// cell is a character as the terminal shows it, in the style of a span.
type cell struct {
	text  string
	width int
	span  int
}

// Punctuation that does not begin, or does not end, a line of Chinese.
const (
	notFirst = "，。、；：？！）》」』】〕〉”’…—·,.;:?!)]}%"
	notLast  = "（《「『【〔〈“‘([{"
)

// wrap lays spans out in lines of a width. A line breaks at spaces, and beside
// wide characters, or where it must; with exact, where it must alone, and every
// space is kept.
func wrap(spans []span, width int, exact bool) []string {
	var lines []string
	var line []cell
	columns := 0
	flush := func(n int) { // the first n cells, and what follows them goes on
		lines = append(lines, render(spans, trim(line[:n], exact)))
		line = append([]cell(nil), line[n:]...)
		for !exact && len(line) > 0 && line[0].text == " " && n > 0 {
			line = line[1:]
		}
		columns = 0
		for _, c := range line {
			columns += c.width
		}
	}
	for i, s := range spans {
		for text := s.text; text != ""; {
			cluster, w := ansi.FirstGraphemeCluster(text, ansi.GraphemeWidth)
			text = text[len(cluster):]
			if cluster == "\n" {
				lines = append(lines, render(spans, trim(line, exact)))
				line, columns = nil, 0
				continue
			}
			line = append(line, cell{cluster, w, i})
			columns += w
			for columns > width && len(line) > 1 && (exact || cluster != " ") {
				flush(breakPoint(line, exact))
			}
		}
	}
	if len(line) > 0 || len(lines) == 0 {
		lines = append(lines, render(spans, trim(line, exact)))
	}
	return lines
}

// breakPoint returns how many cells stay on a line that is too long by its last
// one.
func breakPoint(line []cell, exact bool) int {
	last := len(line) - 1
	for i := last; i > 0 && !exact; i-- {
		before, after := line[i-1], line[i]
		if before.text == " " && after.text != " " {
			return i
		}
		if (before.width > 1 || after.width > 1) && after.text != " " &&
			!strings.Contains(notFirst, after.text) && !strings.Contains(notLast, before.text) {
			return i
		}
	}
	return last
}

func trim(line []cell, exact bool) []cell {
	for !exact && len(line) > 0 && line[len(line)-1].text == " " {
		line = line[:len(line)-1]
	}
	return line
}

// render returns the text of cells with the styles of their spans.
func render(spans []span, line []cell) string {
	var out, run strings.Builder
	for i, c := range line {
		run.WriteString(c.text)
		if i == len(line)-1 || line[i+1].span != c.span {
			if style := spans[c.span].style; len(style) > 0 {
				out.WriteString(style.Styled(run.String()))
			} else {
				out.WriteString(run.String())
			}
			run.Reset()
		}
	}
	return out.String()
}

// plain wraps a text in one style.
func plain(text string, style ansi.Style, width int) []string {
	return wrap([]span{{clean(text), style}}, width, false)
}
