package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wenmo/dataset"
	"wenmo/model"
	"wenmo/tokenizer"
)

// smallRun makes a text, a tokenizer and the config of a run over them that
// takes a moment.
func smallRun(t testing.TB) *Config {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	for i := range 300 {
		fmt.Fprintf(&text, "The %s number %d sees the %s. 第%d天，天气很好。\n\n", []string{"cat", "dog", "bird"}[i%3], i, []string{"sun", "moon"}[i%2], i)
	}
	tok, err := tokenizer.ByteLevel(300)
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(data, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	c := &Config{Task: TaskCausalLM, Out: filepath.Join(dir, "out"), Threads: 2, Data: []SourceConfig{{Path: data, Separator: "blank"}}}
	c.Model = ModelConfig{Tokenizer: dir, Layers: 2, Width: 32, Heads: 2, Context: 64}
	c.Train = LengthConfig{Steps: 12, BatchTokens: 256, MicroTokens: 128, EMA: 0.9}
	c.Dataset.HeldOut = new(0.1)
	c.Watch.ValidateEvery = 4
	return c
}

// finished runs a config to its end and returns its weights.
func finished(t testing.TB, c *Config, opt RunOptions) []byte {
	t.Helper()
	if opt.Log == nil {
		opt.Log = func(text string) { t.Log(text) }
	}
	if err := Run(t.Context(), c, opt); err != nil {
		t.Fatal(err)
	}
	return learnt(t, c)
}

// learnt returns what a finished run has learnt.
func learnt(t testing.TB, c *Config) []byte {
	t.Helper()
	name := weightsFile
	if c.LoRA != nil {
		name = adapterFile
	}
	data, err := os.ReadFile(filepath.Join(c.Out, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// copyOf returns a config of the same run in another folder.
func copyOf(t testing.TB, c *Config) *Config {
	t.Helper()
	other := *c
	other.Out = filepath.Join(t.TempDir(), "out")
	return &other
}

// TestRunIsTheSame demands the same model, byte for byte, for any number of
// threads and any size of micro-batches, and however often a run is broken off.
func TestRunIsTheSame(t *testing.T) {
	for _, dtype := range []string{"f32", "bf16"} {
		t.Run(dtype, func(t *testing.T) {
			base := smallRun(t)
			base.DType = dtype
			want := finished(t, copyOf(t, base), RunOptions{})
			t.Run("threads", func(t *testing.T) {
				c := copyOf(t, base)
				c.Threads = 1
				same(t, finished(t, c, RunOptions{}), want)
			})
			t.Run("micro-batches", func(t *testing.T) {
				c := copyOf(t, base)
				c.Train.MicroTokens = 64
				same(t, finished(t, c, RunOptions{}), want)
			})
			t.Run("recomputed", func(t *testing.T) {
				c := copyOf(t, base)
				c.Train.Recompute = true
				same(t, finished(t, c, RunOptions{}), want)
			})
			t.Run("resumed", func(t *testing.T) { same(t, inPieces(t, copyOf(t, base)), want) })
		})
	}
}

func same(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Error("the weights are not those of the unbroken run")
	}
}

// inPieces runs a config in pieces of a few steps.
func inPieces(t *testing.T, c *Config) []byte {
	t.Helper()
	for piece := 0; ; piece++ {
		again := c
		if piece > 0 {
			var err error
			if again, err = ResumeConfig("", c.Out); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		steps := 0
		err := Run(ctx, again, RunOptions{
			Resume: piece > 0, Log: func(text string) { t.Error(text) },
			Told: func(e Event) {
				if e.Train != nil {
					if steps++; steps == 3 {
						stop()
					}
				}
			},
		})
		stop()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	return learnt(t, c)
}

// TestTaskIsTheSame is TestRunIsTheSame for the tasks whose sequences have
// lengths of their own, odd ones too, and for the other optimizers.
func TestTaskIsTheSame(t *testing.T) {
	pretrained := smallRun(t)
	pretrained.Train.Steps, pretrained.Model.Context = 3, 128
	finished(t, pretrained, RunOptions{})
	masked := maskedRun(t)
	encoder := copyOf(t, masked)
	encoder.Train.Steps = 3
	finished(t, encoder, RunOptions{})
	words := strings.Fields("the cat sees a bird and no dog under the old moon")
	tune := func(task, base string, record func(i int, text string) string) *Config {
		path := filepath.Join(t.TempDir(), task+".jsonl")
		var lines strings.Builder
		for i := range 60 {
			fmt.Fprintln(&lines, record(i, fmt.Sprintf("%s %d", strings.Join(words[:1+i*7%len(words)], " "), i)))
		}
		if err := os.WriteFile(path, []byte(lines.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		c := &Config{Task: task, Threads: 2, Data: []SourceConfig{{Path: path}}}
		c.Model.Base = base
		c.Train = LengthConfig{Steps: 4, MicroTokens: 1024}
		c.Dataset.HeldOut = new(0.2)
		return c
	}
	classify := func(i int, text string) string {
		return fmt.Sprintf(`{"text":%q,"label":%q}`, text, []string{"even", "odd"}[i%2])
	}
	dpo := func(i int, text string) string {
		return fmt.Sprintf(`{"prompt":%q,"chosen":"yes, %d","rejected":"no"}`, text, i)
	}
	optimizer := func(kind string) *Config {
		c := smallRun(t)
		c.Optimizer.Kind, c.Train.Steps = kind, 5
		return c
	}
	adapted := tune(TaskClassify, encoder.Out, classify)
	adapted.LoRA = &LoRAConfig{Rank: 2, Dropout: 0.1}
	many := tune(TaskClassify, encoder.Out, func(i int, text string) string {
		return fmt.Sprintf(`{"text":%q,"label":%s}`, text, []string{`["a"]`, `["a","b"]`, `["c","b"]`, `[]`}[i%4])
	})
	many.Model.Problem, many.Train.Batch = string(model.MultiLabel), 13
	values := tune(TaskClassify, encoder.Out, func(i int, text string) string { return fmt.Sprintf(`{"text":%q,"label":%d.25}`, text, i%7) })
	values.Model.Problem, values.Train.Batch = string(model.Regression), 13
	ipo := tune(TaskDPO, pretrained.Out, dpo)
	ipo.DPO = &DPOConfig{Loss: "ipo"}
	for name, base := range map[string]*Config{
		"multilabel": many,
		"regression": values,
		"ipo":        ipo,
		"tokens": tune(TaskTokens, encoder.Out, func(i int, text string) string {
			n := len(strings.Fields(text))
			return fmt.Sprintf(`{"tokens":["%s"],"tags":"%s"}`, strings.Join(strings.Fields(text), `","`), strings.TrimSpace(strings.Repeat("O ", n-1)+"B-X"))
		}),
		"answer": tune(TaskAnswer, encoder.Out, func(i int, text string) string {
			return fmt.Sprintf(`{"question":"which number?","context":%q,"answers":{"text":["%d"],"answer_start":[%d]}}`, text, i, strings.LastIndex(text, " ")+1)
		}),
		"masked-lm": masked,
		"muon":      optimizer("muon"),
		"adafactor": optimizer("adafactor"),
		"sgd":       optimizer("sgd"),
		"classify":  tune(TaskClassify, encoder.Out, classify),
		"decoder":   tune(TaskClassify, pretrained.Out, classify),
		"lora":      adapted,
		"dpo":       tune(TaskDPO, pretrained.Out, dpo),
		"chat": tune(TaskChat, pretrained.Out, func(i int, text string) string {
			return fmt.Sprintf(`{"messages":[{"role":"user","content":%q},{"role":"assistant","content":"no, %d"}]}`, text, i)
		}),
	} {
		for _, dtype := range []string{"f32", "bf16"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				base := copyOf(t, base)
				base.DType = dtype
				want := finished(t, copyOf(t, base), RunOptions{})
				one := copyOf(t, base)
				one.Threads, one.Train.MicroTokens = 1, 16
				same(t, finished(t, one, RunOptions{}), want)
				same(t, inPieces(t, copyOf(t, base)), want)
			})
		}
	}
}

// maskedRun is smallRun for a masked language model.
func maskedRun(t *testing.T) *Config {
	t.Helper()
	c := smallRun(t)
	text, err := os.Open(c.Data[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	tok, err := tokenizer.TrainWordPiece(t.Context(), nil, tokenizer.TrainOptions{VocabSize: 200}, text)
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(filepath.Join(c.Model.Tokenizer, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	c.Task = TaskMaskedLM
	return c
}

// TestRunRefuses demands an error for what cannot be meant.
func TestRunRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"no such task", func(c *Config) { c.Task = "poetry" }, `task: "poetry" is not one of`},
		{"no data", func(c *Config) { c.Data = nil }, "want at least one [[data]]"},
		{"missing data", func(c *Config) { c.Data[0].Path += ".not" }, "no such file"},
		{"no weight beside others", func(c *Config) {
			c.Data = append(c.Data, c.Data[0])
			c.Data[0].Weight = 1
		}, "number 2"},
		{"size twice", func(c *Config) { c.Model.Size, c.Model.Params = "nano", "3M" }, "two ways"},
		{"out is the tokenizer", func(c *Config) { c.Out = c.Model.Tokenizer }, "reads from"},
		{"no tokenizer", func(c *Config) { c.Model.Tokenizer = "" }, "want a tokenizer"},
		{"width", func(c *Config) { c.Model.Heads = 3 }, "do not divide"},
		{"rate", func(c *Config) { c.Optimizer.Rate = -1 }, "optimizer.rate"},
		{"layers", func(c *Config) { c.Model.Layers = -1 }, "model.layers: -1 is not between"},
		{"width", func(c *Config) { c.Model.Width = 1 << 60 }, "model.width"},
		{"momentum", func(c *Config) { c.Optimizer.Momentum = new(math.NaN()) }, "optimizer.momentum: NaN"},
		{"eps", func(c *Config) { c.Optimizer.Eps = new(math.NaN()) }, "optimizer.eps: NaN"},
		{"dropout", func(c *Config) { c.LoRA = &LoRAConfig{Dropout: 1.5} }, "lora.dropout"},
		{"no dropout in qwen3", func(c *Config) { c.Train.Dropout = 0.1 }, "train.dropout: 0.1 is for"},
		{"passes", func(c *Config) { c.Data[0].Passes = -1 }, "data.passes"},
		{"skip limit", func(c *Config) { c.Train.SkipLimit = -1 }, "train.skip_limit"},
		{"all left out", func(c *Config) { c.Data[0].Separator, c.Dataset.Evaluation = "file", []string{c.Data[0].Path} }, "0 are duplicates, 1 contaminated"},
		{"setting of another optimizer", func(c *Config) { c.Optimizer.Momentum = new(0.9) }, "optimizer.momentum: adamw has no such setting"},
		{"setting of another schedule", func(c *Config) { c.Schedule = ScheduleConfig{Kind: "constant", Floor: new(0.1)} }, "schedule.floor: a schedule constant has"},
		{"smoothing of pairs", func(c *Config) { c.Task, c.Model.Base, c.Train.LabelSmoothing = TaskDPO, "x", 0.1 }, "train.label_smoothing: it has no effect"},
		{"near copies left out, exact ones kept", func(c *Config) { c.Dataset.KeepDuplicates, c.Dataset.NearDuplicates = true, 0.8 }, "exact ones are kept"},
		{"near copies of pairs", func(c *Config) { c.Task, c.Model.Base, c.Dataset.NearDuplicates = TaskDPO, "x", 0.8 }, "dataset.near_duplicates: it has no effect"},
		{"phase of another source", func(c *Config) { c.Phases = []PhaseConfig{{From: 0.5, Weights: map[string]float64{"x": 1}}} }, `no source is named "x"`},
		{"phase past the end", func(c *Config) { c.Phases = []PhaseConfig{{From: 1.5}} }, "phase.from"},
		{"batch of less than a row", func(c *Config) { c.Train.BatchTokens = 32 }, "train.batch_tokens: 32 is less"},
		{"tokenizer of another name", func(c *Config) { c.Model.Tokenizer = c.Data[0].Path }, "want a folder, or the tokenizer.json"},
		{"head of its own", func(c *Config) { c.Task = TaskClassify }, "model.base"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := smallRun(t)
			c.change(cfg)
			err := Run(t.Context(), cfg, RunOptions{Plan: true})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestResumeRefuses demands an error for checkpoints that are damaged or of
// another run, and that the last good one serves.
func TestResumeRefuses(t *testing.T) {
	c := smallRun(t)
	want := finished(t, c, RunOptions{})
	checkpoints := &Checkpoints{Dir: filepath.Join(c.Out, checkpointsDir)}
	steps, err := checkpoints.Steps()
	if err != nil || len(steps) < 2 {
		t.Fatalf("checkpoints %v, error %v: want at least two", steps, err)
	}
	newest := checkpoints.path(steps[len(steps)-1])
	truncate(t, filepath.Join(newest, weightsFile))
	again, err := ResumeConfig("", c.Out)
	if err != nil {
		t.Fatal(err)
	}
	var logged []string
	got := finished(t, again, RunOptions{Resume: true, Log: func(text string) { logged = append(logged, text) }})
	same(t, got, want)
	if len(logged) != 1 || !strings.Contains(logged[0], "damaged") {
		t.Errorf("logged %q, want that a file is damaged", logged)
	}
	other, err := ResumeConfig("", c.Out)
	if err != nil {
		t.Fatal(err)
	}
	other.Optimizer.Rate *= 2
	if err := Run(t.Context(), other, RunOptions{Resume: true, Log: func(string) {}}); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("error %v, want that the checkpoint is of another run", err)
	}
	if err := Run(t.Context(), c, RunOptions{Log: func(string) {}}); err == nil || !strings.Contains(err.Error(), "--resume") {
		t.Errorf("error %v, want that there is a run already", err)
	}
}

// TestResumeWithoutCheckpoints demands that a finished model is not trained anew
// because its checkpoints are gone.
func TestResumeWithoutCheckpoints(t *testing.T) {
	c := smallRun(t)
	want := finished(t, c, RunOptions{})
	if err := os.RemoveAll(filepath.Join(c.Out, checkpointsDir)); err != nil {
		t.Fatal(err)
	}
	again, err := ResumeConfig("", c.Out)
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), again, RunOptions{Resume: true, Log: func(string) {}}); err == nil || !strings.Contains(err.Error(), "no checkpoint") {
		t.Errorf("error %v, want that there is no checkpoint", err)
	}
	got, err := os.ReadFile(filepath.Join(c.Out, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
}

func truncate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()/2); err != nil {
		t.Fatal(err)
	}
}

func TestConfig(t *testing.T) {
	c := smallRun(t)
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	again, err := ParseConfig([]byte(c.Text()))
	if err != nil {
		t.Fatal(err)
	}
	if again.Text() != c.Text() {
		t.Errorf("a config changes when it is read again:\n%s\n%s", c.Text(), again.Text())
	}
	zero, err := ParseConfig([]byte("out = 'x'\n[[data]]\npath = 'x'\n[model]\ntokenizer = 'x'\n[train]\nclip = 0\n[optimizer]\nweight_decay = 0\n" +
		"[schedule]\nwarmup = 0\nfloor = 0\n[dataset]\nheld_out = 0\n[[phase]]\nfrom = 0.9\nweights = {chat = 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	zero.Task = TaskCausalLM
	if err := zero.Complete(); err != nil {
		t.Fatal(err)
	}
	if n := *zero.Train.Clip + *zero.Optimizer.WeightDecay + *zero.Schedule.Warmup + *zero.Schedule.Floor + *zero.Dataset.HeldOut; n != 0 {
		t.Errorf("what is given as 0 is not:\n%s", zero.Text())
	}
	if len(zero.Phases) != 1 || zero.Phases[0].Weights["chat"] != 1 {
		t.Errorf("phases %v", zero.Phases)
	}
	for _, bad := range []struct{ text, want string }{
		{"task = 'causal-lm'\nsteps = 3\n", `line 2: there is no key "steps"`},
		{"[train]\nsteps = 'many'\n", "line 2"},
		{"[train\n", "line 1"},
	} {
		if _, err := ParseConfig([]byte(bad.text)); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("error of %q is %v, want one with %q", bad.text, err, bad.want)
		}
	}
	for _, set := range []struct {
		key, value string
		ok         bool
	}{{"train.steps", "7", true}, {"out", "a b", true}, {"watch.prompts", `["x"]`, true}, {"train.epoch", "1", false}, {"train.steps", "x", false}} {
		if err := again.Set(set.key, set.value); (err == nil) != set.ok {
			t.Errorf("setting %s to %s: error %v", set.key, set.value, err)
		}
	}
	for _, length := range []string{"train.tokens", "train.epochs", "train.steps"} { // the last counts
		if err := again.Set(length, "7"); err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{"train.tokens": again.Train.Tokens != "", "train.epochs": again.Train.Epochs > 0, "train.steps": again.Train.Steps > 0}
		for key, given := range got {
			if given != (key == length) {
				t.Errorf("after %s was set, %s is given: %v", length, key, given)
			}
		}
	}
	if again.Train.Steps != 7 || again.Out != "a b" || len(again.Watch.Prompts) != 1 {
		t.Errorf("what was set is %d, %q, %q", again.Train.Steps, again.Out, again.Watch.Prompts)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("task = 'causal-lm'\n[[data]]\npath = 'x'\n"))
	f.Add([]byte("[model]\nlayers = 3\n[train]\ntokens = '5M'"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		if c.Complete() == nil {
			c.Text()
		}
	})
}

// TestConfigText demands that what is printed is read again as the same, and
// that every key is on a line of its own.
func TestConfigText(t *testing.T) {
	c := smallRun(t)
	c.Name = "# no comment \n[train]\nlr = 1"
	c.LoRA = &LoRAConfig{Targets: []string{"q_proj", "#"}}
	if err := c.Complete(); err == nil {
		t.Error("an adapter without a base is complete")
	}
	again, err := ParseConfig([]byte(c.Text()))
	if err != nil {
		t.Fatal(err)
	}
	again.Data[0] = c.Data[0]
	if got, want := again.Text(), c.Text(); got != want {
		t.Errorf("read again it is\n%s\nwant\n%s", got, want)
	}
	for line := range strings.Lines(c.Text()) {
		if line != "\n" && !strings.HasPrefix(line, "[") && !strings.Contains(line, " = ") {
			t.Errorf("the line %q has no key", line)
		}
	}
}

// TestPlan demands reasons in the reader's language, and no more passes over a
// text than teach anything.
func TestPlan(t *testing.T) {
	for lang, want := range map[string]string{"en": " 8 passes", "zh": "数据 8 遍"} {
		c := smallRun(t)
		c.Train, c.Model.Budget = LengthConfig{}, "1h"
		if err := c.Complete(); err != nil {
			t.Fatal(err)
		}
		p, err := c.Scale(Supply{Vocab: 300, Tokens: 10_000, FLOPS: 1e11, Lang: lang})
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(p.Reasons, "\n"); !strings.Contains(all, want) {
			t.Errorf("%s: %s, want %q", lang, all, want)
		}
		if p.Tokens > mostPasses*10_000 {
			t.Errorf("%d tokens of training on 10000", p.Tokens)
		}
		c.Train.MicroTokens = 1 << 20
		if _, err := c.Scale(Supply{Vocab: 300, Tokens: 10_000_000, FLOPS: 1e11, Machine: 1 << 20}); err == nil || !strings.Contains(err.Error(), "MB of memory") {
			t.Errorf("error %v, want one of the memory", err)
		}
	}
}

// TestPlanOfBudgetWithBase demands that a budget holds for a model that is gone on
// from, as far as the machine's speed is known.
func TestPlanOfBudgetWithBase(t *testing.T) {
	plan := func(flops float64, budget string) int64 {
		c := smallRun(t)
		c.Train, c.Model = LengthConfig{}, ModelConfig{Budget: budget, Base: "base"}
		if err := c.Complete(); err != nil {
			t.Fatal(err)
		}
		p, err := c.Scale(Supply{Vocab: 300, Tokens: 1_000_000, FLOPS: flops, Base: &Sizes{Params: 1 << 20, Blocks: 1 << 20, Layers: 2, Width: 64, Context: 64}})
		if err != nil {
			t.Fatal(err)
		}
		return p.Tokens
	}
	without, unknown := plan(1e11, ""), plan(0, "10s")
	if short, long := plan(1e11, "10s"), plan(1e11, "40s"); short*3 > long || short == without || unknown != without {
		t.Errorf("%d tokens in 10 s, %d in 40 s, %d without a budget, %d at an unknown speed", short, long, without, unknown)
	}
}

// TestTokenizerFiles finds the vocabulary under any name that a tokenizer is read
// from, and takes no folder for a file.
func TestTokenizerFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"qwen.tiktoken", "spm.model", "vocab.txt", "weights.bin"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "old.model"), 0o777); err != nil {
		t.Fatal(err)
	}
	files, err := tokenizerFiles(dir)
	if got := slices.Sorted(maps.Keys(files)); err != nil || !slices.Equal(got, []string{"qwen.tiktoken", "spm.model", "vocab.txt"}) {
		t.Errorf("found %v, %v", got, err)
	}
}

// TestNothingHeldOut demands a word where there is nothing to validate on.
func TestNothingHeldOut(t *testing.T) {
	c := smallRun(t)
	c.Data[0].Separator = "file"
	c.Train.Steps = 1
	var logged []string
	finished(t, c, RunOptions{Log: func(text string) { logged = append(logged, text) }})
	if len(logged) != 1 || !strings.Contains(logged[0], "no validation") {
		t.Errorf("logged %q, want that there is no validation", logged)
	}
}

// TestWatchBrokenOff demands that a run which is broken off while it samples, or
// before it validates, makes up for it, and that what stopped stays so.
func TestWatchBrokenOff(t *testing.T) {
	sample := func(context.Context, Sampler) ([]string, error) { return []string{"a"}, nil }
	base := smallRun(t)
	base.Watch.SampleEvery = 4
	finished(t, base, RunOptions{Sample: sample})
	want := watched(t, base)
	c := copyOf(t, base)
	ctx, stop := context.WithCancel(t.Context())
	calls := 0
	err := Run(ctx, c, RunOptions{Log: func(string) {}, Sample: func(ctx context.Context, s Sampler) ([]string, error) {
		if calls++; calls == 2 {
			stop()
			return nil, ctx.Err()
		}
		return sample(ctx, s)
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	again, err := ResumeConfig("", c.Out)
	if err != nil {
		t.Fatal(err)
	}
	finished(t, again, RunOptions{Resume: true, Sample: sample})
	if got := watched(t, again); got != want {
		t.Errorf("broken off it has\n%s\nunbroken\n%s", got, want)
	}

	c = copyOf(t, base)
	c.Train.Patience, c.Train.Steps, c.Optimizer.Rate, c.Train.EMA = 1, 40, 1e-30, 0 // never better
	ended := finished(t, c, RunOptions{Sample: sample})
	if again, err = ResumeConfig("", c.Out); err != nil {
		t.Fatal(err)
	}
	steps := 0
	same(t, finished(t, again, RunOptions{Resume: true, Sample: sample, Told: func(e Event) {
		if e.Train != nil {
			steps++
		}
	}}), ended)
	if steps > 0 {
		t.Errorf("a run that had stopped made %d more steps", steps)
	}
}

// watched lists the validations and samples of a run's diary.
func watched(t *testing.T, c *Config) string {
	t.Helper()
	var out strings.Builder
	err := readDiary(filepath.Join(c.Out, metricsFile), func(l *line, text []byte) {
		if l.ValidationLoss != nil || l.Prompt != nil {
			fmt.Fprintf(&out, "%s\n", text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestValidationFiles demands that files for validation are measured on.
func TestValidationFiles(t *testing.T) {
	c := smallRun(t)
	path := filepath.Join(t.TempDir(), "held.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("The old cat of number nine has seen neither sun nor moon. ", 3)+"\n\nShort.\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	c.Dataset.HeldOut, c.Dataset.Validation = nil, []string{path}
	var found []Validation
	finished(t, c, RunOptions{
		Log: func(text string) { t.Error(text) },
		Told: func(e Event) {
			if e.Validation != nil {
				found = append(found, *e.Validation)
			}
		},
	})
	if len(found) != 3 || found[0].BitsPerByte <= found[2].BitsPerByte || found[2].BitsPerByte <= 0 {
		t.Errorf("%+v, want three measurements that get better", found)
	}
}

// TestBrokenValidation leaves out what a chat template can make nothing of, but says
// so where nothing remains.
func TestBrokenValidation(t *testing.T) {
	enc := dataset.Encoder{Key: "x", VocabSize: 10, Encode: func(d *dataset.Document) ([]dataset.Sequence, dataset.Cut, error) {
		if strings.Contains(d.Text, "bad") {
			return nil, dataset.Cut{}, errors.New("it is bad")
		}
		return []dataset.Sequence{{IDs: []int32{1, 2, 3}}}, dataset.Cut{}, nil
	}}
	for text, want := range map[string]int{`{"text":"bad"}` + "\n" + `{"text":"good"}` + "\n": 1, `{"text":"bad"}` + "\n": 0} {
		path := filepath.Join(t.TempDir(), "a.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		found, failed := 0, false
		for _, err := range dataset.ValidationFiles(t.Context(), path, dataset.ReadOptions{}, enc, 0, 8) {
			if err != nil {
				failed = true
				continue
			}
			found++
		}
		if found != want || failed != (want == 0) {
			t.Errorf("%q: %d documents, want %d, an error: %v", text, found, want, failed)
		}
	}
}

// TestBySource demands how well each source was learnt in the card.
func TestBySource(t *testing.T) {
	c := smallRun(t)
	other := filepath.Join(t.TempDir(), "other.txt")
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, "The %d sheep of farm %d.\n\n", i, i*i)
	}
	if err := os.WriteFile(other, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	c.Data[0].Name = "book"
	c.Data = append(c.Data, SourceConfig{Name: "sheep", Path: other, Separator: "blank"})
	c.Dataset.HeldOut = new(0.2)
	finished(t, c, RunOptions{})
	card, err := os.ReadFile(filepath.Join(c.Out, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"book", "sheep"} {
		if !regexp.MustCompile(`(?m)^\| ` + name + ` \| \d+ \| \d\.\d{3} \| \d\.\d{3} \|$`).Match(card) {
			t.Errorf("the card says nothing of %s:\n%s", name, card)
		}
	}
}

// TestPhaseIsKept demands the last weights where the data changes during a run,
// though earlier ones were better on what was held out.
func TestPhaseIsKept(t *testing.T) {
	c := smallRun(t)
	other := filepath.Join(t.TempDir(), "other.txt")
	if err := os.WriteFile(other, []byte(strings.Repeat("zzzz qqqq xxxx\n\n", 4)+"zzzz"), 0o666); err != nil {
		t.Fatal(err)
	}
	c.Data[0].Name, c.Data[0].Weight = "text", 1
	c.Data = append(c.Data, SourceConfig{Name: "other", Path: other})
	c.Dataset.KeepDuplicates = true
	c.Phases = []PhaseConfig{{From: 0.7, Weights: map[string]float64{"other": 1}}}
	c.Train.EMA, c.Train.Steps, c.Optimizer.Rate, c.Watch.ValidateEvery = 0, 20, 0.02, 1
	var best, last float64
	finished(t, c, RunOptions{Told: func(e Event) {
		if e.Validation != nil {
			last = e.Validation.Loss
			if best == 0 || last < best {
				best = last
			}
		}
	}})
	if last <= best {
		t.Fatalf("validation %v at the end, %v at best: the phase changed nothing", last, best)
	}
	card, err := os.ReadFile(filepath.Join(c.Out, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%.4f", last); !strings.Contains(string(card), want) {
		t.Errorf("the card does not have the last loss, %s:\n%s", want, card)
	}
}

// TestBaseHasChanged demands an error where a run would go on from another base.
func TestBaseHasChanged(t *testing.T) {
	base := smallRun(t)
	finished(t, base, RunOptions{})
	c := copyOf(t, base)
	c.Model, c.Train.Steps = ModelConfig{Base: base.Out}, 6
	ctx, stop := context.WithCancel(t.Context())
	err := Run(ctx, c, RunOptions{Told: func(e Event) {
		if e.Step == 3 {
			stop()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	weights := filepath.Join(base.Out, weightsFile)
	data, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(weights, data, 0o666); err != nil {
		t.Fatal(err)
	}
	again, err := ResumeConfig("", c.Out)
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), again, RunOptions{Resume: true}); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("error %v, want that the checkpoint is of another run", err)
	}
}
