package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/task"
)

func answerCommand() *cobra.Command {
	var f taskFlags
	var row taskRow
	var opt task.AnswerOptions
	cmd := describe(&cobra.Command{Use: "answer -m MODEL --question TEXT --context TEXT", Args: arguments(0)}, "answer")
	addFlag(cmd, "input", func(set *pflag.FlagSet) {
		set.StringVar(&row.Question, "question", "", say("flag.answer_question"))
		set.StringVar(&row.Context, "context", "", say("flag.answer_context"))
	})
	f.register(cmd)
	f.registerTop(cmd, 1)
	addFlag(cmd, "output", func(set *pflag.FlagSet) {
		set.BoolVar(&opt.NoAnswer, "no-answer", false, say("flag.answer_none"))
		set.Float32Var(&opt.Threshold, "threshold", 0, say("flag.answer_threshold"))
		set.Var(count{&opt.MaxTokens, 1}, "max-answer-tokens", say("flag.answer_tokens"))
		set.Var(count{&opt.Window, 1}, "window", say("flag.answer_window"))
		set.Var(count{&opt.Stride, 1}, "stride", say("flag.task_stride"))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.named(); err != nil {
			return err
		}
		rows, err := f.questions(cmd, row)
		if err != nil {
			return err
		}
		opt.TopK = f.topK
		return f.runTask(cmd, wenmo.QuestionAnswering, rows, func(ctx context.Context, m *wenmo.Model, rows []taskRow, _ bool) ([]map[string]any, []string, error) {
			questions := make([]task.Question, len(rows))
			for i, row := range rows {
				questions[i] = task.Question{Question: row.Question, Context: row.Context}
			}
			found, err := task.Answer(ctx, m, questions, opt)
			if err != nil {
				return nil, nil, err
			}
			results, lines := make([]map[string]any, len(rows)), make([]string, len(rows))
			for i, answers := range found {
				results[i], lines[i] = answersJSON(answers), answersText(answers)
			}
			return results, lines, nil
		})
	}
	return cmd
}

// questions yields the question of the flags or the rows of the file. A context
// that is not given comes from standard input.
func (f *taskFlags) questions(cmd *cobra.Command, row taskRow) (rowSource, error) {
	switch {
	case f.file != "" && (row.Question != "" || row.Context != ""):
		return nil, usagef("error.question_and_file")
	case f.file != "":
		return f.fileRows, nil
	case row.Question == "":
		return nil, usagef("error.no_question")
	case row.Context == "" && isTerminal(cmd.InOrStdin()):
		return nil, usagef("error.no_context")
	case row.Context == "":
		var err error
		if row.Context, err = readContext(cmd); err != nil {
			return nil, err
		}
	}
	return oneRow(row), nil
}

func answersJSON(answers []task.Found) map[string]any {
	out := map[string]any{"answers": answers}
	if len(answers) > 0 {
		a := answers[0]
		out["answer"], out["score"], out["start"], out["end"] = a.Text, a.Score, a.Start, a.End
	}
	return out
}

func answersText(answers []task.Found) string {
	lines := make([]string, len(answers))
	for i, a := range answers {
		lines[i] = fmt.Sprintf("%s  (%s)", a.Text, percent(a.Score))
		if a.Text == "" {
			lines[i] = fmt.Sprintf("%s  (%s)", say("answer.none"), percent(a.Score))
		}
	}
	if len(lines) == 0 {
		return say("answer.none")
	}
	return strings.Join(lines, "\n")
}

func tokensCommand() *cobra.Command {
	var f taskFlags
	var opt task.TokenOptions
	aggregation := string(task.Simple)
	cmd := describe(&cobra.Command{Use: "tokens -m MODEL [TEXT]", Args: arguments(1, "TEXT")}, "tokens")
	f.register(cmd)
	words := []string{string(task.None), string(task.Simple), string(task.First), string(task.Average), string(task.Max)}
	addChoice(cmd, "output", choice{&aggregation, words}, "aggregation", say("flag.tokens_aggregation"))
	f.registerThreshold(cmd, "flag.task_threshold")
	addFlag(cmd, "output", func(set *pflag.FlagSet) {
		set.StringSliceVar(&opt.Ignore, "ignore", nil, say("flag.tokens_ignore"))
		set.Var(count{&opt.Stride, 1}, "stride", say("flag.task_stride"))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.named(); err != nil {
			return err
		}
		rows, err := f.texts(cmd, args)
		if err != nil {
			return err
		}
		opt.Aggregation = task.Aggregation(aggregation)
		if !cmd.Flags().Changed("ignore") {
			opt.Ignore = []string{"O"}
		}
		return f.runTask(cmd, wenmo.TokenClassification, rows, func(ctx context.Context, m *wenmo.Model, rows []taskRow, _ bool) ([]map[string]any, []string, error) {
			texts := make([]string, len(rows))
			for i := range rows {
				texts[i] = rows[i].Text
			}
			found, err := task.Tokens(ctx, m, texts, opt)
			if err != nil {
				return nil, nil, err
			}
			results, lines := make([]map[string]any, len(rows)), make([]string, len(rows))
			for i, entities := range found {
				kept := []task.Entity{}
				for _, e := range entities {
					if e.Score >= f.threshold {
						kept = append(kept, e)
					}
				}
				results[i], lines[i] = map[string]any{"entities": kept}, entitiesText(kept)
			}
			return results, lines, nil
		})
	}
	return cmd
}

func entitiesText(entities []task.Entity) string {
	if len(entities) == 0 {
		return say("tokens.none")
	}
	lines := [][]string{{say("tokens.label"), ">" + say("logits.probability"), ">" + say("tokens.bytes"), say("fill.text")}}
	for _, e := range entities {
		lines = append(lines, []string{e.Label, percent(e.Score), fmt.Sprintf("%d–%d", e.Start, e.End), e.Text})
	}
	return table(lines)
}
