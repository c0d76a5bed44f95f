package tokenizer

import (
	"fmt"
	"strings"
)

// maxGrowth bounds how many times longer the steps of one part may make a text
// together: 60 steps that each double it would fill any memory.
const maxGrowth = 1024

// growth follows the steps of one part of a tokenizer.json.
type growth struct {
	done    float64       // the product so far, without replacements
	group   float64       // the largest growth of the replacements since
	written map[rune]bool // the characters of what these write
	changed bool          // since the last normal form or change of case
}

// checkGrowth refuses a part whose steps may together make a text more than
// maxGrowth times longer.
func checkGrowth(part any) error {
	g := growth{done: 1, group: 1, written: map[rune]bool{}}
	var walk func(part any) error
	walk = func(part any) error {
		for i, sub := range subParts(part) {
			if err := walk(sub); err != nil {
				return fmt.Errorf("step %d: %w", i, err)
			}
		}
		g.add(part)
		if g.done*g.group > maxGrowth {
			return fmt.Errorf("%s: the steps up to this one may make a text %.0f times longer (at most %d)",
				part.(interface{ typeName() string }).typeName(), g.done*g.group, maxGrowth)
		}
		return nil
	}
	return walk(part)
}

func (g *growth) add(part any) {
	switch p := part.(type) {
	case replace:
		g.replace(p)
	case prepend:
		g.times(1 + float64(len(p.Prepend)))
	case *precompiled:
		g.times(float64(p.longestText()))
	case byteLevelNormalizer:
		g.times(2)
	case byteLevel: // a letter of two bytes for each byte, and one for a space before
		g.times(4)
	case metaspace:
		g.times(2 * float64(len(p.Replacement)))
	case bertNormalizer, wordPieceDecoder: // spaces around a character or token
		g.times(2)
	case unicodeForm:
		g.settle(11) // U+FDFA, three bytes, is 33 in NFKC
	case lowercase:
		g.settle(1.5) // U+023A, two bytes, has a small letter of three
	}
}

func (g *growth) times(factor float64) {
	g.done *= g.group * max(1, factor)
	g.group, g.written, g.changed = 1, map[rune]bool{}, true
}

// settle is for a step that, done again, changes nothing: it counts only after
// steps that may have written what it makes longer.
func (g *growth) settle(factor float64) {
	if !g.changed {
		factor = 1
	}
	g.times(factor)
	g.changed = false
}

// replace multiplies, but not for a text that shares no character with what
// the replacements just before have written: then each changes other parts of
// the text, and the largest growth counts.
func (g *growth) replace(p replace) {
	factor := p.growth()
	if p.Pattern.isRegex || strings.ContainsFunc(p.Pattern.literal, func(r rune) bool { return g.written[r] }) {
		g.times(1)
	}
	g.group = max(g.group, factor)
	for _, r := range p.Content {
		g.written[r] = true
	}
	g.changed = true
}

// growth is the length of what is written over the least that is taken away.
func (p replace) growth() float64 {
	shortest := 1
	switch {
	case !p.Pattern.isRegex:
		shortest = len(p.Pattern.literal)
	case p.Pattern.re != nil:
		shortest = p.Pattern.re.shortest
	}
	if shortest == 0 {
		return 1 + float64(len(p.Content))
	}
	return float64(len(p.Content)) / float64(shortest)
}

// longestText returns the length of the longest replacement.
func (p *precompiled) longestText() int {
	n := 0
	for text := range strings.SplitSeq(p.texts, "\x00") {
		n = max(n, len(text))
	}
	return n
}
