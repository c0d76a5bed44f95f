package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"wenmo/explain"
)

// text is what people read: the tokens, what was expected at each place, and
// where a head looks.
func (f *explainFlags) text(w io.Writer, e *explain.Explanation) string {
	v := explainView{e, terminalWidth(w), showsColor(w)}
	return strings.Join([]string{v.tokens(), v.expected(), v.attention(f.layer, f.head)}, "\n\n")
}

// explainView writes an explanation in so many columns.
type explainView struct {
	*explain.Explanation
	width int
	color bool
}

// narrow is the width below which what belongs to a line goes under it.
const narrow = 60

func (v *explainView) title(key string, args ...any) string {
	return ansi.Wrap(say(key, args...), v.width, "") + "\n"
}

// name is a token in at most room columns: special ones as they are, others in
// quotation marks, parts of characters after the whole.
func (v *explainView) name(i, room int) string {
	t := v.Tokens[i]
	switch {
	case t.Special:
		return clip(t.Text, room)
	case t.Of != "":
		return clip(explain.Legible([]byte(t.Of))+" "+t.Text, room)
	}
	return quoted(t.Text, room)
}

// room is how many columns a token may take in a table of several columns.
func (v *explainView) room() int { return min(16, v.width/4) }

func quoted(text string, room int) string { return `"` + clip(text, room-2) + `"` }

// clip shortens a text to so many columns; ".." stands for what is gone.
func clip(text string, room int) string { return ansi.Truncate(text, max(room, 3), "..") }

func (v *explainView) tokens() string {
	rows := [][]string{{">#", say("logits.token"), ">" + say("logits.id"), ">" + say("tokens.bytes"), ">" + say("explain.characters")}}
	for i, t := range v.Tokens {
		rows = append(rows, []string{fmt.Sprint(i), v.name(i, min(30, v.width-34)), fmt.Sprint(t.ID), span(t.Bytes), span(t.Characters)})
	}
	return v.title("explain.tokens", len(v.Tokens), utf8.RuneCountInString(v.Text), len(v.Text)) + table(rows)
}

func span(of [2]int) string {
	if of[0] == of[1] {
		return ""
	}
	return fmt.Sprintf("%d–%d", of[0], of[1])
}

func (v *explainView) expected() string {
	switch v.Expects {
	case explain.MaskedTokens:
		return v.masked()
	case explain.Nothing:
		return strings.TrimSpace(v.title("explain.nothing"))
	}
	rows := [][]string{{">#", say("logits.token"), ">" + say("explain.probability"), ">" + say("explain.rank")}}
	right := [][]string{{say("explain.expected")}}
	for i, t := range v.Tokens {
		row := []string{fmt.Sprint(i), v.name(i, v.room()), "", ""}
		if t.Likelihood != nil {
			row[2], row[3] = explain.Percent(t.Likelihood.Probability), fmt.Sprint(t.Likelihood.Rank)
		}
		rows, right = append(rows, row), append(right, candidates(t.Expected))
	}
	rows, right = append(rows, []string{"", say("explain.next"), "", ""}), append(right, candidates(v.Next))
	title := v.title("explain.expects")
	if mean, n := v.Bits(); n > 0 {
		title += v.title("explain.bits", mean) + v.surprise()
	}
	return title + v.beside(table(rows), right, false)
}

// masked are the candidates for the masks.
func (v *explainView) masked() string {
	rows, right := [][]string{{">#", say("logits.token")}}, [][]string{{say("explain.expected")}}
	for i, t := range v.Tokens {
		if t.Expected != nil {
			rows, right = append(rows, []string{fmt.Sprint(i), v.name(i, v.room())}), append(right, candidates(t.Expected))
		}
	}
	if len(rows) == 1 {
		return strings.TrimSpace(v.title("explain.no_mask", v.MaskText))
	}
	return v.title("explain.masked") + v.beside(table(rows), right, false)
}

func candidates(list []explain.Candidate) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = quoted(c.Text, 20) + " " + roundPercent(c.Probability)
	}
	return out
}

// roundPercent writes a probability in few characters.
func roundPercent(p float32) string {
	switch {
	case p >= 0.0095:
		return fmt.Sprintf("%.0f%%", 100*p)
	case p >= 0.0005:
		return fmt.Sprintf("%.1f%%", 100*p)
	}
	return "<0.1%"
}

// warmth are the backgrounds of tokens, of the 256 colours of a terminal, from so
// many bits of surprise on.
var warmth = []struct {
	bits  float32
	color int
}{{1, 230}, {3, 223}, {6, 216}, {9, 209}, {12, 203}}

// surprise is the text in colours, and what they mean; "" without colour.
func (v *explainView) surprise() string {
	if !v.color {
		return ""
	}
	var b strings.Builder
	at := 0
	write := func(text string, bits float32) {
		if at += columns(text); at > v.width {
			b.WriteByte('\n')
			at = columns(text)
		}
		for _, w := range slices.Backward(warmth) {
			if bits >= w.bits {
				text = fmt.Sprintf("\x1b[48;5;%d;38;5;16m%s\x1b[0m", w.color, text)
				break
			}
		}
		b.WriteString(text)
	}
	for _, t := range v.Tokens {
		bits := float32(0)
		if t.Likelihood != nil {
			bits = t.Likelihood.Bits
		}
		write(clip(t.Text, v.width), bits)
	}
	b.WriteByte('\n')
	at = 0
	for _, w := range warmth {
		write(fmt.Sprintf(" %.0f+ ", w.bits), w.bits)
	}
	return b.String() + " " + say("explain.bits_unit") + "\n\n"
}

// ramp are the shares of attention from which on a mark stands in a strip.
var ramp = []struct {
	share float32
	mark  string
}{{0.02, "."}, {0.05, ":"}, {0.1, "+"}, {0.25, "#"}, {0.5, "@"}}

func (v *explainView) attention(layer, head int) string {
	const strongest = 3
	n := len(v.Tokens)
	strip := min(n, v.width/2-4)
	ruler := clip(say("explain.strip"), strip+2)
	if strip == n {
		ruler = rulerOf(n)
	}
	rows, right := [][]string{{">#", say("logits.token"), ruler}}, [][]string{{say("explain.targets")}}
	for q, shares := range v.Shares(layer, head) {
		rows = append(rows, []string{fmt.Sprint(q), v.name(q, v.room()), "|" + heat(shares, strip) + "|"})
		right = append(right, v.targets(shares, strongest))
	}
	title := v.title("explain.attention_head", layer, len(v.Attentions)-1, head, len(v.Attentions[layer])-1)
	if head == explain.Mean {
		title = v.title("explain.attention", layer, len(v.Attentions)-1, len(v.Attentions[layer]))
	}
	marks := make([]string, len(ramp))
	for i, r := range ramp {
		marks[i] = fmt.Sprintf("%s %.0f%%", r.mark, 100*r.share)
	}
	title += v.title("explain.strip_note", n, strip) + strings.Join(marks, "  ") + "\n"
	return title + v.beside(table(rows), right, true)
}

// rulerOf numbers the columns of a strip by their last digits; the strip has a
// bar before it.
func rulerOf(n int) string {
	b := []byte(" ")
	for i := range n {
		b = append(b, '0'+byte(i%10))
	}
	return string(b)
}

// heat draws shares as a strip of so many marks, each of the sum of its tokens'.
func heat(shares []float32, width int) string {
	var b strings.Builder
	for c := range width {
		sum := float32(0)
		for _, share := range shares[c*len(shares)/width : (c+1)*len(shares)/width] {
			sum += share
		}
		mark := " "
		for _, r := range ramp {
			if sum >= r.share {
				mark = r.mark
			}
		}
		b.WriteString(mark)
	}
	return b.String()
}

// targets are the tokens with the greatest shares.
func (v *explainView) targets(shares []float32, most int) []string {
	var out []string
	for _, k := range explain.Greatest(shares, most) {
		if shares[k] >= ramp[0].share {
			out = append(out, fmt.Sprintf("%d %s %s", k, v.name(int(k), 12), roundPercent(shares[k])))
		}
	}
	return out
}

// beside puts the parts of each line right of it, as many in a line as there is
// room for; below it on a narrow terminal. The others follow in lines of their
// own, or with first are left out.
func (v *explainView) beside(left string, right [][]string, first bool) string {
	lines := strings.Split(left, "\n")
	from := 4
	if v.width >= narrow {
		from = 0
		for _, line := range lines {
			from = max(from, columns(line)+2)
		}
	}
	var b strings.Builder
	for i, line := range lines {
		parts := pack(right[i], v.width-from)
		if first && v.width >= narrow {
			parts = parts[:min(1, len(parts))]
		}
		at := columns(line)
		b.WriteString(line)
		for j, part := range parts {
			if j > 0 || v.width < narrow {
				b.WriteByte('\n')
				at = 0
			}
			b.WriteString(strings.Repeat(" ", from-at) + part)
		}
		if i < len(lines)-1 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// pack joins parts to lines of at most so many columns.
func pack(parts []string, room int) []string {
	var lines []string
	for _, part := range parts {
		last := len(lines) - 1
		if last >= 0 && columns(lines[last])+2+columns(part) <= room {
			lines[last] += "  " + part
		} else {
			lines = append(lines, clip(part, room))
		}
	}
	return lines
}
