package tokenizer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// spmModel cuts text into the pieces of a SentencePiece model as SentencePiece
// itself does (src/bpe_model.cc, src/unigram_model.cc,
// src/sentencepiece_processor.cc).
type spmModel struct {
	file *spmFile

	pieces   *byteTrie        // those that text may become: not unknown, control and byte ones
	kept     *byteTrie        // of those the user-defined ones
	reserved map[string]int32 // the others that are a single character
	ranks    []int32          // BPE, by id: place in the order of scores
	bytes    [256]int32       // tokens like <0x41>; -1: none
	unkScore float32
	best     float32 // the highest score of a normal piece
}

func (*spmModel) typeName() string { return "SentencePiece" }

func (*spmModel) MarshalJSON() ([]byte, error) { return nil, errNoJSON }

func (m *spmModel) tokens() vocab { return m.file.texts() }

func (m *spmModel) prepare(x *vocabIndex) error {
	m.pieces, m.kept, m.reserved = newByteTrie(len(m.file.pieces)), newByteTrie(0), map[string]int32{}
	worst, best := float32(math.MaxFloat32), float32(0x1p-126) // where the reference begins
	for i, p := range m.file.pieces {
		id := int32(i)
		switch p.kind {
		case spmUnknown, spmControl, spmByte:
			if utf8.RuneCountInString(p.text) == 1 {
				m.reserved[p.text] = id
			}
			continue
		case spmUserDefined:
			m.kept.add(p.text, id)
		case spmNormal:
			worst, best = min(worst, p.score), max(best, p.score)
		}
		m.pieces.add(p.text, id)
	}
	if len(m.pieces.ids) > maxTrieNodes {
		return fmt.Errorf("the pieces take more than %d nodes", maxTrieNodes)
	}
	m.unkScore, m.best = worst-unkPenalty, best
	if !m.file.unigram {
		m.ranks = spmRanks(m.file.pieces)
	}
	m.bytes = byteTokens(x)
	return nil
}

// spmRanks numbers pieces by descending score; equal scores share a number.
func spmRanks(pieces []spmPiece) []int32 {
	order := make([]int32, len(pieces))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(pieces[b].score, pieces[a].score) })
	ranks := make([]int32, len(pieces))
	for i := 1; i < len(order); i++ {
		ranks[order[i]] = ranks[order[i-1]]
		if pieces[order[i]].score != pieces[order[i-1]].score {
			ranks[order[i]]++
		}
	}
	return ranks
}

// spmState is what the model keeps from text to text.
type spmState struct {
	symbols []spmSymbol
	queue   bpeState
	best    []spmPath
}

func (m *spmModel) tokenize(w *work, p piece) {
	if m.file.unigram {
		m.tokenizeUnigram(w, p)
	} else {
		m.tokenizeBPE(w, p)
	}
}

// emit appends the token of text[start:end], a piece of p. What is unknown
// becomes bytes, or one token with the unknown before it.
func (m *spmModel) emit(w *work, p piece, start, end int, id int32) {
	if id != m.file.unk {
		w.tokens = append(w.tokens, token{id: id, start: start, end: end})
		return
	}
	if m.file.byteFallback {
		for _, b := range []byte(w.text[start:end]) {
			w.tokens = append(w.tokens, token{id: m.bytes[b], start: start, end: end})
		}
		return
	}
	if n := len(w.tokens) - 1; n >= 0 && w.tokens[n].id == id && w.tokens[n].end == start && start > p.start {
		w.tokens[n].end = end
		return
	}
	w.tokens = append(w.tokens, token{id: id, start: start, end: end, asText: true})
}

// spmSymbol is a stretch of the text under way, in a list of neighbours.
type spmSymbol struct {
	start, end int32 // equal: merged into the one before
	prev, next int32 // -1: none
	frozen     bool  // user-defined
}

// tokenizeBPE merges neighbours that make a piece, the one of the highest score
// first and of those the leftmost.
func (m *spmModel) tokenizeBPE(w *work, p piece) {
	st := &w.model.spm
	m.initialSymbols(st, w.text[:p.end], p.start)
	unused := map[string]int32{} // where pieces that are not to be used fall apart
	offer := func(left, right int32) {
		if left < 0 || right < 0 || st.symbols[left].frozen || st.symbols[right].frozen {
			return
		}
		l, r := st.symbols[left], st.symbols[right]
		id := m.pieces.find(w.text[l.start:r.end])
		if id < 0 {
			return
		}
		st.queue.push(queued{m.ranks[id], left, r.end})
		if m.file.pieces[id].kind == spmUnused {
			unused[w.text[l.start:r.end]] = l.end - l.start
		}
	}
	st.queue.queue = st.queue.queue[:0]
	for i := 1; i < len(st.symbols); i++ {
		offer(int32(i-1), int32(i))
	}
	for len(st.queue.queue) > 0 {
		top := st.queue.pop()
		left := &st.symbols[top.pos]
		if left.start == left.end || left.next < 0 || st.symbols[left.next].end != top.id {
			continue // the pair is not what it was
		}
		right := &st.symbols[left.next]
		left.end, left.next = right.end, right.next
		right.start = right.end
		if left.next >= 0 {
			st.symbols[left.next].prev = top.pos
		}
		offer(left.prev, top.pos)
		offer(top.pos, left.next)
	}
	for i := int32(0); i >= 0 && len(st.symbols) > 0; i = st.symbols[i].next {
		m.emitUsed(w, p, int(st.symbols[i].start), int(st.symbols[i].end), unused)
	}
}

// initialSymbols makes a symbol of every user-defined piece and every other
// character.
func (m *spmModel) initialSymbols(st *spmState, text string, at int) {
	st.symbols = st.symbols[:0]
	for at < len(text) {
		_, size := m.kept.longest(text[at:])
		frozen := size > 0
		if !frozen {
			_, size = decodeRune(text[at:])
		}
		n := int32(len(st.symbols))
		if n > 0 {
			st.symbols[n-1].next = n
		}
		st.symbols = append(st.symbols, spmSymbol{int32(at), int32(at + size), n - 1, -1, frozen})
		at += size
	}
}

// emitUsed takes a piece that is not to be used apart again.
func (m *spmModel) emitUsed(w *work, p piece, start, end int, unused map[string]int32) {
	text := w.text[start:end]
	id, reserved := m.reserved[text]
	if !reserved {
		id = m.pieces.find(text)
	}
	switch {
	case id < 0:
		id = m.file.unk
	case m.file.pieces[id].kind == spmUnused:
		if n, ok := unused[text]; ok {
			m.emitUsed(w, p, start, start+int(n), unused)
			m.emitUsed(w, p, start+int(n), end, unused)
			return
		}
	}
	m.emit(w, p, start, end, id)
}

// spmPath is the best way to a byte of the text.
type spmPath struct {
	score float32
	start int32 // of the last token, from the beginning of the piece; -1: no way yet
	id    int32
}

// tokenizeUnigram takes the pieces with the greatest sum of scores
// (EncodeOptimized).
func (m *spmModel) tokenizeUnigram(w *work, p piece) {
	text := w.text[p.start:p.end]
	st := &w.model.spm
	st.best = slices.Grow(st.best[:0], len(text)+1)[:len(text)+1]
	best := st.best
	for i := range best {
		best[i] = spmPath{start: -1}
	}
	for at := 0; at < len(text); {
		_, size := decodeRune(text[at:])
		if !m.offerPieces(best, text, at, size) {
			offerPath(best, at, at+size, m.file.unk, float64(m.unkScore+best[at].score))
		}
		at += size
	}
	st.symbols = st.symbols[:0]
	for end := int32(len(text)); end > 0; end = best[end].start {
		st.symbols = append(st.symbols, spmSymbol{start: best[end].start, end: end})
	}
	for _, s := range slices.Backward(st.symbols) {
		m.emit(w, p, p.start+int(s.start), p.start+int(s.end), best[s.end].id)
	}
}

// offerPieces offers every piece that begins at a byte, and reports whether
// the character there, of size bytes, is one.
func (m *spmModel) offerPieces(best []spmPath, text string, at, size int) (single bool) {
	node := int32(0)
	for i := at; i < len(text); i++ {
		if node = m.pieces.next(node, text[i]); node == 0 {
			break
		}
		id := m.pieces.ids[node]
		if id < 0 || m.file.pieces[id].kind == spmUnused {
			continue
		}
		n := i + 1 - at
		score := float64(m.file.pieces[id].score)
		if m.file.pieces[id].kind == spmUserDefined { // is to win always
			score = float64(float32(n)*m.best) - 0.1
		}
		offerPath(best, at, i+1, id, score+float64(best[at].score))
		single = single || n == size
	}
	return single
}

func offerPath(best []spmPath, from, to int, id int32, score float64) {
	if b := &best[to]; b.start < 0 || score > float64(b.score) {
		*b = spmPath{float32(score), int32(from), id}
	}
}
