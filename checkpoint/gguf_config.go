package checkpoint

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// This file makes a config.json from the metadata of a GGUF file.

// readConfig returns the config with values as encoding/json decodes them.
func (fam family) readConfig(f *File) (map[string]any, error) {
	m := metadata{path: f.path, arch: fam.arch, values: f.metadata}
	config := map[string]any{}
	for _, row := range slices.Concat(fam.metadata, tokenKeys) {
		value, ok, err := m.get(row)
		if err != nil {
			return nil, err
		}
		if !ok || row.hf == "-" || row.kind == kindStrings || row.gguf == keyRopeDims || row.gguf == keyValueLength {
			continue // the last two share head_dim with the key's length
		}
		setPath(config, row.hf, value)
	}
	if err := fam.refuse(m); err != nil {
		return nil, err
	}
	for _, row := range fam.metadata {
		if _, ok := m.values[m.key(row.gguf)]; row.required && !ok {
			return nil, fmt.Errorf("%s: metadata %q is missing", f.path, m.key(row.gguf))
		}
	}
	if layers := m.values[m.key(keyLayers)]; number(layers) > float64(len(f.tensors)) {
		return nil, fmt.Errorf("%s: metadata %q: %v layers, but the file has %d tensors", f.path, m.key(keyLayers), layers, len(f.tensors))
	}
	config["model_type"] = fam.modelType
	config["architectures"] = []any{fam.architectures[0]}
	if head, ok := f.Tensor(tensorClassifier); ok && fam.classifier != "" {
		config["architectures"] = []any{fam.classifier}
		if names, ok := m.values[m.key(labelKeys[0].gguf)].([]string); ok {
			labels := map[string]any{}
			for i, name := range names {
				labels[strconv.Itoa(i)] = name
			}
			config["id2label"] = labels
		} else if len(head.Shape) == 2 {
			config["num_labels"] = float64(head.Shape[0])
		}
	}
	config["torch_dtype"] = "float32"
	for key, value := range fam.implied {
		config[key] = value
	}
	embedding, ok := f.Tensor(tensorEmbedding)
	if !ok || len(embedding.Shape) != 2 {
		return nil, fmt.Errorf("%s: tensor %q is missing or no matrix", f.path, tensorEmbedding)
	}
	config["vocab_size"] = float64(embedding.Shape[0])
	_, untied := f.Tensor(tensorHead)
	config["tie_word_embeddings"] = !untied
	for _, row := range tokenKeys {
		setDefault(config, row.hf, nil)
	}
	if finish, ok := finishers[fam.modelType]; ok {
		if err := finish(config, m, f); err != nil {
			return nil, err
		}
	}
	for key := range fam.defaults { // what a file does not say it does not have
		setDefault(config, key, nil)
	}
	return config, nil
}

// ConfigDefaults returns what transformers' config class of a model type assumes
// of keys that config.json lacks; of a class of this architecture where the type
// is not known.
func ConfigDefaults(modelType, architecture string) map[string]any {
	i := slices.IndexFunc(families, func(fam family) bool { return fam.modelType == modelType })
	if i < 0 && architecture != "" {
		i = slices.IndexFunc(families, func(fam family) bool {
			return fam.classifier == architecture || slices.Contains(fam.architectures, architecture)
		})
	}
	if i < 0 {
		return nil
	}
	return families[i].defaults
}

// refuse makes an error of keys that change the mathematics in a way that
// config.json has no words for.
func (fam family) refuse(m metadata) error {
	for _, pattern := range refusedKeys {
		known := slices.ContainsFunc(fam.metadata, func(row metaKey) bool { return row.gguf == pattern })
		if value, ok := m.values[m.key(pattern)]; ok && !known && number(value) != 0 && number(value) != 1 {
			return fmt.Errorf("%s: metadata %q: %v is not supported for %s", m.path, m.key(pattern), value, fam.modelType)
		}
	}
	return nil
}

// finishers complete what a family's metadata says beyond its table.
var finishers = map[string]func(config map[string]any, m metadata, f *File) error{
	"llama":       finishLlama,
	"mistral":     finishLlama,
	"mixtral":     finishLlama,
	"qwen2":       finishLlama,
	"qwen3":       finishLlama,
	"qwen3_moe":   finishLlama,
	"gemma":       finishGemma,
	"gemma2":      finishGemma2,
	"gemma3_text": finishGemma3,
	"phi3":        finishPhi3,
	"olmo2":       finishLlama,
	"smollm3":     finishSmolLM3,
	"gpt_neox":    finishNeoX,
}

// finishLlama fills in what the Llama kind shares: heads, biases, rope.
func finishLlama(config map[string]any, m metadata, f *File) error {
	rotated, err := fillHeads(config, m)
	if err != nil {
		return err
	}
	if headDim := number(config["head_dim"]); rotated != headDim {
		return fmt.Errorf("%s: metadata %q: rotating %v of %v dimensions is not supported", m.path, m.key(keyRopeDims), rotated, headDim)
	}
	if _, ok := config["attention_bias"]; !ok {
		config["attention_bias"] = f.has("blk.0.attn_q.bias")
	}
	if config["model_type"] == "llama" {
		config["mlp_bias"] = f.has("blk.0.ffn_gate.bias")
	}
	return fillScaling(config, m, f)
}

// fillHeads sets num_key_value_heads, head_dim and rope_theta where the file
// leaves them to their defaults, and returns the dimensions that rope rotates.
func fillHeads(config map[string]any, m metadata) (rotated float64, err error) {
	setDefault(config, "rope_theta", 10000.0)
	setDefault(config, "num_key_value_heads", config["num_attention_heads"])
	heads, hidden := number(config["num_attention_heads"]), number(config["hidden_size"])
	if heads < 1 || number(config["num_key_value_heads"]) < 1 {
		return 0, fmt.Errorf("%s: metadata %q: at least one head wanted", m.path, m.key("{arch}.attention.head_count"))
	}
	setDefault(config, "head_dim", math.Floor(hidden/heads))
	headDim := number(config["head_dim"])
	for _, key := range []string{"{arch}.attention.key_length", keyValueLength} {
		value, ok, err := m.get(metaKey{key, "head_dim", kindUint, false})
		if err != nil {
			return 0, err
		}
		if ok && value != headDim {
			return 0, fmt.Errorf("%s: metadata %q is %v, but heads have %v dimensions", m.path, m.key(key), value, headDim)
		}
	}
	value, ok, err := m.get(metaKey{keyRopeDims, "head_dim", kindUint, false})
	if err != nil || !ok {
		return headDim, err
	}
	return value.(float64), nil
}

// fillScaling brings rope_scaling into the form of config.json.
func fillScaling(config map[string]any, m metadata, f *File) error {
	scaling, _ := config["rope_scaling"].(map[string]any)
	kind, ok := scaling["rope_type"].(string)
	if !ok && number(scaling["factor"]) != 0 { // so does llama.cpp
		kind = "linear"
	}
	switch kind {
	case "", "none":
		delete(config, "rope_scaling")
	case "linear":
		config["rope_scaling"] = map[string]any{"rope_type": "linear", "factor": scaling["factor"]}
	case "yarn":
		if x, ok := scaling["extrapolation_factor"]; ok && x != 1.0 {
			return fmt.Errorf("%s: metadata %q: %v is not supported", m.path, m.key("{arch}.rope.scaling.yarn_ext_factor"), x)
		}
		delete(scaling, "extrapolation_factor")
		// llama.cpp multiplies the file's factor with its own, which is the
		// default of transformers; there attention_factor is the whole.
		if x, ok := scaling["attention_factor"]; ok {
			scaling["attention_factor"] = number(x) * yarnAttention(number(scaling["factor"]))
		}
	default:
		return fmt.Errorf("%s: metadata %q: %q is not supported (known: none, linear, yarn)", m.path, m.key("{arch}.rope.scaling.type"), kind)
	}
	if t, ok := f.Tensor(tensorFreqs); ok {
		factors, err := list(t)
		if err != nil {
			return err
		}
		if kind != "" && kind != "none" {
			return fmt.Errorf("%s: tensor %q and metadata %q exclude each other", m.path, tensorFreqs, m.key("{arch}.rope.scaling.type"))
		}
		if 2*len(factors) != int(number(config["head_dim"])) {
			return fmt.Errorf("%s: tensor %q has %d factors, but heads have %v dimensions", m.path, tensorFreqs, len(factors), config["head_dim"])
		}
		config["rope_scaling"] = map[string]any{"rope_type": "factors", "factors": factors}
	}
	return nil
}

// yarnAttention is YaRN's factor of the attention logits' square root for an
// extension of the context by factor (arXiv:2309.00071, equation 22).
func yarnAttention(factor float64) float64 {
	if factor <= 1 {
		return 1
	}
	return 1 + 0.1*math.Log(factor)
}

// list returns the values of a tensor as encoding/json would decode them.
func list(t Tensor) ([]any, error) {
	x := make([]float32, t.Len())
	if err := t.Float32(x); err != nil {
		return nil, err
	}
	values := make([]any, len(x))
	for i, v := range x {
		values[i] = shortest(v)
	}
	return values, nil
}

func finishGemma(config map[string]any, m metadata, f *File) error {
	config["hidden_act"] = config["hidden_activation"] // the older key
	return finishLlama(config, m, f)
}

func finishGemma2(config map[string]any, m metadata, f *File) error {
	if err := finishLlama(config, m, f); err != nil {
		return err
	}
	config["query_pre_attn_scalar"] = gemmaScale(config, 46)
	return nil
}

// gemmaScale is the query_pre_attn_scalar that llama.cpp assumes: of the size
// with that many layers, 27B, the hidden size over the heads, else head_dim.
func gemmaScale(config map[string]any, layers27B float64) float64 {
	if number(config["num_hidden_layers"]) == layers27B {
		return math.Floor(number(config["hidden_size"]) / number(config["num_attention_heads"]))
	}
	return number(config["head_dim"])
}

func finishGemma3(config map[string]any, m metadata, f *File) error {
	setDefault(config, "rope_theta", 1e6)
	setDefault(config, "rope_local_base_freq", 10000.0)
	if err := finishLlama(config, m, f); err != nil {
		return err
	}
	config["query_pre_attn_scalar"] = gemmaScale(config, 62)
	setDefault(config, "sliding_window_pattern", 6.0)
	period := int(number(config["sliding_window_pattern"]))
	delete(config, "sliding_window_pattern")
	if _, ok := config["sliding_window"]; !ok || period < 1 {
		period = 1 // every layer sees everything
	}
	layers := make([]any, int(number(config["num_hidden_layers"])))
	for i := range layers {
		layers[i] = "sliding_attention"
		if i%period == period-1 {
			layers[i] = "full_attention"
		}
	}
	config["layer_types"] = layers
	return nil
}

func finishPhi3(config map[string]any, m metadata, f *File) error {
	rotated, err := fillHeads(config, m)
	if err != nil {
		return err
	}
	config["partial_rotary_factor"] = rotated / number(config["head_dim"])
	if config["sliding_window"] == 0.0 {
		config["sliding_window"] = nil
	}
	delete(config, "rope_scaling")
	long, ok := f.Tensor(tensorLongFactors)
	if !ok {
		return nil
	}
	short, ok := f.Tensor(tensorShortFactors)
	if !ok {
		return fmt.Errorf("%s: tensor %q is missing", m.path, tensorShortFactors)
	}
	scaling := map[string]any{"type": "longrope"}
	if scaling["long_factor"], err = list(long); err != nil {
		return err
	}
	if scaling["short_factor"], err = list(short); err != nil {
		return err
	}
	factor, ok, err := m.get(metaKey{"{arch}.rope.scaling.attn_factor", "-", kindFloat, false})
	if err != nil {
		return err
	}
	if ok && float32(number(factor)) != float32(longAttention(config)) {
		scaling["attention_factor"] = factor
	}
	config["rope_scaling"] = scaling
	return nil
}

// longAttention is the default attention_factor of LongRoPE.
func longAttention(config map[string]any) float64 {
	original := number(config["original_max_position_embeddings"])
	factor := number(config["max_position_embeddings"]) / original
	if factor <= 1 {
		return 1
	}
	return math.Sqrt(1 + math.Log(factor)/math.Log(original))
}

func finishSmolLM3(config map[string]any, m metadata, f *File) error {
	layers := make([]any, int(number(config["num_hidden_layers"])))
	for i := range layers {
		layers[i] = 1.0
		if i%noRopeInterval == noRopeInterval-1 {
			layers[i] = 0.0
		}
	}
	config["no_rope_layers"] = layers
	return finishLlama(config, m, f)
}

// noRopeInterval: llama.cpp takes every fourth layer of SmolLM3 for one
// without rope.
const noRopeInterval = 4

func finishNeoX(config map[string]any, m metadata, f *File) error {
	setDefault(config, "rotary_emb_base", 10000.0)
	heads := number(config["num_attention_heads"])
	if heads < 1 {
		return fmt.Errorf("%s: metadata %q: at least one head wanted", m.path, m.key("{arch}.attention.head_count"))
	}
	rotated, _, err := m.get(metaKey{keyRopeDims, "rotary_pct", kindUint, true})
	if err != nil {
		return err
	}
	config["rotary_pct"] = number(rotated) / math.Floor(number(config["hidden_size"])/heads)
	return nil
}

// has says that the file holds a tensor.
func (f *File) has(name string) bool {
	_, ok := f.index[name]
	return ok
}

// metadata reads the values of a GGUF file.
type metadata struct {
	path, arch string
	values     map[string]any
}

func (m metadata) key(pattern string) string { return strings.Replace(pattern, "{arch}", m.arch, 1) }

// get returns a value as encoding/json would have decoded it, and whether it
// is there. That it is of the wrong kind is an error.
func (m metadata) get(row metaKey) (any, bool, error) {
	key := m.key(row.gguf)
	value, ok := m.values[key]
	if !ok {
		return nil, false, nil
	}
	switch row.kind {
	case kindUint:
		if n, ok := whole(value); ok && n >= 0 {
			return float64(n), true, nil
		}
	case kindFloat:
		switch x := value.(type) {
		case float32:
			if x-x == 0 {
				return shortest(x), true, nil
			}
		case float64:
			if x-x == 0 {
				return x, true, nil
			}
		}
	case kindBool:
		if x, ok := value.(bool); ok {
			return x, true, nil
		}
	case kindString:
		if x, ok := value.(string); ok {
			return x, true, nil
		}
	case kindStrings:
		if x, ok := value.([]string); ok {
			return x, true, nil
		}
	}
	if fmt.Sprintf("%T", value)[0] == '[' {
		return nil, false, fmt.Errorf("%s: metadata %q: %s wanted, found %T", m.path, key, row.kind, value)
	}
	return nil, false, fmt.Errorf("%s: metadata %q: %s wanted, found %T %v", m.path, key, row.kind, value, value)
}

// whole returns a whole number of any type, those of JSON included.
func whole(value any) (int, bool) {
	switch x := value.(type) {
	case uint8:
		return int(x), true
	case int8:
		return int(x), true
	case uint16:
		return int(x), true
	case int16:
		return int(x), true
	case uint32:
		return int(x), true
	case int32:
		return int(x), true
	case uint64:
		return int(x), x <= math.MaxInt
	case int64:
		return int(x), true
	case int:
		return x, true
	case float64:
		return int(x), x == math.Trunc(x) && math.Abs(x) < 1<<53
	}
	return 0, false
}

// number returns a number of a config, 0 where there is none.
func number(value any) float64 {
	switch x := value.(type) {
	case float64:
		return x
	case float32:
		return shortest(x)
	}
	n, _ := whole(value)
	return float64(n)
}

// shortest returns the float64 of the shortest decimals that mean x: 1e-05,
// not 9.99999974737875e-06.
func shortest(x float32) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
	if err != nil {
		return float64(x)
	}
	return v
}

// setPath sets a.b of config to value.
func setPath(config map[string]any, path string, value any) {
	outer, inner, nested := strings.Cut(path, ".")
	if !nested {
		config[path] = value
		return
	}
	object, ok := config[outer].(map[string]any)
	if !ok {
		object = map[string]any{}
		config[outer] = object
	}
	object[inner] = value
}

func setDefault(config map[string]any, key string, value any) {
	if config[key] == nil {
		config[key] = value
	}
}
