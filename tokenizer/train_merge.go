package tokenizer

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// trainWords is the distinct words of a text as symbols (ids of the vocabulary
// being made), with the number of times each occurs. Word i is
// symbols[start[i] : start[i]+length[i]]; merging shortens it in place.
type trainWords struct {
	symbols []uint32
	start   []uint32
	length  []uint32
	count   []int64
}

func (w *trainWords) add(symbols []uint32, count int64) {
	w.start = append(w.start, uint32(len(w.symbols)))
	w.length = append(w.length, uint32(len(symbols)))
	w.count = append(w.count, count)
	w.symbols = append(w.symbols, symbols...)
}

func (w *trainWords) at(i uint32) []uint32 { return w.symbols[w.start[i]:][:w.length[i]] }

// compact closes the gaps that merging left.
func (w *trainWords) compact() {
	n := uint32(0)
	for i := range uint32(len(w.start)) {
		copy(w.symbols[n:], w.at(i))
		w.start[i] = n
		n += w.length[i]
	}
	if w.symbols = w.symbols[:n]; len(w.symbols) < cap(w.symbols)/2 {
		w.symbols = slices.Clone(w.symbols)
	}
}

// merge replaces the pair by id in a word, from left to right, notes the
// neighbours and returns how many symbols went.
func (w *trainWords) merge(word uint32, p symbolPair, id uint32, left, right *neighbours) int {
	a, b := p.split()
	s := w.at(word)
	i := 0
	for i+1 < len(s) && (s[i] != a || s[i+1] != b) {
		i++
	}
	n := i
	for ; i < len(s); i++ {
		if s[i] != a || i+1 == len(s) || s[i+1] != b {
			s[n] = s[i]
			n++
			continue
		}
		if n > 0 {
			left.note(s[n-1], word, w.count[word])
		}
		s[n] = id
		n++
		i++
		if i+1 < len(s) {
			right.note(s[i+1], word, w.count[word])
		}
	}
	w.length[word] = uint32(n)
	return len(s) - n
}

// bpeMerger learns merges over words (Sennrich et al. 2016, algorithm 1, with
// the bookkeeping of Hugging Face's trainer, whose order of merges it keeps).
type bpeMerger struct {
	words  trainWords
	tokens []string          // by id
	ids    map[string]uint32 // the inverse
	chars  []uint32          // by id: how many initial symbols a token is made of
	prefix string            // dropped from the right part of a merge

	vocabSize    int
	minFrequency int64
	maxChars     int
	room         int // by how much queue and counts may grow, in units of 4 bytes
	progress     func(tokens int)

	merges  []symbolPair
	counts  pairCounts
	queue   pairQueue
	floor   int64        // the queue lacks pairs that are seen less often
	symbols int          // in all words
	waiting int          // words in all lists of the queue
	filled  int          // size when the queue was last filled anew
	fresh   int          // memory taken since the last collection of garbage, in units of 4 bytes
	sides   []neighbours // of the pair being merged: left and right, for each thread
}

// run merges until the vocabulary is full or no pair is frequent enough.
func (m *bpeMerger) run(ctx context.Context) error {
	for w := range m.words.start {
		s := m.words.at(uint32(w))
		for i := 1; i < len(s); i++ {
			m.counts.add(pairOf(s[i-1], s[i]), m.words.count[w])
		}
		m.symbols += len(s)
	}
	m.fillQueue(func([]uint32) int64 { return 0 })
	for len(m.tokens) < m.vocabSize && m.ready() {
		if len(m.merges)%64 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			m.progress(len(m.tokens))
		}
		top := m.queue.pop()
		m.waiting -= len(top.words)
		if n := m.counts.get(top.pair); n != top.count {
			if n >= m.floor {
				m.push(queuedPair{n, top.pair, top.words})
			}
			continue
		}
		if top.count < max(1, m.minFrequency) {
			break
		}
		m.merge(top)
	}
	return nil
}

func (m *bpeMerger) push(q queuedPair) {
	m.queue.push(q)
	m.waiting += len(q.words)
}

// merge makes a token of the pair, replaces the pair by it in the words of the
// entry and queues the pairs that this brings about.
func (m *bpeMerger) merge(q queuedPair) {
	a, b := q.pair.split()
	id := m.addToken(m.tokens[a] + strings.TrimPrefix(m.tokens[b], m.prefix))
	m.chars[id] = m.chars[a] + m.chars[b]
	m.merges = append(m.merges, q.pair)
	left, right := m.replace(q, id)
	for _, x := range left.seen {
		m.counts.add(pairOf(x, a), -left.count[x])
		if m.fits(x, id) {
			m.counts.add(pairOf(x, id), left.count[x])
		}
	}
	for _, y := range right.seen {
		m.counts.add(pairOf(b, y), -right.count[y])
		if m.fits(id, y) {
			m.counts.add(pairOf(id, y), right.count[y])
		}
	}
	var twice []uint32 // words of the pair (id, id), which both sides may bring about
	left.lists(func(x uint32, words []uint32) {
		if x == id {
			twice = words
		} else {
			m.enqueue(x, id, words, left.count[x])
		}
	})
	right.lists(func(y uint32, words []uint32) {
		if y == id {
			twice = slices.Compact(slices.Sorted(slices.Values(slices.Concat(twice, words))))
		} else {
			m.enqueue(id, y, words, right.count[y])
		}
	})
	if len(twice) > 0 {
		m.enqueue(id, id, twice, left.count[id]+right.count[id])
	}
}

func (m *bpeMerger) fits(a, b uint32) bool { return int(m.chars[a])+int(m.chars[b]) < m.maxChars }

// enqueue queues a pair that has come to words, n times.
func (m *bpeMerger) enqueue(a, b uint32, words []uint32, n int64) {
	p := pairOf(a, b)
	count := m.counts.get(p)
	if count < max(1, m.floor) || !m.fits(a, b) {
		return
	}
	if before := count - n; before > 0 && before < m.floor {
		words = m.wordsWith(p) // the queue lacks those where it was before
	}
	m.push(queuedPair{count, p, words})
	m.fresh += len(words)
}

// replace merges the pair in the words of the entry, many words by several
// threads, and returns the neighbours of where it stood.
func (m *bpeMerger) replace(q queuedPair, id uint32) (left, right *neighbours) {
	const share = 4096 // words that are worth a thread
	threads := max(1, min(len(m.sides)/2, len(q.words)/share))
	for i := range 2 * threads {
		m.sides[i].reset(len(m.tokens))
	}
	gone := make([]int, threads)
	part := func(i int) {
		for _, w := range q.words[len(q.words)*i/threads : len(q.words)*(i+1)/threads] {
			gone[i] += m.words.merge(w, q.pair, id, &m.sides[2*i], &m.sides[2*i+1])
		}
	}
	var wg sync.WaitGroup
	for i := 1; i < threads; i++ {
		wg.Go(func() { part(i) })
	}
	part(0)
	wg.Wait()
	m.symbols -= gone[0]
	for i := 1; i < threads; i++ {
		m.symbols -= gone[i]
		m.sides[0].join(&m.sides[2*i])
		m.sides[1].join(&m.sides[2*i+1])
	}
	return &m.sides[0], &m.sides[1]
}

// uniqueMerges returns the merges in order. A pair merged twice stands at its
// second place, as in a file that the reference trainer saves.
func (m *bpeMerger) uniqueMerges() []merge {
	last := make(map[symbolPair]int, len(m.merges))
	for i, p := range m.merges {
		last[p] = i
	}
	unique := make([]merge, 0, len(last))
	for i, p := range m.merges {
		if last[p] == i {
			a, b := p.split()
			unique = append(unique, merge{int32(a), int32(b)})
		}
	}
	return unique
}
