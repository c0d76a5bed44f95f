package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/embedded"
	"wenmo/task"
)

func fillMaskCommand() *cobra.Command {
	var f taskFlags
	var targets []string
	cmd := describe(&cobra.Command{Use: "fill-mask -m MODEL [TEXT]", Args: arguments(1, "TEXT")}, "fill")
	f.register(cmd)
	f.registerTop(cmd, 5)
	addFlag(cmd, "output", func(set *pflag.FlagSet) {
		set.StringSliceVar(&targets, "targets", nil, say("flag.fill_targets"))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.named(); err != nil {
			return err
		}
		rows, err := f.texts(cmd, args)
		if err != nil {
			return err
		}
		told := false
		return f.runTask(cmd, wenmo.FillMask, rows, func(ctx context.Context, m *wenmo.Model, rows []taskRow, alone bool) ([]map[string]any, []string, error) {
			texts := make([]string, len(rows))
			for i := range rows {
				texts[i] = rows[i].Text
			}
			for _, word := range targets {
				if _, ok := m.Tokenizer().ID(word); !ok && !told {
					note(cmd, "fill.target", word)
				}
			}
			told = true // of the rows to come, too
			found, err := task.FillMask(ctx, m, texts, task.FillOptions{TopK: f.topK, Targets: targets})
			if err != nil {
				return nil, nil, err
			}
			results := make([]map[string]any, len(rows))
			for i, masks := range found {
				results[i] = map[string]any{"masks": masks}
				texts[i] = fillTable(masks, alone)
			}
			return results, texts, nil
		})
	}
	return cmd
}

// fillTable shows the tokens for the masks of a text; of many texts, the best.
func fillTable(masks [][]task.Fill, alone bool) string {
	if !alone {
		best := make([]string, len(masks))
		for i, fills := range masks {
			best[i] = fills[0].Text
		}
		return strings.Join(best, "\n")
	}
	parts := make([]string, len(masks))
	for i, fills := range masks {
		lines := [][]string{{">" + say("logits.probability"), say("logits.token"), say("fill.text")}}
		for _, x := range fills {
			lines = append(lines, []string{percent(x.Score), x.Token, x.Text})
		}
		parts[i] = table(lines)
	}
	return strings.Join(parts, "\n\n")
}

func classifyCommand() *cobra.Command {
	f := taskFlags{modelFlags: modelFlags{name: embedded.Moderation}}
	var pair string
	opt := task.ClassifyOptions{}
	cmd := describe(&cobra.Command{Use: "classify [-m MODEL] [TEXT]", Args: arguments(1, "TEXT")}, "classify")
	f.register(cmd)
	addFlag(cmd, "input", func(set *pflag.FlagSet) {
		set.StringVar(&pair, "pair", "", say("flag.classify_pair"))
		set.BoolVar(&opt.Truncate, "truncate", false, say("flag.classify_truncate"))
	})
	f.registerTop(cmd, 5)
	f.registerThreshold(cmd, "flag.task_threshold")
	addChoice(cmd, "output", choice{&opt.Function, []string{"softmax", "sigmoid", "none"}}, "function", say("flag.classify_function"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		rows, err := f.texts(cmd, args)
		if err != nil {
			return err
		}
		opt.TopK = f.topK
		return f.runTask(cmd, wenmo.TextClassification, rows, func(ctx context.Context, m *wenmo.Model, rows []taskRow, alone bool) ([]map[string]any, []string, error) {
			texts := make([]task.Text, len(rows))
			for i, row := range rows {
				texts[i] = task.Text{Text: row.Text, Pair: row.Pair}
				if pair != "" {
					texts[i].Pair = pair
				}
			}
			found, err := task.Classify(ctx, m, texts, opt)
			if errors.Is(err, wenmo.ErrTooLong) {
				err = fmt.Errorf("%w\n%s", err, say("error.truncate_text"))
			}
			if err != nil {
				return nil, nil, err
			}
			values := opt.Function == "none" || opt.Function == "" && m.Config()["problem_type"] == "regression"
			results, lines := make([]map[string]any, len(rows)), make([]string, len(rows))
			for i, labels := range found {
				if f.threshold != 0 {
					labels = above(labels, f.threshold)
				}
				results[i], lines[i] = labelsJSON(labels), labelsText(labels, values)
				if !alone {
					lines[i] += "  " + rows[i].Text
				}
			}
			return results, lines, nil
		})
	}
	return cmd
}

// above returns the labels with at least a score.
func above(labels []task.Label, score float32) []task.Label {
	kept := []task.Label{}
	for _, l := range labels {
		if l.Score >= score {
			kept = append(kept, l)
		}
	}
	return kept
}

func labelsJSON(labels []task.Label) map[string]any {
	out := map[string]any{"labels": labels}
	if len(labels) > 0 {
		out["label"], out["score"] = labels[0].Label, labels[0].Score
	}
	return out
}

func labelsText(labels []task.Label, values bool) string {
	words := make([]string, len(labels))
	for i, l := range labels {
		score := percent(l.Score)
		if values {
			score = fmt.Sprintf("%.4g", l.Score)
		}
		words[i] = strings.Join(strings.Fields(l.Label), " ") + " " + score
	}
	if len(words) == 0 {
		return say("classify.none")
	}
	return strings.Join(words, ", ")
}
