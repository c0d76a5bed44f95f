package engine

import (
	"math"
	"slices"
)

// repetition is the repetition penalty of CTRL (arXiv 1909.05858): the logit of
// every token of the sequence is divided by it, or multiplied where negative.
type repetition float32

func (p repetition) Process(c *Context, logits []float32) {
	penalize(c.scratch.counts[:len(logits)], c.IDs, logits, float32(p))
}

// encoderRepetition is the same for the tokens of the encoder's input, with
// the inverse of encoder_repetition_penalty.
type encoderRepetition float32

func (p encoderRepetition) Process(c *Context, logits []float32) {
	penalize(c.scratch.counts[:len(logits)], c.source(), logits, float32(p))
}

func penalize(counts, ids []int32, logits []float32, penalty float32) {
	count(counts, ids)
	for _, id := range ids {
		if !inVocab(id, logits) || counts[id] == 0 {
			continue
		}
		counts[id] = 0
		if logits[id] < 0 {
			logits[id] *= penalty
		} else {
			logits[id] /= penalty
		}
	}
}

// count adds the occurrences of ids to counts. Who calls it sets the counts of
// ids back to zero.
func count(counts, ids []int32) {
	for _, id := range ids {
		if uint(id) < uint(len(counts)) {
			counts[id]++
		}
	}
}

// presence subtracts a penalty from every new token so far, once, and another
// for each time it occurs (OpenAI's presence_penalty and frequency_penalty).
type presence struct{ once, each float64 }

func (p *presence) Process(c *Context, logits []float32) {
	counts := c.scratch.counts[:len(logits)]
	count(counts, c.New())
	for _, id := range c.New() {
		if !inVocab(id, logits) || counts[id] == 0 {
			continue
		}
		logits[id] -= float32(float64(float64(counts[id])*p.each) + p.once)
		counts[id] = 0
	}
}

// logitBias adds a number to the logits of single tokens.
type logitBias []LogitBias

func (p logitBias) Process(_ *Context, logits []float32) {
	for _, b := range p {
		if inVocab(b.ID, logits) {
			logits[b.ID] += float32(b.Bias)
		}
	}
}

// dry penalises the token that would go on with a repetition: where the end of
// the sequence occurs before with n tokens in common, the token that followed
// there loses multiplier·base^(n-allowed), if n ≥ allowed. Breakers end a
// match and are never penalised (p-e-w, "DRY: a modern repetition penalty").
type dry struct {
	multiplier, base float64
	allowed, lastN   int
	breakers         []int32 // ascending
}

func newDRY(p *Params) *dry {
	breakers := slices.Clone(p.DRYSequenceBreakerIDs)
	slices.Sort(breakers)
	return &dry{p.DRYMultiplier, p.DRYBase, p.DRYAllowedLength, p.DRYPenaltyLastN, breakers}
}

func (p *dry) Process(c *Context, logits []float32) {
	ids := c.IDs
	if p.lastN >= 0 && len(ids) > p.lastN {
		ids = ids[len(ids)-p.lastN:]
	}
	most := p.sinceBreaker(ids)
	if most < p.allowed {
		return
	}
	c.scratch.tail = matchTails(c.scratch.tail, ids)
	longest := c.scratch.counts[:len(logits)]
	for i, n := range c.scratch.tail { // the match that ends before ids[i+1]
		if next := ids[i+1]; inVocab(next, logits) {
			longest[next] = max(longest[next], min(n, int32(most)))
		}
	}
	for _, id := range ids[min(1, len(ids)):] {
		if !inVocab(id, logits) {
			continue
		}
		n := int(longest[id])
		longest[id] = 0
		if n >= p.allowed && n > 0 && !p.breaks(id) {
			penalty := float64(p.multiplier * powInt(p.base, n-p.allowed))
			logits[id] -= float32(min(penalty, math.MaxFloat32))
		}
	}
}

// sinceBreaker returns how many tokens follow the last breaker.
func (p *dry) sinceBreaker(ids []int32) int {
	n := 0
	for n < len(ids) && !p.breaks(ids[len(ids)-1-n]) {
		n++
	}
	return n
}

func (p *dry) breaks(id int32) bool {
	_, found := slices.BinarySearch(p.breakers, id)
	return found
}

// matchTails returns, for every i below len(ids)-1, how many tokens ending
// with ids[i] equal those at the end of ids. It is the Z function of the
// reversed sequence, in linear time.
func matchTails(z, ids []int32) []int32 {
	n := len(ids)
	z = resize(z, max(n-1, 0))
	left, right := n, n // the match that reaches lowest: ids[left+1:right+1] equals the end
	for i := n - 2; i >= 0; i-- {
		k := int32(0)
		if i > left {
			k = min(z[n-1-(right-i)], int32(i-left))
		}
		for i-int(k) >= 0 && ids[i-int(k)] == ids[n-1-int(k)] {
			k++
		}
		if i-int(k) < left {
			left, right = i-int(k), i
		}
		z[i] = k
	}
	return z
}

// exponentialDecay raises the logits of the end tokens once the sequence is
// longer than start: by |logit|·(factor^beyond - 1). An excluded end token
// stays so (in transformers it becomes NaN).
type exponentialDecay struct {
	start  int
	factor float64
	eos    []int32
}

func (p *exponentialDecay) Process(c *Context, logits []float32) {
	beyond := len(c.IDs) - p.start
	if beyond <= 0 {
		return
	}
	gain := min(powInt(p.factor, beyond)-1, math.MaxFloat32)
	for _, id := range p.eos {
		if inVocab(id, logits) && logits[id] > negInf {
			more := math.Abs(float64(logits[id])) * gain
			logits[id] += float32(min(more, math.MaxFloat32/2))
		}
	}
}
