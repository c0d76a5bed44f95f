package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/dataset"
	"wenmo/internal/progress"
)

// taskCommands are the commands of models that are for something else than
// writing text.
var taskCommands = map[wenmo.Task]string{
	wenmo.TextGeneration:      "run",
	wenmo.FillMask:            "fill-mask",
	wenmo.TextClassification:  "classify",
	wenmo.TokenClassification: "tokens",
	wenmo.QuestionAnswering:   "answer",
}

// checkTask returns an error that names the right command where a model is for
// another task.
func checkTask(m *wenmo.Model, name string, want wenmo.Task) error {
	have := m.Task()
	if have == want {
		return nil
	}
	command, ok := taskCommands[have]
	if !ok {
		return usagef("error.no_head", m.Info().Architecture)
	}
	return usagef("error.other_task", m.Info().Architecture, have, command, name)
}

// taskFlags are the flags of the commands that answer row by row.
type taskFlags struct {
	modelFlags
	file      string
	topK      int
	threshold float32
	json      bool
}

func (f *taskFlags) register(cmd *cobra.Command) {
	addFlag(cmd, "input", func(set *pflag.FlagSet) { set.StringVar(&f.file, "file", "", say("flag.task_file")) })
	f.modelFlags.register(cmd, "auto")
	f.options.Pull = true
	addFlag(cmd, "output", func(set *pflag.FlagSet) { set.BoolVar(&f.json, "json", false, say("flag.task_json")) })
}

func (f *taskFlags) registerTop(cmd *cobra.Command, topK int) {
	f.topK = topK
	addFlag(cmd, "output", func(set *pflag.FlagSet) { set.Var(count{&f.topK, 1}, "top-k", say("flag.task_top_k")) })
}

func (f *taskFlags) registerThreshold(cmd *cobra.Command, key string) {
	addFlag(cmd, "output", func(set *pflag.FlagSet) { set.Var(number{&f.threshold}, "threshold", say(key)) })
}

// taskRow is what a command is given once: the argument, or a row of a file.
type taskRow struct {
	ID       json.RawMessage `json:"id"`
	Text     string          `json:"text"`
	Pair     string          `json:"pair"`
	TextPair string          `json:"text_pair"` // the name that transformers has for it
	Question string          `json:"question"`
	Context  string          `json:"context"`
}

// rowSource yields rows until the context ends.
type rowSource func(context.Context) iter.Seq2[taskRow, error]

// rowsAtOnce is how many rows are computed side by side.
const rowsAtOnce = 64

// runTask opens the model and runs compute on the rows, some at a time. For
// each row compute returns what --json prints, and what people read.
func (f *taskFlags) runTask(cmd *cobra.Command, want wenmo.Task, rows rowSource,
	compute func(ctx context.Context, m *wenmo.Model, rows []taskRow, alone bool) ([]map[string]any, []string, error)) error {
	ctx, stop := interruptible(cmd)
	defer stop()
	model, err := f.open(ctx, cmd)
	if err != nil {
		return err
	}
	defer model.Close()
	if err := checkTask(model, f.name, want); err != nil {
		return err
	}
	alone := f.file == ""
	flush := func(batch []taskRow) error {
		results, texts, err := compute(ctx, model, batch, alone)
		if err != nil {
			return unlessInterrupted(ctx, err, "")
		}
		for i, row := range batch {
			if !f.json {
				err = emit(cmd, f.tame(cmd, texts[i]))
			} else {
				if row.ID != nil {
					results[i]["id"] = row.ID
				}
				err = emitJSON(cmd, results[i])
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	var batch []taskRow
	for row, err := range rows(ctx) {
		if err != nil {
			return unlessInterrupted(ctx, err, "")
		}
		if batch = append(batch, row); len(batch) == rowsAtOnce {
			if err := flush(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return flush(batch)
}

func (f *taskFlags) tame(cmd *cobra.Command, text string) string {
	if isTerminal(cmd.OutOrStdout()) {
		return progress.Tame(text)
	}
	return text
}

// texts yields the rows of --file, or the text of the argument or of standard
// input.
func (f *taskFlags) texts(cmd *cobra.Command, args []string) (rowSource, error) {
	if f.file != "" {
		if len(args) > 0 {
			return nil, usagef("error.text_and_file")
		}
		return f.fileRows, nil
	}
	p := prompt{}
	if len(args) == 0 && isTerminal(cmd.InOrStdin()) {
		return nil, usagef("error.no_text_or_file")
	}
	if err := p.read(cmd, args); err != nil {
		return nil, err
	}
	if strings.TrimSpace(p.text) == "" {
		return nil, usagef("error.no_text_or_file")
	}
	return oneRow(taskRow{Text: p.text}), nil
}

func oneRow(row taskRow) rowSource {
	return func(context.Context) iter.Seq2[taskRow, error] {
		return func(yield func(taskRow, error) bool) { yield(row, nil) }
	}
}

// maxLine bounds a line of a file.
const maxLine = 64 << 20

// tables are the formats whose records have columns.
var tables = regexp.MustCompile(`\.(csv|tsv|parquet)(\.gz|\.zst)?$`)

// tableRows yields the records of a table.
func (f *taskFlags) tableRows(ctx context.Context) iter.Seq2[taskRow, error] {
	return func(yield func(taskRow, error) bool) {
		for d, err := range dataset.Read(ctx, f.file, dataset.ReadOptions{MaxBroken: -1}) {
			row := taskRow{Text: d.Text}
			row.Question, _ = d.String("question")
			row.Context, _ = d.String("context")
			if row.Pair, _ = d.String("pair"); row.Pair == "" {
				row.Pair, _ = d.String("text_pair")
			}
			if err == nil && row.Text == "" && row.Question == "" {
				err = fmt.Errorf("%s:%d: %s", d.File, d.Line, say("error.row_without_text"))
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// fileRows yields the rows of the file: the records of a table, objects or strings
// of JSON, one a line, or of any other file texts, one a line.
func (f *taskFlags) fileRows(ctx context.Context) iter.Seq2[taskRow, error] {
	if tables.MatchString(f.file) {
		return f.tableRows(ctx)
	}
	return func(yield func(taskRow, error) bool) {
		file, err := openFile(ctx, f.file)
		if err != nil {
			yield(taskRow{}, err)
			return
		}
		defer file.Close()
		defer context.AfterFunc(ctx, func() { file.Close() })() // a pipe may say nothing for ever
		asJSON := strings.HasSuffix(f.file, ".jsonl") || strings.HasSuffix(f.file, ".json")
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, maxLine)
		for n := 1; lines.Scan(); n++ {
			line := bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff"))
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			row := taskRow{Text: string(line)}
			if asJSON {
				row, err = parseRow(line)
			}
			if err == nil {
				err = checkUTF8(string(line), say("what.text"))
			}
			if err != nil {
				yield(taskRow{}, fmt.Errorf("%s:%d: %w", f.file, n, err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(taskRow{}, fmt.Errorf("%s: %w", f.file, err))
		}
	}
}

// openFile opens a file for reading; a pipe only opens when somebody writes.
func openFile(ctx context.Context, name string) (*os.File, error) {
	type opened struct {
		file *os.File
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		file, err := os.Open(name)
		done <- opened{file, err}
	}()
	select {
	case o := <-done:
		return o.file, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// parseRow reads {"text": …}, {"question": …, "context": …} or a string.
func parseRow(line []byte) (row taskRow, err error) {
	if bytes.TrimSpace(line)[0] == '"' {
		err = json.Unmarshal(line, &row.Text)
	} else {
		err = json.Unmarshal(line, &row)
	}
	if row.Pair == "" {
		row.Pair = row.TextPair
	}
	if err == nil && row.Text == "" && row.Question == "" {
		err = errors.New(say("error.row_without_text"))
	}
	return row, err
}

// percent writes a probability.
func percent(p float32) string { return fmt.Sprintf("%.1f%%", 100*p) }

// readContext reads a whole text from standard input.
func readContext(cmd *cobra.Command) (string, error) {
	data, err := io.ReadAll(cmd.InOrStdin())
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(data), "\r\n"), checkUTF8(string(data), say("what.text"))
}
