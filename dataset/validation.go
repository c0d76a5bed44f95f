package dataset

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"wenmo/internal/mmap"
)

// Held is a held-out document, or a piece of one.
type Held struct {
	Sequence
	Source string
	// Bytes is the size of the document's text, given with its first piece; 0
	// with the others.
	Bytes int
}

// Validation gives the held-out documents of the corpus, up to so many tokens
// (0: all), in an order that depends on their texts alone: documents added to
// the corpus do not change which of the others come, apart from the limit. At
// least one document is given if there is any, and none is given in part.
//
// A document longer than context comes in pieces, the next beginning with the
// last token of the one before, which does not count there. So a causal model
// predicts every token once but the document's first, and bits per byte are the
// sum of the losses over the sum of Bytes.
func (c *Corpus) Validation(tokens int64, context int) iter.Seq2[Held, error] {
	return func(yield func(Held, error) bool) {
		if context < 2 {
			yield(Held{}, fmt.Errorf("a context of %d, want 2 or more", context))
			return
		}
		var all []heldSequence
		err := mmap.Guard(c.opt.Dir, func() error {
			all = c.heldOut(tokens)
			return nil
		})
		for i := 0; i < len(all) && err == nil; i++ {
			for from, last := 0, false; !last; {
				var held Held
				err = mmap.Guard(c.opt.Dir, func() (err error) {
					held, last, err = c.piece(all[i], from, context)
					return err
				})
				if err != nil {
					break
				}
				if !yield(held, nil) {
					return
				}
				from += len(held.IDs) - 1
			}
		}
		if err != nil {
			yield(Held{}, err)
		}
	}
}

// ValidationFiles gives the documents of files that are there to validate on, as
// Validation gives those held out, in the order of the files.
func ValidationFiles(ctx context.Context, path string, read ReadOptions, enc Encoder, tokens int64, context int) iter.Seq2[Held, error] {
	return func(yield func(Held, error) bool) {
		sum := int64(0)
		broken, last := brokenCount{path: path, opt: read}, error(nil)
		defer broken.summary()
		for d, err := range Read(ctx, path, read) {
			if err != nil {
				yield(Held{}, err)
				return
			}
			seqs, _, err := enc.Encode(&d)
			if err != nil {
				last = err
				if err = broken.add(err); err != nil {
					yield(Held{}, err)
					return
				}
				continue
			}
			bytes := 0
			for text := range documentTexts(&d) {
				bytes += len(text)
			}
			for _, s := range seqs {
				if tokens > 0 && sum > 0 && sum+int64(len(s.IDs)) > tokens {
					return
				}
				sum += int64(len(s.IDs))
				for piece := range pieces(s, context) {
					if !yield(Held{Sequence: piece, Source: path, Bytes: bytes}, nil) {
						return
					}
					bytes = 0
				}
			}
		}
		if sum == 0 && last != nil { // nothing to validate on is no slip of the file
			yield(Held{}, last)
		}
	}
}

// pieces parts a sequence as Validation does.
func pieces(s Sequence, context int) iter.Seq[Sequence] {
	if s.Labels == nil {
		s.Labels = s.IDs
	}
	return func(yield func(Sequence) bool) {
		for from := 0; ; {
			to := min(from+context, len(s.IDs))
			piece := Sequence{IDs: s.IDs[from:to], Labels: slices.Clone(s.Labels[from:to])}
			if from > 0 {
				piece.Labels[0] = NoLabel
			}
			if !yield(piece) || to == len(s.IDs) {
				return
			}
			from = to - 1
		}
	}
}

// heldSequence is where a held-out sequence is.
type heldSequence struct {
	hash          uint64
	source, index int
}

// heldOut returns the sequences that Validation gives.
func (c *Corpus) heldOut(tokens int64) []heldSequence {
	var all []heldSequence
	for i := range c.sources {
		s := &c.sources[i]
		for k := range s.len() {
			if s.held.has(k) && s.length(k) > 0 {
				one, at := s.at(k)
				all = append(all, heldSequence{one.hash(at), i, k})
			}
		}
	}
	slices.SortFunc(all, func(a, b heldSequence) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.source, b.source), cmp.Compare(a.index, b.index))
	})
	sum := int64(0)
	for n, h := range all {
		sum += int64(c.sources[h.source].length(h.index))
		if tokens > 0 && sum > tokens && n > 0 && h.hash != all[n-1].hash {
			return all[:n]
		}
	}
	return all
}

// piece returns the piece of a sequence that begins at token from, and whether
// it is the last.
func (c *Corpus) piece(h heldSequence, from, context int) (held Held, last bool, err error) {
	source := &c.sources[h.source]
	s, k := source.at(h.index)
	to := min(from+context, s.length(k))
	held.Source = source.name()
	if held.Sequence, err = s.read(k, from, to); err != nil {
		return held, false, err
	}
	if from == 0 {
		held.Bytes = s.textBytes(k)
	} else {
		held.Labels = slices.Clone(held.Labels)
		held.Labels[0] = NoLabel
	}
	return held, to == s.length(k), nil
}
