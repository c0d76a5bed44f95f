package tokenizer

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode"
)

// maxRune is the last "character" that a pattern may meet: badByte + 255.
const maxRune = badByte + 255

// runeSet is a set of characters: ascending ranges that do not touch.
type runeSet struct {
	ascii  [2]uint64
	ranges []runeRange
}

func newRuneSet(ranges []runeRange) *runeSet {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b runeRange) int { return int(a.lo - b.lo) })
	s := &runeSet{}
	for _, r := range ranges {
		if n := len(s.ranges); n > 0 && r.lo <= s.ranges[n-1].hi+1 {
			s.ranges[n-1].hi = max(s.ranges[n-1].hi, r.hi)
		} else {
			s.ranges = append(s.ranges, r)
		}
	}
	for c := rune(0); c < 128; c++ {
		if s.search(c) {
			s.ascii[c/64] |= 1 << (c % 64)
		}
	}
	return s
}

func (s *runeSet) search(r rune) bool {
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].hi >= r })
	return i < len(s.ranges) && s.ranges[i].lo <= r
}

func (s *runeSet) has(r rune) bool {
	if r < 128 {
		return s.ascii[r/64]>>(r%64)&1 != 0
	}
	return s.search(r)
}

func (s *runeSet) not() *runeSet {
	var out []runeRange
	next := rune(0)
	for _, r := range s.ranges {
		if r.lo > next {
			out = append(out, runeRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= maxRune {
		out = append(out, runeRange{next, maxRune})
	}
	return newRuneSet(out)
}

func (s *runeSet) or(t *runeSet) *runeSet {
	return newRuneSet(append(slices.Clone(s.ranges), t.ranges...))
}

func (s *runeSet) and(t *runeSet) *runeSet { return s.not().or(t.not()).not() }

// fold adds the characters that differ from those of the set in case only.
// Big sets are left as they are: classes are closed under it in practice.
func (s *runeSet) fold() *runeSet {
	const most = 1000
	n := rune(0)
	for _, r := range s.ranges {
		n += r.hi - r.lo + 1
	}
	if n > most {
		return s
	}
	out := slices.Clone(s.ranges)
	for _, r := range s.ranges {
		for c := r.lo; c <= min(r.hi, unicode.MaxRune); c++ {
			for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
				out = append(out, runeRange{f, f})
			}
		}
	}
	return newRuneSet(out)
}

// runesOf unites lines of unicode.txt.
func runesOf(lines ...string) *runeSet {
	var all []runeRange
	for _, l := range lines {
		all = append(all, loadUnicode().ranges[l]...)
	}
	return newRuneSet(all)
}

var categoryGroups = map[string][]string{
	"L": {"Lu", "Ll", "Lt", "Lm", "Lo"},
	"M": {"Mn", "Mc", "Me"},
	"N": {"Nd", "Nl", "No"},
	"P": {"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"},
	"S": {"Sm", "Sc", "Sk", "So"},
	"Z": {"Zs", "Zl", "Zp"},
}

// longCategories are the long names of general categories, in the form that
// propertyKey gives.
var longCategories = map[string]string{
	"letter": "L", "uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt",
	"modifierletter": "Lm", "otherletter": "Lo", "mark": "M", "nonspacingmark": "Mn",
	"spacingmark": "Mc", "enclosingmark": "Me", "number": "N", "decimalnumber": "Nd",
	"letternumber": "Nl", "othernumber": "No", "punctuation": "P", "symbol": "S", "separator": "Z",
	"mathsymbol": "Sm", "currencysymbol": "Sc", "modifiersymbol": "Sk", "othersymbol": "So",
	"spaceseparator": "Zs", "control": "Cc", "format": "Cf", "other": "C", "unassigned": "Cn",
}

func propertyKey(s string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(s))
}

// property returns the set of \p{name}.
func property(name string) (*runeSet, error) {
	key := propertyKey(name)
	if c, ok := longCategories[key]; ok {
		key = strings.ToLower(c)
	}
	u := loadUnicode()
	switch key {
	case "punct":
		return runesOf(categoryGroups["P"]...), nil
	case "word":
		return regexWordSet(false), nil
	}
	if s, ok := posixClass(key); ok {
		return s, nil
	}
	if key == "any" {
		return newRuneSet([]runeRange{{0, unicode.MaxRune}}), nil
	}
	if key == "cn" || key == "c" {
		var assigned []string
		for line := range u.ranges {
			if len(line) == 2 && (key == "cn" || line[0] != 'C') {
				assigned = append(assigned, line)
			}
		}
		return runesOf(assigned...).or(newRuneSet([]runeRange{{badByte, maxRune}})).not(), nil
	}
	for group, lines := range categoryGroups {
		if key == strings.ToLower(group) {
			return runesOf(lines...), nil
		}
	}
	for line := range u.ranges {
		if key == strings.ToLower(strings.TrimPrefix(line, "property:")) {
			return runesOf(line), nil
		}
	}
	for script, table := range unicode.Scripts {
		if key == propertyKey(script) {
			return tableSet(table), nil
		}
	}
	return nil, fmt.Errorf(`\p{%s} is not a known property`, name)
}

func tableSet(t *unicode.RangeTable) *runeSet {
	var out []runeRange
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			out = append(out, runeRange{lo, hi})
			return
		}
		for c := lo; c <= hi; c += stride {
			out = append(out, runeRange{c, c})
		}
	}
	for _, r := range t.R16 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range t.R32 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	return newRuneSet(out)
}

func spaceSet() *runeSet {
	return runesOf("Zs", "Zl", "Zp").or(newRuneSet([]runeRange{{'\t', '\r'}, {0x85, 0x85}}))
}

// regexWordSet is \w of Oniguruma: that of Rust but for the joiners, and, if it
// stands outside a character class, the digits of Latin-1.
func regexWordSet(inClass bool) *runeSet {
	set := runesOf("word").and(newRuneSet([]runeRange{{0x200c, 0x200d}}).not())
	if inClass {
		return set
	}
	return set.or(newRuneSet([]runeRange{{0xb2, 0xb3}, {0xb9, 0xb9}, {0xbc, 0xbe}}))
}

// posixClass returns the set of [[:name:]].
func posixClass(name string) (*runeSet, bool) {
	switch name {
	case "alpha":
		return runesOf("alphabetic"), true
	case "digit":
		return runesOf("Nd"), true
	case "alnum":
		return runesOf("alphabetic", "Nd"), true
	case "space":
		return spaceSet(), true
	case "blank":
		return runesOf("Zs").or(newRuneSet([]runeRange{{'\t', '\t'}})), true
	case "punct":
		return runesOf(append(slices.Clone(categoryGroups["P"]), categoryGroups["S"]...)...), true
	case "word":
		return regexWordSet(true), true
	case "cntrl":
		return runesOf("Cc"), true
	case "xdigit":
		return newRuneSet([]runeRange{{'0', '9'}, {'A', 'F'}, {'a', 'f'}}), true
	case "ascii":
		return newRuneSet([]runeRange{{0, 127}}), true
	}
	return nil, false
}
