package eval

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"wenmo/dataset"
)

const (
	copyTokens   = 50      // of a prompt, and of what counts as copied
	encodedBytes = 1 << 20 // of documents that are encoded side by side
)

// memorization is what a model has learnt by heart of the documents that it was
// trained on, each a "text":
//
//   - memorized: the share of documents whose first 50 tokens the model goes on
//     from, greedily, with the next 50 as they stand there (Carlini et al. 2022,
//     "Quantifying Memorization Across Neural Language Models"). Documents of less
//     than 100 tokens are left out; Options.Limit is about these alone.
//   - copied: the share of sampled texts (Options.Samples, from the start of a
//     text or from Options.Prompts) in which 50 tokens in a row, more than five different
//     ones, stand in some document, or in a turn of a conversation.
//
// The documents are read one after the other, however many there are. What stays in
// memory is half a kilobyte for each that is gone on from, and what copyFinder holds.
var memorization = Task{
	streams: true,
	run: func(j *job) (metrics, error) {
		if err := j.writes(); err != nil {
			return nil, err
		}
		samples, err := j.freeSamples()
		if err != nil {
			return nil, err
		}
		r := newCorpusReader(j, samples)
		if err := r.readAll(); err != nil {
			return nil, err
		}
		found, err := j.likelihoods(r.requests)
		if err != nil {
			return nil, err
		}
		for i, l := range found {
			if l.Greedy {
				j.note(&j.rows[i], []string{"memorized"}, j.model.Decode(r.requests[i].IDs[copyTokens:]))
			}
		}
		if len(samples) > 0 {
			j.whole = []Metric{{"copied", Maybe(float64(r.copies) / float64(len(samples)))}, {"copies", Maybe(r.copies)}}
		}
		return func(items []int) []Metric {
			return accuracy("memorized", items, func(i int) bool { return found[i].Greedy })
		}, nil
	},
}

// freeSamples lets the model write as many texts as the options say, from the start of
// a text or from prompts in turn.
func (j *job) freeSamples() ([]Text, error) {
	if j.opt.Samples == 0 {
		return nil, nil
	}
	prompts := []Prompt{{}}
	if j.opt.Prompts != "" {
		prompts = nil
		for doc, err := range dataset.Read(j.ctx, j.opt.Prompts, dataset.ReadOptions{}) {
			if err != nil {
				return nil, err
			}
			p, err := j.promptOf(&Row{doc})
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", doc.File, doc.Line, err)
			}
			if prompts = append(prompts, p); len(prompts) == j.opt.Samples {
				break
			}
		}
	}
	all := make([]Prompt, j.opt.Samples)
	for i := range all {
		all[i] = prompts[i%len(prompts)]
	}
	return j.sample(all, defaultNewTokens)
}

// corpusReader reads documents once: it finds the samples that have a copy, and asks
// how likely the second 50 tokens of documents are, whose rows become the job's.
type corpusReader struct {
	j        *job
	finder   *copyFinder
	copied   []bool // of the samples
	copies   int
	requests []Request

	// Those read, but not yet encoded.
	rows  []Row
	texts []string
	bytes int
	read  int // documents encoded
}

func newCorpusReader(j *job, samples []Text) *corpusReader {
	sequences := make([][]int32, len(samples))
	for i, s := range samples {
		sequences[i] = s.IDs
	}
	return &corpusReader{j: j, finder: newCopyFinder(sequences, copyTokens), copied: make([]bool, len(samples))}
}

func (c *corpusReader) readAll() error {
	for row, err := range c.j.wantedRows() {
		if err != nil {
			return err
		}
		text := documentText(&row)
		if text == "" {
			if err := c.j.leaveOut(&row, errors.New(`no field "text" or "messages"`)); err != nil {
				return err
			}
			continue
		}
		c.rows, c.texts, c.bytes = append(c.rows, row), append(c.texts, text), c.bytes+len(text)
		if c.bytes >= encodedBytes {
			c.encode()
		}
		if len(c.copied) == 0 && c.full() {
			break
		}
	}
	c.encode()
	if c.read == 0 {
		return errNoRow
	}
	if len(c.requests) == 0 && len(c.copied) == 0 {
		return fmt.Errorf("no document of the data has %d tokens", 2*copyTokens)
	}
	return nil
}

// documentText is the text of a row, or all that is said in its conversation.
func documentText(r *Row) string {
	if r.Text != "" {
		return r.Text
	}
	said := make([]string, len(r.Messages))
	for i, m := range r.Messages {
		said[i] = m.Content
	}
	return strings.Join(said, "\n")
}

// full says that there are as many documents to go on from as are wanted.
func (c *corpusReader) full() bool {
	return c.j.opt.Limit > 0 && len(c.requests) >= c.j.opt.Limit
}

// encode encodes what was read, and looks at it.
func (c *corpusReader) encode() {
	for i, ids := range c.j.model.Encode(c.texts) {
		row := &c.rows[i]
		c.finder.find(ids, func(sample int, run []int32) {
			if !c.copied[sample] {
				c.copied[sample] = true
				c.copies++
				c.j.note(row, []string{"copied"}, c.j.model.Decode(run))
			}
		})
		if row.Text != "" && len(ids) >= 2*copyTokens && !c.full() {
			c.requests = append(c.requests, Request{IDs: slices.Clone(ids[:2*copyTokens]), First: copyTokens})
			c.j.rows = append(c.j.rows, row.slim())
		}
	}
	c.read += len(c.rows)
	c.j.done(0)(c.read)
	c.rows, c.texts, c.bytes = nil, nil, 0
}

// slim is the row without what was needed to read it.
func (r *Row) slim() Row {
	kept := Row{dataset.Document{File: r.File, Line: r.Line, Fields: map[string]json.RawMessage{}}}
	for _, f := range groupFields {
		if raw, ok := r.Fields[f]; ok {
			kept.Fields[f] = bytes.Clone(raw)
		}
	}
	return kept
}
