package tokenizer

import "math"

// maxShort is the number of symbols up to which looking through all pairs for
// the lowest rank is quicker than a queue.
const maxShort = 64

// shortWord is a short piece while it is merged: its tokens, and the rank of
// each with the one after it (noRank if there is no merge).
type shortWord struct {
	ids, sizes, ranks [maxShort]int32
}

const noRank = math.MaxInt32

// shortBytes merges a piece of at most maxShort bytes.
func (m *bpe) shortBytes(st *bpeState, s string) {
	w := &st.short
	for i := range len(s) {
		w.ids[i], w.sizes[i] = m.letters[s[i]], 1
	}
	for i := 0; i+1 < len(s); i++ {
		w.ranks[i] = asRank(m.pairRanks[int(s[i])<<8|int(s[i+1])])
	}
	m.mergeShort(st, len(s))
}

// shortSymbols merges st.symbols, at most maxShort of them.
func (m *bpe) shortSymbols(st *bpeState) {
	w := &st.short
	for i, y := range st.symbols {
		w.ids[i], w.sizes[i] = y.id, y.size
	}
	for i := 0; i+1 < len(st.symbols); i++ {
		w.ranks[i] = m.rank(w.ids[i], w.ids[i+1])
	}
	m.mergeShort(st, len(st.symbols))
}

func asRank(r int32) int32 {
	if r < 0 {
		return noRank
	}
	return r
}

func (m *bpe) rank(left, right int32) int32 {
	r, _ := m.merged.get(left, right)
	return asRank(r)
}

// mergeShort merges the first n tokens of st.short and appends what is left to
// st.out.
func (m *bpe) mergeShort(st *bpeState, n int) {
	w := &st.short
	for n > 1 {
		ranks := w.ranks[:n-1]
		best, at := int32(noRank), 0
		for i, r := range ranks {
			if r < best {
				best, at = r, i
			}
		}
		if best == noRank {
			break
		}
		w.ids[at] = m.made[best]
		w.sizes[at] += w.sizes[at+1]
		n--
		copy(w.ids[at+1:n], w.ids[at+2:])
		copy(w.sizes[at+1:n], w.sizes[at+2:])
		copy(w.ranks[at:n-1], w.ranks[at+1:])
		if at > 0 {
			w.ranks[at-1] = m.rank(w.ids[at-1], w.ids[at])
		}
		if at+1 < n {
			w.ranks[at] = m.rank(w.ids[at], w.ids[at+1])
		}
	}
	for i := range n {
		m.append(st, w.ids[i], w.sizes[i])
	}
}
