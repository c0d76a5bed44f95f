package tokenizer

import (
	"encoding/json"
	"fmt"
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

func parseModel(raw string) (model, error) {
	r := &jsonReader{s: raw}
	var vocabText, mergesText string
	head := map[string]json.RawMessage{}
	err := r.object(func(key string) (err error) {
		text, err := r.raw()
		switch key {
		case "vocab":
			vocabText = text
		case "merges":
			mergesText = text
		default:
			head[key] = json.RawMessage(text)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var h modelHead
	b, _ := json.Marshal(head)
	if err := json.Unmarshal(b, &h); err != nil {
		return nil, err
	}
	if vocabText == "" {
		return nil, fmt.Errorf("vocab is missing")
	}
	return h.model(vocabText, mergesText)
}

// guess tells the type of models from before the files named it.
func (h *modelHead) guess(vocabText, mergesText string) string {
	switch {
	case h.Type != "":
		return h.Type
	case mergesText != "":
		return "BPE"
	case strings.HasPrefix(vocabText, "["):
		return "Unigram"
	case h.MaxInputCharsPerWord != nil:
		return "WordPiece"
	}
	return "WordLevel"
}

func (h *modelHead) model(vocabText, mergesText string) (model, error) {
	typ := h.guess(vocabText, mergesText)
	if typ == "Unigram" {
		m := &unigram{UnkID: value(h.UnkID, -1), ByteFallback: value(h.ByteFallback, false)}
		var err error
		m.Vocab, m.Scores, err = parseScored(vocabText)
		return m, err
	}
	tokens, err := parseVocab(vocabText)
	if err != nil {
		return nil, joinPath("vocab", err)
	}
	switch typ {
	case "BPE":
		return h.bpe(tokens, mergesText)
	case "WordPiece":
		return &wordPiece{
			Vocab: tokens, UnkToken: value(h.UnkToken, "[UNK]"),
			ContinuingSubwordPrefix: value(h.ContinuingSubwordPrefix, "##"),
			MaxInputCharsPerWord:    value(h.MaxInputCharsPerWord, 100),
		}, nil
	case "WordLevel":
		return &wordLevel{Vocab: tokens, UnkToken: value(h.UnkToken, "<unk>")}, nil
	}
	return nil, fmt.Errorf("type %s is not supported (known: BPE, Unigram, WordLevel, WordPiece)", shorten(typ))
}

func (h *modelHead) bpe(tokens vocab, mergesText string) (model, error) {
	if value(h.Dropout, 0) != 0 {
		return nil, fmt.Errorf("dropout %v is not supported: it would make encoding random", *h.Dropout)
	}
	m := &bpe{
		Vocab: tokens, UnkToken: value(h.UnkToken, ""),
		ContinuingSubwordPrefix: value(h.ContinuingSubwordPrefix, ""),
		EndOfWordSuffix:         value(h.EndOfWordSuffix, ""),
		FuseUnk:                 value(h.FuseUnk, false),
		ByteFallback:            value(h.ByteFallback, false),
		IgnoreMerges:            value(h.IgnoreMerges, false),
	}
	if mergesText == "" {
		return nil, fmt.Errorf("merges is missing")
	}
	var err error
	if m.Merges, err = parseMerges(tokens, mergesText); err != nil {
		return nil, joinPath("merges", err)
	}
	return m, nil
}

// parseVocab reads {"token": id, …}.
func parseVocab(text string) (vocab, error) {
	r := &jsonReader{s: text}
	var tokens vocab
	err := r.object(func(token string) error {
		id, err := r.id()
		if err != nil {
			return err
		}
		if int(id) > len(text)+maxIDGap {
			return fmt.Errorf("token %s has the id %d, more than a file of this size can hold", shorten(token), id)
		}
		if int(id) >= len(tokens) {
			tokens = append(tokens, make(vocab, int(id)+1-len(tokens))...)
		}
		if tokens[id] != "" {
			return fmt.Errorf("id %d belongs to the tokens %s and %s", id, shorten(tokens[id]), shorten(token))
		}
		tokens[id] = token
		return nil
	})
	return tokens, err
}

// parseScored reads [["token", score], …].
func parseScored(text string) (vocab, []float64, error) {
	r := &jsonReader{s: text}
	var tokens vocab
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
	if err != nil {
		return nil, nil, joinPath("vocab", err)
	}
	return tokens, scores, nil
}

// parseMerges reads ["a b", …] or [["a", "b"], …].
func parseMerges(tokens vocab, text string) ([]merge, error) {
	x, err := newVocabIndex(tokens, false)
	if err != nil {
		return nil, err
	}
	r := &jsonReader{s: text}
	var merges []merge
	err = r.array(func(rank int) error {
		var pair [2]string
		if r.peek() == '[' {
			n := 0
			err := r.array(func(i int) (err error) {
				if n = i + 1; n > 2 {
					return r.errorf("a merge of more than two tokens")
				}
				pair[i], err = r.str()
				return err
			})
			if err == nil && n != 2 {
				err = r.errorf("a merge of %d tokens", n)
			}
			if err != nil {
				return err
			}
		} else {
			line, err := r.str()
			if err != nil {
				return err
			}
			if strings.HasPrefix(line, "#version") {
				return nil
			}
			var ok bool
			pair[0], pair[1], ok = strings.Cut(line, " ")
			if !ok || strings.Contains(pair[1], " ") {
				return r.errorf("merge %d: %s is not two tokens with a space between", rank, shorten(line))
			}
		}
		mg, err := parseMerge(x, rank, pair[0], pair[1])
		merges = append(merges, mg)
		return err
	})
	return merges, err
}
