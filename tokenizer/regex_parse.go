package tokenizer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The syntax is the part of Oniguruma's that split patterns use.

type nodeKind uint8

const (
	nodeEmpty  nodeKind = iota
	nodeSet             // one character of set
	nodeSeq             // sub, one after the other
	nodeAlt             // the first of sub that leads to a match
	nodeRepeat          // sub[0], min to max times
	nodeLook            // sub[0] matches here (behind: up to here), or not
	nodeAtomic          // sub[0], without second thoughts
	nodeAssert          // assert
)

type node struct {
	kind       nodeKind
	sub        []*node
	set        *runeSet
	min, max   int // repeat; max -1: no limit
	lazy       bool
	possessive bool
	behind     bool
	negative   bool
	assert     byte // '^', '$', 'A', 'z', 'Z', 'b' or 'B'
}

const (
	maxNesting = 100
	maxRepeat  = 1000
	maxPattern = 1 << 16
)

type regexParser struct {
	src, rest string
	depth     int
	fold      bool // (?i)
	dotAll    bool // (?m)
	extended  bool // (?x)
}

func parseRegex(src string) (*node, error) {
	if len(src) > maxPattern {
		return nil, fmt.Errorf("pattern %s: %d bytes are more than %d", shorten(src), len(src), maxPattern)
	}
	if !utf8.ValidString(src) {
		return nil, errors.New("the pattern is not UTF-8")
	}
	p := &regexParser{src: src, rest: src}
	n, err := p.alternatives()
	if err == nil && p.rest != "" {
		err = errors.New("unmatched )")
	}
	if err != nil {
		return nil, fmt.Errorf("pattern %s: at byte %d: %w", shorten(src), len(src)-len(p.rest), err)
	}
	return n, nil
}

// shorten quotes s for an error, cut to a length that can be read.
func shorten(s string) string {
	const most = 120
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

func (p *regexParser) eat(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *regexParser) next() rune {
	r, n := utf8.DecodeRuneInString(p.rest)
	p.rest = p.rest[n:]
	return r
}

func (p *regexParser) alternatives() (*node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, fmt.Errorf("more than %d groups in each other", maxNesting)
	}
	saved := *p
	alt := &node{kind: nodeAlt}
	for {
		seq, err := p.sequence()
		if err != nil {
			return nil, err
		}
		alt.sub = append(alt.sub, seq)
		if !p.eat("|") {
			break
		}
	}
	p.depth, p.fold, p.dotAll, p.extended = saved.depth-1, saved.fold, saved.dotAll, saved.extended
	if len(alt.sub) == 1 {
		return alt.sub[0], nil
	}
	return alt, nil
}

func (p *regexParser) sequence() (*node, error) {
	seq := &node{kind: nodeSeq}
	for p.rest != "" && p.rest[0] != '|' && p.rest[0] != ')' {
		if p.extended && p.skipExtended() {
			continue
		}
		n, err := p.atom()
		if err != nil {
			return nil, err
		}
		for n != nil {
			more, err := p.quantifier(n)
			if err != nil {
				return nil, err
			}
			if more == n {
				break
			}
			n = more
		}
		if n != nil {
			seq.sub = append(seq.sub, n)
		}
	}
	if len(seq.sub) == 1 {
		return seq.sub[0], nil
	}
	return seq, nil
}

func (p *regexParser) skipExtended() bool {
	switch p.rest[0] {
	case ' ', '\t', '\n', '\r', '\f', '\v':
		p.rest = p.rest[1:]
		return true
	case '#':
		_, p.rest, _ = strings.Cut(p.rest, "\n")
		return true
	}
	return false
}

// quantifier wraps n in the repeat that follows, or returns n.
func (p *regexParser) quantifier(n *node) (*node, error) {
	rep := &node{kind: nodeRepeat, sub: []*node{n}, max: -1}
	interval := false
	switch {
	case p.eat("*"):
	case p.eat("+"):
		rep.min = 1
	case p.eat("?"):
		rep.max = 1
	default:
		var err error
		if interval, err = p.interval(rep); !interval {
			return n, err
		}
	}
	switch {
	case interval && rep.min == rep.max: // in this syntax {n}? is optional, not lazy
	case p.eat("?"):
		rep.lazy = true
	case !interval && p.eat("+"): // in this syntax {n,m}+ is a repeat of a repeat
		rep.possessive = true
	}
	if n.kind == nodeAssert || n.kind == nodeLook {
		return nil, errors.New("a repeat of something without length")
	}
	return rep, nil
}

// interval reads {n}, {n,}, {,m} or {n,m}; anything else is literal.
func (p *regexParser) interval(rep *node) (bool, error) {
	body, _, ok := strings.Cut(p.rest, "}")
	if !ok || !strings.HasPrefix(body, "{") {
		return false, nil
	}
	from, to, ranged := strings.Cut(body[1:], ",")
	lo, err1 := strconv.Atoi(from)
	hi, err2 := strconv.Atoi(to)
	switch {
	case !ranged && err1 == nil:
		hi = lo
	case ranged && err1 == nil && to == "":
		hi = -1
	case ranged && from == "" && err2 == nil:
		lo = 0
	case !ranged || err1 != nil || err2 != nil:
		return false, nil
	}
	if lo < 0 || lo > maxRepeat || hi > maxRepeat || hi >= 0 && hi < lo {
		return false, fmt.Errorf("repeat {%s} is not between 0 and %d", body[1:], maxRepeat)
	}
	rep.min, rep.max = lo, hi
	p.rest = p.rest[len(body)+1:]
	return true, nil
}

func (p *regexParser) atom() (*node, error) {
	switch c := p.next(); c {
	case '(':
		return p.group()
	case '[':
		set, err := p.class()
		return &node{kind: nodeSet, set: set}, err
	case '.':
		if p.dotAll {
			return &node{kind: nodeSet, set: newRuneSet([]runeRange{{0, maxRune}})}, nil
		}
		return &node{kind: nodeSet, set: newRuneSet([]runeRange{{'\n', '\n'}}).not()}, nil
	case '^', '$':
		return &node{kind: nodeAssert, assert: byte(c)}, nil
	case '\\':
		if p.rest != "" && strings.IndexByte("AzZbB", p.rest[0]) >= 0 {
			return &node{kind: nodeAssert, assert: byte(p.next())}, nil
		}
		set, err := p.escape(false)
		return &node{kind: nodeSet, set: p.folded(set)}, err
	case '*', '+', '?':
		return nil, fmt.Errorf("nothing to repeat before %c", c)
	default:
		return &node{kind: nodeSet, set: p.folded(newRuneSet([]runeRange{{c, c}}))}, nil
	}
}

func (p *regexParser) folded(s *runeSet) *runeSet {
	if s != nil && p.fold {
		return s.fold()
	}
	return s
}

func (p *regexParser) group() (*node, error) {
	n := &node{kind: nodeSeq}
	switch {
	case p.eat("?:"):
	case p.eat("?="):
		n.kind = nodeLook
	case p.eat("?!"):
		n.kind, n.negative = nodeLook, true
	case p.eat("?<="):
		n.kind, n.behind = nodeLook, true
	case p.eat("?<!"):
		n.kind, n.behind, n.negative = nodeLook, true, true
	case p.eat("?>"):
		n.kind = nodeAtomic
	case p.eat("?#"):
		_, p.rest, _ = strings.Cut(p.rest, ")")
		return nil, nil
	case p.eat("?<"), p.eat("?P<"):
		if _, p.rest, _ = strings.Cut(p.rest, ">"); p.rest == "" {
			return nil, errors.New("a group's name without end")
		}
	case p.eat("?"):
		return p.flags()
	}
	sub, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if !p.eat(")") {
		return nil, errors.New("a group without end")
	}
	n.sub = []*node{sub}
	return n, nil
}

// flags reads (?i), (?i:…) and the like, after the question mark.
func (p *regexParser) flags() (*node, error) {
	saved := *p
	on := true
	for p.rest != "" {
		switch c := p.next(); c {
		case '-':
			on = false
		case 'i':
			p.fold = on
		case 'm':
			p.dotAll = on
		case 'x':
			p.extended = on
		case ')': // up to the end of the group around
			sub, err := p.alternatives()
			return sub, err
		case ':':
			sub, err := p.alternatives()
			if err == nil && !p.eat(")") {
				err = errors.New("a group without end")
			}
			p.fold, p.dotAll, p.extended = saved.fold, saved.dotAll, saved.extended
			return sub, err
		default:
			return nil, fmt.Errorf("(?%c is not supported", c)
		}
	}
	return nil, errors.New("a group without end")
}

// escape reads what follows a backslash, where it stands for characters.
func (p *regexParser) escape(inClass bool) (*runeSet, error) {
	if p.rest == "" {
		return nil, errors.New("a backslash at the end")
	}
	one := func(r rune) (*runeSet, error) { return newRuneSet([]runeRange{{r, r}}), nil }
	switch c := p.next(); c {
	case 'n':
		return one('\n')
	case 'r':
		return one('\r')
	case 't':
		return one('\t')
	case 'f':
		return one('\f')
	case 'v':
		return one('\v')
	case 'a':
		return one('\a')
	case 'e':
		return one(0x1b)
	case '0':
		return one(0)
	case 's':
		return spaceSet(), nil
	case 'S':
		return spaceSet().not(), nil
	case 'd':
		return runesOf("Nd"), nil
	case 'D':
		return runesOf("Nd").not(), nil
	case 'w':
		return regexWordSet(inClass), nil
	case 'W':
		return regexWordSet(inClass).not(), nil
	case 'h':
		s, _ := posixClass("xdigit")
		return s, nil
	case 'p', 'P':
		return p.propertyEscape(c == 'P')
	case 'x', 'u':
		return p.hexEscape(c)
	default:
		if c < utf8.RuneSelf && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			return nil, fmt.Errorf(`\%c is not supported`, c)
		}
		return one(c)
	}
}

func (p *regexParser) propertyEscape(negate bool) (*runeSet, error) {
	name, rest, ok := strings.Cut(p.rest, "}")
	if !ok || !strings.HasPrefix(name, "{") {
		return nil, errors.New(`\p without {name}`)
	}
	p.rest = rest
	name, not := strings.CutPrefix(name[1:], "^")
	set, err := property(name)
	if err == nil && negate != not {
		set = set.not()
	}
	return set, err
}

func (p *regexParser) hexEscape(kind rune) (*runeSet, error) {
	digits := ""
	switch {
	case kind == 'x' && strings.HasPrefix(p.rest, "{"):
		digits, p.rest, _ = strings.Cut(p.rest[1:], "}")
	case kind == 'x':
		digits, p.rest = p.rest[:min(2, len(p.rest))], p.rest[min(2, len(p.rest)):]
	default:
		digits, p.rest = p.rest[:min(4, len(p.rest))], p.rest[min(4, len(p.rest)):]
	}
	v, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || v > 0x10ffff {
		return nil, fmt.Errorf(`\%c%s is not a character`, kind, digits)
	}
	return newRuneSet([]runeRange{{rune(v), rune(v)}}), nil
}

// class reads a character class after its bracket.
func (p *regexParser) class() (*runeSet, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, fmt.Errorf("more than %d classes in each other", maxNesting)
	}
	defer func() { p.depth-- }()
	negate := p.eat("^")
	var ranges []runeRange
	var left *runeSet // of &&
	for first := true; ; first = false {
		switch {
		case p.rest == "":
			return nil, errors.New("a character class without end")
		case !first && p.eat("]"):
			set := newRuneSet(ranges)
			if left != nil {
				set = left.and(set)
			}
			set = p.folded(set)
			if negate {
				set = set.not()
			}
			return set, nil
		case p.eat("&&"):
			set := newRuneSet(ranges)
			if left != nil {
				set = left.and(set)
			}
			left, ranges = set, nil
		default:
			item, err := p.classItem()
			if err != nil {
				return nil, err
			}
			ranges = append(ranges, item.ranges...)
		}
	}
}

// classItem reads a character, a range, an escape or a class inside a class.
func (p *regexParser) classItem() (*runeSet, error) {
	if name, rest, ok := strings.Cut(p.rest, ":]"); ok && strings.HasPrefix(name, "[:") {
		name, not := strings.CutPrefix(name[2:], "^")
		set, known := posixClass(name)
		if !known {
			return nil, fmt.Errorf("[:%s:] is not supported", shorten(name))
		}
		p.rest = rest
		if not {
			set = set.not()
		}
		return set, nil
	}
	if p.eat("[") {
		return p.class()
	}
	lo, err := p.classRune()
	if err != nil || len(lo.ranges) != 1 || lo.ranges[0].lo != lo.ranges[0].hi {
		return lo, err
	}
	if !strings.HasPrefix(p.rest, "-") || strings.HasPrefix(p.rest, "-]") || strings.HasPrefix(p.rest, "-[") {
		return lo, nil
	}
	p.rest = p.rest[1:]
	hi, err := p.classRune()
	if err != nil {
		return nil, err
	}
	if len(hi.ranges) != 1 || hi.ranges[0].lo != hi.ranges[0].hi || hi.ranges[0].lo < lo.ranges[0].lo {
		return nil, errors.New("a range without order")
	}
	return newRuneSet([]runeRange{{lo.ranges[0].lo, hi.ranges[0].lo}}), nil
}

func (p *regexParser) classRune() (*runeSet, error) {
	if p.rest == "" {
		return nil, errors.New("a character class without end")
	}
	if p.eat(`\`) {
		if p.eat("b") {
			return newRuneSet([]runeRange{{'\b', '\b'}}), nil
		}
		return p.escape(true)
	}
	c := p.next()
	return newRuneSet([]runeRange{{c, c}}), nil
}
