package chat

import (
	"slices"
	"strings"
	"unicode/utf8"
)

func filterPprint(c *call) (Value, error) {
	p := &prettyPrinter{printer: printer{ip: c.ip}}
	err := p.format(c.args[0], 0, 0, 1)
	return p.b.String(), err
}

// prettyPrinter is Python's pprint: 80 columns, dicts sorted by key.
type prettyPrinter struct{ printer }

const prettyWidth = 80

func (p *prettyPrinter) oneLine(v Value) (string, error) {
	v, err := p.sorted(v)
	if err != nil {
		return "", err
	}
	return p.ip.repr(v)
}

// sorted returns v with all dicts in it in the order of their keys.
func (p *prettyPrinter) sorted(v Value) (Value, error) {
	if err := p.ip.enterValue(); err != nil {
		return nil, err
	}
	defer p.ip.leaveValue()
	if items, ok := sequence(v); ok {
		out := make([]Value, len(items))
		for i, item := range items {
			var err error
			if out[i], err = p.sorted(item); err != nil {
				return nil, err
			}
		}
		return likeSequence(v, out), p.ip.made(16 * len(out))
	}
	d, ok := v.(*Dict)
	if !ok {
		return v, nil
	}
	out := &Dict{}
	for _, i := range p.order(d) {
		item, err := p.sorted(d.vals[i])
		if err != nil {
			return nil, err
		}
		if err := out.set(d.keys[i], item); err != nil {
			return nil, err
		}
	}
	return out, p.ip.made(48 * out.Len())
}

// order sorts keys; those that cannot be compared go by the name of their type.
func (p *prettyPrinter) order(d *Dict) []int {
	order := make([]int, d.Len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := d.keys[i], d.keys[j]
		if less, err := p.ip.compare("<", a, b); err != nil {
			return strings.Compare(typeName(a), typeName(b))
		} else if less {
			return -1
		}
		if more, _ := p.ip.compare(">", a, b); more {
			return 1
		}
		return 0
	})
	return order
}

func (p *prettyPrinter) format(v Value, indent, allowance, level int) error {
	line, err := p.oneLine(v)
	if err != nil {
		return err
	}
	if runeCount(line) <= prettyWidth-indent-allowance {
		return p.write(line)
	}
	if err := p.ip.enterValue(); err != nil {
		return err
	}
	defer p.ip.leaveValue()
	switch v := v.(type) {
	case *Dict:
		return p.dict(v, indent, allowance+1, level)
	case *List:
		return p.items("[", v.Items, "]", indent, allowance, level)
	case *tuple:
		if len(v.items) == 1 {
			return p.items("(", v.items, ",)", indent, allowance, level)
		}
		return p.items("(", v.items, ")", indent, allowance, level)
	case string:
		return p.text(v, indent, allowance, level)
	}
	return p.write(line)
}

func (p *prettyPrinter) newline(indent int) error {
	if err := p.ip.room(p.b.Len() + indent); err != nil {
		return err
	}
	return p.write("\n" + strings.Repeat(" ", indent))
}

func (p *prettyPrinter) dict(d *Dict, indent, allowance, level int) error {
	p.b.WriteString("{")
	for n, i := range p.order(d) {
		key, err := p.oneLine(d.keys[i])
		if err != nil {
			return err
		}
		if n > 0 {
			p.b.WriteString(",")
			if err := p.newline(indent + 1); err != nil {
				return err
			}
		}
		p.b.WriteString(key + ": ")
		after := 1
		if n == d.Len()-1 {
			after = allowance
		}
		if err := p.format(d.vals[i], indent+runeCount(key)+3, after, level+1); err != nil {
			return err
		}
	}
	return p.write("}")
}

func (p *prettyPrinter) items(open string, items []Value, end string, indent, allowance, level int) error {
	p.b.WriteString(open)
	for i, v := range items {
		after := 1
		if i == len(items)-1 {
			after = allowance + len(end)
		}
		if i > 0 {
			p.b.WriteString(",")
			if err := p.newline(indent + 1); err != nil {
				return err
			}
		}
		if err := p.format(v, indent+1, after, level+1); err != nil {
			return err
		}
	}
	return p.write(end)
}

// text breaks a long string into literals, at line ends and else at spaces.
func (p *prettyPrinter) text(s string, indent, allowance, level int) error {
	lines := splitLines(s, true)
	if level == 1 {
		indent, allowance = indent+1, allowance+1
	}
	var chunks []string
	for i, line := range lines {
		last := i == len(lines)-1
		width := prettyWidth - indent
		if last {
			width -= allowance
		}
		if rep := reprString(line); runeCount(rep) <= width {
			chunks = append(chunks, rep)
			continue
		}
		chunks = append(chunks, breakText(line, prettyWidth-indent, allowance, last)...)
	}
	if len(chunks) > 1 && level == 1 {
		p.b.WriteString("(")
	}
	for i, c := range chunks {
		if i > 0 {
			if err := p.newline(indent); err != nil {
				return err
			}
		}
		p.b.WriteString(c)
	}
	if len(chunks) > 1 && level == 1 {
		p.b.WriteString(")")
	}
	return p.write("")
}

func breakText(line string, width, allowance int, last bool) []string {
	var chunks []string
	current := ""
	for line != "" {
		n := strings.IndexFunc(line, isSpace)
		if n < 0 {
			n = len(line)
		}
		n += len(line[n:]) - len(trimLeft(line[n:]))
		part := line[:n]
		line = line[n:]
		if line == "" && last {
			width -= allowance
		}
		if utf8.RuneCountInString(reprString(current+part)) > width {
			if current != "" {
				chunks = append(chunks, reprString(current))
			}
			current = part
		} else {
			current += part
		}
	}
	if current != "" {
		chunks = append(chunks, reprString(current))
	}
	return chunks
}
