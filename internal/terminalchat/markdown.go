package terminalchat

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extended "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// The styles. Colours are those of the terminal's own palette.
var (
	normal  ansi.Style
	faint   = ansi.Style{}.Faint()
	bold    = ansi.Style{}.Bold()
	accent  = ansi.Style{}.Bold().ForegroundColor(ansi.Cyan)
	heading = ansi.Style{}.Bold().ForegroundColor(ansi.Blue)
	code    = ansi.Style{}.ForegroundColor(ansi.Yellow)
	bad     = ansi.Style{}.ForegroundColor(ansi.Red)
)

var parser = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough)).Parser()

// markdown renders a text in lines of a width. A line end in a paragraph stays
// one: models write verse so. Nothing of the text reaches the lines but through
// clean.
func markdown(source string, width int) []string {
	m := markdowner{[]byte(clean(source))}
	return m.blocks(parser.Parse(text.NewReader(m.source)), width, true)
}

type markdowner struct{ source []byte }

// blocks renders the children of a node, with empty lines between if loose.
func (m markdowner) blocks(parent ast.Node, width int, loose bool) []string {
	var lines []string
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		if loose && n != parent.FirstChild() {
			lines = append(lines, "")
		}
		lines = append(lines, m.block(n, width)...)
	}
	return lines
}

func (m markdowner) block(node ast.Node, width int) []string {
	switch n := node.(type) {
	case *ast.Heading:
		marks := []span{{strings.Repeat("#", n.Level) + " ", heading}}
		return wrap(append(marks, m.inline(n, heading)...), width, false)
	case *ast.List:
		return m.list(n, width)
	case *ast.Blockquote:
		return indent(func(w int) []string { return m.blocks(n, w, true) }, faint.Styled("│")+" ", faint.Styled("│")+" ", width)
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		return indent(func(w int) []string { return wrap([]span{{m.raw(n), code}}, w, true) }, "  ", "  ", width)
	case *ast.HTMLBlock:
		raw := m.raw(n)
		if n.HasClosure() {
			raw += "\n" + string(n.ClosureLine.Value(m.source))
		}
		return wrap([]span{{strings.TrimRight(raw, "\n"), normal}}, width, false)
	case *ast.ThematicBreak:
		return []string{faint.Styled(strings.Repeat("─", width))}
	case *extended.Table:
		return m.table(n, width)
	}
	return wrap(m.inline(node, normal), width, false)
}

// raw returns the lines of a block as they stand.
func (m markdowner) raw(n ast.Node) string {
	return strings.TrimSuffix(string(n.Lines().Value(m.source)), "\n")
}

// indent puts marks before lines: one before the first, one before the others.
// Where little room would be left it puts none.
func indent(lines func(width int) []string, first, others string, width int) []string {
	const least = 12
	inner := width - ansi.StringWidth(first)
	if inner < least {
		return lines(width)
	}
	out := lines(inner)
	for i, line := range out {
		if i > 0 {
			first = others
		}
		out[i] = first + line
	}
	return out
}

func (m markdowner) list(list *ast.List, width int) []string {
	var lines []string
	number := list.Start
	for item := list.FirstChild(); item != nil; item = item.NextSibling() {
		mark := "• "
		if list.IsOrdered() {
			mark = fmt.Sprintf("%d%c ", number, list.Marker)
			number++
		}
		if len(lines) > 0 && !list.IsTight {
			lines = append(lines, "")
		}
		content := func(w int) []string {
			if item.FirstChild() == nil {
				return []string{""}
			}
			return m.blocks(item, w, !list.IsTight)
		}
		lines = append(lines, indent(content, mark, strings.Repeat(" ", ansi.StringWidth(mark)), width)...)
	}
	return lines
}

// inline returns the spans of a node's children.
func (m markdowner) inline(parent ast.Node, style ansi.Style) []span {
	var spans []span
	add := func(text []byte, style ansi.Style) {
		// What an entity stands for may be a control character.
		spans = append(spans, span{clean(string(util.ResolveEntityNames(util.ResolveNumericReferences(text)))), style})
	}
	for node := parent.FirstChild(); node != nil; node = node.NextSibling() {
		switch n := node.(type) {
		case *ast.Text:
			add(util.UnescapePunctuations(n.Value(m.source)), style)
			if n.SoftLineBreak() || n.HardLineBreak() {
				spans = append(spans, span{"\n", style})
			}
		case *ast.String:
			add(n.Value, style)
		case *ast.CodeSpan:
			for t := n.FirstChild(); t != nil; t = t.NextSibling() {
				if t, ok := t.(*ast.Text); ok {
					spans = append(spans, span{strings.ReplaceAll(string(t.Value(m.source)), "\n", " "), code})
				}
			}
		case *ast.Emphasis:
			if n.Level > 1 {
				spans = append(spans, m.inline(n, with(style, ansi.Style.Bold))...)
			} else {
				spans = append(spans, m.inline(n, with(style, func(s ansi.Style) ansi.Style { return s.Italic(true) }))...)
			}
		case *extended.Strikethrough:
			spans = append(spans, m.inline(n, with(style, func(s ansi.Style) ansi.Style { return s.Strikethrough(true) }))...)
		case *ast.AutoLink:
			add(n.Label(m.source), style)
		case *ast.Link:
			spans = append(spans, m.inline(n, with(style, func(s ansi.Style) ansi.Style { return s.Underline(true) }))...)
			add([]byte(" ("+string(n.Destination)+")"), faint)
		case *ast.Image:
			spans = append(spans, m.inline(n, style)...)
			add([]byte(" ("+string(n.Destination)+")"), faint)
		case *ast.RawHTML:
			spans = append(spans, span{string(n.Segments.Value(m.source)), style})
		default:
			spans = append(spans, m.inline(n, style)...)
		}
	}
	return spans
}

// with adds to a style, of which others hold the beginning.
func with(style ansi.Style, add func(ansi.Style) ansi.Style) ansi.Style {
	return add(style[:len(style):len(style)])
}

// table renders a table in columns as wide as their cells, the widest of them
// narrower where the lines would be too long.
func (m markdowner) table(table *extended.Table, width int) []string {
	const least = 4
	between := " " + faint.Styled("│") + " "
	var rows [][][]span
	widths := make([]int, len(table.Alignments))
	for row := table.FirstChild(); row != nil; row = row.NextSibling() {
		style := normal
		if row == table.FirstChild() {
			style = bold
		}
		cells := make([][]span, len(widths))
		for i, c := 0, row.FirstChild(); c != nil && i < len(cells); i, c = i+1, c.NextSibling() {
			cells[i] = m.inline(c, style)
			widths[i] = max(widths[i], ansi.StringWidth(wrap(cells[i], 1<<20, false)[0]))
		}
		rows = append(rows, cells)
	}
	room := width - (len(widths)-1)*ansi.StringWidth(between)
	if room < least*len(widths) {
		var lines []string
		for _, cells := range rows {
			var spans []span
			for _, c := range cells {
				spans = append(append(spans, c...), span{" │ ", faint})
			}
			lines = append(lines, wrap(spans[:len(spans)-1], width, false)...)
		}
		return lines
	}
	narrow(widths, room)
	var lines []string
	for i, cells := range rows {
		lines = append(lines, tableRow(cells, widths, between)...)
		if i == 0 {
			rule := make([]string, len(widths))
			for j, w := range widths {
				rule[j] = strings.Repeat("─", w)
			}
			lines = append(lines, faint.Styled(strings.Join(rule, "─┼─")))
		}
	}
	return lines
}

// narrow takes columns off the widest until all fit.
func narrow(widths []int, room int) {
	sum := 0
	for _, w := range widths {
		sum += w
	}
	for ; sum > room; sum-- {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		widths[widest]--
	}
}

func tableRow(cells [][]span, widths []int, between string) []string {
	wrapped, height := make([][]string, len(cells)), 1
	for i, c := range cells {
		wrapped[i] = wrap(c, widths[i], false)
		height = max(height, len(wrapped[i]))
	}
	lines := make([]string, height)
	for y := range lines {
		var parts []string
		for i, w := range wrapped {
			text := ""
			if y < len(w) {
				text = w[y]
			}
			parts = append(parts, text+strings.Repeat(" ", max(0, widths[i]-ansi.StringWidth(text))))
		}
		lines[y] = strings.TrimRight(strings.Join(parts, between), " ")
	}
	return lines
}
