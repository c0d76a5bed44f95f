package tokenizer

import "fmt"

// EncodeOptions says what EncodeFull does besides encoding.
type EncodeOptions struct {
	AddSpecialTokens bool
	// SpecialAsText takes the names of special tokens in the text for text.
	SpecialAsText bool
	Pair          *string
	Truncation    *Truncation // nil: none
	Padding       *Padding    // nil: none
}

// EncodeFull returns the ids of text with their tokens, offsets and masks.
func (t *Tokenizer) EncodeFull(text string, opt EncodeOptions) (Encoding, error) {
	e, err := t.encodeFull(text, opt)
	if err == nil && opt.Padding != nil {
		err = t.pad([]*Encoding{&e}, opt.Padding)
	}
	return e, err
}

// EncodeBatch encodes texts; pairs is nil or as long as texts, and
// EncodeOptions.Pair does not count. With padding all get the length that it
// asks for.
func (t *Tokenizer) EncodeBatch(texts, pairs []string, opt EncodeOptions) ([]Encoding, error) {
	if pairs != nil && len(pairs) != len(texts) {
		return nil, fmt.Errorf("%d texts have %d pairs", len(texts), len(pairs))
	}
	out := make([]Encoding, len(texts))
	all := make([]*Encoding, len(texts))
	for i, text := range texts {
		opt.Pair = nil
		if pairs != nil {
			opt.Pair = &pairs[i]
		}
		var err error
		if out[i], err = t.encodeFull(text, opt); err != nil {
			return nil, fmt.Errorf("text %d: %w", i, err)
		}
		all[i] = &out[i]
	}
	if opt.Padding != nil {
		return out, t.pad(all, opt.Padding)
	}
	return out, nil
}

func (t *Tokenizer) pad(all []*Encoding, p *Padding) error {
	if err := p.check(); err != nil {
		return err
	}
	p.apply(all)
	return nil
}

func (t *Tokenizer) encodeFull(text string, opt EncodeOptions) (Encoding, error) {
	parts := []Encoding{t.encodePart(text, 0, opt.SpecialAsText)}
	if opt.Pair != nil {
		parts = append(parts, t.encodePart(*opt.Pair, 1, opt.SpecialAsText))
	}
	post := t.spec.PostProcessor
	if tr := opt.Truncation; tr != nil {
		if err := tr.check(); err != nil {
			return Encoding{}, err
		}
		most := tr.MaxLength
		if post != nil && opt.AddSpecialTokens {
			most -= post.added(opt.Pair != nil)
		}
		if err := tr.apply(parts, most); err != nil {
			return Encoding{}, err
		}
	}
	if post != nil {
		parts = post.process(parts, opt.AddSpecialTokens)
	}
	return joinAll(parts), nil
}

// encodePart encodes one text: sequence 0, or 1 for the pair.
func (t *Tokenizer) encodePart(text string, sequence int32, asText bool) Encoding {
	w := t.works.get()
	defer t.works.put(w)
	t.run(w, text, true, asText)
	n := len(w.tokens)
	e := Encoding{
		IDs: make([]int32, n), Tokens: make([]string, n), Offsets: make([][2]int, n),
		TypeIDs: filled(sequence, n), SpecialMask: make([]int32, n), AttentionMask: filled(1, n),
		WordIDs: make([]int32, n), SequenceIDs: filled(sequence, n), text: text,
	}
	for i, tok := range w.tokens {
		e.IDs[i] = tok.id
		e.WordIDs[i] = tok.word
		if tok.asText {
			e.Tokens[i] = w.text[tok.start:tok.end]
		} else {
			e.Tokens[i] = t.all.token(tok.id)
		}
		sp := w.span(tok.start, tok.end)
		e.Offsets[i] = [2]int{sp.start, sp.end}
	}
	return e
}
