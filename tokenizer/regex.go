package tokenizer

import (
	"errors"
	"fmt"
)

// regex is a pattern compiled for a backtracking matcher that remembers where
// it has failed: its answers are those of Oniguruma, its time is linear in the
// text for every pattern that it takes. Patterns that would need more
// (back-references, unbounded atomic groups) are errors.
type regex struct {
	src   string
	prog  []inst
	memos int      // number of instructions with a place in the memory
	runs  int      // number of possessive runs
	first *runeSet // characters that a match can begin with; nil: any, or none

	shortest int // characters of the shortest match, or less
}

type opcode uint8

const (
	opSet    opcode = iota // one character of set
	opSplit                // try x, then y
	opJump                 // go on at x
	opMatch                // the end
	opAssert               // set holds nothing; see assert
	opLook                 // the program at x to y matches here
	opAtomic               // the program at x to y, without second thoughts
	opRun                  // as many characters of set as there are, from min to max
)

type inst struct {
	op       opcode
	x, y     int
	set      *runeSet
	memo     int  // of opSplit
	lazyRun  int  // of opRun: its number
	min, max int  // of opRun; look-behind: its length in characters
	assert   byte // of opAssert
	negative bool
	behind   bool
}

const (
	maxProgram = 1 << 14
	maxAtomic  = 256 // characters that an atomic group may take
)

func compileRegex(src string) (*regex, error) {
	n, err := parseRegex(src)
	if err != nil {
		return nil, err
	}
	c := &regexCompiler{re: &regex{src: src}}
	if err := c.compile(n, false); err != nil {
		return nil, fmt.Errorf("pattern %s: %w", shorten(src), err)
	}
	c.emit(inst{op: opMatch})
	c.re.first = firstSet(n)
	c.re.shortest, _ = lengths(n)
	return c.re, nil
}

type regexCompiler struct {
	re    *regex
	nodes int // compiled so far, those of repeats each time
}

func (c *regexCompiler) emit(i inst) int {
	if i.op == opSplit {
		i.memo = c.re.memos
		c.re.memos++
	}
	c.re.prog = append(c.re.prog, i)
	return len(c.re.prog) - 1
}

func (c *regexCompiler) at() int { return len(c.re.prog) }

// compile appends the program of n; inside says that it stands in a
// look-around.
func (c *regexCompiler) compile(n *node, inside bool) error {
	if c.nodes++; c.nodes > maxProgram {
		return fmt.Errorf("takes more than %d steps", maxProgram)
	}
	switch n.kind {
	case nodeSet:
		c.emit(inst{op: opSet, set: n.set})
	case nodeAssert:
		c.emit(inst{op: opAssert, assert: n.assert})
	case nodeSeq:
		for _, s := range n.sub {
			if err := c.compile(s, inside); err != nil {
				return err
			}
		}
	case nodeAlt:
		return c.alternatives(n, inside)
	case nodeRepeat:
		return c.repeat(n, inside)
	case nodeLook:
		return c.look(n)
	case nodeAtomic:
		return c.atomic(n.sub[0])
	}
	return nil
}

func (c *regexCompiler) alternatives(n *node, inside bool) error {
	var ends []int
	for i, s := range n.sub {
		split := -1
		if i < len(n.sub)-1 {
			split = c.emit(inst{op: opSplit, x: c.at() + 1})
		}
		if err := c.compile(s, inside); err != nil {
			return err
		}
		if split >= 0 {
			ends = append(ends, c.emit(inst{op: opJump}))
			c.re.prog[split].y = c.at()
		}
	}
	for _, e := range ends {
		c.re.prog[e].x = c.at()
	}
	return nil
}

func (c *regexCompiler) repeat(n *node, inside bool) error {
	body := n.sub[0]
	if n.possessive {
		if body.kind == nodeSet {
			c.emit(inst{op: opRun, set: body.set, min: n.min, max: n.max, lazyRun: c.re.runs})
			c.re.runs++
			return nil
		}
		greedy := *n
		greedy.possessive = false
		return c.atomic(&greedy)
	}
	if shortest, _ := lengths(body); shortest == 0 && n.max < 0 && inside {
		return errors.New("an endless repeat of what may be empty in a look-around is not supported")
	}
	for range n.min {
		if err := c.compile(body, inside); err != nil {
			return err
		}
	}
	if n.max < 0 {
		return c.loop(n, inside)
	}
	var splits []int
	for range n.max - n.min {
		splits = append(splits, c.emit(inst{op: opSplit}))
		if err := c.compile(body, inside); err != nil {
			return err
		}
	}
	for _, s := range splits {
		c.branch(s, s+1, c.at(), n.lazy)
	}
	return nil
}

func (c *regexCompiler) loop(n *node, inside bool) error {
	split := c.emit(inst{op: opSplit})
	if err := c.compile(n.sub[0], inside); err != nil {
		return err
	}
	c.emit(inst{op: opJump, x: split})
	c.branch(split, split+1, c.at(), n.lazy)
	return nil
}

func (c *regexCompiler) branch(split, body, after int, lazy bool) {
	if lazy {
		body, after = after, body
	}
	c.re.prog[split].x, c.re.prog[split].y = body, after
}

func (c *regexCompiler) look(n *node) error {
	alts := []*node{n.sub[0]}
	if n.behind && n.sub[0].kind == nodeAlt {
		alts = n.sub[0].sub
	}
	if len(alts) > 1 { // each alternative of a look-behind has a length of its own
		rest := *n.sub[0]
		rest.sub = alts[1:]
		first := &node{kind: nodeLook, behind: true, negative: n.negative, sub: alts[:1]}
		others := &node{kind: nodeLook, behind: true, negative: n.negative, sub: []*node{&rest}}
		kind := nodeAlt
		if n.negative {
			kind = nodeSeq
		}
		return c.compile(&node{kind: kind, sub: []*node{first, others}}, true)
	}
	shortest, longest := lengths(alts[0])
	if n.behind && shortest != longest {
		return errors.New("a look-behind without a fixed length is not supported")
	}
	look := c.emit(inst{op: opLook, negative: n.negative, behind: n.behind, min: shortest})
	if err := c.compile(alts[0], true); err != nil {
		return err
	}
	c.emit(inst{op: opMatch})
	c.re.prog[look].x, c.re.prog[look].y = look+1, c.at()
	return nil
}

func (c *regexCompiler) atomic(n *node) error {
	if _, longest := lengths(n); longest < 0 || longest > maxAtomic {
		return fmt.Errorf("an atomic group or possessive repeat of more than %d characters is not supported", maxAtomic)
	}
	group := c.emit(inst{op: opAtomic})
	if err := c.compile(n, true); err != nil {
		return err
	}
	c.emit(inst{op: opMatch})
	c.re.prog[group].x, c.re.prog[group].y = group+1, c.at()
	return nil
}

// lengths returns the least and the greatest number of characters that n
// takes; -1 is no limit.
func lengths(n *node) (shortest, longest int) {
	const most = 1 << 20
	switch n.kind {
	case nodeSet:
		return 1, 1
	case nodeSeq, nodeAtomic:
		for _, s := range n.sub {
			lo, hi := lengths(s)
			shortest = min(shortest+lo, most)
			if hi < 0 || longest < 0 {
				longest = -1
			} else {
				longest = min(longest+hi, most)
			}
		}
		return shortest, longest
	case nodeAlt:
		shortest, longest = lengths(n.sub[0])
		for _, s := range n.sub[1:] {
			lo, hi := lengths(s)
			shortest = min(shortest, lo)
			if hi < 0 || longest < 0 {
				longest = -1
			} else {
				longest = max(longest, hi)
			}
		}
		return shortest, longest
	case nodeRepeat:
		lo, hi := lengths(n.sub[0])
		if hi < 0 || n.max < 0 && hi > 0 {
			return min(lo*n.min, most), -1
		}
		return min(lo*n.min, most), min(hi*max(n.max, 0), most)
	}
	return 0, 0
}

// firstSet returns the characters that a match of n begins with, or nil if a
// match may be empty.
func firstSet(n *node) *runeSet {
	switch n.kind {
	case nodeSet:
		return n.set
	case nodeRepeat:
		if n.min == 0 {
			return nil
		}
		return firstSet(n.sub[0])
	case nodeAtomic:
		return firstSet(n.sub[0])
	case nodeSeq:
		set := newRuneSet(nil)
		for _, s := range n.sub {
			lo, _ := lengths(s)
			if lo > 0 {
				if f := firstSet(s); f != nil {
					return set.or(f)
				}
				return nil
			}
			f := optionalFirst(s)
			if f == nil {
				return nil
			}
			set = set.or(f)
		}
		return nil
	case nodeAlt:
		set := newRuneSet(nil)
		for _, s := range n.sub {
			f := firstSet(s)
			if f == nil {
				return nil
			}
			set = set.or(f)
		}
		return set
	}
	return nil
}

// optionalFirst returns the characters that n begins with when it is not
// empty.
func optionalFirst(n *node) *runeSet {
	switch n.kind {
	case nodeLook, nodeAssert:
		return newRuneSet(nil)
	case nodeRepeat:
		return firstSet(n.sub[0])
	}
	return nil
}
