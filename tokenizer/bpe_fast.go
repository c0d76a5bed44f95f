package tokenizer

import (
	"math"
	"slices"
	"sync/atomic"
	"unicode/utf8"
)

// pairwise finds the tokens of a piece from left to right, in time linear in
// its length. It rests on this: merging takes the lowest rank, then the
// leftmost place, and so goes on inside a stretch as if the rest were not
// there, until a merge crosses the stretch's border. Hence a sequence of
// tokens is what merging gives if and only if each two neighbours are what
// merging gives for the two of them alone ("valid"). The search takes the
// longest token each time and goes back where no token is valid; since the
// tokens up to a place are unique, no place is tried twice.
//
// (Found by the authors of the Rust crate bpe, github/rust-gems, who have ids
// for ranks.)
type pairwise struct {
	model   *bpe
	asBytes bool
	merged  *mergeTable
	trie    *tokenTrie // the tokens that merging can give
	made    []made     // by id
	seams   *seams
	// unreached holds the tokens that merging never gives, by their names:
	// with IgnoreMerges they are tokens all the same.
	unreached map[string]int32
	// What becomes of a character that is no token: its bytes' tokens, or unk.
	bytes   [256]int32
	unk     int32 // -1: bytes
	fuseUnk bool
}

// quickWay is the pairwise search of a model, once it is there: it is made
// beside whatever comes after loading, and merging serves until then.
type quickWay struct {
	bytes bool // the pieces are bytes, else text
	way   atomic.Pointer[pairwise]
	ready chan struct{} // closed when way is set or is known to be impossible
}

// start makes the way.
func (q *quickWay) start(m *bpe, asBytes bool) {
	const small = 4000 // merges
	q.bytes = asBytes
	q.ready = make(chan struct{})
	make := func() {
		q.way.Store(newPairwise(m, asBytes))
		close(q.ready)
	}
	if len(m.Merges) <= small {
		make()
	} else {
		go make()
	}
}

// get returns the way for n bytes of text, nil if there is none. A long text
// waits for it.
func (q *quickWay) get(n int) *pairwise {
	const long = 1 << 15
	if way := q.way.Load(); way != nil || n < long {
		return way
	}
	q.wait()
	return q.way.Load()
}

func (q *quickWay) wait() {
	if q.ready != nil {
		<-q.ready
	}
}

// made is the last merge of a token when it is merged alone; rank -1: none.
type made struct {
	rank, left, right int32
	// asLeft, asRight: some merge has the token on that side.
	asLeft, asRight bool
	// odd: in making the token some merge comes after one of a higher rank.
	odd bool
}

// newPairwise returns nil for models to which the reasoning does not apply:
// where names depend on the place, or unknown characters vanish.
func newPairwise(m *bpe, asBytes bool) *pairwise {
	p := &pairwise{model: m, asBytes: asBytes, merged: m.merged, bytes: m.bytes, unk: m.unk, fuseUnk: m.FuseUnk}
	if m.ContinuingSubwordPrefix != "" || m.EndOfWordSuffix != "" {
		return nil
	}
	base := m.baseTokens(asBytes)
	if base == nil || !asBytes && !p.unknownsAreApart(m) {
		return nil
	}
	p.made = make([]made, len(m.Vocab))
	known := make([]bool, len(m.Vocab))
	for _, id := range base {
		p.made[id].rank = -1
		known[id] = true
	}
	merges := m.Merges
	if m.ordered() {
		p.findMade(m, known)
	} else {
		merges = p.mergeAlone(m, known, asBytes)
	}
	for _, mg := range merges {
		p.made[mg.left].asLeft, p.made[mg.right].asRight = true, true
	}
	names := make([]string, len(m.Vocab))
	for id, ok := range known {
		if ok {
			names[id] = m.nameOf(int32(id), asBytes)
		} else if m.IgnoreMerges && m.Vocab[id] != "" {
			if p.unreached == nil {
				p.unreached = map[string]int32{}
			}
			p.unreached[m.nameOf(int32(id), asBytes)] = int32(id)
		}
	}
	if p.trie = newTokenTrie(names); p.trie == nil {
		return nil
	}
	p.seams = newSeams(merges, names)
	return p
}

// findMade goes through the merges from the first, with which a token's last
// merge is known before the token is used.
func (p *pairwise) findMade(m *bpe, known []bool) {
	for _, mg := range m.Merges {
		p.made[mg.left].asLeft, p.made[mg.right].asRight = true, true
	}
	for rank, mg := range m.Merges {
		r, id := m.merged.get(mg.left, mg.right)
		if r == int32(rank) && !known[id] && known[mg.left] && known[mg.right] && p.validBelow(mg.left, mg.right, r) {
			known[id] = true
			made := &p.made[id]
			made.rank, made.left, made.right = r, mg.left, mg.right
		}
	}
}

// mergeAlone merges every token's text alone. The last merge of each is the
// only one that ever makes the token, wherever it stands, so the others are
// left out; p goes on with those that it returns.
func (p *pairwise) mergeAlone(m *bpe, known []bool, asBytes bool) []merge {
	var st bpeState
	merges := []merge{}
	p.merged = newMergeTable(len(m.Vocab))
	for id := range m.Vocab {
		name := m.nameOf(int32(id), asBytes)
		if known[id] || name == "" {
			continue
		}
		m.symbolsOf(&st, name, asBytes)
		m.mergeAll(&st)
		if first := st.symbols[:min(1, len(st.symbols))]; len(first) == 0 || first[0].next >= 0 || first[0].id != int32(id) {
			continue
		}
		known[id] = true
		rank, _ := m.merged.get(st.last.left, st.last.right)
		made := &p.made[id]
		made.rank, made.left, made.right = rank, st.last.left, st.last.right
		merges = append(merges, st.last)
		p.merged.set(st.last, rank, int32(id))
	}
	p.findOdd(merges)
	return merges
}

// findOdd marks the odd tokens, the short ones first.
func (p *pairwise) findOdd(merges []merge) {
	byLength := slices.Clone(merges)
	length := func(mg merge) int { return len(p.model.Vocab[mg.left]) + len(p.model.Vocab[mg.right]) }
	slices.SortStableFunc(byLength, func(a, b merge) int { return length(a) - length(b) })
	for _, mg := range byLength {
		rank, id := p.merged.get(mg.left, mg.right)
		left, right := &p.made[mg.left], &p.made[mg.right]
		p.made[id].odd = left.odd || right.odd || rank <= left.rank || rank <= right.rank
	}
}

// ordered reports whether every merge that makes a token comes before those
// that use it.
func (m *bpe) ordered() bool {
	lastMade := make([]int32, len(m.Vocab))
	for i := range lastMade {
		lastMade[i] = -1
	}
	for rank, mg := range m.Merges {
		_, id := m.merged.get(mg.left, mg.right)
		lastMade[id] = int32(rank)
	}
	for rank, mg := range m.Merges {
		if int32(rank) <= lastMade[mg.left] || int32(rank) <= lastMade[mg.right] {
			return false
		}
	}
	return true
}

// baseTokens returns the tokens that merging begins with; nil if a byte has
// none.
func (m *bpe) baseTokens(asBytes bool) []int32 {
	if !asBytes {
		var out []int32
		for id, t := range m.Vocab {
			if t != "" && utf8.RuneCountInString(t) == 1 {
				out = append(out, int32(id))
			}
		}
		return out
	}
	for _, id := range m.letters {
		if id < 0 {
			return nil
		}
	}
	return m.letters[:]
}

// nameOf returns what a token covers of a piece; "" for a token that has other
// letters than those of bytes, which no piece of bytes can hold.
func (m *bpe) nameOf(id int32, asBytes bool) string {
	if !asBytes {
		return m.Vocab[id]
	}
	b, _ := bytesOf(m.Vocab[id])
	return string(b)
}

// unknownsAreApart reports whether tokens for unknown characters never merge,
// and whether all of them are bytes' tokens or all of them unk.
func (p *pairwise) unknownsAreApart(m *bpe) bool {
	special := map[int32]bool{m.unk: true}
	whole := true
	for _, id := range m.bytes {
		whole = whole && id >= 0
		special[id] = true
	}
	if m.ByteFallback && whole {
		p.unk = -1
	} else if m.ByteFallback || m.unk < 0 {
		return false
	}
	for _, mg := range m.Merges {
		if special[mg.left] || special[mg.right] {
			return false
		}
	}
	return true
}

// valid reports whether merging the text of a and b gives a and b.
func (p *pairwise) valid(st *pairwiseState, a, b int32) bool {
	if p.made[a].odd || p.made[b].odd {
		return p.validByMerging(st, a, b)
	}
	return p.validBelow(a, b, math.MaxInt32)
}

// validByMerging is valid by definition, for the few tokens that need it.
func (p *pairwise) validByMerging(st *pairwiseState, a, b int32) bool {
	name := p.model.nameOf(a, p.asBytes) + p.model.nameOf(b, p.asBytes)
	p.model.symbolsOf(&st.merging, name, p.asBytes)
	p.model.mergeAll(&st.merging)
	first := st.merging.symbols[0]
	if first.id != a || first.next < 0 {
		return false
	}
	second := st.merging.symbols[first.next]
	return second.id == b && second.next < 0
}

// validBelow goes back through the merges that made a and b, the last first,
// and looks for a merge across the border that would have come before the one
// undone. Ranks from limit on do not count.
func (p *pairwise) validBelow(a, b, limit int32) bool {
	for {
		ma, mb := &p.made[a], &p.made[b]
		if ma.asLeft && mb.asRight {
			if r, _ := p.merged.get(a, b); r >= 0 && r < limit {
				return false
			}
		}
		switch {
		case ma.rank > mb.rank:
			limit, a = ma.rank, ma.right
		case mb.rank >= 0: // of equal ranks the left place is first, so b came last
			limit, b = mb.rank+1, mb.left
		default:
			return true
		}
	}
}

// pairwiseState is what the search keeps: the tokens so far and where they
// end, and the places from which it has come back.
type pairwiseState struct {
	ids   []int32
	ends  []int32
	dead  []uint64
	tries []found // tokens that the text goes on with here, still to be tried
	// merging serves validByMerging.
	merging bpeState
}

func (st *pairwiseState) isDead(at int) bool { return st.dead[at>>6]>>(at&63)&1 != 0 }

// encode puts the tokens of s into st.
func (p *pairwise) encode(st *pairwiseState, s string) {
	st.ids, st.ends = st.ids[:0], st.ends[:0]
	words := len(s)>>6 + 1
	if cap(st.dead) < words {
		st.dead = make([]uint64, words, 2*words)
	}
	st.dead = st.dead[:words]
	clear(st.dead)
	start := 0 // where tokens may begin: what lies before is settled
	at, last := 0, int32(-1)
	for at < len(s) {
		id, n := p.trie.longest(s[at:])
		if id < 0 {
			at = p.unknown(st, s, at)
			start, last = len(st.ids), -1
			continue
		}
		if st.isDead(at+n) || last >= 0 && !p.valid(st, last, id) {
			st.tries = p.trie.all(st.tries[:0], s[at:at+n-1])
			for id, n = p.pick(st, at, last); id < 0; id, n = p.pick(st, at, last) {
				st.dead[at>>6] |= 1 << (at & 63)
				at, last = p.back(st, start, s)
			}
		}
		at, last = at+n, id
		st.ids, st.ends = append(st.ids, id), append(st.ends, int32(at))
	}
}

// pick returns the longest token left to try at byte at that is valid after
// last; -1 if there is none.
func (p *pairwise) pick(st *pairwiseState, at int, last int32) (id int32, n int) {
	for i := len(st.tries) - 1; i >= 0; i-- {
		f := st.tries[i]
		if !st.isDead(at+int(f.n)) && (last < 0 || p.valid(st, last, f.id)) {
			return f.id, int(f.n)
		}
	}
	return -1, 0
}

// back takes the last token away, to try shorter ones in its place. There is
// one: the tokens that merging gives are found before the search runs out.
func (p *pairwise) back(st *pairwiseState, start int, s string) (at int, last int32) {
	top := len(st.ids) - 1
	end := int(st.ends[top])
	last = -1
	if top > 0 {
		at = int(st.ends[top-1])
	}
	if top > start {
		last = st.ids[top-1]
	}
	st.ids, st.ends = st.ids[:top], st.ends[:top]
	st.tries = p.trie.all(st.tries[:0], s[at:end-1])
	return at, last
}

// isKnown reports whether the character at byte at has a token.
func (p *pairwise) isKnown(s string, at int) bool {
	id, _ := p.trie.longest(s[at:])
	return id >= 0
}

// unknown puts the tokens for a character without one into st, and returns
// where it ends.
func (p *pairwise) unknown(st *pairwiseState, s string, at int) int {
	_, size := decodeRune(s[at:])
	if p.unk < 0 {
		for i := range size {
			st.ids, st.ends = append(st.ids, p.bytes[s[at+i]]), append(st.ends, int32(at+i+1))
		}
		return at + size
	}
	if top := len(st.ids) - 1; p.fuseUnk && top >= 0 && st.ids[top] == p.unk && int(st.ends[top]) == at {
		st.ends[top] = int32(at + size)
		return at + size
	}
	st.ids, st.ends = append(st.ids, p.unk), append(st.ends, int32(at+size))
	return at + size
}
