package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/embedded"
)

func logitsCommand() *cobra.Command {
	m := modelFlags{name: embedded.Chat}
	p := prompt{raw: true}
	var all, asJSON bool
	cmd := describe(&cobra.Command{Use: "logits [-m MODEL] [PROMPT]", Args: arguments(1, "PROMPT")}, "logits")
	p.register(cmd)
	m.register(cmd, "f32")
	addFlag(cmd, "output", func(f *pflag.FlagSet) {
		f.BoolVar(&all, "all", false, say("flag.all"))
		f.BoolVar(&asJSON, "json", false, say("flag.logits_json"))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := p.read(cmd, args); err != nil {
			return err
		}
		ctx, stop := interruptible(cmd)
		defer stop()
		model, err := m.open(ctx, cmd)
		if err != nil {
			return err
		}
		defer model.Close()
		ids, _, err := p.encode(model)
		if err != nil {
			return err
		}
		if asJSON {
			err = logitsJSON(ctx, cmd.OutOrStdout(), model, ids, all)
		} else {
			err = logitsTable(ctx, cmd, model, ids, all)
		}
		return unlessInterrupted(ctx, err, "")
	}
	return cmd
}

// logitsJSON prints {"logits":[[…]]}: float32 as the shortest decimals that
// give it back.
func logitsJSON(ctx context.Context, out io.Writer, m *wenmo.Model, ids []int32, all bool) error {
	w := bufio.NewWriter(out)
	buf := []byte(`{"logits":[`)
	first := true
	err := m.Logits(ctx, ids, nil, func(pos int, row []float32) error {
		if !shown(m, all, pos, len(ids)) {
			return nil
		}
		if !first {
			buf = append(buf, ',')
		}
		first = false
		buf = append(buf, '[')
		for i, x := range row {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = strconv.AppendFloat(buf, float64(x), 'g', -1, 32)
		}
		_, err := w.Write(append(buf, ']'))
		buf = buf[:0]
		return err
	})
	if err != nil {
		return err
	}
	if _, err := w.WriteString("]}\n"); err != nil {
		return err
	}
	return w.Flush()
}

// logitsTable prints the likeliest tokens after the prompt, or after each of
// its tokens.
func logitsTable(ctx context.Context, cmd *cobra.Command, m *wenmo.Model, ids []int32, all bool) error {
	const likeliest = 10
	return m.Logits(ctx, ids, nil, func(pos int, row []float32) error {
		if !shown(m, all, pos, len(ids)) {
			return nil
		}
		order := make([]int32, len(row))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortFunc(order, func(a, b int32) int {
			return cmp.Or(cmp.Compare(row[b], row[a]), cmp.Compare(a, b))
		})
		sum := 0.0
		for _, x := range row {
			sum += math.Exp(float64(x - row[order[0]]))
		}
		lines := [][]string{{">" + say("logits.id"), ">" + say("logits.logit"), ">" + say("logits.probability"), say("logits.token")}}
		for _, id := range order[:min(likeliest, len(order))] {
			p := math.Exp(float64(row[id]-row[order[0]])) / sum
			lines = append(lines, []string{fmt.Sprint(id), fmt.Sprintf("%.4f", row[id]), fmt.Sprintf("%.2f%%", 100*p), outputName(m, id)})
		}
		text := table(lines)
		if all {
			text = say("logits.after", pos, ids[pos], tokenText(m, ids[pos])) + "\n" + text + "\n"
		}
		return emit(cmd, text)
	})
}

// shown says that the logits at a position are to be printed: those of all, or
// the last ones, or the only ones of a model that classifies texts.
func shown(m *wenmo.Model, all bool, pos, length int) bool {
	return all || pos == length-1 || m.Task() == wenmo.TextClassification
}

// outputName is what a column of the logits is for: a token or a class.
func outputName(m *wenmo.Model, id int32) string {
	switch m.Task() {
	case wenmo.QuestionAnswering:
		return []string{"start", "end"}[id]
	case wenmo.TextClassification, wenmo.TokenClassification:
		return m.Labels()[id]
	}
	return tokenText(m, id)
}

func tokenText(m *wenmo.Model, id int32) string {
	if m.Tokenizer() == nil {
		return ""
	}
	bytes, ok := m.Tokenizer().TokenBytes(id)
	if !ok {
		return ""
	}
	return strconv.Quote(string(bytes))
}
