package engine

import (
	"errors"
	"fmt"
	"slices"
)

// Hypothesis is a sequence that beam search has finished: the new ids, the end
// token included, and their score, the sum of their log-probabilities divided
// by their number to the power of length_penalty.
type Hypothesis struct {
	IDs   []int32
	Score float32
}

// Continuation is a beam of the next step: the beam that it goes on from, and
// the token that it adds.
type Continuation struct {
	Parent int
	ID     int32
}

// Beams is the beam search of one prompt, as in transformers 4.54
// (GenerationMixin._beam_search), as a machine that is fed with logits. It
// begins with one beam and has up to num_beams; transformers begins with
// num_beams equal ones of which all but the first count as excluded.
type Beams struct {
	ctx    Context
	chain  []Processor
	ends   []int32
	maxLen int
	count  int // num_beams
	wanted int // num_return_sequences
	early  EarlyStopping
	power  float64 // length_penalty

	live, spare []beam // best first; spare holds the buffers of the step before
	next        []Continuation
	best        []continuation
	finished    []Hypothesis // best first, at most count
	done        bool
}

type beam struct {
	ids   []int32 // prompt and new tokens
	score float32 // sum of log-probabilities
}

// continuation is a candidate: flat is beam·vocab + id, which orders equals.
type continuation struct {
	flat  int
	score float32
}

// NewBeams begins a search. maxLen is the greatest length, prompt included; the
// caller's processors come last and see log-probabilities.
func NewBeams(p *Params, prompt []int32, maxLen int, callers ...Processor) *Beams {
	return &Beams{
		ctx:    Context{PromptLen: len(prompt), Seed: p.Seed},
		chain:  p.processors(len(prompt), maxLen, callers),
		ends:   p.ends(),
		maxLen: maxLen,
		count:  p.NumBeams,
		wanted: p.NumReturnSequences,
		early:  p.EarlyStopping,
		power:  p.LengthPenalty,
		live:   []beam{{ids: slices.Clone(prompt)}},
	}
}

// Live returns how many beams Step wants logits for; 0 when the search is over.
func (b *Beams) Live() int {
	if b.done {
		return 0
	}
	return len(b.live)
}

// IDs returns prompt and new tokens of a live beam, until the next Step.
func (b *Beams) IDs(i int) []int32 { return b.live[i].ids }

// Step takes the model's logits [vocab] of each live beam, overwrites them, and
// returns the beams that live on, best first, until the next Step. It returns
// none when the search is over.
func (b *Beams) Step(w *Scratch, rows [][]float32) ([]Continuation, error) {
	if b.done {
		return nil, nil
	}
	if len(rows) != b.Live() {
		return nil, fmt.Errorf("beam search: %d rows of logits for %d beams", len(rows), b.Live())
	}
	if err := b.score(w, rows); err != nil {
		return nil, fmt.Errorf("new token %d (position %d): %w", b.newTokens()+1, len(b.live[0].ids), err)
	}
	vocab := len(rows[0])
	b.finish(vocab)
	b.advance(vocab)
	b.done = b.done || len(b.live) == 0 || !b.canImprove()
	if b.done {
		return nil, nil
	}
	return b.next, nil
}

// newTokens returns the number of new tokens of the live beams.
func (b *Beams) newTokens() int { return len(b.live[0].ids) - b.ctx.PromptLen }

// score makes the rows log-probabilities, processed, and gathers the best
// continuations of all beams: enough that num_beams of them do not end.
func (b *Beams) score(w *Scratch, rows [][]float32) error {
	keep := max(2, 1+len(b.ends)) * b.count
	b.best = b.best[:0]
	floor := negInf
	for i, row := range rows {
		if err := b.process(w, b.live[i].ids, row); err != nil {
			return err
		}
		for id, l := range row {
			score := l + b.live[i].score
			if !(score > floor) {
				continue
			}
			b.best = append(b.best, continuation{i*len(row) + id, score})
			if len(b.best) == 2*keep {
				b.trim(keep)
				floor = b.best[keep-1].score
			}
		}
	}
	b.trim(keep)
	if len(b.best) == 0 && len(b.finished) == 0 {
		return errExcluded
	}
	return nil
}

// process replaces a row of logits by what the processors make of its
// log-softmax.
func (b *Beams) process(w *Scratch, ids []int32, row []float32) error {
	if _, err := best(row); err != nil {
		return err
	}
	b.ctx.IDs, b.ctx.scratch = ids, w
	w.begin(len(row))
	renormalize{}.Process(&b.ctx, row)
	if err := b.ctx.apply(b.chain, row); err != nil {
		return err
	}
	if _, nan := argmax(row); nan >= 0 {
		return fmt.Errorf("the logit of id %d is NaN after the logits processors", nan)
	}
	return nil
}

// trim sorts the continuations, the earlier beam and the lower id first where
// scores are equal, and keeps the best.
func (b *Beams) trim(keep int) {
	slices.SortFunc(b.best, func(x, y continuation) int {
		switch {
		case x.score > y.score:
			return -1
		case x.score < y.score:
			return 1
		}
		return x.flat - y.flat
	})
	b.best = b.best[:min(keep, len(b.best))]
}

func (b *Beams) ended(c continuation, vocab int) bool {
	return len(b.live[0].ids)+1 >= b.maxLen || slices.Contains(b.ends, int32(c.flat%vocab))
}

// finish takes those of the first num_beams continuations that end among the
// finished, best first.
func (b *Beams) finish(vocab int) {
	length := b.lengthFactor(b.newTokens() + 1)
	for _, c := range b.best[:min(b.count, len(b.best))] {
		if !b.ended(c, vocab) {
			continue
		}
		score := c.score / length
		at := len(b.finished)
		for at > 0 && b.finished[at-1].Score < score {
			at--
		}
		ids := b.live[c.flat/vocab].ids[b.ctx.PromptLen:]
		h := Hypothesis{append(slices.Clip(ids), int32(c.flat%vocab)), score}
		b.finished = slices.Insert(b.finished, at, h)
	}
	b.finished = b.finished[:min(b.count, len(b.finished))]
}

// lengthFactor returns n^length_penalty.
func (b *Beams) lengthFactor(n int) float32 { return float32(pow64(float64(n), b.power)) }

// advance makes the best continuations that do not end the live beams.
func (b *Beams) advance(vocab int) {
	b.next, b.spare = b.next[:0], b.spare[:0]
	for _, c := range b.best {
		if len(b.next) == b.count {
			break
		}
		if b.ended(c, vocab) {
			continue
		}
		parent, id := c.flat/vocab, int32(c.flat%vocab)
		b.next = append(b.next, Continuation{parent, id})
		b.spare = appendBeam(b.spare, b.live[parent].ids, id, c.score)
	}
	b.live, b.spare = b.spare, b.live
}

// appendBeam appends a beam in the memory of one that was there before.
func appendBeam(beams []beam, ids []int32, id int32, score float32) []beam {
	if len(beams) < cap(beams) {
		beams = beams[:len(beams)+1]
	} else {
		beams = append(beams, beam{})
	}
	last := &beams[len(beams)-1]
	last.ids = append(append(last.ids[:0], ids...), id)
	last.score = score
	return beams
}

// canImprove reports whether a live beam may still displace a finished one, by
// the rule of early_stopping.
func (b *Beams) canImprove() bool {
	if len(b.finished) < b.count {
		return true
	}
	if b.early == EarlyStop {
		return false
	}
	length := b.newTokens()
	if b.early == EarlyNever && b.power > 0 {
		length = b.maxLen - b.ctx.PromptLen
	}
	return b.live[0].score/b.lengthFactor(length) > b.finished[b.count-1].Score
}

// Results returns the best finished sequences, best first: num_return_sequences
// of them, or fewer where the constraints allowed no more.
func (b *Beams) Results() ([]Hypothesis, error) {
	if !b.done {
		return nil, errors.New("beam search: results before the search is over")
	}
	return b.finished[:min(b.wanted, len(b.finished))], nil
}
