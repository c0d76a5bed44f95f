package task

import (
	"context"
	"fmt"
	"slices"

	"wenmo"
	"wenmo/tokenizer"
)

// Fill is a token for a mask.
type Fill struct {
	Score float32 `json:"score"` // probability
	ID    int32   `json:"token"`
	Token string  `json:"token_str"`
	Text  string  `json:"sequence"` // with the token in the mask's place
}

// FillOptions say which tokens FillMask returns.
type FillOptions struct {
	TopK    int      // 0: 5
	Targets []string // only these tokens, of a word that is none the first; nil: any
}

// FillMask returns for each text, and for each mask in it, the likeliest
// tokens. A text says MaskToken where a token is missing. Where it has several
// masks each is filled alone.
func FillMask(ctx context.Context, m *wenmo.Model, texts []string, opt FillOptions) ([][][]Fill, error) {
	if err := need(m, wenmo.FillMask); err != nil {
		return nil, err
	}
	mask, id, err := maskToken(m)
	if err != nil {
		return nil, err
	}
	f := filler{tok: m.Tokenizer(), topK: opt.TopK, pad: -1}
	if f.topK <= 0 {
		f.topK = 5
	}
	if pad, ok := f.tok.ID(m.SpecialTokens().PAD); ok {
		f.pad = pad
	}
	if err := f.target(opt.Targets); err != nil {
		return nil, err
	}
	inputs := make([]wenmo.Input, len(texts))
	for i, text := range texts {
		e, err := encode(m, Text{Text: text}, nil)
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", i+1, err)
		}
		inputs[i] = inputOf(&e)
		for at, x := range e.IDs {
			if x == id {
				inputs[i].Rows = append(inputs[i].Rows, int32(at))
			}
		}
		if inputs[i].Rows == nil {
			return nil, fmt.Errorf("text %d: no %s in %q", i+1, mask, text)
		}
	}
	out := make([][][]Fill, len(texts))
	err = m.BatchLogits(ctx, inputs, func(i int, rows [][]float32) error {
		out[i] = f.fill(inputs[i].IDs, inputs[i].Rows, rows)
		return nil
	})
	return out, err
}

// MaskToken returns what stands for a missing token in the texts of FillMask.
func MaskToken(m *wenmo.Model) (string, error) {
	mask, _, err := maskToken(m)
	return mask, err
}

func maskToken(m *wenmo.Model) (string, int32, error) {
	tok := m.Tokenizer()
	if tok == nil {
		return "", 0, fmt.Errorf("the model has no tokenizer: %w", m.TokenizerErr())
	}
	for _, name := range []string{m.SpecialTokens().MASK, "[MASK]", "<mask>"} {
		if id, ok := tok.ID(name); ok && name != "" {
			return name, id, nil
		}
	}
	return "", 0, fmt.Errorf("the tokenizer has no mask token")
}

// filler finds the best tokens for masks.
type filler struct {
	tok     *tokenizer.Tokenizer
	topK    int
	targets []int32 // nil: all tokens
	pad     int32   // left out of texts; −1: none
}

// target takes the ids of words: of one that is no token, that of its first
// token.
func (f *filler) target(words []string) error {
	for _, word := range words {
		id, ok := f.tok.ID(word)
		if !ok {
			ids := f.tok.Encode(word, false)
			if len(ids) == 0 {
				return fmt.Errorf("target %q is no token", word)
			}
			id = ids[0]
		}
		if !slices.Contains(f.targets, id) {
			f.targets = append(f.targets, id)
		}
	}
	return nil
}

// fill returns the best tokens of each mask of a text.
func (f *filler) fill(ids, masks []int32, logits [][]float32) [][]Fill {
	out := make([][]Fill, len(masks))
	for i, at := range masks {
		p := softmax(logits[i])
		for _, id := range f.best(p) {
			filled := slices.Clone(ids)
			filled[at] = id
			filled = slices.DeleteFunc(filled, func(id int32) bool { return id == f.pad })
			out[i] = append(out[i], Fill{
				Score: p[id], ID: id, Token: f.tok.Decode([]int32{id}, false),
				Text: f.tok.Decode(filled, len(masks) == 1),
			})
		}
	}
	return out
}

func (f *filler) best(p []float32) []int32 {
	var ids []int32
	if f.targets == nil {
		for _, i := range order(p) {
			if ids = append(ids, int32(i)); len(ids) == f.topK {
				break
			}
		}
		return ids
	}
	some := make([]float32, len(f.targets))
	for i, id := range f.targets {
		some[i] = p[id]
	}
	for _, i := range order(some)[:min(f.topK, len(some))] {
		ids = append(ids, f.targets[i])
	}
	return ids
}
