package engine

import (
	"math"
	"math/bits"
	"reflect"
	"strings"
	"testing"
)

const fullConfig = `{
 "max_length": 50, "max_new_tokens": 7, "min_length": 3, "min_new_tokens": 2,
 "eos_token_id": [2, 3], "stop_token_ids": 9, "stop_strings": ["完", "\n\n"],
 "do_sample": true, "seed": 18446744073709551615, "temperature": 1, "top_k": 40.0, "top_p": 0.9, "min_p": 0.05, "typical_p": 0.95,
 "epsilon_cutoff": 0.001, "eta_cutoff": 0.002, "xtc_probability": 0.5, "xtc_threshold": 0.2,
 "num_return_sequences": 2, "renormalize_logits": true, "prompt_lookup_num_tokens": 10, "max_matching_ngram_size": 3,
 "num_beams": 1, "early_stopping": "never", "length_penalty": -1.5,
 "repetition_penalty": 1.1, "encoder_repetition_penalty": 0.9, "presence_penalty": 0.5, "frequency_penalty": -0.5,
 "dry_multiplier": 0.8, "dry_base": 1.5, "dry_allowed_length": 3, "dry_penalty_last_n": 64, "dry_sequence_breaker_ids": [13],
 "exponential_decay_length_penalty": [5, 1.25], "no_repeat_ngram_size": 3, "encoder_no_repeat_ngram_size": 4,
 "bad_words_ids": [[1], [2, 3]], "sequence_bias": [[[5, 6], -3.5], [[7], 2]], "logit_bias": {"12": -100, "3": 1.5},
 "suppress_tokens": [4], "begin_suppress_tokens": [220], "forced_bos_token_id": 1, "forced_eos_token_id": 2,
 "remove_invalid_values": false, "bos_token_id": 1, "pad_token_id": 0, "logprobs": true, "top_logprobs": 5,
 "transformers_version": "4.54.0", "_from_model_config": true, "use_cache": false, "cache_implementation": "hybrid",
 "num_beam_groups": 1, "diversity_penalty": 0.0, "guidance_scale": null, "max_time": null, "house_key": {"a": 1}}`

func fullParams() Params {
	return Params{
		MaxLength: 50, MaxNewTokens: 7, MinLength: 3, MinNewTokens: 2,
		EOSTokenID: []int32{2, 3}, StopTokenIDs: []int32{9}, StopStrings: []string{"完", "\n\n"},
		DoSample: true, Seed: math.MaxUint64, Temperature: 1, TopK: 40, TopP: 0.9, MinP: 0.05, TypicalP: 0.95,
		EpsilonCutoff: 0.001, EtaCutoff: 0.002, XTCProbability: 0.5, XTCThreshold: 0.2,
		NumReturnSequences: 2, RenormalizeLogits: true, PromptLookupNumTokens: 10, MaxMatchingNgramSize: 3,
		NumBeams: 1, EarlyStopping: EarlyNever, LengthPenalty: -1.5,
		RepetitionPenalty: 1.1, EncoderRepetitionPenalty: 0.9, PresencePenalty: 0.5, FrequencyPenalty: -0.5,
		DRYMultiplier: 0.8, DRYBase: 1.5, DRYAllowedLength: 3, DRYPenaltyLastN: 64, DRYSequenceBreakerIDs: []int32{13},
		ExponentialDecayLengthPenalty: ExponentialDecay{5, 1.25}, NoRepeatNgramSize: 3, EncoderNoRepeatNgramSize: 4,
		BadWordsIDs: [][]int32{{1}, {2, 3}}, SequenceBias: []SequenceBias{{[]int32{5, 6}, -3.5}, {[]int32{7}, 2}},
		LogitBias: []LogitBias{{3, 1.5}, {12, -100}}, SuppressTokens: []int32{4}, BeginSuppressTokens: []int32{220},
		ForcedBOSTokenID: 1, ForcedEOSTokenID: []int32{2}, BOSTokenID: 1, PadTokenID: 0, Logprobs: true, TopLogprobs: 5,
		Unknown: []string{"house_key"},
	}
}

func TestParseGenerationConfig(t *testing.T) {
	got, err := ParseGenerationConfig([]byte(fullConfig), "generation_config.json")
	if err != nil {
		t.Fatal(err)
	}
	want := fullParams()
	want.given = 1<<len(paramKeys) - 1
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if bits.OnesCount64(got.given) != len(paramKeys) || len(paramKeys) > 64 {
		t.Error("given does not hold every key")
	}
	empty, err := ParseGenerationConfig([]byte(`{"top_p": null, "eos_token_id": null, "temperature": null}`), "f")
	if err != nil || !reflect.DeepEqual(empty, DefaultParams()) {
		t.Errorf("nulls give %+v, %v", empty, err)
	}
	if none, err := ParseGenerationConfig([]byte(`{"top_k": null}`), "f"); err != nil || none.TopK != 0 {
		t.Errorf("top_k null gives %d, %v", none.TopK, err)
	}
}

// The same values as flags.
func TestSet(t *testing.T) {
	p := DefaultParams()
	for _, flag := range []string{
		"max-length=50", "max_new_tokens=7", "min-length=3", "min-new-tokens=2", "eos-token-id=2,3", "stop-token-ids=9",
		`stop-strings=["完","\n\n"]`, "do-sample=true", "seed=18446744073709551615", "temperature=1.0", "top-k=40", "top-p=.9", "min-p=5e-2",
		"typical-p=0.95", "epsilon-cutoff=0.001", "eta-cutoff=0.002", "xtc-probability=0.5", "xtc-threshold=0.2", "num-return-sequences=2",
		"renormalize-logits=true", "prompt-lookup-num-tokens=10", "max-matching-ngram-size=3", "num-beams=1", "early-stopping=never",
		"length-penalty=-1.5", "repetition-penalty=1.1", "encoder-repetition-penalty=0.9", "presence-penalty=0.5", "frequency-penalty=-.5",
		"dry-multiplier=0.8", "dry-base=1.5", "dry-allowed-length=3", "dry-penalty-last-n=64", "dry-sequence-breaker-ids=13",
		"exponential-decay-length-penalty=5,1.25", "no-repeat-ngram-size=3", "encoder-no-repeat-ngram-size=4", "bad-words-ids=1;2,3",
		"sequence-bias=5,6=-3.5;7=2", "logit-bias=12=-100,3=1.5", "suppress-tokens=4", "begin-suppress-tokens=220", "forced-bos-token-id=1",
		"forced-eos-token-id=2", "remove-invalid-values=false", "bos-token-id=1", "pad-token-id=0", "logprobs=true", "top-logprobs=5",
	} {
		key, text, _ := strings.Cut(flag, "=")
		if err := p.Set(key, text); err != nil {
			t.Error(err)
		}
	}
	want := fullParams()
	want.given, want.Unknown = 1<<len(paramKeys)-1, nil
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
	for flag, check := range map[string]func(p *Params) bool{
		"stop-strings=用户：,END":       func(p *Params) bool { return reflect.DeepEqual(p.StopStrings, []string{"用户：", "END"}) },
		"stop-strings= a, b ":        func(p *Params) bool { return reflect.DeepEqual(p.StopStrings, []string{" a", " b "}) },
		"stop-strings= [\" c\"] ":    func(p *Params) bool { return reflect.DeepEqual(p.StopStrings, []string{" c"}) },
		"stop-strings=[INST]":        func(p *Params) bool { return reflect.DeepEqual(p.StopStrings, []string{"[INST]"}) },
		"bad-words-ids=[[1],[2, 3]]": func(p *Params) bool { return reflect.DeepEqual(p.BadWordsIDs, [][]int32{{1}, {2, 3}}) },
		`logit-bias={"3": 1}`:        func(p *Params) bool { return reflect.DeepEqual(p.LogitBias, []LogitBias{{3, 1}}) },
		"suppress-tokens= 1, 2 ":     func(p *Params) bool { return reflect.DeepEqual(p.SuppressTokens, []int32{1, 2}) },
		"sequence-bias= 1, 2 = 3.5 ": func(p *Params) bool { return reflect.DeepEqual(p.SequenceBias, []SequenceBias{{[]int32{1, 2}, 3.5}}) },
		"early-stopping=false":       func(p *Params) bool { return p.EarlyStopping == EarlyHeuristic },
	} {
		var p Params
		key, text, _ := strings.Cut(flag, "=")
		if err := p.Set(key, text); err != nil || !check(&p) {
			t.Errorf("%s: %+v, %v", flag, p, err)
		}
	}
}

// Set takes what Text gives.
func TestText(t *testing.T) {
	for _, want := range []Params{fullParams(), DefaultParams()} {
		want.Unknown = nil
		got := Params{}
		for _, key := range Keys() {
			text, ok := want.Text(key.Name)
			if !ok {
				t.Errorf("no text for %s", key.Name)
			}
			// What is not set is none: 0 is out of some ranges.
			if err := got.Set(key.Name, text); err != nil && key.Name != "max_length" && key.Name != "max_new_tokens" {
				t.Errorf("%s=%s: %v", key.Name, text, err)
			}
			if again, _ := got.Text(key.Name); again != text {
				t.Errorf("%s=%s becomes %s", key.Name, text, again)
			}
		}
	}
	p := DefaultParams()
	if _, ok := p.Text("no_such_key"); ok {
		t.Error("a key that is none has a text")
	}
}

func TestSetErrors(t *testing.T) {
	for flag, want := range map[string]string{
		"temperature=warm":                   `temperature is "warm", wanted a number`,
		"temperature=NaN":                    `temperature is "NaN", wanted a number`,
		"temperature=":                       `temperature is "", wanted a number`,
		"top-k=1.5":                          "top_k is 1.5, wanted a whole number",
		"top-k=99999999999":                  "top_k is 99999999999, wanted a whole number",
		"do-sample=yes":                      `do_sample is "yes", wanted true or false`,
		"do-sample=null":                     `do_sample is null, wanted true or false`,
		"seed=-1":                            "seed is -1, wanted a whole number from 0",
		"eos-token-id=a":                     "wanted an id or a list of ids",
		"eos-token-id=[null]":                "wanted an id or a list of ids",
		"bad-words-ids=[1,2]":                "wanted a list of lists of ids",
		"logit-bias=5":                       "wanted an object of ids and numbers",
		"logit-bias=x=5":                     "wanted an object of ids and numbers",
		"sequence-bias=5":                    "wanted a list of pairs of ids and a number",
		"early-stopping=maybe":               `wanted true, false or "never"`,
		"max-new-tokens=0":                   "max_new_tokens is 0, wanted 1 or more",
		"max-length=-5":                      "max_length is -5, wanted 1 or more",
		"heat=1":                             "heat is not a parameter of generation",
		"exponential-decay-length-penalty=5": "wanted a start and a factor",
	} {
		p := DefaultParams()
		key, text, _ := strings.Cut(flag, "=")
		if err := p.Set(key, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flag, err, want)
		}
	}
}

func TestGenerationConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		`[1]`:                     "f.json: not a JSON object",
		`{"top_k": }`:             "f.json: not a JSON object",
		`{"temperature": "0.7"}`:  `f.json: temperature is "0.7", wanted a number`,
		`{"temperature": -1}`:     "f.json: temperature is -1, wanted 0 (greedy)",
		`{"penalty_alpha": 0.6}`:  "f.json: penalty_alpha 0.6 is not implemented",
		`{"guidance_scale": 3.5}`: "f.json: guidance_scale 3.5 is not implemented",
		`{"num_beam_groups": 2}`:  "f.json: num_beam_groups 2 is not implemented",
		`{"watermarking_config": {"greenlist_ratio": 0.25}}`: "f.json: watermarking_config",
		`{"dola_layers": "high"}`:                            "f.json: dola_layers",
		`{"force_words_ids": [[1]]}`:                         "f.json: force_words_ids",
		`{"num_beams": 2, "do_sample": true}`:                "sampling from beams is not implemented",
		`{"early_stopping": 1}`:                              `f.json: early_stopping is 1, wanted true, false or "never"`,
		`{"bad_words_ids": [[1], []]}`:                       "f.json: bad_words_ids is [], wanted at least one id",
	} {
		if _, err := ParseGenerationConfig([]byte(text), "f.json"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	nan := math.NaN()
	for want, set := range map[string]func(p *Params){
		"temperature is -0.1, wanted 0":                  func(p *Params) { p.Temperature = -0.1 },
		"temperature is NaN":                             func(p *Params) { p.Temperature = nan },
		"temperature is 1e-50, wanted 0 (greedy), or":    func(p *Params) { p.Temperature = 1e-50 },
		"top_k is -1, wanted 0 (off) or more":            func(p *Params) { p.TopK = -1 },
		"top_p is 0, wanted more than 0, up to 1":        func(p *Params) { p.TopP = 0 },
		"top_p is 1.01":                                  func(p *Params) { p.TopP = 1.01 },
		"top_p is NaN":                                   func(p *Params) { p.TopP = nan },
		"min_p is 1.5, wanted 0 to 1":                    func(p *Params) { p.MinP = 1.5 },
		"typical_p is 0":                                 func(p *Params) { p.TypicalP = 0 },
		"epsilon_cutoff is 1":                            func(p *Params) { p.EpsilonCutoff = 1 },
		"eta_cutoff is -1":                               func(p *Params) { p.EtaCutoff = -1 },
		"xtc_probability is 2":                           func(p *Params) { p.XTCProbability = 2 },
		"xtc_threshold is -1":                            func(p *Params) { p.XTCThreshold = -1 },
		"repetition_penalty is 0, wanted more than 0":    func(p *Params) { p.RepetitionPenalty = 0 },
		"encoder_repetition_penalty is -1":               func(p *Params) { p.EncoderRepetitionPenalty = -1 },
		"presence_penalty is +Inf":                       func(p *Params) { p.PresencePenalty = math.Inf(1) },
		"frequency_penalty is NaN":                       func(p *Params) { p.FrequencyPenalty = nan },
		"dry_multiplier is -1":                           func(p *Params) { p.DRYMultiplier = -1 },
		"dry_base is 0":                                  func(p *Params) { p.DRYBase = 0 },
		"dry_allowed_length is 0":                        func(p *Params) { p.DRYAllowedLength = 0 },
		"dry_penalty_last_n is -2":                       func(p *Params) { p.DRYPenaltyLastN = -2 },
		"exponential_decay_length_penalty is {-1 1}":     func(p *Params) { p.ExponentialDecayLengthPenalty.Start = -1 },
		"no_repeat_ngram_size is -1":                     func(p *Params) { p.NoRepeatNgramSize = -1 },
		"encoder_no_repeat_ngram_size is -1":             func(p *Params) { p.EncoderNoRepeatNgramSize = -1 },
		"length_penalty is NaN":                          func(p *Params) { p.LengthPenalty = nan },
		"max_length is -1":                               func(p *Params) { p.MaxLength = -1 },
		"max_new_tokens is -1":                           func(p *Params) { p.MaxNewTokens = -1 },
		"min_length is -1":                               func(p *Params) { p.MinLength = -1 },
		"min_new_tokens is -1":                           func(p *Params) { p.MinNewTokens = -1 },
		"prompt_lookup_num_tokens is -1":                 func(p *Params) { p.PromptLookupNumTokens = -1 },
		"max_matching_ngram_size is 0":                   func(p *Params) { p.MaxMatchingNgramSize = 0 },
		"top_logprobs is -1":                             func(p *Params) { p.TopLogprobs = -1 },
		"bad_words_ids is [-1]":                          func(p *Params) { p.BadWordsIDs = [][]int32{{1}, {-1}} },
		"sequence_bias is {[] 1}":                        func(p *Params) { p.SequenceBias = []SequenceBias{{nil, 1}} },
		"logit_bias is {-1 1}":                           func(p *Params) { p.LogitBias = []LogitBias{{-1, 1}} },
		"stop_strings holds an empty string":             func(p *Params) { p.StopStrings = []string{"a", ""} },
		"num_beams is 0, wanted 1":                       func(p *Params) { p.NumBeams = 0 },
		"num_return_sequences is 0, wanted 1":            func(p *Params) { p.NumReturnSequences = 0 },
		"num_return_sequences is 2, wanted 1 for greedy": func(p *Params) { p.NumReturnSequences = 2 },
		"num_return_sequences is 3, wanted at most num_beams, which is 2": func(p *Params) { p.NumBeams, p.NumReturnSequences = 2, 3 },
		"num_beams is 2 with do_sample":                                   func(p *Params) { p.NumBeams, p.DoSample = 2, true },
		"num_beams is 2 with stop_strings":                                func(p *Params) { p.NumBeams, p.StopStrings = 2, []string{"a"} },
		"num_beams is 2 with prompt_lookup":                               func(p *Params) { p.NumBeams, p.PromptLookupNumTokens = 2, 2 },
		"num_beams is 2 with logprobs":                                    func(p *Params) { p.NumBeams, p.Logprobs = 2, true },
	} {
		p := DefaultParams()
		set(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	p := DefaultParams()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	p.NumReturnSequences, p.DoSample = 4, true
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestCheckVocab(t *testing.T) {
	for want, set := range map[string]func(p *Params){
		"": func(p *Params) { p.EOSTokenID, p.SuppressTokens = []int32{9}, []int32{0} },
		"eos_token_id: id 10 is not in the vocabulary of 10, wanted 0 to 9": func(p *Params) { p.EOSTokenID = []int32{1, 10} },
		"eos_token_id: id -1 is not":                                        func(p *Params) { p.EOSTokenID = []int32{-1} },
		"stop_token_ids: id 99 is not":                                      func(p *Params) { p.StopTokenIDs = []int32{99} },
		"suppress_tokens: id 10 is not":                                     func(p *Params) { p.SuppressTokens = []int32{10} },
		"begin_suppress_tokens: id 10 is not":                               func(p *Params) { p.BeginSuppressTokens = []int32{10} },
		"dry_sequence_breaker_ids: id 10 is not":                            func(p *Params) { p.DRYSequenceBreakerIDs = []int32{10} },
		"forced_bos_token_id: id 10 is not":                                 func(p *Params) { p.ForcedBOSTokenID = 10 },
		"forced_eos_token_id: id 10 is not":                                 func(p *Params) { p.ForcedEOSTokenID = []int32{1, 10} },
		"bad_words_ids: id 10 is not":                                       func(p *Params) { p.BadWordsIDs = [][]int32{{1, 10}} },
		"sequence_bias: id 10 is not":                                       func(p *Params) { p.SequenceBias = []SequenceBias{{[]int32{10}, 1}} },
		"logit_bias: id 10 is not in the vocabulary of 10":                  func(p *Params) { p.LogitBias = []LogitBias{{10, 1}} },
	} {
		p := DefaultParams()
		set(&p)
		err := p.CheckVocab(10)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	p := DefaultParams()
	p.EOSTokenID, p.SuppressTokens = []int32{99, 2, -1}, []int32{10}
	p.FitVocab(10)
	if err := p.CheckVocab(10); err != nil || len(p.EOSTokenID) != 1 || p.EOSTokenID[0] != 2 {
		t.Errorf("a file's ids: %v, %v", p.EOSTokenID, err)
	}
	if p.CheckVocab(maxVocab+1) == nil {
		t.Error("a vocabulary whose masses could overflow")
	}
}

func TestMaxLen(t *testing.T) {
	for _, c := range []struct {
		maxLength, maxNew, prompt, context int
		want                               int
		err                                string
	}{
		{0, 5, 7, 100, 12, ""},
		{50, 0, 7, 100, 50, ""},
		{50, 5, 7, 100, 12, ""}, // max_new_tokens counts, as in transformers
		{0, 0, 7, 100, 100, ""}, // no 20
		{0, 500, 7, 100, 100, ""},
		{500, 0, 7, 0, 500, ""},
		{0, 0, 7, 0, 0, "give max_new_tokens or max_length"},
		{7, 0, 7, 100, 0, "the prompt has 7 tokens, but max_length, which counts them, is 7"},
		{0, 5, 100, 100, 0, "the prompt has 100 tokens, but the model's context ends at 100"},
	} {
		p := DefaultParams()
		p.MaxLength, p.MaxNewTokens = c.maxLength, c.maxNew
		got, err := p.MaxLen(c.prompt, c.context)
		if got != c.want || (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %d, %v", c, got, err)
		}
	}
}

func flags(t *testing.T, sets ...string) Params {
	t.Helper()
	p := DefaultParams()
	for _, s := range sets {
		key, text, _ := strings.Cut(s, "=")
		if err := p.Set(key, text); err != nil {
			t.Fatal(err)
		}
	}
	p.ImplySampling()
	return p
}

func TestFlagsOverFile(t *testing.T) {
	file, err := ParseGenerationConfig([]byte(`{"temperature": 0.6, "top_k": 20, "eos_token_id": 5, "do_sample": true, "max_new_tokens": 9, "min_new_tokens": 3}`), "f")
	if err != nil {
		t.Fatal(err)
	}
	p := file.With(flags(t, "top-k=50", "eos-token-id=1,2"))
	if p.TopK != 50 || p.Temperature != 0.6 || !p.DoSample || len(p.EOSTokenID) != 2 || file.TopK != 20 || p.MaxNewTokens != 9 {
		t.Errorf("%+v", p)
	}
	if p = file.With(flags(t, "temperature=0")); p.Sampling() || p.TopK != 20 {
		t.Errorf("temperature 0 samples: %+v", p)
	}
	if p = file.With(flags(t, "do-sample=false", "top-p=0.5")); p.DoSample {
		t.Error("do_sample=false samples")
	}
	if p = file.With(Params{}); !reflect.DeepEqual(p, file) {
		t.Error("no flags change something")
	}
}

// In transformers a max_new_tokens of the file wins over a max_length of the
// call, and min_new_tokens over min_length.
func TestDifferenceMaxLengthFlagOverFile(t *testing.T) {
	file, err := ParseGenerationConfig([]byte(`{"max_new_tokens": 9, "min_new_tokens": 3}`), "f")
	if err != nil {
		t.Fatal(err)
	}
	if p := file.With(flags(t, "max-length=50", "min-length=1")); p.MaxNewTokens != 0 || p.MaxLength != 50 || p.MinNewTokens != 0 {
		t.Errorf("%+v", p)
	}
}

// Greedy unless asked for: a flag that only sampling knows asks for it.
func TestImplySampling(t *testing.T) {
	for set, want := range map[string]bool{
		"": false, "temperature=0.7": true, "temperature=0": false, "top-k=5": true, "top-p=0.9": true, "min-p=0.1": true,
		"typical-p=0.9": true, "seed=0": true, "repetition-penalty=1.2": false, "xtc-probability=0.5": false, "max-length=5": false,
	} {
		var sets []string
		if set != "" {
			sets = append(sets, set)
		}
		base := DefaultParams()
		if got := base.With(flags(t, sets...)); got.DoSample != want {
			t.Errorf("%s: do_sample %v", set, got.DoSample)
		}
		if got := base.With(flags(t, append(sets, "do-sample=false")...)); got.DoSample {
			t.Errorf("%s with do_sample=false samples", set)
		}
	}
}

func FuzzGenerationConfig(f *testing.F) {
	f.Add([]byte(fullConfig))
	f.Add([]byte(`{"eos_token_id": [null, []], "bad_words_ids": [null], "sequence_bias": [[]], "logit_bias": {"": 1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseGenerationConfig(data, "f")
		if err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		p.processors(3, 100, nil)
	})
}

func FuzzSet(f *testing.F) {
	for _, key := range Keys() {
		f.Add(key.Name, "1,2=3;4")
	}
	f.Fuzz(func(t *testing.T, key, text string) {
		p := DefaultParams()
		if p.Set(key, text) == nil && p.Validate() == nil {
			p.processors(3, 100, nil)
		}
	})
}

// TestForeignKeys: keys of transformers without effect are taken, those that would
// have one are refused.
func TestForeignKeys(t *testing.T) {
	for _, c := range []struct {
		key, text string
		ok        bool
	}{
		{"use_cache", "false", true}, {"num-beam-groups", "1", true}, {"num_beam_groups", "2", false}, {"max_time", "3", false},
		{"guidance_scale", "1.0", true}, {"cache_implementation", "dynamic", true}, {"no_such_key", "1", false},
	} {
		p := DefaultParams()
		if err := p.Set(c.key, c.text); (err == nil) != c.ok {
			t.Errorf("%s %s: %v", c.key, c.text, err)
		}
	}
	for _, key := range ForeignKeys() {
		if keyIndex(key.Name) >= 0 {
			t.Errorf("%s is a key of ours, too", key.Name)
		}
	}
}
