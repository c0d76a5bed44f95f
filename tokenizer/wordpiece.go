package tokenizer

import "unicode/utf8"

// wordPiece takes from the left the longest token each time.
type wordPiece struct {
	Vocab                   vocab
	UnkToken                string
	ContinuingSubwordPrefix string
	MaxInputCharsPerWord    int

	first, rest *byteTrie // tokens that begin a word, and that go on in it
	unk         int32
}

func (*wordPiece) typeName() string { return "WordPiece" }

func (m *wordPiece) tokens() vocab { return m.Vocab }

func (m *wordPiece) prepare(x *vocabIndex) (err error) {
	if m.unk, err = unknownID(x, m.UnkToken); err != nil {
		return err
	}
	m.first, m.rest = newByteTrie(len(m.Vocab)), newByteTrie(len(m.Vocab))
	prefix := m.ContinuingSubwordPrefix
	for id, t := range m.Vocab {
		if t == "" {
			continue
		}
		m.first.add(t, int32(id))
		if len(t) > len(prefix) && t[:len(prefix)] == prefix {
			m.rest.add(t[len(prefix):], int32(id))
		}
	}
	return nil
}

func (m *wordPiece) tokenize(w *work, p piece) {
	s := w.text[p.start:p.end]
	if len(s) == 0 {
		return
	}
	mark := len(w.tokens)
	if len(s) <= m.MaxInputCharsPerWord || utf8.RuneCountInString(s) <= m.MaxInputCharsPerWord {
		trie, at := m.first, 0
		for at < len(s) {
			id, n := trie.longest(s[at:])
			if id < 0 {
				break
			}
			w.tokens = append(w.tokens, token{id: id, start: p.start + at, end: p.start + at + n})
			at += n
			trie = m.rest
		}
		if at == len(s) {
			return
		}
	}
	w.tokens = append(w.tokens[:mark], token{id: m.unk, start: p.start, end: p.end})
}

// wordLevel knows whole words.
type wordLevel struct {
	Vocab    vocab
	UnkToken string

	index *vocabIndex
	unk   int32
}

func (*wordLevel) typeName() string { return "WordLevel" }

func (m *wordLevel) tokens() vocab { return m.Vocab }

func (m *wordLevel) prepare(x *vocabIndex) (err error) {
	m.index = x
	m.unk, err = unknownID(x, m.UnkToken)
	return err
}

func (m *wordLevel) tokenize(w *work, p piece) {
	id := m.index.id(w.text[p.start:p.end])
	if id < 0 {
		id = m.unk
	}
	w.tokens = append(w.tokens, token{id: id, start: p.start, end: p.end})
}
