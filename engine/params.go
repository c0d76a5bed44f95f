package engine

import (
	"fmt"
	"math"
	"slices"
)

// EarlyStopping is when beam search stops (early_stopping).
type EarlyStopping int

const (
	EarlyHeuristic EarlyStopping = iota // false: when no live beam looks better than the worst finished one
	EarlyStop                           // true: when num_beams sequences have finished
	EarlyNever                          // "never": when no live beam can become better
)

// LogitBias is added to the logit of a token.
type LogitBias struct {
	ID   int32
	Bias float64
}

// SequenceBias is added to the logit of the token that would complete IDs.
type SequenceBias struct {
	IDs  []int32
	Bias float64
}

// ExponentialDecay raises the end tokens' logits after Start new tokens, by
// Factor to the power of the tokens beyond. Factor 1 is none.
type ExponentialDecay struct {
	Start  int
	Factor float64
}

// Params say how to generate: the keys of generation_config.json, under their
// names there, and further penalties and filters under the names that servers
// use. Start from DefaultParams; ParseGenerationConfig and Set also note which
// keys were given, so that With can lay flags over a file.
type Params struct {
	// Length, in tokens; 0 is no limit. MaxLength and MinLength count the prompt.
	MaxLength, MaxNewTokens int
	MinLength, MinNewTokens int

	// What ends a sequence, beside its length.
	EOSTokenID   []int32
	StopTokenIDs []int32
	StopStrings  []string

	// Sampling. TopK 0, the others' 1 or 0 turn a filter off.
	DoSample                     bool
	Seed                         uint64
	Temperature                  float64
	TopK                         int
	TopP, MinP, TypicalP         float64
	EpsilonCutoff, EtaCutoff     float64
	XTCProbability, XTCThreshold float64
	NumReturnSequences           int
	RenormalizeLogits            bool
	PromptLookupNumTokens        int // draft length of prompt lookup; 0 is off
	MaxMatchingNgramSize         int // longest n-gram that prompt lookup looks for

	// Beam search.
	NumBeams      int
	EarlyStopping EarlyStopping
	LengthPenalty float64

	// Penalties.
	RepetitionPenalty, EncoderRepetitionPenalty float64
	PresencePenalty, FrequencyPenalty           float64
	DRYMultiplier, DRYBase                      float64
	DRYAllowedLength                            int
	DRYPenaltyLastN                             int // -1 is all
	DRYSequenceBreakerIDs                       []int32
	ExponentialDecayLengthPenalty               ExponentialDecay
	NoRepeatNgramSize, EncoderNoRepeatNgramSize int

	// Constraints. Single ids are -1 where there is none.
	BadWordsIDs         [][]int32
	SequenceBias        []SequenceBias
	LogitBias           []LogitBias
	SuppressTokens      []int32
	BeginSuppressTokens []int32
	ForcedBOSTokenID    int32
	ForcedEOSTokenID    []int32
	RemoveInvalidValues bool

	BOSTokenID, PadTokenID int32

	// What to report: log-probabilities of the chosen tokens, and of the
	// TopLogprobs most likely ones.
	Logprobs    bool
	TopLogprobs int

	// Unknown names the keys of a generation_config.json that neither this
	// package nor transformers knows; they have no effect.
	Unknown []string

	given uint64 // bit i: paramKeys[i] was set
}

// DefaultParams returns transformers' defaults, among them greedy decoding and,
// where sampling is asked for, top_k 50; but no limit of length in the place
// of its max_length 20.
func DefaultParams() Params {
	return Params{
		Temperature: 1, TopK: 50, TopP: 1, TypicalP: 1,
		NumReturnSequences: 1, MaxMatchingNgramSize: 2,
		NumBeams: 1, LengthPenalty: 1,
		RepetitionPenalty: 1, EncoderRepetitionPenalty: 1,
		DRYBase: 1.75, DRYAllowedLength: 2, DRYPenaltyLastN: -1,
		ExponentialDecayLengthPenalty: ExponentialDecay{Factor: 1},
		XTCThreshold:                  0.1,
		ForcedBOSTokenID:              -1, BOSTokenID: -1, PadTokenID: -1,
	}
}

// Sampling reports whether tokens are drawn at random: do_sample with a
// temperature above 0.
func (p *Params) Sampling() bool { return p.DoSample && p.Temperature > 0 }

// ends returns the ids that end a sequence.
func (p *Params) ends() []int32 {
	return append(p.EOSTokenID[:len(p.EOSTokenID):len(p.EOSTokenID)], p.StopTokenIDs...)
}

// MaxLen returns the greatest length of a sequence, prompt included: what
// max_new_tokens allows, else max_length, but at most contextLen, the model's
// own limit (0: none). A prompt that leaves no room is an error.
func (p *Params) MaxLen(promptLen, contextLen int) (int, error) {
	maxLen := math.MaxInt
	switch {
	case p.MaxNewTokens > 0:
		maxLen = promptLen + p.MaxNewTokens
	case p.MaxLength > 0:
		maxLen = p.MaxLength
		if promptLen >= maxLen {
			return 0, fmt.Errorf("the prompt has %d tokens, but max_length, which counts them, is %d", promptLen, maxLen)
		}
	case contextLen <= 0:
		return 0, fmt.Errorf("the model has no greatest length: give max_new_tokens or max_length")
	}
	if contextLen > 0 && promptLen >= contextLen {
		return 0, fmt.Errorf("the prompt has %d tokens, but the model's context ends at %d", promptLen, contextLen)
	}
	if contextLen > 0 {
		maxLen = min(maxLen, contextLen)
	}
	return maxLen, nil
}

// Validate returns an error that names the first value out of its range.
func (p *Params) Validate() error {
	for _, check := range []func() error{p.checkLengths, p.checkSampling, p.checkPenalties, p.checkConstraints, p.checkModes} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// rangeError returns nil if ok, else an error that says what was wanted.
func rangeError(ok bool, key string, found any, wanted string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%s is %v, wanted %s", key, found, wanted)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Params) checkLengths() error {
	return firstError(
		rangeError(p.MaxLength >= 0, "max_length", p.MaxLength, "1 or more"),
		rangeError(p.MaxNewTokens >= 0 && p.MaxNewTokens <= math.MaxInt32, "max_new_tokens", p.MaxNewTokens, "1 to 2147483647"),
		rangeError(p.MinLength >= 0, "min_length", p.MinLength, "0 or more"),
		rangeError(p.MinNewTokens >= 0 && p.MinNewTokens <= math.MaxInt32, "min_new_tokens", p.MinNewTokens, "0 to 2147483647"),
	)
}

// minTemperature keeps the divided logits finite.
const minTemperature = 1e-20

func (p *Params) checkSampling() error {
	return firstError(
		rangeError(p.Temperature == 0 || within(p.Temperature, minTemperature, math.MaxFloat32), "temperature", p.Temperature, "0 (greedy), or 1e-20 or more"),
		rangeError(p.TopK >= 0, "top_k", p.TopK, "0 (off) or more"),
		rangeError(p.TopP > 0 && p.TopP <= 1, "top_p", p.TopP, "more than 0, up to 1"),
		rangeError(within(p.MinP, 0, 1), "min_p", p.MinP, "0 to 1"),
		rangeError(p.TypicalP > 0 && p.TypicalP <= 1, "typical_p", p.TypicalP, "more than 0, up to 1"),
		rangeError(p.EpsilonCutoff >= 0 && p.EpsilonCutoff < 1, "epsilon_cutoff", p.EpsilonCutoff, "0 (off) to less than 1"),
		rangeError(p.EtaCutoff >= 0 && p.EtaCutoff < 1, "eta_cutoff", p.EtaCutoff, "0 (off) to less than 1"),
		rangeError(within(p.XTCProbability, 0, 1), "xtc_probability", p.XTCProbability, "0 to 1"),
		rangeError(within(p.XTCThreshold, 0, 1), "xtc_threshold", p.XTCThreshold, "0 to 1"),
		rangeError(p.PromptLookupNumTokens >= 0, "prompt_lookup_num_tokens", p.PromptLookupNumTokens, "0 (off) or more"),
		rangeError(p.MaxMatchingNgramSize >= 1, "max_matching_ngram_size", p.MaxMatchingNgramSize, "1 or more"),
		rangeError(p.TopLogprobs >= 0, "top_logprobs", p.TopLogprobs, "0 or more"),
	)
}

// within is false for NaN.
func within(x, low, high float64) bool { return x >= low && x <= high }

func finite(x float64) bool { return within(x, -math.MaxFloat32, math.MaxFloat32) }

func positive(x float64) bool { return x > 0 && x <= math.MaxFloat32 }

func (p *Params) checkPenalties() error {
	decay := p.ExponentialDecayLengthPenalty
	return firstError(
		rangeError(positive(p.RepetitionPenalty), "repetition_penalty", p.RepetitionPenalty, "more than 0 (1: off)"),
		rangeError(positive(p.EncoderRepetitionPenalty), "encoder_repetition_penalty", p.EncoderRepetitionPenalty, "more than 0 (1: off)"),
		rangeError(finite(p.PresencePenalty), "presence_penalty", p.PresencePenalty, "a finite number"),
		rangeError(finite(p.FrequencyPenalty), "frequency_penalty", p.FrequencyPenalty, "a finite number"),
		rangeError(within(p.DRYMultiplier, 0, math.MaxFloat32), "dry_multiplier", p.DRYMultiplier, "0 (off) or more"),
		rangeError(positive(p.DRYBase), "dry_base", p.DRYBase, "more than 0"),
		rangeError(p.DRYAllowedLength >= 1, "dry_allowed_length", p.DRYAllowedLength, "1 or more"),
		rangeError(p.DRYPenaltyLastN >= -1, "dry_penalty_last_n", p.DRYPenaltyLastN, "-1 (all) or more"),
		rangeError(decay.Start >= 0 && positive(decay.Factor), "exponential_decay_length_penalty", decay, "a start of 0 or more and a factor of more than 0"),
		rangeError(p.NoRepeatNgramSize >= 0, "no_repeat_ngram_size", p.NoRepeatNgramSize, "0 (off) or more"),
		rangeError(p.EncoderNoRepeatNgramSize >= 0, "encoder_no_repeat_ngram_size", p.EncoderNoRepeatNgramSize, "0 (off) or more"),
		rangeError(finite(p.LengthPenalty), "length_penalty", p.LengthPenalty, "a finite number"),
	)
}

func (p *Params) checkConstraints() error {
	for _, w := range p.BadWordsIDs {
		if err := rangeError(validIDs(w), "bad_words_ids", w, "at least one id, each 0 or more"); err != nil {
			return err
		}
	}
	for _, b := range p.SequenceBias {
		if err := rangeError(validIDs(b.IDs) && finite(b.Bias), "sequence_bias", b, "at least one id, each 0 or more, and a finite number"); err != nil {
			return err
		}
	}
	for _, b := range p.LogitBias {
		if err := rangeError(b.ID >= 0 && finite(b.Bias), "logit_bias", b, "an id of 0 or more and a finite number"); err != nil {
			return err
		}
	}
	for _, s := range p.StopStrings {
		if s == "" {
			return fmt.Errorf("stop_strings holds an empty string, which would stop everything")
		}
	}
	return nil
}

func validIDs(ids []int32) bool {
	for _, id := range ids {
		if id < 0 {
			return false
		}
	}
	return len(ids) > 0
}

// checkModes checks what goes together.
func (p *Params) checkModes() error {
	const most = 4096
	err := firstError(
		rangeError(p.NumBeams >= 1 && p.NumBeams <= most, "num_beams", p.NumBeams, "1 (no beam search) to 4096"),
		rangeError(p.NumReturnSequences >= 1 && p.NumReturnSequences <= most, "num_return_sequences", p.NumReturnSequences, "1 to 4096"))
	if err != nil {
		return err
	}
	if p.NumBeams == 1 {
		if p.NumReturnSequences > 1 && !p.Sampling() {
			return fmt.Errorf("num_return_sequences is %d, wanted 1 for greedy decoding: it gives one sequence (ask for sampling or beams)", p.NumReturnSequences)
		}
		return nil
	}
	switch {
	case p.NumReturnSequences > p.NumBeams:
		return fmt.Errorf("num_return_sequences is %d, wanted at most num_beams, which is %d", p.NumReturnSequences, p.NumBeams)
	case p.Sampling():
		return fmt.Errorf("num_beams is %d with do_sample: sampling from beams is not implemented (do_sample=false gives beam search)", p.NumBeams)
	case len(p.StopStrings) > 0:
		return fmt.Errorf("num_beams is %d with stop_strings: beam search knows end tokens and stop ids only", p.NumBeams)
	case p.PromptLookupNumTokens > 0:
		return fmt.Errorf("num_beams is %d with prompt_lookup_num_tokens: prompt lookup is for one beam", p.NumBeams)
	case p.Logprobs || p.TopLogprobs > 0:
		return fmt.Errorf("num_beams is %d with logprobs: beam search reports scores of whole sequences", p.NumBeams)
	}
	return nil
}

// CheckVocab returns an error that names the first id which the vocabulary does
// not have, and its key.
func (p *Params) CheckVocab(vocab int) error {
	if vocab >= maxVocab {
		return fmt.Errorf("the vocabulary has %d tokens, wanted less than %d", vocab, maxVocab)
	}
	check := func(key string, ids ...int32) error {
		for _, id := range ids {
			if id < 0 || int(id) >= vocab {
				return fmt.Errorf("%s: id %d is not in the vocabulary of %d, wanted 0 to %d", key, id, vocab, vocab-1)
			}
		}
		return nil
	}
	err := check("forced_eos_token_id", p.ForcedEOSTokenID...)
	if p.ForcedBOSTokenID != -1 {
		err = firstError(err, check("forced_bos_token_id", p.ForcedBOSTokenID))
	}
	for _, l := range p.passive() {
		err = firstError(err, check(l.key, *l.ids...))
	}
	for _, w := range p.BadWordsIDs {
		err = firstError(err, check("bad_words_ids", w...))
	}
	for _, b := range p.SequenceBias {
		err = firstError(err, check("sequence_bias", b.IDs...))
	}
	for _, b := range p.LogitBias {
		err = firstError(err, check("logit_bias", b.ID))
	}
	return err
}

// idList is a list of ids and its key.
type idList struct {
	key string
	ids *[]int32
}

// passive are the lists in which an id that never occurs changes nothing.
func (p *Params) passive() []idList {
	return []idList{
		{"eos_token_id", &p.EOSTokenID}, {"stop_token_ids", &p.StopTokenIDs},
		{"suppress_tokens", &p.SuppressTokens}, {"begin_suppress_tokens", &p.BeginSuppressTokens},
		{"dry_sequence_breaker_ids", &p.DRYSequenceBreakerIDs},
	}
}

// FitVocab removes the ids that the vocabulary does not have from the lists in
// which they change nothing: files of models that were cut down name end tokens
// of the whole one. It is meant for a file's parameters, before those of a
// request are laid over them.
func (p *Params) FitVocab(vocab int) {
	for _, l := range p.passive() {
		*l.ids = slices.DeleteFunc(slices.Clone(*l.ids), func(id int32) bool { return id < 0 || int(id) >= vocab })
	}
}
