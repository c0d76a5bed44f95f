package eval

import (
	"slices"
	"strings"
	"unicode"
)

// poemForm is how many lines a poem has, and how many characters each.
type poemForm struct{ lines, width int }

// poemForms are those of regulated verse.
var poemForms = map[string]poemForm{"五绝": {4, 5}, "七绝": {4, 7}, "五律": {8, 5}, "七律": {8, 7}}

// Poem is what is to be known of a regulated poem by its form.
type Poem struct {
	Lines    bool // as many as the form has
	Lengths  bool // each line has as many Chinese characters, and nothing else
	Repeated bool // a line stands twice
	Foreign  bool // there is more than Chinese characters and punctuation
	// Rhyme says that the even lines end in different characters of one rhyme, all
	// level: a group of 平水韵, or a class of 中华新韵 by modern readings.
	Rhyme bool
	// Tones are the rules of tone that could be judged, Kept those that are kept: in
	// each line the second and fourth character differ, and the fourth and sixth;
	// the second ones of a couplet's lines differ (对), those of the second and third
	// line, the fourth and fifth, … are equal (粘). A character with two tones keeps any rule;
	// one that the table does not know is not judged.
	Tones, Kept int
}

// OK says that the poem has the lines of its form.
func (p *Poem) OK() bool { return p.Lines && p.Lengths }

// poemPauses are the marks that end a line of a poem, beside white space.
const poemPauses = "，。！？；：、,.!?;:"

// ReadPoem looks at a poem, the whole text, of a form (五绝, 七绝, 五律 or 七律). Without
// a table of characters, and in a poem that is not OK, tones and rhyme stay zero.
func ReadPoem(text, form string, table Characters) Poem {
	f := poemForms[form]
	var lines []string
	p := Poem{Lengths: true}
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return isSpace(r) || strings.ContainsRune(poemPauses, r) }) {
		line, foreign := hanOnly(part)
		p.Foreign = p.Foreign || foreign
		if line == "" && !foreign {
			continue // closing quotation marks
		}
		p.Repeated = p.Repeated || line != "" && slices.Contains(lines, line)
		p.Lengths = p.Lengths && !foreign && len([]rune(line)) == f.width
		lines = append(lines, line)
	}
	p.Lines = len(lines) == f.lines
	if p.OK() && table != nil {
		verse := make([][]character, len(lines))
		var ends []rune
		for i, line := range lines {
			for _, r := range line {
				verse[i] = append(verse[i], table[r])
			}
			if chars := []rune(line); i%2 == 1 {
				ends = append(ends, chars[len(chars)-1])
			}
		}
		p.Rhyme = rhymes(ends, table)
		p.judgeTones(verse)
	}
	return p
}

// hanOnly returns the Chinese characters of a text, and whether there is more than
// them and punctuation.
func hanOnly(text string) (han string, foreign bool) {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Han, r) {
			return r
		}
		foreign = foreign || !unicode.IsPunct(r)
		return -1
	}, text), foreign
}

// rhymes says that characters are different and share a level rhyme.
func rhymes(ends []rune, table Characters) bool {
	for i, r := range ends {
		if slices.Contains(ends[:i], r) {
			return false
		}
	}
	return shared(ends, func(r rune) []string { return table[r].classical }) ||
		shared(ends, func(r rune) []string { return table[r].modern })
}

// shared says that the lists of all characters have a text in common.
func shared(chars []rune, list func(r rune) []string) bool {
	return slices.ContainsFunc(list(chars[0]), func(s string) bool {
		for _, r := range chars {
			if !slices.Contains(list(r), s) {
				return false
			}
		}
		return true
	})
}

func (p *Poem) judgeTones(verse [][]character) {
	judge := func(a, b character, same bool) {
		if a.level || a.oblique {
			if b.level || b.oblique {
				p.Tones++
				if same && (a.level && b.level || a.oblique && b.oblique) || !same && (a.level && b.oblique || a.oblique && b.level) {
					p.Kept++
				}
			}
		}
	}
	for i, line := range verse {
		for at := 3; at < len(line); at += 2 {
			judge(line[at-2], line[at], false)
		}
		if i > 0 {
			judge(verse[i-1][1], line[1], i%2 == 0)
		}
	}
}
