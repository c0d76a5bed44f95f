package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/embedded"
	"wenmo/internal/atomicfile"
	"wenmo/internal/progress"
)

// evalFlags are the flags of an evaluation.
type evalFlags struct {
	model   modelFlags
	options wenmo.EvalOptions
	data    string
	html    string
	json    bool
}

func evalCommand() *cobra.Command {
	f := evalFlags{model: modelFlags{name: embedded.Chat}}
	cmd := describe(&cobra.Command{Use: "eval TASK… [-m MODEL] --data FILE"}, "eval")
	cmd.Long += "\n\n" + say("eval.tasks") + "\n" + indent(taskList())
	cmd.ValidArgs = wenmo.EvalTasks()
	cmd.Args = knownTasks
	addFlag(cmd, "input", func(set *pflag.FlagSet) {
		set.StringVar(&f.data, "data", "", say("flag.eval_data"))
		f.registerRows(set)
		set.StringVar(&f.options.Templates.Text, "text", "", say("flag.eval_text"))
		set.StringVar(&f.options.Templates.Label, "label", "", say("flag.eval_label"))
		set.StringVar(&f.options.Prompts, "prompts", "", say("flag.eval_prompts"))
		set.StringVar(&f.options.Chars, "chars", "", say("flag.eval_chars"))
	})
	f.model.register(cmd, "f32")
	f.registerSampling(cmd)
	addFlag(cmd, "output", func(set *pflag.FlagSet) {
		set.BoolVar(&f.json, "json", false, say("flag.eval_json"))
		set.StringVar(&f.html, "html", "", say("flag.eval_html"))
	})
	cmd.RunE = func(cmd *cobra.Command, tasks []string) error {
		if len(tasks) == 0 {
			return printHelp(cmd)
		}
		return f.run(cmd, tasks)
	}
	cmd.AddCommand(perplexityCommand())
	return cmd
}

// samplingKeys are the keys of generation_config.json that an evaluation takes.
var samplingKeys = []string{"seed", "temperature", "top_k", "top_p", "min_p"}

func (f *evalFlags) registerSampling(cmd *cobra.Command) {
	addFlag(cmd, "generation", func(set *pflag.FlagSet) {
		set.Var(count{&f.options.MaxNewTokens, 1}, "max-new-tokens", say("flag.eval_max_new_tokens"))
		set.Var(count{&f.options.Samples, 1}, "samples", say("flag.eval_samples"))
		for _, key := range wenmo.ParamKeys() {
			if slices.Contains(samplingKeys, key.Name) {
				set.Var(&paramFlag{&f.options.Params, key}, strings.ReplaceAll(key.Name, "_", "-"), paramHelp(key))
			}
		}
	})
}

func (f *evalFlags) registerRows(set *pflag.FlagSet) {
	set.StringSliceVar(&f.options.Sets, "set", nil, say("flag.eval_set"))
	set.Var(count{&f.options.Limit, 1}, "limit", say("flag.eval_limit"))
}

// knownTasks is the check of the arguments of eval.
func knownTasks(cmd *cobra.Command, tasks []string) error {
	known := wenmo.EvalTasks()
	for _, task := range tasks {
		if slices.Contains(known, task) {
			continue
		}
		near := slices.Clone(known)
		slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(editDistance(task, a), editDistance(task, b)) })
		if editDistance(task, near[0]) <= 2 {
			return &usageError{say("error.unknown_task", task) + "\n" + say("error.did_you_mean", near[0])}
		}
		return &usageError{say("error.unknown_task", task) + "\n" + say("error.see_tasks", strings.Join(known, ", "))}
	}
	return nil
}

// taskList has a line for each task.
func taskList() string {
	names := wenmo.EvalTasks()
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%-*s  %s", width, name, say("task."+name))
	}
	return strings.Join(names, "\n")
}

// run runs tasks one after the other on one model.
func (f *evalFlags) run(cmd *cobra.Command, tasks []string) error {
	if f.data == "" {
		return usagef("error.missing", "--data")
	}
	ctx, stop := interruptible(cmd)
	defer stop()
	model, err := f.model.open(ctx, cmd)
	if err != nil {
		return err
	}
	defer model.Close()
	var results []*wenmo.EvalResult
	var failed error
	for _, task := range tasks {
		r, err := f.evaluate(ctx, cmd, model, task)
		if err != nil { // what was measured before is shown all the same
			failed = unlessInterrupted(ctx, err, "")
			break
		}
		results = append(results, r)
	}
	return errors.Join(f.show(cmd, results), failed)
}

func (f *evalFlags) show(cmd *cobra.Command, results []*wenmo.EvalResult) error {
	if len(results) == 0 {
		return nil
	}
	if f.html != "" {
		if err := f.writePage(results); err != nil {
			return err
		}
	}
	if f.json {
		return emitJSON(cmd, map[string]any{"results": results})
	}
	for i, r := range results {
		if i > 0 {
			if err := emit(cmd, ""); err != nil {
				return err
			}
		}
		if err := emit(cmd, resultTable(r)); err != nil {
			return err
		}
	}
	return nil
}

func (f *evalFlags) evaluate(ctx context.Context, cmd *cobra.Command, m *wenmo.Model, task string) (*wenmo.EvalResult, error) {
	line := progressLine(cmd, task, progress.Items)
	opt := f.options
	opt.Progress = func(done, total int) { line.Set(int64(done), int64(total)) }
	var told []string
	opt.Log = func(text string) { told = append(told, text) }
	r, err := wenmo.Evaluate(ctx, m, task, f.data, opt)
	line.End()
	for _, text := range told {
		note(cmd, "eval.broken_row", text)
	}
	if err != nil {
		return nil, err
	}
	if r.Broken > 0 {
		note(cmd, "eval.broken", task, r.Broken)
	}
	if r.Truncated > 0 {
		note(cmd, "eval.truncated", task, r.Truncated)
	}
	return r, nil
}

func (f *evalFlags) writePage(results []*wenmo.EvalResult) error {
	return atomicfile.Write(f.html, func(w io.Writer) error {
		return wenmo.WriteEvalPage(w, say("eval.page", f.model.name), results, language())
	})
}

// resultTable is a table of the figures, and those of the subsets and of what was
// found.
func resultTable(r *wenmo.EvalResult) string {
	rows := [][]string{{r.Task, ">" + say("eval.rows", r.Count), ""}}
	for i, m := range r.Metrics {
		if strings.HasSuffix(m.Name, "_stderr") {
			continue
		}
		between := ""
		if i+1 < len(r.Metrics) && r.Metrics[i+1].Name == m.Name+"_stderr" {
			between = "± " + r.Metrics[i+1].Value.String()
		}
		rows = append(rows, []string{"  " + m.Name, m.Value.String(), between})
	}
	text := table(rows)
	if r.Sampling != nil {
		text += "\n  " + r.Sampling.String()
	}
	if header, groups := r.GroupTable(); len(groups) > 0 {
		for i := range header {
			header[i] = ">" + header[i]
		}
		header[0], header[1] = say("eval.subset"), ">"+say("eval.subset_rows")
		text += "\n\n" + table(append([][]string{header}, groups...))
	}
	if len(r.Findings) > 0 {
		text += "\n\n" + findingTable(r)
	}
	return text
}

// findingTable shows the first findings, each on a line.
func findingTable(r *wenmo.EvalResult) string {
	const most, width = 10, 60
	rows := [][]string{{say("eval.place"), say("eval.found"), say("eval.found_text")}}
	for _, f := range r.Findings[:min(most, len(r.Findings))] {
		text := []rune(progress.Tame(strings.Join(strings.Fields(f.Text), " ")))
		if len(text) > width {
			text = append(text[:width-1], '…')
		}
		rows = append(rows, []string{f.Place(), strings.Join(f.What, ", "), string(text)})
	}
	return table(rows)
}
