package terminalchat

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// kind is what an entry of the screen is.
type kind int

const (
	userText kind = iota
	answerText
	noteText
	errorText
)

// entry is a part of the screen's transcript.
type entry struct {
	kind            kind
	text, reasoning string

	width int // of lines; 0: none are there
	lines []string
}

// add makes an answer longer.
func (e *entry) add(text, reasoning string) {
	e.text += text
	e.reasoning += reasoning
	e.width = 0
}

// render returns the entry's lines, which it keeps.
func (e *entry) render(width int) []string {
	if e.width != width {
		e.width, e.lines = width, e.draw(width)
	}
	return e.lines
}

func (e *entry) draw(width int) []string {
	switch e.kind {
	case userText:
		mark := accent.Styled("> ")
		return indent(func(w int) []string { return plain(e.text, bold, w) }, mark, "  ", width)
	case noteText:
		return plain(e.text, faint, width)
	case errorText:
		return plain(e.text, bad, width)
	}
	var lines []string
	if reasoning := strings.TrimSpace(e.reasoning); reasoning != "" {
		mark := faint.Styled("┊") + " "
		lines = indent(func(w int) []string { return plain(reasoning, faint, w) }, mark, mark, width)
	}
	if text := strings.TrimSpace(e.text); text != "" {
		if lines != nil {
			lines = append(lines, "")
		}
		answer := markdown(text, width)
		if len(answer) == 0 {
			answer = plain(text, normal, width) // nothing but marks
		}
		lines = append(lines, answer...)
	}
	return lines
}

// fitStatus puts the parts of a status in a line: a name, shortened as far as it
// must be, and of the others those that there is room for.
func fitStatus(name string, parts []string, width int) string {
	const least = 8 // columns of a name
	name = clean(strings.ReplaceAll(name, "\n", " "))
	rest, room := "", width-min(least, ansi.StringWidth(name))
	for _, p := range parts {
		if p = " · " + p; p != " · " && ansi.StringWidth(rest+p) <= room {
			rest += p
		}
	}
	return ansi.Truncate(name, width-ansi.StringWidth(rest), "…") + rest
}
