// Package model has the model families: for each the reading of its
// config.json, the names of its weights in a checkpoint, and its forward.
package model

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"wenmo/tensor"
)

// Config reads the values of a config.json. The first thing wrong with it is
// kept and returned by Err, so that a family reads all it needs and asks once.
type Config struct {
	file string
	raw  map[string]any
	used map[string]bool
	err  error

	defaults map[string]any // of the model type, for keys that raw lacks; null stands for itself
}

// ParseConfig reads config.json; file names it in errors.
func ParseConfig(data []byte, file string) (*Config, error) {
	var raw map[string]any
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if raw == nil {
		return nil, fmt.Errorf("%s: want an object, found null", file)
	}
	c := NewConfig(raw, file)
	c.respellRope()
	return c, c.err
}

// respellRope puts what transformers 5 writes as rope_parameters under the keys
// of transformers 4: rope_theta, partial_rotary_factor, rope_scaling and, for
// the layers with a window of a model that rotates them otherwise,
// rope_local_base_freq.
func (c *Config) respellRope() {
	p := c.Object("rope_parameters")
	if p == nil {
		return
	}
	if local := p.Object("sliding_attention"); local != nil {
		local.Only("rope_type", "default")
		p.adopt(local)
		c.raw["rope_local_base_freq"] = local.raw["rope_theta"]
	}
	if global := p.Object("full_attention"); global != nil {
		global.err = p.err
		p = global
	}
	if !p.Has("rope_type") {
		p.fail("rope_type", "is missing")
	}
	scaling := map[string]any{}
	for key, v := range p.raw {
		if key == "rope_theta" || key == "partial_rotary_factor" {
			c.raw[key] = v
		} else {
			scaling[key] = v
		}
	}
	c.adopt(p)
	c.raw["rope_scaling"] = scaling
	delete(c.raw, "rope_parameters")
}

// NewConfig wraps values that have the keys and types of a config.json.
func NewConfig(raw map[string]any, file string) *Config {
	return &Config{file: file, raw: raw, used: map[string]bool{}}
}

// Raw returns the values as they stand in the file.
func (c *Config) Raw() map[string]any { return c.raw }

// File returns the file's name, for messages.
func (c *Config) File() string { return c.file }

// Err returns the first thing wrong with the values read so far.
func (c *Config) Err() error { return c.err }

func (c *Config) fail(key, format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %s %s", c.file, key, fmt.Sprintf(format, args...))
	}
}

// get returns a value; null counts as absent.
func (c *Config) get(key string) (any, bool) {
	c.used[key] = true
	v, ok := c.raw[key]
	if !ok {
		v = c.defaults[key]
	}
	return v, v != nil
}

// Has says whether a key is there and not null.
func (c *Config) Has(key string) bool { _, ok := c.get(key); return ok }

const (
	maxSize   = 1 << 24 // a sane bound for any width, count or context
	mustExist = math.MinInt
)

// Int returns a size: an integer from 1 to 2²⁴.
func (c *Config) Int(key string) int { return c.intOr(key, mustExist) }

// IntOr returns a size, or def where the key is absent.
func (c *Config) IntOr(key string, def int) int { return c.intOr(key, def) }

func (c *Config) intOr(key string, def int) int {
	v, ok := c.get(key)
	if !ok {
		if def == mustExist {
			c.fail(key, "is missing")
			return 1
		}
		return def
	}
	f, ok := number(v)
	if !ok || f != math.Trunc(f) || f < 1 || f > maxSize {
		c.fail(key, "is %v, want an integer from 1 to %d", v, maxSize)
		return 1
	}
	return int(f)
}

// FloatOr returns a finite number, or def where the key is absent.
func (c *Config) FloatOr(key string, def float64) float64 {
	v, ok := c.get(key)
	if !ok {
		return def
	}
	f, ok := number(v)
	if !ok || math.IsInf(f, 0) || math.IsNaN(f) {
		c.fail(key, "is %v, want a number", v)
		return def
	}
	return f
}

// between returns a number within bounds, or 0 where the key is absent.
func (c *Config) between(key string, low, high float64) float64 {
	x := c.FloatOr(key, 0)
	if c.Has(key) && !(x >= low && x <= high) {
		c.fail(key, "is %v, want a number from %v to %.0f", x, low, high)
	}
	return x
}

// epsilon returns the small number that a norm adds to a variance.
func (c *Config) epsilon(key string, def float64) float64 {
	e := c.FloatOr(key, def)
	if e < 0 || e > 1 {
		c.fail(key, "is %v, want a number from 0 to 1", e)
	}
	return e
}

// Dropout returns a probability below 1.
func (c *Config) Dropout(key string, def float64) float32 {
	p := c.FloatOr(key, def)
	if p < 0 || p >= 1 {
		c.fail(key, "is %v, want a number from 0 up to 1", p)
	}
	return float32(p)
}

// number accepts what JSON and GGUF have for numbers.
func number(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case float32:
		return float64(x), true
	case int:
		return float64(x), true
	case int32:
		return float64(x), true
	case uint32:
		return float64(x), true
	case int64:
		return float64(x), true
	case uint64:
		return float64(x), true
	}
	return 0, false
}

// BoolOr returns a boolean, or def where the key is absent.
func (c *Config) BoolOr(key string, def bool) bool {
	v, ok := c.get(key)
	if !ok {
		return def
	}
	b, ok := v.(bool)
	if !ok {
		c.fail(key, "is %v, want true or false", v)
	}
	return b
}

// StringOr returns a string, or def where the key is absent.
func (c *Config) StringOr(key, def string) string {
	v, ok := c.get(key)
	if !ok {
		return def
	}
	s, ok := v.(string)
	if !ok {
		c.fail(key, "is %v, want a string", v)
	}
	return s
}

// Ints returns a list of integers, or nil where the key is absent.
func (c *Config) Ints(key string) []int {
	var out []int
	for _, v := range c.list(key) {
		f, ok := number(v)
		if !ok || f != math.Trunc(f) || math.Abs(f) > maxSize {
			c.fail(key, "holds %v, want integers", v)
			return nil
		}
		out = append(out, int(f))
	}
	return out
}

// Floats returns a list of numbers, or nil where the key is absent.
func (c *Config) Floats(key string) []float64 {
	var out []float64
	for _, v := range c.list(key) {
		f, ok := number(v)
		if !ok {
			c.fail(key, "holds %v, want numbers", v)
			return nil
		}
		out = append(out, f)
	}
	return out
}

// Strings returns a list of strings, or nil where the key is absent.
func (c *Config) Strings(key string) []string {
	var out []string
	for _, v := range c.list(key) {
		s, ok := v.(string)
		if !ok {
			c.fail(key, "holds %v, want strings", v)
			return nil
		}
		out = append(out, s)
	}
	return out
}

func (c *Config) list(key string) []any {
	v, ok := c.get(key)
	if !ok {
		return nil
	}
	switch l := v.(type) {
	case []any:
		return l
	case []float32:
		out := make([]any, len(l))
		for i, x := range l {
			out[i] = x
		}
		return out
	}
	c.fail(key, "is %v, want a list", v)
	return nil
}

// Object returns the object under a key, or nil where it is absent.
func (c *Config) Object(key string) *Config {
	v, ok := c.get(key)
	if !ok {
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		c.fail(key, "is %v, want an object", v)
		return nil
	}
	return NewConfig(m, c.file+": "+key)
}

// adopt takes over the error of an object read from c.
func (c *Config) adopt(o *Config) {
	if c.err == nil && o != nil {
		c.err = o.err
	}
}

// Only fails unless the value under key, where there is one, is want: for
// switches that change the mathematics and are known only one way.
func (c *Config) Only(key string, want any) {
	if v, ok := c.get(key); ok && v != want {
		c.fail(key, "is %v, only %v is supported", v, want)
	}
}

var activations = map[string]tensor.Activation{
	"gelu":              tensor.GELU,
	"gelu_new":          tensor.GELUTanh,
	"gelu_fast":         tensor.GELUTanh,
	"gelu_pytorch_tanh": tensor.GELUTanh,
	"quick_gelu":        tensor.QuickGELU,
	"silu":              tensor.SiLU,
	"swish":             tensor.SiLU,
	"relu":              tensor.ReLU,
	"relu2":             tensor.ReLU2,
	"tanh":              tensor.Tanh,
	"sigmoid":           tensor.Sigmoid,
}

// Activation returns the activation under a key, def where it is absent.
func (c *Config) Activation(key, def string) tensor.Activation {
	name := c.StringOr(key, def)
	act, ok := activations[name]
	if !ok {
		known := make([]string, 0, len(activations))
		for k := range activations {
			known = append(known, k)
		}
		slices.Sort(known)
		c.fail(key, "%q is not supported (known: %s)", name, strings.Join(known, ", "))
	}
	return act
}

// unread are keys that change the mathematics in some family: a value of one
// of them that the family at hand did not ask for must not be ignored.
var unread = []string{
	"quantization_config", "compression_config", "attention_multiplier", "residual_multiplier",
	"embedding_multiplier", "logits_scaling", "attn_logit_softcapping", "final_logit_softcapping",
	"sliding_window", "rope_scaling", "partial_rotary_factor", "num_experts", "num_local_experts",
	"query_pre_attn_scalar", "qk_layernorm", "clip_qkv", "logit_scale", "use_qk_norm", "layer_types",
	"attention_bias", "mlp_bias", "head_dim", "no_rope_layers", "rope_local_base_freq",
}

// CheckUnread fails when a key that changes the mathematics was not asked for
// and says something other than "off".
func (c *Config) CheckUnread() {
	for _, key := range unread {
		v := c.raw[key]
		if c.used[key] || v == nil || v == false || v == 0.0 {
			continue
		}
		c.fail(key, "is %v: not supported for model_type %q", v, c.raw["model_type"])
	}
}
