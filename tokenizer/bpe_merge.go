package tokenizer

import "iter"

// bpeState is what merging one piece takes.
type bpeState struct {
	symbols []symbol
	queue   []queued
	short   shortWord
	out     []sized
}

// sized is a token and the bytes of the piece that it takes.
type sized struct{ id, size int32 }

// symbol is a token of a piece under way, in a list of neighbours.
type symbol struct {
	id         int32
	size       int32 // bytes of the piece; 0: merged into the one before
	prev, next int32 // -1: none
}

func (st *bpeState) add(id int32, size int) {
	n := int32(len(st.symbols))
	if n > 0 {
		st.symbols[n-1].next = n
	}
	st.symbols = append(st.symbols, symbol{id: id, size: int32(size), prev: n - 1, next: -1})
}

// left goes over the symbols that are left.
func (st *bpeState) left() iter.Seq[symbol] {
	return func(yield func(symbol) bool) {
		for i := int32(0); i >= 0 && len(st.symbols) > 0; i = st.symbols[i].next {
			if !yield(st.symbols[i]) {
				return
			}
		}
	}
}

// symbolsOf makes the tokens that merging begins with: those of the bytes'
// letters, or of the characters. A character without a token becomes its
// bytes' tokens, or an unknown token.
func (m *bpe) symbolsOf(st *bpeState, s string, asBytes bool) {
	st.symbols = st.symbols[:0]
	unknown := 0 // bytes of the unknown token under way
	flush := func() {
		if unknown > 0 {
			st.add(m.unk, unknown)
			unknown = 0
		}
	}
	for at := 0; at < len(s); {
		size, name := 1, ""
		var id int32
		if asBytes {
			id = m.letters[s[at]]
		} else {
			size, name, id = m.character(s, at)
		}
		switch {
		case id >= 0:
			flush()
			st.add(id, size)
		case m.ByteFallback && m.addBytes(st, name):
		case m.unk >= 0:
			if !m.FuseUnk {
				flush()
			}
			unknown += size
		}
		at += size
	}
	flush()
}

// character returns the length of the character at byte at and its token, with
// the prefix and suffix that its place in the word asks for.
func (m *bpe) character(s string, at int) (size int, name string, id int32) {
	_, size = decodeRune(s[at:])
	name = s[at : at+size]
	if at > 0 && m.ContinuingSubwordPrefix != "" {
		name = m.ContinuingSubwordPrefix + name
	}
	if at+size == len(s) && m.EndOfWordSuffix != "" {
		name += m.EndOfWordSuffix
	}
	return size, name, m.index.id(name)
}

// addBytes adds the tokens of a character's bytes, if there are any for all of
// them. Unlike a token of its own it leaves an unknown one before it open:
// that one comes after it then, as in the reference.
func (m *bpe) addBytes(st *bpeState, name string) bool {
	for i := range len(name) {
		if m.bytes[name[i]] < 0 {
			return false
		}
	}
	for i := range len(name) {
		st.add(m.bytes[name[i]], 1)
	}
	return name != ""
}

// queued is a merge that waits for its turn.
type queued struct{ rank, pos, id int32 }

func (a queued) before(b queued) bool { return a.rank < b.rank || a.rank == b.rank && a.pos < b.pos }

// mergeAll merges the symbols: the definition that faster ways must equal. It
// takes time n·log n for n symbols.
func (m *bpe) mergeAll(st *bpeState) {
	st.queue = st.queue[:0]
	for i := 0; i+1 < len(st.symbols); i++ {
		m.offer(st, int32(i), int32(i+1))
	}
	for len(st.queue) > 0 {
		top := st.pop()
		left := &st.symbols[top.pos]
		if left.size == 0 || left.next < 0 {
			continue
		}
		right := &st.symbols[left.next]
		if _, id := m.merged.get(left.id, right.id); id != top.id {
			continue // the pair is not what it was
		}
		left.id = top.id
		left.size += right.size
		left.next = right.next
		right.size = 0
		if left.next >= 0 {
			st.symbols[left.next].prev = top.pos
			m.offer(st, top.pos, left.next)
		}
		if left.prev >= 0 {
			m.offer(st, left.prev, top.pos)
		}
	}
}

// offer queues the merge of two neighbours, if there is one.
func (m *bpe) offer(st *bpeState, left, right int32) {
	rank, id := m.merged.get(st.symbols[left].id, st.symbols[right].id)
	if rank >= 0 {
		st.push(queued{rank, left, id})
	}
}

func (st *bpeState) push(q queued) {
	st.queue = append(st.queue, q)
	i := len(st.queue) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !q.before(st.queue[up]) {
			break
		}
		st.queue[i] = st.queue[up]
		i = up
	}
	st.queue[i] = q
}

// pop takes the first of the queue, which is a heap with four children a node.
func (st *bpeState) pop() queued {
	top := st.queue[0]
	n := len(st.queue) - 1
	q := st.queue[n]
	st.queue = st.queue[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= n {
			break
		}
		for c := least + 1; c < min(4*i+5, n); c++ {
			if st.queue[c].before(st.queue[least]) {
				least = c
			}
		}
		if !st.queue[least].before(q) {
			break
		}
		st.queue[i] = st.queue[least]
		i = least
	}
	st.queue[i] = q
	return top
}
