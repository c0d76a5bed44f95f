package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// modelHead holds the fields of all models but the vocabulary and the merges.
type modelHead struct {
	Type                    string   `json:"type"`
	Dropout                 *float64 `json:"dropout"`
	UnkToken                *string  `json:"unk_token"`
	UnkID                   *int32   `json:"unk_id"`
	ContinuingSubwordPrefix *string  `json:"continuing_subword_prefix"`
	EndOfWordSuffix         *string  `json:"end_of_word_suffix"`
	FuseUnk                 *bool    `json:"fuse_unk"`
	ByteFallback            *bool    `json:"byte_fallback"`
	IgnoreMerges            *bool    `json:"ignore_merges"`
	MaxInputCharsPerWord    *int     `json:"max_input_chars_per_word"`
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// modelParts are the large fields of a model, read; what is there tells the
// type of models from before the files named it.
type modelParts struct {
	vocab      vocab
	scores     []float64 // of a Unigram
	scored     bool
	merges     []merge
	hasMerges  bool
	laterText  string // merges that came before the vocabulary
	index      *vocabIndex
	laterStart int
}

func parseModel(r *jsonReader) (model, error) {
	var parts modelParts
	head := map[string]json.RawMessage{}
	err := r.object(func(key string) error {
		switch key {
		case "vocab":
			return parts.readVocab(r)
		case "merges":
			return parts.readMerges(r)
		}
		text, err := r.raw()
		head[key] = json.RawMessage(text)
		return err
	})
	if err == nil && parts.laterText != "" {
		later := &jsonReader{s: r.s[:parts.laterStart+len(parts.laterText)], pos: parts.laterStart}
		parts.laterText = ""
		err = parts.readMerges(later)
	}
	if err != nil {
		return nil, err
	}
	var h modelHead
	b, _ := json.Marshal(head)
	if err := json.Unmarshal(b, &h); err != nil {
		return nil, err
	}
	if parts.vocab == nil {
		return nil, fmt.Errorf("vocab is missing")
	}
	return h.model(&parts)
}

func (p *modelParts) readVocab(r *jsonReader) (err error) {
	if p.vocab != nil {
		return r.errorf("vocab comes twice")
	}
	if r.peek() == '[' {
		p.scored = true
		p.vocab, p.scores, err = parseScored(r)
	} else {
		p.vocab, err = readVocab(r)
	}
	if err != nil {
		return joinPath("vocab", err)
	}
	p.vocab.compact()
	return nil
}

// readMerges reads the merges, or leaves them for later if they come before
// the vocabulary.
func (p *modelParts) readMerges(r *jsonReader) (err error) {
	if p.index != nil {
		return r.errorf("merges comes twice")
	}
	p.hasMerges = true
	if p.vocab == nil {
		r.peek()
		p.laterStart = r.pos
		p.laterText, err = r.raw()
		return err
	}
	if p.index, err = newVocabIndex(p.vocab, p.scored); err == nil {
		p.merges, err = parseMerges(p.index, r)
	}
	if err != nil {
		return joinPath("merges", err)
	}
	return nil
}

// guess tells the type of models from before the files named it.
func (h *modelHead) guess(p *modelParts) string {
	switch {
	case h.Type != "":
		return h.Type
	case p.hasMerges:
		return "BPE"
	case p.scored:
		return "Unigram"
	case h.MaxInputCharsPerWord != nil:
		return "WordPiece"
	}
	return "WordLevel"
}

func (h *modelHead) model(p *modelParts) (model, error) {
	typ := h.guess(p)
	if p.scored != (typ == "Unigram") {
		return nil, fmt.Errorf("vocab does not fit a model of type %s", shorten(typ))
	}
	switch typ {
	case "Unigram":
		return &unigram{
			Vocab: p.vocab, Scores: p.scores,
			UnkID: value(h.UnkID, -1), ByteFallback: value(h.ByteFallback, false),
		}, nil
	case "BPE":
		return h.bpe(p)
	case "WordPiece":
		return &wordPiece{
			Vocab: p.vocab, UnkToken: value(h.UnkToken, "[UNK]"),
			ContinuingSubwordPrefix: value(h.ContinuingSubwordPrefix, "##"),
			MaxInputCharsPerWord:    value(h.MaxInputCharsPerWord, 100),
		}, nil
	case "WordLevel":
		return &wordLevel{Vocab: p.vocab, UnkToken: value(h.UnkToken, "<unk>")}, nil
	}
	return nil, fmt.Errorf("type %s is not supported (known: BPE, Unigram, WordLevel, WordPiece)", shorten(typ))
}

func (h *modelHead) bpe(p *modelParts) (model, error) {
	if value(h.Dropout, 0) != 0 {
		return nil, fmt.Errorf("dropout %v is not supported: it would make encoding random", *h.Dropout)
	}
	if !p.hasMerges {
		return nil, fmt.Errorf("merges is missing")
	}
	return &bpe{
		Vocab: p.vocab, Merges: p.merges, index: p.index,
		UnkToken:                value(h.UnkToken, ""),
		ContinuingSubwordPrefix: value(h.ContinuingSubwordPrefix, ""),
		EndOfWordSuffix:         value(h.EndOfWordSuffix, ""),
		FuseUnk:                 value(h.FuseUnk, false),
		ByteFallback:            value(h.ByteFallback, false),
		IgnoreMerges:            value(h.IgnoreMerges, false),
	}, nil
}

// parseVocab reads {"token": id, …}.
func parseVocab(text string) (vocab, error) { return readVocab(&jsonReader{s: text}) }

func readVocab(r *jsonReader) (vocab, error) {
	tokens := vocab{}
	err := r.object(func(token string) error {
		id, err := r.id()
		if err != nil {
			return err
		}
		if int(id) > len(r.s)+maxIDGap {
			return r.errorf("token %s has the id %d, more than a file of this size can hold", shorten(token), id)
		}
		if n := int(id) + 1; n > len(tokens) {
			if n > cap(tokens) {
				tokens = slices.Grow(tokens, max(n-len(tokens), len(tokens))) // append grows by a quarter
			}
			tokens = tokens[:n]
		}
		if tokens[id] != "" {
			return r.errorf("id %d belongs to the tokens %s and %s", id, shorten(tokens[id]), shorten(token))
		}
		tokens[id] = token
		return nil
	})
	return tokens, err
}

// parseScored reads [["token", score], …].
func parseScored(r *jsonReader) (vocab, []float64, error) {
	tokens := vocab{}
	var scores []float64
	err := r.array(func(int) error {
		return r.array(func(i int) error {
			switch i {
			case 0:
				t, err := r.str()
				tokens = append(tokens, t)
				return err
			case 1:
				v, err := r.float()
				scores = append(scores, v)
				return err
			}
			return r.errorf("a token has more than a score")
		})
	})
	if err == nil && len(tokens) != len(scores) {
		err = fmt.Errorf("%d tokens have %d scores", len(tokens), len(scores))
	}
	return tokens, scores, err
}

// parseMerges reads ["a b", …] or [["a", "b"], …].
func parseMerges(x *vocabIndex, r *jsonReader) ([]merge, error) {
	merges := make([]merge, 0, len(x.tokens))
	err := r.array(func(rank int) error {
		left, right, err := parsePair(r)
		if err != nil || left == "" && right == "" {
			return err
		}
		mg, err := parseMerge(x, rank, left, right)
		merges = append(merges, mg)
		return err
	})
	return merges, err
}

// parsePair reads the two tokens of a merge; none for the first line of old
// files, which names their version.
func parsePair(r *jsonReader) (left, right string, err error) {
	if r.peek() != '[' {
		line, err := r.str()
		if err != nil || strings.HasPrefix(line, "#version") {
			return "", "", err
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return "", "", r.errorf("%s is not two tokens with a space between", shorten(line))
		}
		return left, right, nil
	}
	n := 0
	err = r.array(func(i int) (err error) {
		n = i + 1
		switch i {
		case 0:
			left, err = r.str()
		case 1:
			right, err = r.str()
		default:
			err = r.errorf("a merge of more than two tokens")
		}
		return err
	})
	if err == nil && n != 2 {
		err = r.errorf("a merge of %d tokens", n)
	}
	return left, right, err
}
