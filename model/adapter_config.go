package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// AdapterConfig is what the adapter_config.json of PEFT says of a LoRA
// (reference: peft/tuners/lora/config.py, LoraConfig).
type AdapterConfig struct {
	Base    string // base_model_name_or_path: what it was trained on
	Task    string // task_type; "": not said
	Rank    int
	Alpha   float64
	Dropout float64 // of the adapters' input, while training
	RSLoRA  bool    // scaled by α/√r instead of α/r
	DoRA    bool

	// Targets are names of modules, of which the last part or parts suffice.
	// Without them TargetPattern holds, a regular expression for the whole name,
	// or AllLinear.
	Targets        []string
	TargetPattern  string
	Exclude        []string // as Targets: modules that are left out
	ExcludePattern string

	RankPattern, AlphaPattern []ModuleValue // the first whose name matches holds
	Layers                    []int         // layers_to_transform; nil: all
	LayersPattern             []string      // the names that numbers of layers follow; nil: any

	ModulesToSave []string // that are trained as a whole

	FanInFanOut bool // PEFT's note that weights are stored [in, out] (Conv1D)

	file string
}

// AllLinear as a TargetPattern, or as the only one of Targets, means every linear layer but the head.
const AllLinear = "all-linear"

// ModuleValue is a value for modules of a name, a regular expression for its
// end.
type ModuleValue struct {
	Name  string
	Value float64
}

// DefaultAdapter returns the config of a LoRA of all linear layers.
func DefaultAdapter() *AdapterConfig {
	return &AdapterConfig{Rank: 8, Alpha: 16, TargetPattern: AllLinear, file: "adapter config"}
}

// normalize leaves one way to name the targets.
func (c *AdapterConfig) normalize() {
	switch {
	case len(c.Targets) == 1 && strings.EqualFold(c.Targets[0], AllLinear):
		c.Targets, c.TargetPattern = nil, AllLinear
	case len(c.Targets) > 0:
		c.TargetPattern = ""
	}
}

// maxRank is a sane bound, far above any adapter's.
const maxRank = 1 << 16

// ParseAdapterConfig reads an adapter_config.json; file names it in errors. A
// key that is not known is an error, unless it says nothing.
func ParseAdapterConfig(data []byte, file string) (*AdapterConfig, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if raw == nil {
		return nil, fmt.Errorf("%s: want an object, found null", file)
	}
	c := &AdapterConfig{Rank: 8, Alpha: 8, file: file} // PEFT's defaults
	if _, ok := raw["peft_type"]; !ok {
		return nil, fmt.Errorf("%s: peft_type is missing", file)
	}
	keys := make([]string, 0, len(raw))
	for key := range raw {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		value := bytes.TrimSpace(raw[key])
		if key != "peft_type" && silent(value) {
			continue
		}
		read, ok := adapterKeys[key]
		if !ok {
			return nil, fmt.Errorf("%s: key %q is not known", file, key)
		}
		if err := read(c, value); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, key, err)
		}
	}
	return c, c.check()
}

// silent says that a value asks for nothing.
func silent(value []byte) bool {
	return slices.Contains([]string{"null", "false", "[]", "{}", `""`}, string(value))
}

// adapterKeys are the keys of LoraConfig.
var adapterKeys = map[string]func(c *AdapterConfig, value []byte) error{
	"peft_type":               only("LORA"),
	"base_model_name_or_path": func(c *AdapterConfig, v []byte) error { return text(&c.Base, v) },
	"task_type":               func(c *AdapterConfig, v []byte) error { return text(&c.Task, v) },
	"r":                       func(c *AdapterConfig, v []byte) error { return whole(&c.Rank, v) },
	"lora_alpha":              func(c *AdapterConfig, v []byte) error { return finite(&c.Alpha, v) },
	"lora_dropout":            func(c *AdapterConfig, v []byte) error { return finite(&c.Dropout, v) },
	"use_rslora":              func(c *AdapterConfig, v []byte) error { return flag(&c.RSLoRA, v) },
	"use_dora":                func(c *AdapterConfig, v []byte) error { return flag(&c.DoRA, v) },
	"target_modules":          func(c *AdapterConfig, v []byte) error { return modules(&c.Targets, &c.TargetPattern, v) },
	"exclude_modules":         func(c *AdapterConfig, v []byte) error { return modules(&c.Exclude, &c.ExcludePattern, v) },
	"rank_pattern":            func(c *AdapterConfig, v []byte) error { return patterns(&c.RankPattern, v) },
	"alpha_pattern":           func(c *AdapterConfig, v []byte) error { return patterns(&c.AlphaPattern, v) },
	"layers_to_transform":     func(c *AdapterConfig, v []byte) error { return oneOrMore(&c.Layers, v) },
	"layers_pattern":          func(c *AdapterConfig, v []byte) error { return oneOrMore(&c.LayersPattern, v) },
	"modules_to_save":         func(c *AdapterConfig, v []byte) error { return list(&c.ModulesToSave, v) },
	"bias":                    only("none"),

	// These say how the first values were drawn; other ways than the listed
	// change the base as well.
	"init_lora_weights": only("true", "gaussian", "orthogonal", "eva"),

	// PEFT corrects this one where it does not suit the layers, as is done here.
	"fan_in_fan_out": func(c *AdapterConfig, v []byte) error { return flag(&c.FanInFanOut, v) },

	// These change nothing of what is computed here.
	"inference_mode": anything, "auto_mapping": anything, "revision": anything,
	"megatron_core": anything, "runtime_config": anything, "loftq_config": anything, "eva_config": anything,
	"qalora_group_size": anything, "peft_version": anything, "use_bdlora": only("false"),
}

func anything(*AdapterConfig, []byte) error { return nil }

// only accepts values by what they say, strings without their quotes.
func only(want ...string) func(*AdapterConfig, []byte) error {
	return func(_ *AdapterConfig, value []byte) error {
		got := string(value)
		var s string
		if json.Unmarshal(value, &s) == nil {
			got = s
		}
		if slices.Contains(want, got) {
			return nil
		}
		return fmt.Errorf("is %s, only %s is supported", clip(value), strings.Join(want, ", "))
	}
}

// clip shortens a value for a message.
func clip(value []byte) string {
	if len(value) > 60 {
		return string(value[:60]) + "…"
	}
	return string(value)
}

func unexpected(value []byte, want string) error {
	return fmt.Errorf("is %s, want %s", clip(value), want)
}

func text(dst *string, value []byte) error {
	if json.Unmarshal(value, dst) != nil {
		return unexpected(value, "a string")
	}
	return nil
}

func flag(dst *bool, value []byte) error {
	if json.Unmarshal(value, dst) != nil {
		return unexpected(value, "true or false")
	}
	return nil
}

func whole(dst *int, value []byte) error {
	n, err := strconv.Atoi(string(value))
	if err != nil {
		return unexpected(value, "an integer")
	}
	*dst = n
	return nil
}

func finite(dst *float64, value []byte) error {
	if json.Unmarshal(value, dst) != nil {
		return unexpected(value, "a number")
	}
	return nil
}

func list(dst *[]string, value []byte) error {
	if json.Unmarshal(value, dst) != nil {
		return unexpected(value, "a list of strings")
	}
	return nil
}

// oneOrMore reads a list, or a single value as a list of one.
func oneOrMore[T any](dst *[]T, value []byte) error {
	var one T
	if json.Unmarshal(value, &one) == nil {
		*dst = []T{one}
		return nil
	}
	if json.Unmarshal(value, dst) != nil {
		return unexpected(value, fmt.Sprintf("a %T or a list of them", one))
	}
	return nil
}

// modules reads a list of names, or a string that is a pattern.
func modules(names *[]string, pattern *string, value []byte) error {
	if json.Unmarshal(value, pattern) == nil {
		return nil
	}
	if json.Unmarshal(value, names) != nil {
		return unexpected(value, "a list of strings, or a string")
	}
	return nil
}

// patterns reads an object of numbers and keeps its order.
func patterns(dst *[]ModuleValue, value []byte) error {
	d := json.NewDecoder(bytes.NewReader(value))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return unexpected(value, "an object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		v := ModuleValue{Name: key.(string)}
		if err := d.Decode(&v.Value); err != nil {
			return fmt.Errorf("%q: want a number", v.Name)
		}
		*dst = append(*dst, v)
	}
	return nil
}

// check finds what cannot hold.
func (c *AdapterConfig) check() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s", c.file, fmt.Sprintf(format, args...))
	}
	switch {
	case c.Rank < 1 || c.Rank > maxRank:
		return fail("r is %d, want an integer from 1 to %d", c.Rank, maxRank)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fail("lora_dropout is %v, want a number from 0 up to 1", c.Dropout)
	case len(c.Targets) == 0 && c.TargetPattern == "":
		return fail("target_modules names no module")
	case c.TargetPattern != "" && c.Layers != nil:
		return fail("layers_to_transform goes with a list of target_modules only")
	case c.LayersPattern != nil && c.Layers == nil:
		return fail("layers_pattern is given without layers_to_transform")
	}
	for _, p := range c.RankPattern {
		if p.Value != math.Trunc(p.Value) || p.Value < 1 || p.Value > maxRank {
			return fail("rank_pattern: %q is %v, want an integer from 1 to %d", p.Name, p.Value, maxRank)
		}
	}
	_, err := c.compile()
	return err
}

// MarshalJSON returns the adapter_config.json that PEFT reads.
func (c *AdapterConfig) MarshalJSON() ([]byte, error) {
	orNull := func(names []string, pattern string) any {
		switch {
		case pattern != "":
			return pattern
		case names == nil:
			return nil
		}
		return names
	}
	var base, task any
	if c.Base != "" {
		base = c.Base
	}
	if c.Task != "" {
		task = c.Task
	}
	return json.Marshal(map[string]any{
		"peft_type": "LORA", "base_model_name_or_path": base, "task_type": task, "revision": nil, "auto_mapping": nil,
		"r": c.Rank, "lora_alpha": c.Alpha, "lora_dropout": c.Dropout, "use_rslora": c.RSLoRA, "use_dora": c.DoRA,
		"target_modules": orNull(c.Targets, c.TargetPattern), "exclude_modules": orNull(c.Exclude, c.ExcludePattern),
		"rank_pattern": ordered(c.RankPattern), "alpha_pattern": ordered(c.AlphaPattern),
		"layers_to_transform": c.Layers, "layers_pattern": orNull(c.LayersPattern, ""),
		"modules_to_save": orNull(c.ModulesToSave, ""), "bias": "none", "fan_in_fan_out": c.FanInFanOut,
		"init_lora_weights": true, "inference_mode": true,
	})
}

// ordered writes an object whose order counts.
type ordered []ModuleValue

func (o ordered) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, v := range o {
		name, err := json.Marshal(v.Name)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(append(append(b, name...), ':'), "%v", v.Value)
	}
	return append(b, '}'), nil
}

// moduleRules are the compiled expressions of a config.
type moduleRules struct {
	c               *AdapterConfig
	target, exclude *regexp.Regexp // nil: lists, or AllLinear
	ranks, alphas   []*regexp.Regexp
	layers          []*regexp.Regexp
}

var errLookaround = errors.New("(expressions with lookaround and backreferences are not supported)")

func (c *AdapterConfig) compile() (*moduleRules, error) {
	r := &moduleRules{c: c}
	var first error
	compile := func(key, expression, form string) *regexp.Regexp {
		_, err := regexp.Compile(expression) // by itself: it must not end the form's group
		var re *regexp.Regexp
		if err == nil {
			re, err = regexp.Compile(fmt.Sprintf(form, expression))
		}
		if err != nil && first == nil {
			first = fmt.Errorf("%s: %s: %w %w", c.file, key, err, errLookaround)
		}
		return re
	}
	if c.TargetPattern != "" && !strings.EqualFold(c.TargetPattern, AllLinear) {
		r.target = compile("target_modules", c.TargetPattern, `^(?:%s)$`)
	}
	if c.ExcludePattern != "" {
		r.exclude = compile("exclude_modules", c.ExcludePattern, `^(?:%s)$`)
	}
	for _, p := range c.RankPattern {
		r.ranks = append(r.ranks, compile("rank_pattern", p.Name, `^(.*\.)?(%s)$`))
	}
	for _, p := range c.AlphaPattern {
		r.alphas = append(r.alphas, compile("alpha_pattern", p.Name, `^(.*\.)?(%s)$`))
	}
	for _, p := range c.LayersPattern {
		r.layers = append(r.layers, compile("layers_pattern", p, `^.*\.%s\.(\d+)\.`))
	}
	if c.LayersPattern == nil {
		r.layers = []*regexp.Regexp{anyLayer}
	}
	return r, first
}

var anyLayer = regexp.MustCompile(`^.*\.[^.]*\.(\d+)\.`)

// targets says whether a module of that name is adapted; linear says that it is
// one that AllLinear means.
// Reference: check_target_module_exists in peft/tuners/tuners_utils.py.
func (r *moduleRules) targets(module string, linear bool) bool {
	c := r.c
	if r.exclude != nil && r.exclude.MatchString(module) || namesModule(c.Exclude, module) || namesModule(c.ModulesToSave, module) {
		return false
	}
	switch {
	case r.target != nil:
		return r.target.MatchString(module)
	case c.TargetPattern != "":
		return linear
	case slices.Contains(c.Targets, module):
		return true
	}
	return namesModule(c.Targets, module) && (c.Layers == nil || r.inLayers(module))
}

// namesModule says whether one of names is that of a module, or its end.
func namesModule(names []string, module string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return module == n || strings.HasSuffix(module, "."+n) })
}

func (r *moduleRules) inLayers(module string) bool {
	for _, re := range r.layers {
		if m := re.FindStringSubmatch(module); m != nil {
			n, err := strconv.Atoi(m[len(m)-1])
			return err == nil && slices.Contains(r.c.Layers, n)
		}
	}
	return false
}

// rank returns the rank of a module's adapter.
func (r *moduleRules) rank(module string) int {
	return int(valueFor(module, r.ranks, r.c.RankPattern, float64(r.c.Rank)))
}

// scale returns what a module's B·A is multiplied by.
func (r *moduleRules) scale(module string) float32 {
	alpha, rank := valueFor(module, r.alphas, r.c.AlphaPattern, r.c.Alpha), float64(r.rank(module))
	if r.c.RSLoRA {
		return float32(alpha / math.Sqrt(rank))
	}
	return float32(alpha / rank)
}

func valueFor(module string, names []*regexp.Regexp, values []ModuleValue, def float64) float64 {
	for i, re := range names {
		if re.MatchString(module) {
			return values[i].Value
		}
	}
	return def
}
