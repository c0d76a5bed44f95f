package engine

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// errExcluded says that there is nothing to choose from.
var errExcluded = errors.New("every token is excluded: no logit is greater than -Inf")

// TokenLogprob is a token with the logarithm of its probability.
type TokenLogprob struct {
	ID      int32
	Logprob float32
}

// Token is a token that was chosen. Logprob and Top are set where Params ask
// for them: the log-softmax of the model's own logits, before any processor;
// Top holds the most likely tokens, best first, and is valid until the
// Scratch is used again.
type Token struct {
	ID      int32
	Logprob float32
	Top     []TokenLogprob
}

// Sampler chooses the tokens of one sequence. It keeps nothing from one
// token to the next, so that it may be asked for any position again.
type Sampler struct {
	ctx      Context
	chain    []Processor
	sampling bool
	logprobs bool
	top      int
}

// NewSampler returns the sampler of one sample of a request with a prompt of
// promptLen tokens, of a sequence that may grow to maxLen tokens, prompt
// included. The caller's processors come after the penalties and constraints
// of p and before its filters (temperature, top_k and so on).
func NewSampler(p *Params, promptLen, maxLen, sample int, callers ...Processor) *Sampler {
	return &Sampler{
		ctx:      Context{PromptLen: promptLen, Seed: p.Seed, Sample: sample},
		chain:    p.processors(promptLen, maxLen, callers),
		sampling: p.Sampling(),
		logprobs: p.Logprobs || p.TopLogprobs > 0,
		top:      p.TopLogprobs,
	}
}

// Next chooses the token that follows ids (the prompt and the new tokens so
// far) from the model's logits [vocab], which it overwrites. Logits that are
// NaN or +Inf, or all -Inf, are errors that name the token's place.
func (s *Sampler) Next(w *Scratch, ids []int32, logits []float32) (Token, error) {
	s.ctx.IDs, s.ctx.scratch = ids, w
	w.begin(len(logits))
	t, err := s.next(w, logits)
	if err != nil {
		return t, fmt.Errorf("new token %d (position %d): %w", len(ids)-s.ctx.PromptLen+1, len(ids), err)
	}
	return t, nil
}

func (s *Sampler) next(w *Scratch, logits []float32) (t Token, err error) {
	t.ID, err = best(logits)
	if err != nil {
		return t, err
	}
	if !s.sampling && len(s.chain) == 0 {
		if s.logprobs {
			w.logprobs(&t, logits, s.top)
		}
		return t, nil
	}
	if s.logprobs {
		w.raw = append(w.raw[:0], logits...)
	}
	if err := s.ctx.apply(s.chain, logits); err != nil {
		return t, err
	}
	if s.sampling {
		t.ID, err = w.draw(logits, s.ctx.Random(streamToken))
	} else {
		t.ID, err = bestProcessed(logits)
	}
	if err == nil && s.logprobs {
		w.logprobs(&t, w.raw, s.top)
	}
	return t, err
}

// best returns the first of the greatest logits of a model.
func best(logits []float32) (int32, error) {
	id, err := bestProcessed(logits)
	if err == nil && logits[id] > math.MaxFloat32 {
		return id, fmt.Errorf("the model's logit of id %d is +Inf", id)
	}
	return id, err
}

// bestProcessed is best for logits that processors may have made +Inf.
func bestProcessed(logits []float32) (int32, error) {
	id, nan := argmax(logits)
	switch {
	case nan >= 0:
		return 0, fmt.Errorf("the logit of id %d is NaN", nan)
	case id < 0:
		return 0, errExcluded
	}
	return int32(id), nil
}

// argmax returns the first index of the greatest value, or -1 where none is
// greater than -Inf, and an index that holds NaN, or -1. A comparison that NaN
// fails finds both, so that the usual step is one comparison.
func argmax(x []float32) (best, nan int) {
	best, nan = -1, -1
	m := negInf
	i := 0
	for ; i+16 <= len(x); i += 16 {
		v := (*[16]float32)(x[i:])
		if v[0] <= m && v[1] <= m && v[2] <= m && v[3] <= m && v[4] <= m && v[5] <= m && v[6] <= m && v[7] <= m &&
			v[8] <= m && v[9] <= m && v[10] <= m && v[11] <= m && v[12] <= m && v[13] <= m && v[14] <= m && v[15] <= m {
			continue
		}
		for j, f := range v {
			if f > m {
				m, best = f, i+j
			} else if f != f {
				nan = i + j
			}
		}
	}
	for ; i < len(x); i++ {
		if x[i] > m {
			m, best = x[i], i
		} else if x[i] != x[i] {
			nan = i
		}
	}
	return best, nan
}

// draw takes a candidate with 64 random bits r: the one at which the sum of
// probabilities, most likely first, exceeds r/2^64.
func (s *Scratch) draw(logits []float32, r uint64) (int32, error) {
	s.weigh(logits)
	switch {
	case s.nan >= 0:
		return 0, fmt.Errorf("the logit of id %d is NaN", s.nan)
	case s.total == 0:
		return 0, errExcluded
	}
	target, _ := bits.Mul64(r, s.total)
	return s.cross(logits, target).id, nil
}

// logprobs sets the log-probabilities of t and of the top most likely tokens.
// It uses the candidates: nothing of the chain may be needed any more.
func (s *Scratch) logprobs(t *Token, raw []float32, top int) {
	s.reset()
	s.weigh(raw)
	logSum := logMass(s.total)
	logprob := func(l float32) float32 {
		return float32((float64(l) - float64(s.max)) - logSum)
	}
	t.Logprob = logprob(raw[t.ID])
	if top <= 0 {
		return
	}
	least := s.kth(raw, top)
	s.order = s.order[:0]
	for _, id := range s.ids {
		if l := raw[id]; l >= least {
			s.order = append(s.order, candidate{logit: l, id: id})
		}
	}
	slices.SortFunc(s.order, compareTokens)
	s.top = s.top[:0]
	for _, c := range s.order[:min(top, len(s.order))] {
		s.top = append(s.top, TokenLogprob{c.id, logprob(c.logit)})
	}
	t.Top = s.top
}
