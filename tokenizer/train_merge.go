package tokenizer

import (
	"context"
	"slices"
	"strings"
)

// wordSet is the distinct words of a text as symbols (ids of the vocabulary
// being made), with the number of times each occurs. Word i is
// symbols[start[i] : start[i]+length[i]]; merging shortens it in place.
type wordSet struct {
	symbols []uint32
	start   []uint32
	length  []uint32
	count   []int64
}

// symbolPair is two neighbouring symbols, the left one in the upper half, so
// that pairs order as (left, right) do.
type symbolPair uint64

func pairOf(a, b uint32) symbolPair { return symbolPair(a)<<32 | symbolPair(b) }

func (p symbolPair) split() (a, b uint32) { return uint32(p >> 32), uint32(p) }

// queuedPair asks for a pair to be merged in the words at pos. A pair that
// comes to new words after it was queued is queued again with those words;
// each entry is merged by itself, and count is brought up to date when the
// entry reaches the front (as the reference trainer does it).
type queuedPair struct {
	count int64
	pair  symbolPair
	pos   []uint32
}

func (q *queuedPair) before(o *queuedPair) bool {
	if q.count != o.count {
		return q.count > o.count
	}
	return q.pair < o.pair
}

// bpeMerger learns merges over words (Sennrich et al. 2016, algorithm 1, with
// the bookkeeping of Hugging Face's trainer, whose order of merges it keeps).
type bpeMerger struct {
	words  wordSet
	tokens []string          // by id
	ids    map[string]uint32 // the inverse
	chars  []uint32          // by id: how many initial symbols a token is made of
	prefix string            // dropped from the right part of a merge

	vocabSize    int
	minFrequency int64
	maxChars     int

	merges   []symbolPair
	counts   pairCounts
	queue    pairQueue
	left     neighbours // of the pair being merged
	right    neighbours
	progress func(done int)
}

// run merges until the vocabulary is full or no pair is frequent enough.
func (m *bpeMerger) run(ctx context.Context) error {
	m.countPairs()
	for len(m.tokens) < m.vocabSize && len(m.queue) > 0 {
		if len(m.merges)%64 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			m.progress(len(m.tokens))
		}
		top := m.queue.pop()
		if n := m.counts.get(top.pair); n != top.count {
			top.count = n
			m.queue.push(top)
			continue
		}
		if top.count < max(1, m.minFrequency) {
			break
		}
		m.merge(top)
	}
	return nil
}

// countPairs fills the counts and the queue from the words.
func (m *bpeMerger) countPairs() {
	var size, last []uint32 // by index of the pair: words that hold it, the last of them + 1
	m.eachPair(func(word uint32, p symbolPair) {
		i := m.counts.index(p)
		if int(i) == len(size) {
			size, last = append(size, 0), append(last, 0)
		}
		m.counts.counts[i] += m.words.count[word]
		if last[i] != word+1 {
			last[i] = word + 1
			size[i]++
		}
	})
	m.queue = make(pairQueue, len(size))
	for i, n := range size {
		m.queue[i] = queuedPair{m.counts.counts[i], m.counts.pairs[i], make([]uint32, 0, n)}
	}
	clear(last)
	m.eachPair(func(word uint32, p symbolPair) {
		i := m.counts.index(p)
		if last[i] != word+1 {
			last[i] = word + 1
			m.queue[i].pos = append(m.queue[i].pos, word)
		}
	})
	m.queue.init()
}

func (m *bpeMerger) eachPair(f func(word uint32, p symbolPair)) {
	for w := range m.words.start {
		s := m.words.at(w)
		for i := 1; i < len(s); i++ {
			f(uint32(w), pairOf(s[i-1], s[i]))
		}
	}
}

func (w *wordSet) at(i int) []uint32 { return w.symbols[w.start[i]:][:w.length[i]] }

// merge makes a token of the pair, replaces the pair by it in the words of the
// entry and queues the pairs that this brings about.
func (m *bpeMerger) merge(q queuedPair) {
	a, b := q.pair.split()
	id := m.newToken(a, b)
	m.merges = append(m.merges, q.pair)
	m.left.reset(len(m.tokens))
	m.right.reset(len(m.tokens))
	for _, w := range q.pos {
		m.mergeWord(w, a, b, id)
	}
	for _, x := range m.left.seen {
		m.counts.add(pairOf(x, a), -m.left.count[x])
		if m.fits(x, id) {
			m.counts.add(pairOf(x, id), m.left.count[x])
		}
	}
	for _, y := range m.right.seen {
		m.counts.add(pairOf(b, y), -m.right.count[y])
		if m.fits(id, y) {
			m.counts.add(pairOf(id, y), m.right.count[y])
		}
	}
	m.left.lists(func(x uint32, pos []uint32) { m.enqueue(x, id, pos) })
	m.right.lists(func(y uint32, pos []uint32) { m.enqueue(id, y, pos) })
}

func (m *bpeMerger) newToken(a, b uint32) uint32 {
	name := m.tokens[a] + strings.TrimPrefix(m.tokens[b], m.prefix)
	id, known := m.ids[name]
	if !known {
		id = uint32(len(m.tokens))
		m.ids[name] = id
		m.tokens = append(m.tokens, name)
		m.chars = append(m.chars, 0)
	}
	m.chars[id] = m.chars[a] + m.chars[b]
	return id
}

func (m *bpeMerger) fits(a, b uint32) bool { return int(m.chars[a])+int(m.chars[b]) < m.maxChars }

func (m *bpeMerger) enqueue(a, b uint32, pos []uint32) {
	if !m.fits(a, b) {
		return
	}
	p := pairOf(a, b)
	if n := m.counts.get(p); n > 0 {
		m.queue.push(queuedPair{n, p, pos})
	}
}

// mergeWord replaces a b by id, from left to right, and notes the neighbours.
func (m *bpeMerger) mergeWord(w, a, b, id uint32) {
	s := m.words.at(int(w))
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] != a || i+1 == len(s) || s[i+1] != b {
			s[n] = s[i]
			n++
			continue
		}
		if n > 0 {
			m.left.note(s[n-1], w, m.words.count[w])
		}
		s[n] = id
		n++
		i++
		if i+1 < len(s) {
			m.right.note(s[i+1], w, m.words.count[w])
		}
	}
	m.words.length[w] = uint32(n)
}

// neighbours gathers the symbols on one side of the pair being merged: how
// often each stands there, and in which words.
type neighbours struct {
	count  []int64  // by symbol
	size   []uint32 // by symbol: its notes below
	seen   []uint32 // symbols with notes, in order of the first
	symbol []uint32 // notes, in ascending order of words
	word   []uint32
}

func (n *neighbours) reset(symbols int) {
	if len(n.count) < symbols {
		n.count = append(n.count, make([]int64, symbols-len(n.count))...)
		n.size = append(n.size, make([]uint32, symbols-len(n.size))...)
	}
	for _, s := range n.seen {
		n.count[s], n.size[s] = 0, 0
	}
	n.seen, n.symbol, n.word = n.seen[:0], n.symbol[:0], n.word[:0]
}

func (n *neighbours) note(symbol, word uint32, count int64) {
	if n.size[symbol] == 0 {
		n.seen = append(n.seen, symbol)
	}
	n.count[symbol] += count
	n.size[symbol]++
	n.symbol = append(n.symbol, symbol)
	n.word = append(n.word, word)
}

// longList is from where on a list of words has memory of its own, which is
// free once its pair is merged; shorter ones share a block.
const longList = 256

// lists calls f for each symbol with the words, ascending, that it is in.
func (n *neighbours) lists(f func(symbol uint32, words []uint32)) {
	short := 0
	for _, s := range n.seen {
		if n.size[s] < longList {
			short += int(n.size[s])
		}
	}
	block := make([]uint32, short)
	list := make([][]uint32, len(n.seen))
	for i, s := range n.seen {
		size := n.size[s]
		n.size[s] = uint32(i)
		if size < longList {
			list[i], block = block[:0:size], block[size:]
		} else {
			list[i] = make([]uint32, 0, size)
		}
	}
	for k, s := range n.symbol {
		l := &list[n.size[s]]
		if w := n.word[k]; len(*l) == 0 || (*l)[len(*l)-1] != w {
			*l = append(*l, w)
		}
	}
	for i, s := range n.seen {
		f(s, list[i])
	}
}

// pairQueue is a heap of four children a node, the pair to merge next first.
type pairQueue []queuedPair

func (q pairQueue) init() {
	for i := len(q) / 4; i >= 0; i-- {
		q.down(i)
	}
}

func (q *pairQueue) push(e queuedPair) {
	h := append(*q, e)
	*q = h
	i := len(h) - 1
	for i > 0 && e.before(&h[(i-1)/4]) {
		h[i] = h[(i-1)/4]
		i = (i - 1) / 4
	}
	h[i] = e
}

func (q *pairQueue) pop() queuedPair {
	h := *q
	top, end := h[0], len(h)-1
	h[0], h[end] = h[end], queuedPair{}
	*q = h[:end]
	q.down(0)
	return top
}

func (q pairQueue) down(i int) {
	if i >= len(q) {
		return
	}
	e := q[i]
	for {
		first := 4*i + 1
		if first >= len(q) {
			break
		}
		best := first
		for c := first + 1; c < min(first+4, len(q)); c++ {
			if q[c].before(&q[best]) {
				best = c
			}
		}
		if !q[best].before(&e) {
			break
		}
		q[i] = q[best]
		i = best
	}
	q[i] = e
}

// pairCounts counts pairs of symbols. A pair keeps its index for good.
type pairCounts struct {
	slots  []uint32 // open addressing: index + 1, or 0
	pairs  []symbolPair
	counts []int64
}

func (t *pairCounts) slot(p symbolPair) int {
	mask := len(t.slots) - 1
	h := uint64(p) * 0x9E3779B97F4A7C15
	i := int(h>>32) & mask
	for t.slots[i] != 0 && t.pairs[t.slots[i]-1] != p {
		i = (i + 1) & mask
	}
	return i
}

func (t *pairCounts) get(p symbolPair) int64 {
	if i := t.slots[t.slot(p)]; i != 0 {
		return t.counts[i-1]
	}
	return 0
}

func (t *pairCounts) add(p symbolPair, n int64) { t.counts[t.index(p)] += n }

// index returns the pair's index in counts, a new one (with count 0) for a new pair.
func (t *pairCounts) index(p symbolPair) uint32 {
	if len(t.pairs)*3 >= len(t.slots)*2 {
		t.grow()
	}
	i := t.slot(p)
	if t.slots[i] == 0 {
		t.pairs, t.counts = append(t.pairs, p), append(t.counts, 0)
		t.slots[i] = uint32(len(t.pairs))
	}
	return t.slots[i] - 1
}

func (t *pairCounts) grow() {
	t.slots = make([]uint32, max(1<<10, 2*len(t.slots)))
	for i, p := range t.pairs {
		t.slots[t.slot(p)] = uint32(i + 1)
	}
}

// mergeNames returns the merges as pairs of token names.
func (m *bpeMerger) mergeNames() [][2]string {
	// A pair merged twice counts from its second time on.
	last := make(map[symbolPair]int, len(m.merges))
	for i, p := range m.merges {
		last[p] = i
	}
	names := make([][2]string, 0, len(last))
	for i, p := range m.merges {
		if last[p] == i {
			a, b := p.split()
			names = append(names, [2]string{m.tokens[a], m.tokens[b]})
		}
	}
	return slices.Clip(names)
}
