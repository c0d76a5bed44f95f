package checkpoint

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// This file brings a config.json into the form that GGUF wants, family by
// family, and refuses what cannot be expressed.

var preparers = map[string]func(*ggufWriter) error{
	"gpt2":        prepareGPT2,
	"llama":       prepareLlama,
	"mistral":     prepareLlama,
	"mixtral":     prepareLlama,
	"qwen2":       prepareLlama,
	"qwen3":       prepareLlama,
	"qwen3_moe":   prepareLlama,
	"gemma":       prepareLlama,
	"gemma2":      prepareGemma2,
	"gemma3_text": prepareGemma3,
	"phi3":        preparePhi3,
	"gpt_neox":    prepareNeoX,
	"olmo2":       prepareLlama,
	"smollm3":     prepareSmolLM3,
	"bert":        prepareBERT,
	"bloom":       prepareBloom,
}

func (w *ggufWriter) number(key string) float64 { return number(w.config[key]) }

func prepareGPT2(w *ggufWriter) error {
	setDefault(w.config, "n_inner", 4*w.number("n_embd"))
	setDefault(w.config, "n_positions", w.config["n_ctx"])
	return nil
}

func prepareLlama(w *ggufWriter) error {
	if err := w.heads(); err != nil {
		return err
	}
	if f := w.config["partial_rotary_factor"]; f != nil && f != 1.0 {
		return fmt.Errorf("%s: partial_rotary_factor %v cannot be expressed in GGUF's %s", w.configFile, f, w.arch)
	}
	return w.scaling()
}

// heads fills in num_key_value_heads, head_dim and vocab_size.
func (w *ggufWriter) heads() error {
	setDefault(w.config, "num_key_value_heads", w.config["num_attention_heads"])
	heads := w.number("num_attention_heads")
	if heads < 1 {
		return fmt.Errorf("%s: num_attention_heads %v: at least one wanted", w.configFile, w.config["num_attention_heads"])
	}
	setDefault(w.config, "head_dim", math.Floor(w.number("hidden_size")/heads))
	return nil
}

// scaling turns rope_scaling into what the keys of GGUF say, or into tensors.
func (w *ggufWriter) scaling() error {
	given, _ := w.config["rope_scaling"].(map[string]any)
	delete(w.config, "rope_scaling")
	kind := given["rope_type"]
	if kind == nil {
		kind = given["type"]
	}
	fail := func() error {
		return fmt.Errorf("%s: rope_scaling %v cannot be expressed in GGUF's %s", w.configFile, given, w.arch)
	}
	switch kind {
	case nil, "default":
		return nil
	case "llama3":
		return w.freqs(llama3Factors(w.config, given), fail)
	case "factors":
		factors, err := numbersOf(given["factors"])
		if err != nil {
			return fmt.Errorf("%s: rope_scaling.factors: %w", w.configFile, err)
		}
		return w.freqs(factors, fail)
	case "linear":
		if !slices.Contains(w.metadata, scalingKeys[0]) {
			return fail()
		}
		w.config["rope_scaling"] = map[string]any{"rope_type": kind, "factor": given["factor"]}
		return nil
	case "yarn":
		if !slices.Contains(w.metadata, scalingKeys[2]) || given["mscale"] != nil || given["mscale_all_dim"] != nil {
			return fail()
		}
		out := map[string]any{"rope_type": kind}
		for _, key := range []string{"factor", "original_max_position_embeddings", "beta_fast", "beta_slow"} {
			out[key] = given[key]
		}
		setDefault(out, "original_max_position_embeddings", w.config["max_position_embeddings"])
		if x := given["attention_factor"]; x != nil { // see fillScaling
			out["attention_factor"] = number(x) / yarnAttention(number(given["factor"]))
		}
		w.config["rope_scaling"] = out
		return nil
	}
	return fail()
}

// freqs adds the tensor of factors that divide the rope frequencies.
func (w *ggufWriter) freqs(factors []float32, fail func() error) error {
	if _, ok := w.byGGUF()[tensorFreqs]; !ok {
		return fail()
	}
	w.sources = append(w.sources, Source{Name: tensorFreqs, Shape: []int{len(factors)}, data: factors})
	return nil
}

// llama3Factors returns what Llama 3.1 divides its rope frequencies by:
// long wavelengths by factor, short ones by 1, between them a blend
// (transformers, _compute_llama3_parameters).
func llama3Factors(config, scaling map[string]any) []float32 {
	theta, d := number(config["rope_theta"]), number(config["head_dim"])
	scaling = maps.Clone(scaling)
	setDefault(scaling, "low_freq_factor", 1.0)
	setDefault(scaling, "high_freq_factor", 4.0)
	setDefault(scaling, "original_max_position_embeddings", config["max_position_embeddings"])
	factor, low, high := number(scaling["factor"]), number(scaling["low_freq_factor"]), number(scaling["high_freq_factor"])
	original := number(scaling["original_max_position_embeddings"])
	factors := make([]float32, int(d)/2)
	for j := range factors {
		wavelength := 2 * math.Pi * math.Pow(theta, float64(2*j)/d)
		blend := (original/wavelength - low) / (high - low)
		switch {
		case wavelength > original/low:
			factors[j] = float32(factor)
		case wavelength < original/high:
			factors[j] = 1
		default:
			factors[j] = float32(1 / ((1-blend)/factor + blend))
		}
	}
	return factors
}

// numbersOf returns an array of numbers of a config.
func numbersOf(value any) ([]float32, error) {
	values, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("an array wanted, found %T", value)
	}
	numbers := make([]float32, len(values))
	for i, v := range values {
		x, ok := v.(float64)
		if !ok {
			return nil, fmt.Errorf("a number wanted, found %T %v", v, v)
		}
		numbers[i] = float32(x)
	}
	return numbers, nil
}

func prepareGemma2(w *ggufWriter) error {
	if err := prepareLlama(w); err != nil {
		return err
	}
	return w.checkScale(46)
}

// checkScale refuses another query_pre_attn_scalar than llama.cpp assumes.
func (w *ggufWriter) checkScale(layers27B float64) error {
	if want := gemmaScale(w.config, layers27B); w.number("query_pre_attn_scalar") != want {
		return fmt.Errorf("%s: query_pre_attn_scalar %v cannot be expressed in GGUF, where it is %v for this shape", w.configFile, w.config["query_pre_attn_scalar"], want)
	}
	return nil
}

func prepareGemma3(w *ggufWriter) error {
	if err := prepareLlama(w); err != nil {
		return err
	}
	if err := w.checkScale(62); err != nil {
		return err
	}
	period, err := w.slidingPeriod()
	if err != nil {
		return err
	}
	w.config["sliding_window_pattern"] = float64(period)
	return nil
}

// slidingPeriod returns p so that the layers p−1, 2p−1, … see everything and
// the others a window: sliding_window_pattern, or what layer_types amounts to.
func (w *ggufWriter) slidingPeriod() (int, error) {
	config := w.config
	types, ok := config["layer_types"].([]any)
	if !ok {
		setDefault(config, "sliding_window_pattern", 6.0)
		p, ok := whole(config["sliding_window_pattern"])
		if !ok || p < 1 {
			return 0, fmt.Errorf("%s: sliding_window_pattern %v: a whole number above 0 wanted", w.configFile, config["sliding_window_pattern"])
		}
		return p, nil
	}
	period := slices.Index(types, any("full_attention")) + 1
	if period == 0 {
		period = len(types) + 1
	}
	for i, kind := range types {
		if full := i%period == period-1; full != (kind == "full_attention") {
			return 0, fmt.Errorf("%s: layer_types %v has no period, which GGUF wants", w.configFile, types)
		}
	}
	return period, nil
}

func preparePhi3(w *ggufWriter) error {
	if err := w.heads(); err != nil {
		return err
	}
	setDefault(w.config, "original_max_position_embeddings", w.config["max_position_embeddings"])
	w.extra[keyRopeDims] = math.Floor(w.number("partial_rotary_factor") * w.number("head_dim"))
	setDefault(w.config, "sliding_window", 0.0)
	scaling, _ := w.config["rope_scaling"].(map[string]any)
	if kind := scaling["type"]; kind != "longrope" && scaling["rope_type"] != "longrope" {
		return w.scaling()
	}
	delete(w.config, "rope_scaling")
	for _, part := range []struct{ key, tensor string }{{"long_factor", tensorLongFactors}, {"short_factor", tensorShortFactors}} {
		factors, err := numbersOf(scaling[part.key])
		if err != nil {
			return fmt.Errorf("%s: rope_scaling.%s: %w", w.configFile, part.key, err)
		}
		w.sources = append(w.sources, Source{Name: part.tensor, Shape: []int{len(factors)}, data: factors})
	}
	w.extra["{arch}.rope.scaling.attn_factor"] = longAttention(w.config)
	if x := scaling["attention_factor"]; x != nil {
		w.extra["{arch}.rope.scaling.attn_factor"] = number(x)
	}
	return nil
}

func prepareNeoX(w *ggufWriter) error {
	heads := w.number("num_attention_heads")
	if heads < 1 {
		return fmt.Errorf("%s: num_attention_heads %v: at least one wanted", w.configFile, w.config["num_attention_heads"])
	}
	// What transformers calls it since 5 counts, as in package model.
	if theta := w.config["rope_theta"]; theta != nil {
		w.config["rotary_emb_base"] = theta
	}
	if f := w.config["partial_rotary_factor"]; f != nil {
		w.config["rotary_pct"] = f
	}
	w.extra[keyRopeDims] = math.Floor(w.number("rotary_pct") * math.Floor(w.number("hidden_size")/heads))
	return w.scaling()
}

func prepareSmolLM3(w *ggufWriter) error {
	layers, ok := w.config["no_rope_layers"].([]any)
	if interval := w.config["no_rope_layer_interval"]; !ok && interval != nil && interval != float64(noRopeInterval) {
		return fmt.Errorf("%s: no_rope_layer_interval %v cannot be expressed in GGUF, where it is %d", w.configFile, interval, noRopeInterval)
	}
	for i, rope := range layers {
		if (i%noRopeInterval == noRopeInterval-1) != (rope == 0.0) {
			return fmt.Errorf("%s: no_rope_layers %v cannot be expressed in GGUF, where every layer but every fourth has rope", w.configFile, layers)
		}
	}
	return prepareLlama(w)
}

func prepareBERT(w *ggufWriter) error {
	architectures, _ := w.config["architectures"].([]any)
	for _, head := range []string{"BertForQuestionAnswering", "BertForTokenClassification"} {
		if slices.Contains(architectures, any(head)) { // cls.output is for whole texts
			return fmt.Errorf("%s: architectures: the head of %s cannot be expressed in GGUF", w.configFile, head)
		}
	}
	w.extra["{arch}.attention.causal"] = false
	return nil
}

// labels turns id2label of a head for whole texts into a list of names.
func (w *ggufWriter) labels() error {
	labels, ok := w.config["id2label"].(map[string]any)
	delete(w.config, "id2label")
	if !w.file.has("classifier.weight") && !w.file.has("score.weight") {
		delete(w.config, "problem_type")
		return nil
	}
	if !ok {
		return nil
	}
	names := make([]string, len(labels))
	for i := range names {
		names[i], ok = labels[fmt.Sprint(i)].(string)
		if !ok {
			return fmt.Errorf("%s: id2label has no name for %d of %d", w.configFile, i, len(names))
		}
	}
	w.extra["{arch}.classifier.output_labels"] = names
	return nil
}

func prepareBloom(w *ggufWriter) error {
	setDefault(w.config, "hidden_size", w.config["n_embed"])
	setDefault(w.config, "n_head", w.config["num_attention_heads"])
	setDefault(w.config, "n_layer", w.config["num_hidden_layers"])
	setDefault(w.config, "seq_length", w.config["hidden_size"]) // so does llama.cpp's converter
	w.extra["{arch}.feed_forward_length"] = 4 * w.number("hidden_size")
	w.extra["{arch}.attention.head_count_kv"] = w.config["n_head"]
	return nil
}
