package tokenizer

import "runtime/debug"

// symbolPair is two neighbouring symbols, the left one in the upper half, so
// that pairs order as (left, right) do.
type symbolPair uint64

func pairOf(a, b uint32) symbolPair { return symbolPair(a)<<32 | symbolPair(b) }

func (p symbolPair) split() (a, b uint32) { return uint32(p >> 32), uint32(p) }

// queuedPair asks for a pair to be merged in words, in ascending order. A pair that
// comes to new words after it was queued is queued again with those words;
// each entry is merged by itself, and count is brought up to date when the
// entry reaches the front (as the reference trainer does it).
type queuedPair struct {
	count int64
	pair  symbolPair
	words []uint32
}

func (q *queuedPair) before(o *queuedPair) bool {
	if q.count != o.count {
		return q.count > o.count
	}
	return q.pair < o.pair
}

// ready keeps the queue within its memory and reports whether a pair is left.
//
// A word stays in the list of a pair when another merge has taken the pair away
// from it, and most pairs are too rare ever to be merged. So when the lists
// outgrow their room, the queue is filled anew, with frequent pairs alone, and
// when they are used up again with others. As long as that is not needed (and
// it is not for a few hundred MB of English), entries are those of the
// reference trainer, one by one.
func (m *bpeMerger) ready() bool {
	if m.size() > max(m.filled, 2*m.symbols)+m.room || len(m.queue) == 0 && m.floor > 0 {
		m.fillQueue(m.chooseFloor)
		m.filled = m.size()
	}
	if m.fresh > 12<<20 {
		// Nearly all of the heap is lists. The runtime would let it double
		// before it looks for dead ones, for which there is no room.
		debug.FreeOSMemory()
		m.fresh = 0
	}
	return len(m.queue) > 0
}

// size is the memory of queue and counts, in the units of room.
func (m *bpeMerger) size() int {
	return m.waiting + 12*len(m.queue) + 8*len(m.counts.pairs)
}

// chooseFloor returns the count below which pairs need not be queued for now;
// holders is, by index of the pair, how many words hold it.
func (m *bpeMerger) chooseFloor(holders []uint32) int64 {
	// New pairs come above the floor with every merge; twice as many as there
	// are merges left seldom run out.
	left := 2*(m.vocabSize-len(m.tokens)) + 1000
	var pairs [1 << 16]int // by count
	for i, n := range holders {
		if c := m.counts.counts[i]; n > 0 && c > 0 {
			pairs[min(c, int64(len(pairs)-1))]++
		}
	}
	floor := len(pairs) - 1
	for ; floor > 0 && left > 0; floor-- {
		left -= pairs[floor]
	}
	return int64(floor)
}

// fillQueue makes the queue anew, each pair with all the words that hold it,
// of the pairs seen as often as floor says.
func (m *bpeMerger) fillQueue(floor func(holders []uint32) int64) {
	m.fresh += m.size() // soon garbage
	m.queue, m.waiting = nil, 0
	m.counts.dropZero()
	m.words.compact()
	holders := make([]uint32, len(m.counts.pairs))
	m.eachHolder(func(i, _ uint32) { holders[i]++ })
	m.floor = floor(holders)
	entry := make([]uint32, len(holders)) // by index of the pair: place in the queue + 1
	for i, n := range holders {
		if c := m.counts.counts[i]; n > 0 && c >= m.floor {
			m.queue = append(m.queue, queuedPair{c, m.counts.pairs[i], make([]uint32, 0, n)})
			m.waiting += int(n)
			entry[i] = uint32(len(m.queue))
		}
	}
	m.eachHolder(func(i, word uint32) {
		if e := entry[i]; e > 0 {
			q := &m.queue[e-1]
			q.words = append(q.words, word)
		}
	})
	m.queue.init()
}

// eachHolder calls f for every word and every pair in it, by its index.
func (m *bpeMerger) eachHolder(f func(pair, word uint32)) {
	last := make([]uint32, len(m.counts.pairs)) // the last word that held the pair + 1
	for w := range uint32(len(m.words.start)) {
		s := m.words.at(w)
		for i := 1; i < len(s); i++ {
			// Pairs that may not become a token have no count.
			if p := m.counts.find(pairOf(s[i-1], s[i])); p > 0 && last[p-1] != w+1 {
				last[p-1] = w + 1
				f(p-1, w)
			}
		}
	}
}

// wordsWith returns the words that hold a pair.
func (m *bpeMerger) wordsWith(p symbolPair) []uint32 {
	var words []uint32
	for w := range uint32(len(m.words.start)) {
		s := m.words.at(w)
		for i := 1; i < len(s); i++ {
			if pairOf(s[i-1], s[i]) == p {
				words = append(words, w)
				break
			}
		}
	}
	return words
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

// find returns the index of a pair + 1, 0 for an unknown one.
func (t *pairCounts) find(p symbolPair) uint32 {
	if len(t.slots) == 0 {
		return 0
	}
	return t.slots[t.slot(p)]
}

func (t *pairCounts) get(p symbolPair) int64 {
	if i := t.find(p); i > 0 {
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

// dropZero forgets pairs with count 0; indices change.
func (t *pairCounts) dropZero() {
	kept := 0
	for i, n := range t.counts {
		if n != 0 {
			t.pairs[kept], t.counts[kept] = t.pairs[i], n
			kept++
		}
	}
	t.pairs, t.counts = t.pairs[:kept], t.counts[:kept]
	t.rehash(len(t.slots))
}

func (t *pairCounts) grow() { t.rehash(max(1<<10, 2*len(t.slots))) }

func (t *pairCounts) rehash(slots int) {
	t.slots = make([]uint32, slots)
	for i, p := range t.pairs {
		t.slots[t.slot(p)] = uint32(i + 1)
	}
}
