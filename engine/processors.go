package engine

import "fmt"

// Processor changes the logits of the next token of one sequence in place.
// -Inf excludes a token. It must depend on nothing but its own settings, the
// context and the logits, so that a request gives the same tokens whatever is
// decoded beside it, and speculation may ask again for a position. A panic is
// the error of its request.
type Processor interface {
	Process(c *Context, logits []float32)
}

// Context is what a Processor may know about the token that is chosen next.
type Context struct {
	IDs       []int32 // prompt and new tokens so far; to be read only
	PromptLen int     // how many of IDs are the prompt
	Encoder   []int32 // ids of the encoder's input; nil where there is no encoder
	Seed      uint64  // of the request
	Sample    int     // which of the request's samples this is

	scratch *Scratch
	failed  error // a caller's processor panicked
}

// callersOwn is a processor of the caller, whose panic is an error of its
// request and of no other.
type callersOwn struct{ Processor }

func (p callersOwn) Process(c *Context, logits []float32) {
	defer func() {
		if r := recover(); r != nil {
			c.failed = fmt.Errorf("the logits processor %T panicked: %v", p.Processor, r)
		}
	}()
	p.Processor.Process(c, logits)
}

// apply runs a chain over the logits.
func (c *Context) apply(chain []Processor, logits []float32) error {
	c.failed = nil
	for _, p := range chain {
		if p.Process(c, logits); c.failed != nil {
			return c.failed
		}
	}
	return nil
}

// Position returns the position of the token that is chosen next: prompt and
// new tokens count, the first is 0.
func (c *Context) Position() int { return len(c.IDs) }

// New returns the new tokens so far.
func (c *Context) New() []int32 { return c.IDs[c.PromptLen:] }

// Random returns 64 random bits that belong to this position of this sample,
// always the same for one stream. Streams below StreamUser are taken.
func (c *Context) Random(stream uint32) uint64 {
	return random(c.Seed, c.Sample, c.Position(), stream)
}

// source returns the encoder's input, whose place the prompt takes in
// decoder-only models (as in transformers).
func (c *Context) source() []int32 {
	if c.Encoder != nil {
		return c.Encoder
	}
	return c.IDs[:c.PromptLen]
}

// processors returns the chain that the parameters ask for, in the order in
// which transformers applies its own (GenerationMixin._get_logits_processor);
// penalties that it does not have stand beside its repetition penalty, and the
// caller's processors come before the filters of sampling, as there. maxLen is
// the greatest length of the sequence, prompt included.
func (p *Params) processors(promptLen, maxLen int, callers []Processor) []Processor {
	var chain []Processor
	add := func(wanted bool, proc Processor) {
		if wanted {
			chain = append(chain, proc)
		}
	}
	ends, decay := p.ends(), p.ExponentialDecayLengthPenalty
	add(len(p.SequenceBias) > 0, newSequenceBias(p.SequenceBias))
	add(len(p.LogitBias) > 0, logitBias(p.LogitBias))
	add(p.EncoderRepetitionPenalty != 1, encoderRepetition(1/p.EncoderRepetitionPenalty))
	add(p.RepetitionPenalty != 1, repetition(p.RepetitionPenalty))
	add(p.PresencePenalty != 0 || p.FrequencyPenalty != 0, &presence{p.PresencePenalty, p.FrequencyPenalty})
	add(p.DRYMultiplier > 0, newDRY(p))
	add(p.NoRepeatNgramSize > 0, noRepeatNgram(p.NoRepeatNgramSize))
	add(p.EncoderNoRepeatNgramSize > 0, encoderNoRepeatNgram(p.EncoderNoRepeatNgramSize))
	add(len(p.BadWordsIDs) > 0, newBadWords(p.BadWordsIDs, p.EOSTokenID))
	add(p.MinLength > 0 && len(ends) > 0, &minLength{p.MinLength, ends})
	add(p.MinNewTokens > 0 && len(ends) > 0, &minLength{promptLen + p.MinNewTokens, ends})
	add(p.ForcedBOSTokenID >= 0, &forced{1, []int32{p.ForcedBOSTokenID}})
	add(len(p.ForcedEOSTokenID) > 0, &forced{maxLen - 1, p.ForcedEOSTokenID})
	add(p.RemoveInvalidValues, removeInvalid{})
	add(decay.Factor != 1, &exponentialDecay{promptLen + decay.Start, decay.Factor, p.EOSTokenID})
	add(len(p.SuppressTokens) > 0, suppress(p.SuppressTokens))
	add(len(p.BeginSuppressTokens) > 0, &beginSuppress{p.firstFree(promptLen), p.BeginSuppressTokens})
	for _, c := range callers {
		chain = append(chain, callersOwn{c})
	}
	if p.Sampling() {
		chain = append(chain, p.filters()...)
	}
	add(p.RenormalizeLogits, renormalize{})
	return chain
}

// filters returns the processors that apply to sampling alone.
func (p *Params) filters() []Processor {
	var chain []Processor
	add := func(wanted bool, proc Processor) {
		if wanted {
			chain = append(chain, proc)
		}
	}
	const keep = 1 // tokens that no filter may remove; the reference can be told another number
	add(p.Temperature != 1, temperature(p.Temperature))
	add(p.TopK > 0, &topK{p.TopK, keep})
	add(p.TopP < 1, &topP{p.TopP, keep})
	add(p.MinP > 0, &minP{p.MinP, keep})
	add(p.TypicalP < 1, &typical{p.TypicalP, keep})
	add(p.EpsilonCutoff > 0, &epsilon{p.EpsilonCutoff, keep})
	add(p.EtaCutoff > 0, &eta{p.EtaCutoff, keep})
	add(p.XTCProbability > 0, &xtc{p.XTCProbability, p.XTCThreshold})
	return chain
}

// firstFree returns the length of the sequence when its first token that is
// not forced is chosen.
func (p *Params) firstFree(promptLen int) int {
	if promptLen <= 1 && p.ForcedBOSTokenID >= 0 {
		return promptLen + 1
	}
	return promptLen
}

// exclude sets the logits of ids to -Inf; ids outside of the vocabulary are
// passed over.
func exclude(logits []float32, ids []int32) {
	for _, id := range ids {
		if inVocab(id, logits) {
			logits[id] = negInf
		}
	}
}

func inVocab(id int32, logits []float32) bool { return uint(id) < uint(len(logits)) }
