package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
)

// Key is a key of generation_config.json that Params have, and so a flag.
type Key struct {
	Name string // with underscores
	Help string // one line, lower case
	Bool bool   // may be given without a value, for true

	field func(p *Params) any
}

// paramKeys are the keys, in the order of help. Their index is their bit in
// Params.given.
var paramKeys = []Key{
	{"max_length", "greatest length in tokens, prompt included", false, func(p *Params) any { return &p.MaxLength }},
	{"max_new_tokens", "greatest number of new tokens", false, func(p *Params) any { return &p.MaxNewTokens }},
	{"min_length", "length in tokens, prompt included, before which nothing ends", false, func(p *Params) any { return &p.MinLength }},
	{"min_new_tokens", "number of new tokens before which nothing ends", false, func(p *Params) any { return &p.MinNewTokens }},
	{"eos_token_id", "ids that end the text", false, func(p *Params) any { return &p.EOSTokenID }},
	{"stop_token_ids", "further ids that end the text", false, func(p *Params) any { return &p.StopTokenIDs }},
	{"stop_strings", "strings that end the text", false, func(p *Params) any { return &p.StopStrings }},
	{"do_sample", "draw tokens at random instead of taking the most likely", true, func(p *Params) any { return &p.DoSample }},
	{"seed", "seed of the random numbers; the same seed gives the same text", false, func(p *Params) any { return &p.Seed }},
	{"temperature", "divides the logits; 0 is greedy", false, func(p *Params) any { return &p.Temperature }},
	{"top_k", "keep that many most likely tokens (0: all)", false, func(p *Params) any { return &p.TopK }},
	{"top_p", "keep the most likely tokens up to that probability", false, func(p *Params) any { return &p.TopP }},
	{"min_p", "keep tokens of at least that share of the greatest probability", false, func(p *Params) any { return &p.MinP }},
	{"typical_p", "keep the most typical tokens up to that probability", false, func(p *Params) any { return &p.TypicalP }},
	{"epsilon_cutoff", "keep tokens of at least that probability", false, func(p *Params) any { return &p.EpsilonCutoff }},
	{"eta_cutoff", "as epsilon_cutoff, lower where the entropy is high", false, func(p *Params) any { return &p.EtaCutoff }},
	{"xtc_probability", "how often XTC removes the most likely tokens", false, func(p *Params) any { return &p.XTCProbability }},
	{"xtc_threshold", "probability from which XTC removes tokens", false, func(p *Params) any { return &p.XTCThreshold }},
	{"num_return_sequences", "sequences for each prompt", false, func(p *Params) any { return &p.NumReturnSequences }},
	{"renormalize_logits", "make the processed logits log-probabilities", true, func(p *Params) any { return &p.RenormalizeLogits }},
	{"prompt_lookup_num_tokens", "length of drafts looked up in the text so far (0: off)", false, func(p *Params) any { return &p.PromptLookupNumTokens }},
	{"max_matching_ngram_size", "longest n-gram that prompt lookup looks for", false, func(p *Params) any { return &p.MaxMatchingNgramSize }},
	{"num_beams", "beams of beam search (1: none)", false, func(p *Params) any { return &p.NumBeams }},
	{"early_stopping", "when beam search stops: true, false or never", true, func(p *Params) any { return &p.EarlyStopping }},
	{"length_penalty", "exponent of the length that divides a beam's score", false, func(p *Params) any { return &p.LengthPenalty }},
	{"repetition_penalty", "divides the logits of tokens that occurred (1: off)", false, func(p *Params) any { return &p.RepetitionPenalty }},
	{"encoder_repetition_penalty", "multiplies the logits of the input's tokens (1: off)", false, func(p *Params) any { return &p.EncoderRepetitionPenalty }},
	{"presence_penalty", "subtracted from the logits of new tokens that occurred", false, func(p *Params) any { return &p.PresencePenalty }},
	{"frequency_penalty", "subtracted for each time that they occurred", false, func(p *Params) any { return &p.FrequencyPenalty }},
	{"dry_multiplier", "strength of the DRY penalty on going on with a repetition (0: off)", false, func(p *Params) any { return &p.DRYMultiplier }},
	{"dry_base", "growth of the DRY penalty with the repetition's length", false, func(p *Params) any { return &p.DRYBase }},
	{"dry_allowed_length", "shortest repetition that DRY penalises", false, func(p *Params) any { return &p.DRYAllowedLength }},
	{"dry_penalty_last_n", "tokens in which DRY looks for repetitions (-1: all)", false, func(p *Params) any { return &p.DRYPenaltyLastN }},
	{"dry_sequence_breaker_ids", "ids that no repetition goes across", false, func(p *Params) any { return &p.DRYSequenceBreakerIDs }},
	{"exponential_decay_length_penalty", "START,FACTOR: raises the end tokens after START new tokens", false, func(p *Params) any { return &p.ExponentialDecayLengthPenalty }},
	{"no_repeat_ngram_size", "no n-gram of that size occurs twice (0: off)", false, func(p *Params) any { return &p.NoRepeatNgramSize }},
	{"encoder_no_repeat_ngram_size", "no n-gram of that size of the input is repeated (0: off)", false, func(p *Params) any { return &p.EncoderNoRepeatNgramSize }},
	{"bad_words_ids", "sequences of ids that must not occur: 1,2;3", false, func(p *Params) any { return &p.BadWordsIDs }},
	{"sequence_bias", "added to the logits that complete sequences: 1,2=-3.5;3=2", false, func(p *Params) any { return &p.SequenceBias }},
	{"logit_bias", "added to the logits of ids: 1=-3.5,2=100", false, func(p *Params) any { return &p.LogitBias }},
	{"suppress_tokens", "ids that must not occur", false, func(p *Params) any { return &p.SuppressTokens }},
	{"begin_suppress_tokens", "ids that must not come first", false, func(p *Params) any { return &p.BeginSuppressTokens }},
	{"forced_bos_token_id", "id forced after a prompt of one token", false, func(p *Params) any { return &p.ForcedBOSTokenID }},
	{"forced_eos_token_id", "ids of which one is forced at the greatest length", false, func(p *Params) any { return &p.ForcedEOSTokenID }},
	{"remove_invalid_values", "make NaN and infinite logits finite after the constraints", true, func(p *Params) any { return &p.RemoveInvalidValues }},
	{"bos_token_id", "id of the beginning of a text", false, func(p *Params) any { return &p.BOSTokenID }},
	{"pad_token_id", "id of padding", false, func(p *Params) any { return &p.PadTokenID }},
	{"logprobs", "report the log-probabilities of the new tokens", true, func(p *Params) any { return &p.Logprobs }},
	{"top_logprobs", "report those of that many most likely tokens, too", false, func(p *Params) any { return &p.TopLogprobs }},
}

// harmless are the keys of transformers that change no number here: notes,
// what to return, caches, compilation, and assistants, of which there are none.
var harmless = []string{
	"_commit_hash", "_from_model_config", "_original_object_hash", "transformers_version",
	"output_attentions", "output_hidden_states", "output_logits", "output_scores", "return_dict_in_generate",
	"cache_config", "cache_implementation", "low_memory", "prefill_chunk_size", "return_legacy_cache", "use_cache",
	"compile_config", "disable_compile",
	"assistant_confidence_threshold", "assistant_early_exit", "assistant_lookbehind", "is_assistant",
	"num_assistant_tokens", "num_assistant_tokens_schedule", "target_lookbehind",
	"decoder_start_token_id",
}

// refused are the keys that change what is generated and are not implemented,
// each with the values (beside null) that change nothing.
var refused = map[string][]string{
	"constraints":         {"[]"},
	"diversity_penalty":   {"0", "0.0"},
	"dola_layers":         {},
	"force_words_ids":     {"[]"},
	"forced_decoder_ids":  {"[]"},
	"generation_kwargs":   {"{}"},
	"guidance_scale":      {"1", "1.0"},
	"max_time":            {},
	"num_beam_groups":     {"1"},
	"penalty_alpha":       {"0", "0.0"},
	"token_healing":       {"false"},
	"top_h":               {},
	"watermarking_config": {},
}

// Keys returns the keys that Set knows, in the order of help.
func Keys() []Key { return slices.Clone(paramKeys) }

// ForeignKeys returns the keys of transformers, sorted, that Set takes without
// effect: any value of those that change no number here, and of those that are not
// implemented the values that change nothing.
func ForeignKeys() []Key {
	var keys []Key
	for _, name := range slices.Sorted(slices.Values(slices.AppendSeq(slices.Clone(harmless), maps.Keys(refused)))) {
		if !strings.HasPrefix(name, "_") {
			keys = append(keys, Key{Name: name, Bool: slices.Contains(switches, name)})
		}
	}
	return keys
}

// switches are the foreign keys that are true or false.
var switches = []string{
	"disable_compile", "is_assistant", "low_memory", "output_attentions", "output_hidden_states", "output_logits", "output_scores",
	"return_dict_in_generate", "return_legacy_cache", "token_healing", "use_cache",
}

// checkForeign returns why a foreign key cannot have a value, as JSON; known is false
// for a key that transformers does not have either.
func checkForeign(key, value string) (known bool, err error) {
	neutral, isRefused := refused[key]
	if isRefused && value != "null" && !slices.Contains(neutral, value) {
		return true, fmt.Errorf("%s %s is not implemented", key, short([]byte(value)))
	}
	return isRefused || slices.Contains(harmless, key), nil
}

func keyIndex(name string) int {
	return slices.IndexFunc(paramKeys, func(k Key) bool { return k.Name == name })
}

// Given reports whether the key was set from a file or by Set.
func (p *Params) Given(name string) bool {
	i := keyIndex(name)
	return i >= 0 && p.given&(1<<i) != 0
}

// ParseGenerationConfig returns the parameters of a generation_config.json over
// DefaultParams. null leaves a default. Values of the wrong kind or out of
// range, and keys that change what is generated and are not implemented, are
// errors that name the file and the key. name is the file's, for errors.
func ParseGenerationConfig(data []byte, name string) (Params, error) {
	p := DefaultParams()
	var values map[string]json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil {
		return p, fmt.Errorf("%s: not a JSON object: %w", name, err)
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		if err := p.take(key, values[key]); err != nil {
			return p, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := p.Validate(); err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// take sets one key from a file.
func (p *Params) take(key string, value json.RawMessage) error {
	value = bytes.TrimSpace(value)
	isNull := string(value) == "null"
	i := keyIndex(key)
	switch {
	case key == "top_k" && isNull:
		return p.setJSON(i, json.RawMessage("0")) // none, where no key at all is 50
	case i >= 0 && isNull:
		return nil
	case i >= 0:
		return p.setJSON(i, value)
	}
	known, err := checkForeign(key, string(value))
	if !known {
		p.Unknown = append(p.Unknown, key)
	}
	return err
}

func (p *Params) setJSON(i int, value json.RawMessage) error {
	key := paramKeys[i]
	if wanted := decode(key.field(p), value); wanted != "" {
		return fmt.Errorf("%s is %s, wanted %s", key.Name, short(value), wanted)
	}
	if key.Name == "max_new_tokens" && p.MaxNewTokens < 1 || key.Name == "max_length" && p.MaxLength < 1 {
		return fmt.Errorf("%s is %s, wanted 1 or more", key.Name, short(value))
	}
	p.given |= 1 << i
	return nil
}

// short returns the beginning of a value, for errors.
func short(value []byte) string {
	const most = 60
	if len(value) > most {
		return strings.ToValidUTF8(string(value[:most]), "") + "…"
	}
	return string(value)
}

// Set sets a key from the text of a flag; dashes may stand for underscores.
// Lists are separated by commas, lists of lists by semicolons (1,2;3), biases
// follow an equals sign (1,2=-3.5;3=2); JSON is taken, too. Spaces around a
// value do not count, except those of strings. Ranges are Validate's business.
func (p *Params) Set(key, text string) error {
	name := strings.ReplaceAll(key, "-", "_")
	i := keyIndex(name)
	if i < 0 {
		known, err := checkForeign(name, strings.TrimSpace(text))
		if !known {
			err = fmt.Errorf("%s is not a parameter of generation", key)
		}
		return err
	}
	field := paramKeys[i].field(p)
	value := asJSON(field, strings.TrimSpace(text))
	if _, ok := field.(*[]string); ok && !json.Valid([]byte(text)) {
		value = asJSON(field, text) // spaces belong to strings
	}
	if !json.Valid(value) {
		value, _ = json.Marshal(text) // a string, which no number or list is
	}
	return p.setJSON(i, value)
}

// Text returns the value of a key as Set takes it, and whether there is such a
// key.
func (p *Params) Text(key string) (text string, ok bool) {
	i := keyIndex(key)
	if i < 0 {
		return "", false
	}
	return encode(paramKeys[i].field(p)), true
}

// With returns p with the keys that over was given, flags over a file, say. A
// max_length or min_length given there alone takes the place of a
// max_new_tokens or min_new_tokens here, which would else override it.
func (p Params) With(over Params) Params {
	if over.Given("max_length") && !over.Given("max_new_tokens") {
		p.MaxNewTokens = 0
	}
	if over.Given("min_length") && !over.Given("min_new_tokens") {
		p.MinNewTokens = 0
	}
	for i, key := range paramKeys {
		if over.given&(1<<i) != 0 {
			assign(key.field(&p), key.field(&over))
		}
	}
	p.given |= over.given
	return p
}

// ImplySampling makes do_sample true where flags ask for what only sampling
// does: a temperature above 0, top_k, top_p, min_p, typical_p or a seed, but
// not do_sample itself. It is meant for the flags before With.
func (p *Params) ImplySampling() {
	asked := p.Given("temperature") && p.Temperature > 0 || p.Given("top_k") || p.Given("top_p") ||
		p.Given("min_p") || p.Given("typical_p") || p.Given("seed")
	if asked && !p.Given("do_sample") {
		p.DoSample = true
		p.given |= 1 << keyIndex("do_sample")
	}
}
