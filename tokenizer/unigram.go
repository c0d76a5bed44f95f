package tokenizer

import (
	"errors"
	"fmt"
	"math"
)

// unigram takes the sequence of tokens with the greatest sum of scores
// (SentencePiece's EncodeOptimized, as the reference does it).
type unigram struct {
	Vocab        vocab
	Scores       []float64
	UnkID        int32 // -1: none
	ByteFallback bool

	index    *vocabIndex
	trie     *byteTrie
	unkScore float64
	bytes    [256]int32 // tokens like <0x41>; -1: none
}

func (*unigram) typeName() string { return "Unigram" }

func (m *unigram) tokens() vocab { return m.Vocab }

// unkPenalty is how much worse an unknown character is than the worst token.
const unkPenalty = 10

func (m *unigram) prepare(x *vocabIndex) error {
	switch {
	case len(m.Scores) != len(m.Vocab):
		return fmt.Errorf("%d tokens have %d scores", len(m.Vocab), len(m.Scores))
	case int(m.UnkID) >= len(m.Vocab):
		return fmt.Errorf("unk_id %d is not in the vocabulary of %d", m.UnkID, len(m.Vocab))
	case m.UnkID < 0:
		return errors.New("unk_id is missing: unknown characters would have no token")
	}
	m.index = x
	m.trie = newByteTrie(len(m.Vocab))
	least := math.Inf(1)
	for id, t := range m.Vocab {
		if t != "" {
			m.trie.add(t, int32(id)) // of a token that comes twice the last id counts
		}
		if math.IsNaN(m.Scores[id]) {
			return fmt.Errorf("the score of token %s is not a number", shorten(t))
		}
		least = min(least, m.Scores[id])
	}
	if len(m.trie.ids) > maxTrieNodes {
		return fmt.Errorf("the tokens take more than %d nodes", maxTrieNodes)
	}
	m.unkScore = least - unkPenalty
	m.bytes = byteTokens(x)
	return nil
}

// byteTokens returns the tokens <0x00> to <0xFF>; -1 for those that are not
// there.
func byteTokens(x *vocabIndex) (ids [256]int32) {
	for b := range ids {
		ids[b] = x.id(fmt.Sprintf("<0x%02X>", b))
	}
	return ids
}

// unigramState holds the best way to each byte of a piece.
type unigramState struct{ best []bestPath }

type bestPath struct {
	score float64
	start int32 // of the last token; -1: no way yet
	id    int32
}

func (m *unigram) tokenize(w *work, p piece) {
	s := w.text[p.start:p.end]
	best := m.search(&w.model.unigram, s)
	mark := len(w.tokens)
	for end := len(s); end > 0; { // from the end; unknown neighbours are one
		b := best[end]
		start := int(b.start)
		for b.id == m.UnkID && start > 0 && best[start].id == m.UnkID {
			start = int(best[start].start)
		}
		m.appendReversed(w, b.id, s[start:end], p.start+start)
		end = start
	}
	for i, j := mark, len(w.tokens)-1; i < j; i, j = i+1, j-1 {
		w.tokens[i], w.tokens[j] = w.tokens[j], w.tokens[i]
	}
}

func (m *unigram) search(st *unigramState, s string) []bestPath {
	if cap(st.best) < len(s)+1 {
		st.best = make([]bestPath, len(s)+1, len(s)+1+len(s)/4)
	}
	best := st.best[:len(s)+1]
	for i := range best {
		best[i] = bestPath{start: -1}
	}
	offer := func(from, to int, id int32, score float64) {
		if b := &best[to]; b.start < 0 || score > b.score {
			*b = bestPath{score, int32(from), id}
		}
	}
	for at := 0; at < len(s); {
		_, size := decodeRune(s[at:])
		here := best[at].score
		single := false
		node := int32(0)
		for i := at; i < len(s); i++ {
			if node = m.trie.next(node, s[i]); node == 0 {
				break
			}
			if id := m.trie.ids[node]; id >= 0 {
				offer(at, i+1, id, m.Scores[id]+here)
				single = single || i+1 == at+size
			}
		}
		if !single {
			offer(at, at+size, m.UnkID, m.unkScore+here)
		}
		at += size
	}
	return best
}

// appendReversed appends the tokens of one stretch, the last one first.
func (m *unigram) appendReversed(w *work, id int32, s string, at int) {
	if id == m.UnkID {
		if known := m.index.id(s); known >= 0 { // the unknown put together may be a token
			id = known
		} else if m.ByteFallback && m.appendBytes(w, s, at) {
			return
		}
	}
	w.tokens = append(w.tokens, token{id: id, start: at, end: at + len(s), asText: id == m.UnkID})
}

func (m *unigram) appendBytes(w *work, s string, at int) bool {
	for i := range len(s) {
		if m.bytes[s[i]] < 0 {
			return false
		}
	}
	for i := len(s) - 1; i >= 0; i-- {
		w.tokens = append(w.tokens, token{id: m.bytes[s[i]], start: at, end: at + len(s)})
	}
	return true
}
