package main

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/embedded"
	"wenmo/internal/progress"
)

// runCommandLine is what pretrain and finetune take besides a TOML file. What is
// given here goes over what the file says.
type runCommandLine struct {
	task, out, tokenizer, base, size, params, budget, dtype, report string

	data, set []string
	steps     int
	threads   int
	lora      int
	resume    bool
	plan      bool
	json      bool
}

// pretrainTasks and finetuneTasks are the tasks of the commands, the first being
// what is meant where none is named.
var (
	pretrainTasks = []string{"causal-lm", "masked-lm"}
	finetuneTasks = []string{"chat", "classify", "tokens", "answer", "dpo", "causal-lm", "masked-lm"}
)

func pretrainCommand() *cobra.Command {
	var r runCommandLine
	cmd := r.command("pretrain", pretrainTasks)
	addFlag(cmd, "model", func(f *pflag.FlagSet) { f.StringVar(&r.tokenizer, "tokenizer", "", say("flag.train_tokenizer")) })
	addChoice(cmd, "model", choice{&r.size, []string{"nano", "micro", "mini", "small"}}, "size", say("flag.size_dial"))
	addFlag(cmd, "model", func(f *pflag.FlagSet) {
		f.StringVar(&r.params, "params", "", say("flag.params_dial"))
		f.StringVar(&r.budget, "budget", "", say("flag.budget_dial"))
	})
	return cmd
}

func finetuneCommand() *cobra.Command {
	var r runCommandLine
	cmd := r.command("finetune", finetuneTasks)
	addModelFlag(cmd, &r.base)
	addFlag(cmd, "model", func(f *pflag.FlagSet) { f.Var(count{&r.lora, 1}, "lora", say("flag.lora")) })
	return cmd
}

func (r *runCommandLine) command(name string, tasks []string) *cobra.Command {
	cmd := describe(&cobra.Command{Use: name + " [RUN.toml]", Args: arguments(1, "RUN.toml")}, name)
	addChoice(cmd, "input", choice{&r.task, tasks}, "task", say("flag.task"))
	addFlag(cmd, "input", func(f *pflag.FlagSet) {
		f.StringArrayVar(&r.data, "data", nil, say("flag.train_data"))
		f.StringArrayVar(&r.set, "set", nil, say("flag.set"))
		f.Var(count{&r.steps, 1}, "steps", say("flag.train_steps"))
	})
	addChoice(cmd, "model", choice{&r.dtype, []string{"f32", "bf16"}}, "dtype", say("flag.train_dtype"))
	addThreads(cmd, &r.threads)
	addFlag(cmd, "output", func(f *pflag.FlagSet) {
		f.StringVar(&r.out, "out", "", say("flag.run_out"))
		f.BoolVar(&r.resume, "resume", false, say("flag.resume"))
		f.BoolVar(&r.plan, "plan", false, say("flag.plan"))
		f.StringVar(&r.report, "report", "", say("flag.report"))
		f.BoolVar(&r.json, "json", false, say("flag.events_json"))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := r.config(args, tasks[0])
		if err != nil {
			return err
		}
		if r.report != "" {
			if err := wenmo.TrainReport(c, r.report, language()); err != nil {
				return err
			}
			return emit(cmd, say("train.report", r.report))
		}
		if name == "finetune" && c.Model.Base == "" {
			c.Model.Base = embedded.Chat
		}
		for _, need := range []struct {
			flag    string
			missing bool
		}{
			{"--tokenizer", name == "pretrain" && c.Model.Base+c.Model.Tokenizer == ""},
			{"--data", len(c.Data) == 0},
			{"--out", c.Out == ""},
		} {
			if need.missing {
				return usagef("error.missing", need.flag)
			}
		}
		return r.train(cmd, c)
	}
	return cmd
}

// config reads the TOML file and puts the flags over it.
func (r *runCommandLine) config(args []string, task string) (*wenmo.TrainConfig, error) {
	path := ""
	if len(args) > 0 {
		path = args[0]
	}
	c := &wenmo.TrainConfig{}
	var err error
	for _, s := range r.set {
		if key, value, ok := strings.Cut(s, "="); ok && strings.TrimSpace(key) == "out" && r.out == "" {
			r.out = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	switch {
	case r.resume || r.report != "":
		if path == "" && r.out == "" {
			return nil, usagef("error.resume_what")
		}
		c, err = wenmo.ResumeTrainConfig(path, r.out)
	case path != "":
		c, err = wenmo.ReadTrainConfig(path)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range []struct{ key, value string }{
		{"task", r.task}, {"out", r.out}, {"model.tokenizer", r.tokenizer}, {"model.base", r.base}, {"model.size", r.size},
		{"model.params", r.params}, {"model.budget", r.budget}, {"dtype", r.dtype}, {"train.steps", positive(r.steps)},
		{"threads", positive(r.threads)}, {"lora.rank", positive(r.lora)},
	} {
		if f.value == "" {
			continue
		}
		if err := c.Set(f.key, f.value); err != nil {
			return nil, err
		}
	}
	if len(r.data) > 0 {
		c.Data = nil
		for _, path := range r.data {
			c.AddData(path)
		}
	}
	for _, s := range r.set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, usagef("error.set", s)
		}
		if err := c.Set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return nil, usagef("error.set_value", err)
		}
	}
	c.Task = cmp.Or(c.Task, task)
	return c, nil
}

// positive is a number as a text, "" of one that is not given.
func positive(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// train runs a config and shows it.
func (r *runCommandLine) train(cmd *cobra.Command, c *wenmo.TrainConfig) error {
	ctx, stop := interruptible(cmd)
	defer stop()
	w := watcher{cmd: cmd, json: r.json, plan: r.plan}
	opt := wenmo.TrainOptions{
		Resume: r.resume, Plan: r.plan, Lang: language(), Prepared: w.prepared, Planned: w.planned,
		Told: w.told, Sampled: w.sampled, Log: func(text string) { w.print(text) },
	}
	err := wenmo.Train(ctx, c, opt)
	w.end()
	if err != nil {
		return unlessInterrupted(ctx, err, say("interrupted.run", cmd.Name(), c.Out))
	}
	if r.plan {
		return nil
	}
	if r.json {
		return emitJSON(cmd, map[string]string{"done": c.Out})
	}
	return emit(cmd, say("train.done", c.Out, c.Command(), filepath.Join(c.Out, "report.html")))
}

// watcher shows a run in the terminal, or as JSON lines.
type watcher struct {
	cmd   *cobra.Command
	json  bool
	plan  bool // nothing else is wanted
	line  *progress.Line
	stage string
	steps int
	talks bool    // the model answers messages
	speed float64 // of the machine's product, operations a second
}

// switchTo ends the line of one stage of the work and begins another.
func (w *watcher) switchTo(stage string, unit progress.Unit) {
	if w.stage == stage {
		return
	}
	w.line.End()
	w.stage = stage
	w.line = progressLine(w.cmd, say("progress."+stage), unit)
}

func (w *watcher) end() { w.line.End() }

// print shows a text above the line.
func (w *watcher) print(text string) { w.show(progress.Tame(text)) }

// printDim shows what may be passed over.
func (w *watcher) printDim(text string) { w.show(dim(w.cmd.ErrOrStderr(), progress.Tame(text))) }

func (w *watcher) show(text string) {
	if w.line == nil {
		w.line = progressLine(w.cmd, "", progress.Items)
	}
	w.line.Print(text)
}

func (w *watcher) prepared(p wenmo.PrepareProgress) {
	w.switchTo("prepare", progress.Bytes)
	w.line.Set(p.Done, p.Total)
}

// planned prints the config in full, why it is so, and what it will take.
func (w *watcher) planned(c *wenmo.TrainConfig, p *wenmo.TrainPlan) {
	w.line.End()
	w.line, w.stage = nil, ""
	w.steps = p.Steps
	w.speed = p.FLOPS
	w.talks = c.Task == "chat" || c.Task == "dpo"
	if w.json {
		_ = emitJSON(w.cmd, map[string]any{"plan": p, "run_toml": c.Text()})
		return
	}
	if w.plan { // which is what was asked for
		_ = emit(w.cmd, strings.TrimSpace(c.Text()))
	} else {
		w.printDim(strings.TrimSpace(c.Text()))
	}
	w.print("")
	for _, reason := range p.Reasons {
		w.print("· " + reason)
	}
	w.print(say("train.plan", numberText(int64(p.Params)), p.Steps, numberText(p.Tokens), p.Time.Round(time.Second), bytesText(p.Memory)))
}

// numberText writes a large number in short: 1.2M.
func numberText(n int64) string {
	units := []string{"", "k", "M", "G"}
	v, i := float64(n), 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 || v >= 99.95 {
		return fmt.Sprintf("%.0f%s", v, units[i])
	}
	return fmt.Sprintf("%.1f%s", v, units[i])
}

func (w *watcher) told(e wenmo.TrainEvent) {
	if w.json {
		_ = emitJSON(w.cmd, e)
		return
	}
	w.switchTo("run", progress.Steps)
	switch {
	case e.Train != nil:
		t := e.Train
		if t.Skipped != "" {
			w.print(say("train.skipped", e.Step, t.Skipped))
		}
		label := say("train.step", t.Loss, numberText(int64(t.TokensPerSecond)))
		if t.FLOPs > 0 && t.Seconds > 0 && w.speed > 0 { // of the machine's product
			label += fmt.Sprintf(" (%.0f%%)", 100*t.FLOPs/t.Seconds/w.speed)
		}
		w.line.Relabel(label + fmt.Sprintf("  lr %s  |g| %.2f", shortRate(t.Rate), t.Norm))
		w.line.Set(int64(e.Step), int64(w.steps))
	case e.Validation != nil:
		v := e.Validation
		text := say("train.validation", e.Step, v.Loss)
		if v.BitsPerByte > 0 {
			text += say("train.bpb", v.BitsPerByte)
		}
		for _, name := range slices.Sorted(maps.Keys(v.Metrics)) {
			text += fmt.Sprintf("  %s %.4f", name, v.Metrics[name])
		}
		w.print(text)
	case e.Resumed && e.Step > 0:
		w.print(say("train.resumed", e.Step, w.steps))
	case e.Best > 0:
		w.print(say("train.best", e.Best, e.Step))
	case e.Stopped != "":
		w.print(say("train.stopped", e.Stopped))
	}
}

// shortRate writes a learning rate as 7.2e-3.
func shortRate(rate float64) string {
	return strings.Replace(fmt.Sprintf("%.1e", rate), "e-0", "e-", 1)
}

func (w *watcher) sampled(step int, prompt, text string) {
	if w.json {
		_ = emitJSON(w.cmd, map[string]any{"step": step, "prompt": prompt, "text": text})
		return
	}
	if w.talks {
		prompt += " → "
	}
	w.print(say("train.sample", step, prompt+strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", " ⏎ ")))
}
