package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"wenmo/tokenizer"
)

// ClassifyKind is what a classification head is to say of a text
// (problem_type in a config).
type ClassifyKind int

const (
	SingleLabel ClassifyKind = iota // one class: Targets is its number
	MultiLabel                      // any number of labels: Targets is a 0 or 1 for each
	Regression                      // values: Targets are they
)

// ClassifyOptions are the settings of a Classifier.
type ClassifyOptions struct {
	Kind      ClassifyKind
	Text      string // field of the text; "": the document's text
	Pair      string // field of a second text; "": none
	Label     string // field of the label; "": "label"
	Labels    *Labels
	MaxLength int      // in tokens; 0: no limit
	Overlong  Overlong // Truncate cuts at the right, of a pair the longer text
}

// Classifier makes sequences with a target of texts. It may be used by many
// goroutines.
type Classifier struct {
	tok *tokenizer.Tokenizer
	opt ClassifyOptions
}

// NewClassifier makes a Classifier; of labels it needs a list.
func NewClassifier(t *tokenizer.Tokenizer, opt ClassifyOptions) (*Classifier, error) {
	if opt.Kind != Regression && opt.Labels == nil {
		return nil, errors.New("classification: no list of labels")
	}
	if opt.Label == "" {
		opt.Label = "label"
	}
	return &Classifier{t, opt}, nil
}

// Sequences returns the sequence of a document with its target, none if it is
// dropped.
func (c *Classifier) Sequences(d *Document) ([]Sequence, Cut, error) {
	targets, err := c.targets(d)
	if err != nil {
		return nil, Cut{}, err
	}
	text, err := c.text(d)
	if err != nil {
		return nil, Cut{}, err
	}
	var pair *string
	if c.opt.Pair != "" {
		second, ok := d.String(c.opt.Pair)
		if !ok {
			return nil, Cut{}, d.lacks("no second text", c.opt.Pair)
		}
		pair = &second
	}
	seq, cut, err := encodeText(c.tok, text, pair, c.opt.MaxLength, c.opt.Overlong)
	switch {
	case err != nil:
		return nil, cut, d.errorf("%w", err)
	case cut.Dropped > 0:
		return nil, cut, nil
	case len(seq.IDs) == 0:
		return nil, cut, d.errorf("the text has no tokens")
	}
	seq.Targets = targets
	return []Sequence{seq}, cut, nil
}

func (c *Classifier) text(d *Document) (string, error) {
	field := c.opt.Text
	if field == "" {
		if d.Text != "" {
			return d.Text, nil
		}
		field = "text" // it may be there and empty
	}
	text, ok := d.String(field)
	if !ok {
		return "", d.lacks("no text", field)
	}
	return text, nil
}

// encodeText encodes a text, or a pair, with special tokens. It returns no
// tokens of a record that is dropped.
func encodeText(t *tokenizer.Tokenizer, text string, pair *string, most int, over Overlong) (Sequence, Cut, error) {
	var e tokenizer.Encoding
	if pair == nil {
		e.IDs = t.Encode(text, true)
	} else {
		var err error
		if e, err = t.EncodeFull(text, tokenizer.EncodeOptions{AddSpecialTokens: true, Pair: pair}); err != nil {
			return Sequence{}, Cut{}, err
		}
	}
	var cut Cut
	if most > 0 && len(e.IDs) > most {
		switch over {
		case Drop:
			return Sequence{}, Cut{Dropped: 1}, nil
		case Refuse:
			return Sequence{}, Cut{}, fmt.Errorf("the text has %d tokens, more than the context of %d", len(e.IDs), most)
		}
		cut.Truncated = 1
		var err error
		if e, err = t.EncodeFull(text, tokenizer.EncodeOptions{
			AddSpecialTokens: true, Pair: pair,
			Truncation: &tokenizer.Truncation{Direction: "Right", MaxLength: most, Strategy: "LongestFirst"},
		}); err != nil {
			return Sequence{}, Cut{}, err
		}
	}
	return Sequence{IDs: e.IDs, TypeIDs: segments(e.TypeIDs)}, cut, nil
}

// segments returns BERT's segments, nil if there is one alone.
func segments(typeIDs []int32) []int32 {
	for _, id := range typeIDs {
		if id != 0 {
			return typeIDs
		}
	}
	return nil
}

func (c *Classifier) targets(d *Document) ([]float32, error) {
	switch c.opt.Kind {
	case Regression:
		return c.values(d)
	case MultiLabel:
		return c.manyLabels(d)
	}
	labels, err := rowLabels(d, c.opt.Label)
	if err != nil {
		return nil, err
	}
	if len(labels) != 1 {
		return nil, d.errorf("field %q: %d labels, and one is wanted", c.opt.Label, len(labels))
	}
	id, err := c.opt.Labels.ID(labels[0])
	if err != nil {
		return nil, d.errorf("field %q: %w", c.opt.Label, err)
	}
	return []float32{float32(id)}, nil
}

// manyLabels reads a list of names, or a 0 or 1 for each label.
func (c *Classifier) manyLabels(d *Document) ([]float32, error) {
	out := make([]float32, c.opt.Labels.Len())
	var flags []float64
	if json.Unmarshal(d.Fields[c.opt.Label], &flags) == nil && len(flags) > 0 {
		if len(flags) != len(out) {
			return nil, d.errorf("field %q: %d numbers, a 0 or 1 for each of %d labels is wanted", c.opt.Label, len(flags), len(out))
		}
		for i, x := range flags {
			if x != 0 && x != 1 {
				return nil, d.errorf("field %q: number %d is %v, not 0 or 1", c.opt.Label, i, x)
			}
			out[i] = float32(x)
		}
		return out, nil
	}
	labels, err := rowLabels(d, c.opt.Label)
	if err != nil {
		return nil, err
	}
	for _, l := range labels {
		id, err := c.opt.Labels.ID(l)
		if err != nil {
			return nil, d.errorf("field %q: %w", c.opt.Label, err)
		}
		out[id] = 1
	}
	return out, nil
}

// values reads a number, or a list of numbers, for regression.
func (c *Classifier) values(d *Document) ([]float32, error) {
	raw, ok := d.Fields[c.opt.Label]
	if !ok || string(raw) == "null" {
		return nil, d.lacks("no value", c.opt.Label)
	}
	var many []float64
	if json.Unmarshal(raw, &many) != nil {
		s, _ := d.String(c.opt.Label) // a number in a table is text
		x, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil {
			return nil, d.errorf("field %q: %s is no number", c.opt.Label, excerpt(string(raw)))
		}
		many = []float64{x}
	}
	if len(many) == 0 {
		return nil, d.errorf("field %q: no number", c.opt.Label)
	}
	out := make([]float32, len(many))
	for i, x := range many {
		out[i] = float32(x)
		if y := float64(out[i]); math.IsNaN(y) || math.IsInf(y, 0) {
			return nil, d.errorf("field %q: %v is not a finite float32", c.opt.Label, x)
		}
	}
	return out, nil
}
