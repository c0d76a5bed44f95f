package train

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"wenmo/internal/readfile"
	"wenmo/model"
)

// The tasks of a run.
const (
	TaskCausalLM = "causal-lm" // the next token
	TaskMaskedLM = "masked-lm" // the masked tokens
	TaskChat     = "chat"      // the assistant's turns of conversations
	TaskClassify = "classify"  // a class, labels or a value for a text
	TaskTokens   = "tokens"    // a class for each word
	TaskAnswer   = "answer"    // where in a context the answer to a question stands
	TaskDPO      = "dpo"       // the preferred of two answers
)

var tasks = []string{TaskCausalLM, TaskMaskedLM, TaskChat, TaskClassify, TaskTokens, TaskAnswer, TaskDPO}

// Config is a run, as its TOML file says. The zero value of a key means its
// default, and nil where 0 has a meaning; Complete fills these in.
type Config struct {
	Task    string `toml:"task"`
	Out     string `toml:"out" comment:"folder of model, checkpoints and report"`
	Name    string `toml:"name" comment:"of the model, in its card"`
	Seed    uint64 `toml:"seed"`
	DType   string `toml:"dtype" comment:"of products: f32 or bf16; the rest is float32"`
	SaveAs  string `toml:"save_as" comment:"weights of the finished model: f32 or bf16"`
	Threads int    `toml:"threads"`

	Model     ModelConfig      `toml:"model"`
	LoRA      *LoRAConfig      `toml:"lora,omitempty"`
	Data      []SourceConfig   `toml:"data"`
	Phases    []PhaseConfig    `toml:"phase,omitempty"`
	Dataset   DatasetConfig    `toml:"dataset"`
	Train     LengthConfig     `toml:"train"`
	Optimizer OptimizerConfig  `toml:"optimizer"`
	Schedule  ScheduleConfig   `toml:"schedule"`
	DPO       *DPOConfig       `toml:"dpo,omitempty"`
	Watch     WatchConfig      `toml:"watch"`
	Save      CheckpointConfig `toml:"checkpoint"`
}

// ModelConfig says what is trained: a model that exists, or a new one.
type ModelConfig struct {
	Base      string   `toml:"base" comment:"folder or name to go on from; empty: a new model"`
	Tokenizer string   `toml:"tokenizer" comment:"folder or tokenizer.json; empty: that of the base"`
	Family    string   `toml:"family" comment:"of a new model: qwen3, llama, gpt2 or bert"`
	Size      string   `toml:"size" comment:"dial of a new model: nano, micro, mini or small"`
	Params    string   `toml:"params" comment:"dial of a new model: number of parameters, such as 5M"`
	Budget    string   `toml:"budget" comment:"dial: how long training may take, such as 2h"`
	Layers    int      `toml:"layers"`
	Width     int      `toml:"width"`
	Heads     int      `toml:"heads"`
	KVHeads   int      `toml:"kv_heads"`
	Inner     int      `toml:"inner" comment:"width of the feed-forward part"`
	Context   int      `toml:"context" comment:"tokens of the longest sequence"`
	Labels    []string `toml:"labels" comment:"of a classifier; empty: those of the data"`
	Problem   string   `toml:"problem" comment:"of a classifier: single_label_classification, multi_label_classification or regression"`
}

// LoRAConfig says how a base is adapted instead of changed.
type LoRAConfig struct {
	Rank    int      `toml:"rank"`
	Alpha   float64  `toml:"alpha"`
	Dropout float64  `toml:"dropout"`
	RSLoRA  bool     `toml:"rslora"`
	DoRA    bool     `toml:"dora"`
	Targets []string `toml:"targets" comment:"names of modules, or all-linear"`
	Save    []string `toml:"modules_to_save" comment:"trained as a whole"`
	Base    string   `toml:"base_dtype" comment:"of the base's weights: f32, bf16, q8_0 or q4_0"`
}

// SourceConfig is a part of the data.
type SourceConfig struct {
	Path      string  `toml:"path" comment:"file, folder or glob: txt, jsonl, csv, tsv, parquet, arrow, also .gz, .zst"`
	Name      string  `toml:"name,omitempty"`
	Weight    float64 `toml:"weight,omitempty" comment:"share of the tokens"`
	Passes    float64 `toml:"passes,omitempty" comment:"how often each document is seen"`
	Licence   string  `toml:"licence,omitempty"`
	Origin    string  `toml:"origin,omitempty"`
	Format    string  `toml:"format,omitempty"`
	Separator string  `toml:"separator,omitempty" comment:"of documents in text: file, blank, line, or a text"`
	Text      string  `toml:"text,omitempty" comment:"field of the text"`
	Template  string  `toml:"template,omitempty" comment:"Jinja: the text, of the fields of a record"`
	User      string  `toml:"user,omitempty" comment:"Jinja: the question of a conversation, of the fields of a record"`
	Answer    string  `toml:"answer,omitempty" comment:"Jinja: the answer to it"`
	Label     string  `toml:"label,omitempty" comment:"Jinja: the labels of a record, one a line (classify)"`
	Chat      bool    `toml:"chat,omitempty" comment:"conversations in the chat template, beside texts"`
}

// PhaseConfig changes the shares of the sources during a run of a language model.
type PhaseConfig struct {
	From    float64            `toml:"from" comment:"part of the steps after which it begins"`
	Weights map[string]float64 `toml:"weights" comment:"share of the tokens by name of the source; others rest"`
}

// DatasetConfig says what is made of the data.
type DatasetConfig struct {
	HeldOut        *float64 `toml:"held_out" comment:"share of the documents kept for validation"`
	Validation     []string `toml:"validation" comment:"files to validate on, instead of documents held out"`
	Evaluation     []string `toml:"evaluation" comment:"evaluation sets, kept out of the documents"`
	KeepDuplicates bool     `toml:"keep_duplicates"`
	NearDuplicates float64  `toml:"near_duplicates" comment:"similarity from which a document counts as a copy, such as 0.8; 0: exact copies alone"`
	Join           float64  `toml:"join,omitempty" comment:"share of the conversations that go on from another one: so a model learns to take one request after the other"`
	Cache          string   `toml:"cache" comment:"folder of tokenised data; empty: inside out"`
	Limit          int      `toml:"limit" comment:"records of a classifier and the like; 0: all"`
	Mask           float64  `toml:"mask" comment:"masked-lm: share of the tokens"`
	WholeWord      bool     `toml:"whole_word" comment:"masked-lm: words instead of tokens"`
	Words          string   `toml:"words" comment:"masked-lm: list of Chinese words"`
	Text           string   `toml:"text" comment:"field of text (classify) or words (tokens)"`
	Pair           string   `toml:"pair" comment:"classify: field of a second text"`
	Label          string   `toml:"label" comment:"field of label (classify) or tags (tokens)"`
	Stride         int      `toml:"stride" comment:"answer: tokens that neighbouring windows share"`
	SplitTurns     bool     `toml:"split_turns" comment:"chat: a sequence for each turn of the assistant"`
}

// LengthConfig says how long a run is, and its steps.
type LengthConfig struct {
	Steps          int      `toml:"steps" comment:"0: by epochs or tokens"`
	Epochs         float64  `toml:"epochs"`
	Tokens         string   `toml:"tokens" comment:"to train on, such as 20M"`
	BatchTokens    int      `toml:"batch_tokens" comment:"tokens of a step"`
	Batch          int      `toml:"batch" comment:"sequences of a step, of classifiers and the like"`
	MicroTokens    int      `toml:"micro_tokens" comment:"tokens computed at a time: less is less memory"`
	Clip           *float64 `toml:"clip" comment:"greatest norm of the gradients; 0: any"`
	EMA            float64  `toml:"ema" comment:"decay of an average of the weights; 0: none"`
	LabelSmoothing float64  `toml:"label_smoothing"`
	ClassWeights   string   `toml:"class_weights" comment:"none or balanced"`
	Dropout        float64  `toml:"dropout" comment:"of a new gpt2 or bert"`
	Patience       int      `toml:"patience" comment:"end after so many validations no better; 0: no"`
	SkipLimit      int      `toml:"skip_limit" comment:"updates left out in a row, then it ends"`
	Recompute      bool     `toml:"recompute" comment:"compute activations twice, for less memory"`
}

// OptimizerConfig is an optimizer with its settings.
type OptimizerConfig struct {
	Kind        string   `toml:"kind" comment:"adamw, muon, sgd or adafactor"`
	Rate        float64  `toml:"rate" comment:"highest learning rate"`
	Beta1       *float64 `toml:"beta1" comment:"of adamw, of adafactor and of muon for what is no matrix"`
	Beta2       *float64 `toml:"beta2" comment:"of adamw and of muon for what is no matrix"`
	Eps         *float64 `toml:"eps" comment:"of adamw and of muon for what is no matrix"`
	WeightDecay *float64 `toml:"weight_decay"`
	Momentum    *float64 `toml:"momentum" comment:"of sgd and muon"`
}

// ScheduleConfig is the course of the learning rate.
type ScheduleConfig struct {
	Kind   string   `toml:"kind" comment:"constant, linear, cosine, wsd, …"`
	Warmup *float64 `toml:"warmup" comment:"steps, or a share of them if below 1"`
	Decay  *float64 `toml:"decay" comment:"of wsd and trapezoid: steps, or a share of them if below 1"`
	Floor  *float64 `toml:"floor" comment:"last rate, as a part of the highest"`
}

// DPOConfig is how preferences are learnt.
type DPOConfig struct {
	Loss      string  `toml:"loss" comment:"sigmoid, ipo or hinge"`
	Beta      float64 `toml:"beta"`
	Smoothing float64 `toml:"smoothing"`
}

// WatchConfig says what is seen of a run.
type WatchConfig struct {
	ValidateEvery    int      `toml:"validate_every" comment:"steps; 0: ten times in a run"`
	ValidationTokens int64    `toml:"validation_tokens"`
	SampleEvery      int      `toml:"sample_every" comment:"steps; 0: ten times in a run, below 0: never"`
	Prompts          []string `toml:"prompts" comment:"that samples go on from"`
	SampleTokens     int      `toml:"sample_tokens"`
	TensorBoard      bool     `toml:"tensorboard"`
}

// CheckpointConfig says when the state of a run is saved.
type CheckpointConfig struct {
	Every string `toml:"every" comment:"time between checkpoints, such as 1m"`
	Keep  int    `toml:"keep" comment:"checkpoints that stay, beside the best"`
}

// ReadConfig reads a run from TOML. Unknown keys are errors.
func ReadConfig(path string) (*Config, error) {
	data, err := readfile.Regular(path)
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// savedConfig is the name under which a run keeps its config beside its model.
const savedConfig = "run.toml"

// ResumeConfig reads the config that the run in the folder out keeps, with what
// the TOML file at path, which may be "", says on top.
func ResumeConfig(path, out string) (*Config, error) {
	var given []byte
	if path != "" {
		c, err := ReadConfig(path)
		if err != nil {
			return nil, err
		}
		if out == "" {
			out = c.Out
		}
		if given, err = readfile.Regular(path); err != nil {
			return nil, err
		}
	}
	c, err := ReadConfig(filepath.Join(out, savedConfig))
	if errors.Is(err, os.ErrNotExist) {
		if path != "" {
			return ReadConfig(path) // it was broken off before it began
		}
		return nil, fmt.Errorf("%s: there is no run to go on with (no %s): begin it as the first time", out, savedConfig)
	}
	if err != nil {
		return nil, err
	}
	if len(given) > 0 {
		data := c.Data
		c.Data = nil
		if err := toml.Unmarshal(given, c); err != nil {
			return nil, err
		}
		if len(c.Data) == 0 {
			c.Data = data
		}
	}
	c.Out = out
	return c, nil
}

// ParseConfig reads a run from TOML.
func ParseConfig(data []byte) (*Config, error) {
	c := &Config{}
	d := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	err := d.Decode(c)
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		e := strict.Errors[0]
		line, _ := e.Position()
		return nil, fmt.Errorf("line %d: there is no key %q", line, strings.Join(e.Key(), "."))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, column := bad.Position()
		return nil, fmt.Errorf("line %d, column %d: %s", line, column, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	return c, err
}

// Set sets a key, such as train.steps, to a value in TOML; a value that is none
// is taken as a text. Of the three ways to say how long a run is, the last counts.
func (c *Config) Set(key, value string) error {
	table, name := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		table, name = "["+key[:i]+"]\n", key[i+1:]
	}
	d := func(value string) error {
		return toml.NewDecoder(strings.NewReader(table + name + " = " + value + "\n")).DisallowUnknownFields().Decode(c)
	}
	err := d(value)
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		return fmt.Errorf("there is no key %q", key)
	}
	if err != nil && d(strconv.Quote(value)) != nil {
		return fmt.Errorf("%s: %q is no value for it: %s", key, value, strings.TrimPrefix(err.Error(), "toml: "))
	}
	switch t := &c.Train; key {
	case "train.steps":
		t.Tokens, t.Epochs = "", 0
	case "train.tokens":
		t.Steps, t.Epochs = 0, 0
	case "train.epochs":
		t.Steps, t.Tokens = 0, ""
	}
	return nil
}

// AddData adds a file, folder or glob to the data.
func (c *Config) AddData(path string) { c.Data = append(c.Data, SourceConfig{Path: path}) }

// commentColumn is where comments begin, behind all values that are not long.
const commentColumn = 29

// Text returns the run as TOML, with a comment for what does not speak for
// itself, on the line of its value.
func (c *Config) Text() string {
	var out strings.Builder
	comment := ""
	for line := range strings.Lines(c.marshal()) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case strings.HasPrefix(line, "#"):
			comment = line
		case comment != "":
			fmt.Fprintf(&out, "%-*s%s\n", commentColumn, line+" ", comment)
			comment = ""
		default:
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// marshal returns the run as TOML, with comments on lines of their own.
func (c *Config) marshal() string {
	data, err := toml.Marshal(c)
	if err != nil {
		panic(err) // a Config has nothing that TOML cannot say
	}
	return string(data)
}

// IsLanguageModel says that a run's task makes batches of packed text.
func (c *Config) IsLanguageModel() bool {
	return slices.Contains([]string{TaskCausalLM, TaskMaskedLM, TaskChat}, c.Task)
}

// Command is the command that uses the finished model.
func (c *Config) Command() string {
	name := map[string]string{TaskMaskedLM: "fill-mask", TaskClassify: "classify", TaskTokens: "tokens", TaskAnswer: "answer"}[c.Task]
	set(&name, "run")
	if c.LoRA != nil {
		return fmt.Sprintf("wenmo %s -m %s --adapter %s", name, c.Model.Base, c.Out)
	}
	return fmt.Sprintf("wenmo %s -m %s", name, c.Out)
}

// heldOutShare is the share of documents that is held out, and moreHeldOut that
// of documents so few that it would be none; fewer than fewDocuments are all
// trained on.
const (
	heldOutShare = 0.01
	moreHeldOut  = 0.1
	fewDocuments = 10
)

// talks says that a run's model answers messages.
func (c *Config) talks() bool { return c.Task == TaskChat || c.Task == TaskDPO }

// Complete sets what is not given to its default and checks the rest. What
// depends on the data or the model is left for Scale.
func (c *Config) Complete() error {
	set(&c.DType, "f32")
	set(&c.SaveAs, "f32")
	if c.Model.Base == "" {
		set(&c.Model.Family, map[bool]string{true: "bert", false: "qwen3"}[c.Task == TaskMaskedLM])
	}
	set(&c.Dataset.Mask, 0.15)
	given(&c.Train.Clip, 1)
	set(&c.Train.ClassWeights, "none")
	set(&c.Train.SkipLimit, guardLimit)
	set(&c.Train.MicroTokens, 4096)
	set(&c.Watch.ValidationTokens, 100_000)
	set(&c.Watch.SampleTokens, 60)
	set(&c.Save.Every, "1m")
	set(&c.Save.Keep, defaultKeep)
	o := &c.Optimizer
	set(&o.Kind, "adamw")
	c.optimizerDefaults()
	switch {
	case len(c.Dataset.Validation) > 0:
		given(&c.Dataset.HeldOut, 0)
	case c.IsLanguageModel():
		given(&c.Dataset.HeldOut, heldOutShare)
	default:
		given(&c.Dataset.HeldOut, moreHeldOut)
	}
	if c.LoRA != nil {
		set(&c.LoRA.Rank, 8)
		set(&c.LoRA.Alpha, 2*float64(c.LoRA.Rank))
		set(&c.LoRA.Base, c.DType)
		if len(c.LoRA.Targets) == 0 {
			c.LoRA.Targets = []string{"all-linear"}
		}
	}
	if c.Task == TaskDPO {
		if c.DPO == nil {
			c.DPO = &DPOConfig{}
		}
		set(&c.DPO.Loss, "sigmoid")
		set(&c.DPO.Beta, 0.1)
	}
	return c.check()
}

// set gives a value that is not given its default.
func set[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// given gives a setting for which 0 has a meaning its default.
func given(v **float64, def float64) {
	if *v == nil {
		*v = new(def)
	}
}

// settings are those of an optimizer or a schedule, by their keys.
type settings map[string]**float64

func (o *OptimizerConfig) settings() settings {
	return settings{"beta1": &o.Beta1, "beta2": &o.Beta2, "eps": &o.Eps, "weight_decay": &o.WeightDecay, "momentum": &o.Momentum}
}

func (s *ScheduleConfig) settings() settings {
	return settings{"warmup": &s.Warmup, "decay": &s.Decay, "floor": &s.Floor}
}

// optimizerSettings are the defaults of what an optimizer has; it has no other
// settings.
func (c *Config) optimizerSettings() map[string]float64 {
	switch c.Optimizer.Kind {
	case "muon":
		d := DefaultMuon
		return map[string]float64{"momentum": d.Momentum, "beta1": d.Rest.Beta1, "beta2": d.Rest.Beta2, "eps": d.Rest.Eps, "weight_decay": d.WeightDecay}
	case "sgd":
		return map[string]float64{"momentum": 0.9, "weight_decay": 0}
	case "adafactor":
		return map[string]float64{"beta1": 0, "weight_decay": 0}
	}
	if c.Model.Base == "" {
		return map[string]float64{"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1}
	}
	return map[string]float64{"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01}
}

// scheduleSettings are the defaults of what a schedule has.
func (c *Config) scheduleSettings() map[string]float64 {
	d := map[string]float64{"warmup": 0.1}
	if c.Model.Base == "" {
		d["warmup"] = map[bool]float64{true: 0.06, false: 0.02}[c.Model.Family == "bert"]
	}
	switch c.Schedule.Kind {
	case "wsd", "trapezoid":
		d["decay"] = 0.4
		fallthrough
	case "cosine", "polynomial":
		d["floor"] = 0
		if c.Model.Base == "" {
			d["floor"] = 0.1
		}
	}
	return d
}

func (c *Config) optimizerDefaults() {
	if c.Optimizer.Kind == "muon" {
		set(&c.Optimizer.Rate, 0.02)
	}
	set(&c.Schedule.Kind, map[bool]string{true: "cosine", false: "linear"}[c.Model.Base == ""])
	for key, def := range c.optimizerSettings() {
		given(c.Optimizer.settings()[key], def)
	}
	for key, def := range c.scheduleSettings() {
		given(c.Schedule.settings()[key], def)
	}
}

// without returns an error for each setting that its owner, such as sgd, does
// not have.
func (s settings) without(table, owner string, has map[string]float64) (errs []error) {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if _, ok := has[key]; !ok && *s[key] != nil {
			errs = append(errs, fmt.Errorf("%s.%s: %s has no such setting", table, key, owner))
		}
	}
	return errs
}

// idle returns an error for each setting that would have no effect on the task.
func (c *Config) idle() (errs []error) {
	errs = append(errs, c.Optimizer.settings().without("optimizer", c.Optimizer.Kind, c.optimizerSettings())...)
	errs = append(errs, c.Schedule.settings().without("schedule", "a schedule "+c.Schedule.Kind, c.scheduleSettings())...)
	single := c.Task == TaskClassify && (c.Model.Problem == "" || c.Model.Problem == string(model.SingleLabel)) || c.Task == TaskTokens
	for _, o := range []struct {
		key    string
		given  bool
		effect bool
	}{
		{"train.label_smoothing", c.Train.LabelSmoothing > 0, single || c.IsLanguageModel()},
		{"train.class_weights", c.Train.ClassWeights == "balanced", single},
		{"phase", len(c.Phases) > 0, c.IsLanguageModel()},
		{"dataset.evaluation", len(c.Dataset.Evaluation) > 0, c.IsLanguageModel()},
		{"dataset.keep_duplicates", c.Dataset.KeepDuplicates, c.IsLanguageModel()},
		{"dataset.limit", c.Dataset.Limit > 0, !c.IsLanguageModel()},
		{"dataset.pair", c.Dataset.Pair != "", c.Task == TaskClassify},
		{"dataset.label", c.Dataset.Label != "", c.Task == TaskClassify || c.Task == TaskTokens},
		{"model.labels", len(c.Model.Labels) > 0, c.Task == TaskClassify || c.Task == TaskTokens},
		{"model.problem", c.Model.Problem != "", c.Task == TaskClassify},
		{"dataset.near_duplicates", c.Dataset.NearDuplicates > 0, c.IsLanguageModel()},
		{"dataset.join", c.Dataset.Join > 0, c.Task == TaskCausalLM || c.Task == TaskChat},
		{"dpo", c.DPO != nil, c.Task == TaskDPO},
		{"dataset.words", c.Dataset.Words != "", c.Task == TaskMaskedLM},
		{"dataset.whole_word", c.Dataset.WholeWord, c.Task == TaskMaskedLM},
		{"dataset.stride", c.Dataset.Stride > 0, c.Task == TaskAnswer},
		{"train.batch", c.Train.Batch > 0, !c.IsLanguageModel()},
		{"train.batch_tokens", c.Train.BatchTokens > 0, c.IsLanguageModel()},
		{"train.tokens", c.Train.Tokens != "", c.IsLanguageModel()},
		{"model.budget", c.Model.Budget != "", c.IsLanguageModel()},
	} {
		if o.given && !o.effect {
			errs = append(errs, fmt.Errorf("%s: it has no effect on the task %q", o.key, c.Task))
		}
	}
	return errs
}

func (c *Config) check() error {
	oneOf := func(key, value string, known ...string) error {
		if slices.Contains(known, value) {
			return nil
		}
		return fmt.Errorf("%s: %q is not one of %s", key, value, strings.Join(known, ", "))
	}
	within := func(key string, value, low, high float64) error {
		if value >= low && value <= high {
			return nil
		}
		return fmt.Errorf("%s: %v is not between %v and %v", key, value, low, high)
	}
	// maybe is for a setting that may be missing.
	maybe := func(key string, value *float64, low, high float64) error {
		if value == nil {
			return nil
		}
		return within(key, *value, low, high)
	}
	many := math.Inf(1)
	errs := []error{
		oneOf("task", c.Task, tasks...),
		oneOf("dtype", c.DType, "f32", "bf16"),
		oneOf("save_as", c.SaveAs, "f32", "bf16"),
		oneOf("model.size", c.Model.Size, "", "nano", "micro", "mini", "small"),
		oneOf("optimizer.kind", c.Optimizer.Kind, "adamw", "muon", "sgd", "adafactor"),
		oneOf("train.class_weights", c.Train.ClassWeights, "none", "balanced"),
		within("threads", float64(c.Threads), 0, 1e4),
		within("model.layers", float64(c.Model.Layers), 0, 1e4),
		within("model.width", float64(c.Model.Width), 0, 1e6),
		within("model.heads", float64(c.Model.Heads), 0, 1e4),
		within("model.kv_heads", float64(c.Model.KVHeads), 0, 1e4),
		within("model.inner", float64(c.Model.Inner), 0, 1e7),
		within("model.context", float64(c.Model.Context), 0, 1e8),
		within("dataset.limit", float64(c.Dataset.Limit), 0, many),
		within("dataset.stride", float64(c.Dataset.Stride), 0, 1e8),
		within("train.patience", float64(c.Train.Patience), 0, 1e9),
		within("train.skip_limit", float64(c.Train.SkipLimit), 1, 1e9),
		maybe("optimizer.eps", c.Optimizer.Eps, 0, 1),
		maybe("optimizer.momentum", c.Optimizer.Momentum, 0, 0.999999),
		within("watch.validate_every", float64(c.Watch.ValidateEvery), 0, 1e9),
		within("watch.validation_tokens", float64(c.Watch.ValidationTokens), 1, 1e12),
		within("watch.sample_tokens", float64(c.Watch.SampleTokens), 1, 1e6),
		maybe("dataset.held_out", c.Dataset.HeldOut, 0, 0.5),
		within("dataset.mask", c.Dataset.Mask, 0, 1),
		within("dataset.join", c.Dataset.Join, 0, 1),
		within("dataset.near_duplicates", c.Dataset.NearDuplicates, 0, 1),
		within("train.steps", float64(c.Train.Steps), 0, 1e9),
		within("train.epochs", c.Train.Epochs, 0, 1e6),
		within("train.batch", float64(c.Train.Batch), 0, 1e6),
		within("train.batch_tokens", float64(c.Train.BatchTokens), 0, 1e9),
		within("train.micro_tokens", float64(c.Train.MicroTokens), 2, 1e9),
		maybe("train.clip", c.Train.Clip, 0, many),
		within("train.ema", c.Train.EMA, 0, 0.999999),
		within("train.label_smoothing", c.Train.LabelSmoothing, 0, 0.999),
		within("train.dropout", c.Train.Dropout, 0, 0.9),
		within("optimizer.rate", c.Optimizer.Rate, 0, 100),
		maybe("optimizer.beta1", c.Optimizer.Beta1, 0, 0.999999),
		maybe("optimizer.beta2", c.Optimizer.Beta2, 0, 0.999999999),
		maybe("optimizer.weight_decay", c.Optimizer.WeightDecay, 0, 1000),
		maybe("schedule.warmup", c.Schedule.Warmup, 0, 1e9),
		maybe("schedule.decay", c.Schedule.Decay, 0, 1e9),
		maybe("schedule.floor", c.Schedule.Floor, 0, 1),
		within("checkpoint.keep", float64(c.Save.Keep), 1, 1e6),
	}
	if c.LoRA != nil {
		errs = append(errs, within("lora.rank", float64(c.LoRA.Rank), 1, 1e5), within("lora.alpha", c.LoRA.Alpha, 0, 1e6), within("lora.dropout", c.LoRA.Dropout, 0, 0.9))
	}
	if c.DPO != nil {
		errs = append(errs, oneOf("dpo.loss", c.DPO.Loss, "sigmoid", "ipo", "hinge"), within("dpo.beta", c.DPO.Beta, 0, 100), within("dpo.smoothing", c.DPO.Smoothing, 0, 0.5))
	}
	if c.Out == "" {
		errs = append(errs, errors.New("out: want the folder for the model"))
	}
	if len(c.Data) == 0 {
		errs = append(errs, errors.New("data: want at least one [[data]] with a path"))
	}
	for i, d := range c.Data {
		if d.Path == "" {
			errs = append(errs, fmt.Errorf("data: number %d has no path", i+1))
		}
		if chat := d.Chat || c.Task == TaskChat; d.Template != "" && chat || d.User+d.Answer != "" && !chat && c.IsLanguageModel() {
			errs = append(errs, fmt.Errorf("data: number %d: user and answer are for conversations (chat = true), template is for texts", i+1))
		}
		if d.Label != "" && (c.Task != TaskClassify || c.Dataset.Label != "") {
			errs = append(errs, fmt.Errorf("data: number %d: label is for the task classify, without dataset.label", i+1))
		}
		errs = append(errs, within("data.weight", d.Weight, 0, 1e9), within("data.passes", d.Passes, 0, 1e6))
	}
	if c.Model.Base == "" && c.Model.Tokenizer == "" {
		errs = append(errs, errors.New("model: want a tokenizer for a new model, or a base to go on from"))
	}
	if c.Model.Base == "" && !c.IsLanguageModel() {
		errs = append(errs, fmt.Errorf("model.base: want the model that the task %q goes on from", c.Task))
	}
	if c.Model.Base == "" {
		errs = append(errs, oneOf("model.family", c.Model.Family, "qwen3", "llama", "gpt2", "bert"))
	}
	if m := c.Model; m.Size != "" && m.Params != "" {
		errs = append(errs, errors.New("model: size and params are two ways to say how large it is: give one"))
	}
	if m := c.Model; m.Base != "" && (m.Size != "" || m.Params != "" || m.Layers+m.Width+m.Heads+m.KVHeads+m.Inner > 0) {
		errs = append(errs, errors.New("model: size, params, layers, width, heads, kv_heads and inner are for a new model, not for a base"))
	}
	if d := c.Train.Dropout; d > 0 && (c.Model.Base != "" || c.Model.Family != "gpt2" && c.Model.Family != "bert") {
		errs = append(errs, fmt.Errorf("train.dropout: %v is for new models of family gpt2 or bert alone", d))
	}
	if c.LoRA != nil && c.Model.Base == "" {
		errs = append(errs, errors.New("lora: want a model.base to adapt"))
	}
	for key, value := range map[string]string{"train.tokens": c.Train.Tokens, "model.params": c.Model.Params} {
		if _, err := ParseCount(value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	for key, value := range map[string]string{"model.budget": c.Model.Budget, "checkpoint.every": c.Save.Every} {
		if _, err := parseDuration(value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	errs = append(errs, c.checkWeights()...)
	for i := range c.Phases {
		errs = append(errs, within("phase.from", c.Phases[i].From, 0, 0.999999))
	}
	return errors.Join(append(errs, c.idle()...)...)
}

// checkWeights refuses sources that would not be trained on.
func (c *Config) checkWeights() (errs []error) {
	weighted := slices.ContainsFunc(c.Data, func(s SourceConfig) bool { return s.Weight > 0 })
	for i, s := range c.Data {
		inPhase := slices.ContainsFunc(c.Phases, func(p PhaseConfig) bool { return p.Weights[s.Name] > 0 })
		if weighted && s.Weight == 0 && !inPhase {
			errs = append(errs, fmt.Errorf("data: number %d, %s, has no weight, while others have: it would not be trained on", i+1, s.Path))
		}
	}
	return errs
}

// ParseCount reads a number such as 5M, 1.5B or 20000; "" is 0.
func ParseCount(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	units := map[byte]float64{'k': 1e3, 'K': 1e3, 'm': 1e6, 'M': 1e6, 'b': 1e9, 'B': 1e9, 'g': 1e9, 'G': 1e9}
	number, unit := text, 1.0
	if u, ok := units[text[len(text)-1]]; ok {
		number, unit = text[:len(text)-1], u
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n > 0) || n*unit > 1e15 {
		return 0, fmt.Errorf("%q is no number such as 20000, 500k or 5M", text)
	}
	return int64(n * unit), nil
}

func parseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no duration such as 90s, 10m or 2h30m", text)
	}
	return d, nil
}
