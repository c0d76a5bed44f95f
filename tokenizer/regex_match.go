package tokenizer

import "unicode/utf8"

// matcher runs a regex over one text. What it learns at one place serves at
// all later ones, so it must see the places in ascending order.
type matcher struct {
	re    *regex
	s     string
	stack []frame
	memo  memory
	runs  []span // the last run of each opRun without limit
}

// frame is a place to go on from when all else has failed; mark says that the
// split at pc lies on the way to everything above it.
type frame struct {
	pc, pos int
	mark    bool
}

func (re *regex) matcher(s string) *matcher {
	m := &matcher{re: re, s: s, runs: make([]span, re.runs)}
	m.memo.width = re.memos
	for i := range m.runs {
		m.runs[i] = span{-1, -1}
	}
	return m
}

// find returns the first match at or after from; start is -1 if there is none.
func (m *matcher) find(from int) (start, end int) {
	for at := from; at <= len(m.s); {
		m.memo.forget(at)
		r, size := rune(0), 1
		if at < len(m.s) {
			r, size = decodeRune(m.s[at:])
		}
		if m.re.first == nil || at < len(m.s) && m.re.first.has(r) {
			if end := m.run(0, at, false); end >= 0 {
				m.memo.clear(end)
				return at, end
			}
		}
		at += size
	}
	return -1, -1
}

// run returns the end of the match of the program at pc that begins at pos,
// -1 if there is none. In a look-around (inside) what succeeds is remembered
// too; its end is not known then, and pos is returned.
func (m *matcher) run(pc, pos int, inside bool) int {
	base := len(m.stack)
	defer func() { m.stack = m.stack[:base] }()
	m.stack = append(m.stack, frame{pc: pc, pos: pos})
	for len(m.stack) > base {
		f := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		if f.mark {
			continue
		}
		end, ok := m.follow(f.pc, f.pos, inside)
		if ok {
			if inside {
				m.remember(base)
			}
			return end
		}
	}
	return -1
}

// remember notes that the splits on the way have succeeded.
func (m *matcher) remember(base int) {
	for _, f := range m.stack[base:] {
		if f.mark {
			m.memo.set(f.pos, m.re.prog[f.pc].memo, succeeded)
		}
	}
}

// follow goes on from pc and pos until the match or a failure.
func (m *matcher) follow(pc, pos int, inside bool) (end int, ok bool) {
	for {
		in := &m.re.prog[pc]
		pc++
		switch in.op {
		case opMatch:
			return pos, true
		case opJump:
			pc = in.x
		case opSplit:
			if v := m.memo.get(pos, in.memo); v != unknown {
				return pos, v == succeeded
			}
			m.split(in, pc-1, pos, inside)
			pc = in.x
		case opAssert:
			if !m.holds(in.assert, pos) {
				return 0, false
			}
		case opLook:
			if m.look(in, pos) == in.negative {
				return 0, false
			}
			pc = in.y
		default:
			if pos = m.take(in, pos); pos < 0 {
				return 0, false
			}
			if in.op == opAtomic {
				pc = in.y
			}
		}
	}
}

// split notes that the split at pc is under way, and what is to be tried when
// its first branch fails.
func (m *matcher) split(in *inst, pc, pos int, inside bool) {
	m.memo.set(pos, in.memo, failed)
	if inside {
		m.stack = append(m.stack, frame{pc: pc, pos: pos, mark: true})
	}
	m.stack = append(m.stack, frame{pc: in.y, pos: pos})
}

// take returns where the text that in takes from pos ends, -1 if it takes
// none.
func (m *matcher) take(in *inst, pos int) int {
	switch in.op {
	case opAtomic:
		return m.atomic(in, pos)
	case opRun:
		return m.takeRun(in, pos)
	}
	if pos >= len(m.s) {
		return -1
	}
	r, size := decodeRune(m.s[pos:])
	if !in.set.has(r) {
		return -1
	}
	return pos + size
}

func (m *matcher) look(in *inst, pos int) bool {
	if in.behind {
		for range in.min {
			if pos == 0 {
				return false
			}
			_, size := lastRune(m.s[:pos])
			pos -= size
		}
	}
	return m.run(in.x, pos, true) >= 0
}

// atomic runs a group of bounded length with a memory of its own: where it
// ends depends on the order of the alternatives, which the other memory does
// not keep.
func (m *matcher) atomic(in *inst, pos int) int {
	sub := &matcher{re: m.re, s: m.s, runs: m.runs}
	sub.memo.width = m.re.memos
	sub.memo.forget(pos)
	return sub.run(in.x, pos, false)
}

// takeRun returns where the run of in.set from pos ends, -1 if it is too
// short.
func (m *matcher) takeRun(in *inst, pos int) int {
	known := &m.runs[in.lazyRun]
	if in.max < 0 && known.start <= pos && pos < known.end && in.min <= 1 {
		return known.end
	}
	end, n := pos, 0
	for end < len(m.s) && (in.max < 0 || n < in.max) {
		r, size := decodeRune(m.s[end:])
		if !in.set.has(r) {
			break
		}
		end += size
		n++
	}
	if n < in.min {
		return -1
	}
	if in.max < 0 {
		*known = span{pos, end}
	}
	return end
}

func (m *matcher) holds(assert byte, pos int) bool {
	switch assert {
	case 'A':
		return pos == 0
	case 'z':
		return pos == len(m.s)
	case 'Z':
		return pos == len(m.s) || pos == len(m.s)-1 && m.s[pos] == '\n'
	case '^':
		return pos == 0 || m.s[pos-1] == '\n' && pos < len(m.s)
	case '$':
		return pos == len(m.s) || m.s[pos] == '\n'
	}
	before, after := false, false
	if pos > 0 {
		r, _ := lastRune(m.s[:pos])
		before = isWordRune(r)
	}
	if pos < len(m.s) {
		r, _ := decodeRune(m.s[pos:])
		after = isWordRune(r)
	}
	return (before != after) == (assert == 'b')
}

// isWordRune is regexWordSet for one character.
func isWordRune(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z'
	case r == 0x200c || r == 0x200d:
		return false
	case r == 0xb2 || r == 0xb3 || r == 0xb9 || 0xbc <= r && r <= 0xbe:
		return true
	}
	return loadUnicode().class(r)&isWord != 0
}

// verdict is what the memory holds of a split at a place.
type verdict uint8

const (
	unknown verdict = iota
	failed          // or under way
	succeeded
)

// memory holds verdicts for the places that the matcher may still come to, in
// blocks.
type memory struct {
	width  int // splits
	first  int // number of blocks[0]
	blocks [][]uint64
	spare  [][]uint64
}

const memoPlaces = 256 // bytes of text in a block

func (m *memory) words() int { return (m.width*2 + 63) / 64 }

func (m *memory) slot(pos, split int) (block []uint64, word, shift int) {
	i := pos/memoPlaces - m.first
	if i >= len(m.blocks) || m.blocks[i] == nil {
		return nil, 0, 0
	}
	bit := split * 2
	return m.blocks[i], pos%memoPlaces*m.words() + bit/64, bit % 64
}

func (m *memory) get(pos, split int) verdict {
	if pos/memoPlaces < m.first {
		return unknown
	}
	b, w, s := m.slot(pos, split)
	if b == nil {
		return unknown
	}
	return verdict(b[w] >> s & 3)
}

func (m *memory) set(pos, split int, v verdict) {
	i := pos/memoPlaces - m.first
	if i < 0 {
		return // behind the matcher
	}
	for i >= len(m.blocks) {
		m.blocks = append(m.blocks, nil)
	}
	if m.blocks[i] == nil {
		m.blocks[i] = m.fresh()
	}
	b, w, s := m.slot(pos, split)
	b[w] = b[w]&^(3<<s) | uint64(v)<<s
}

func (m *memory) fresh() []uint64 {
	if n := len(m.spare); n > 0 {
		b := m.spare[n-1]
		m.spare = m.spare[:n-1]
		clear(b)
		return b
	}
	return make([]uint64, memoPlaces*m.words())
}

// clear forgets what is known of pos: after a match that ends there, what was
// noted as failed lay on the way to it.
func (m *memory) clear(pos int) {
	if b, w, _ := m.slot(pos, 0); b != nil {
		clear(b[w : w+m.words()])
	}
}

// forget drops what lies before pos.
func (m *memory) forget(pos int) {
	drop := min(pos/memoPlaces-m.first, len(m.blocks))
	if drop <= 0 {
		m.first = max(m.first, pos/memoPlaces)
		return
	}
	for _, b := range m.blocks[:drop] {
		if b != nil {
			m.spare = append(m.spare, b)
		}
	}
	m.blocks = append(m.blocks[:0], m.blocks[drop:]...)
	m.first = pos / memoPlaces
}
