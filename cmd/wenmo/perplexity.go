package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/embedded"
	"wenmo/internal/progress"
)

func perplexityCommand() *cobra.Command {
	f := evalFlags{model: modelFlags{name: embedded.Chat}}
	var file string
	var window, stride int
	cmd := describe(&cobra.Command{Use: "perplexity [-m MODEL] --file TEXT | --data FILE", Args: arguments(0)}, "perplexity")
	addFlag(cmd, "input", func(set *pflag.FlagSet) {
		set.StringVar(&file, "file", "", say("flag.perplexity_file"))
		set.Var(count{&window, 2}, "window", say("flag.window"))
		set.Var(count{&stride, 1}, "stride", say("flag.stride"))
		set.StringVar(&f.data, "data", "", say("flag.perplexity_data"))
		f.registerRows(set)
	})
	f.model.register(cmd, "f32")
	addFlag(cmd, "output", func(set *pflag.FlagSet) {
		set.BoolVar(&f.json, "json", false, say("flag.perplexity_json"))
		set.StringVar(&f.html, "html", "", say("flag.eval_html"))
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.data != "" {
			if file != "" || window != 0 || stride != 0 {
				return usagef("error.perplexity_data")
			}
			return f.run(cmd, []string{cmd.Name()})
		}
		for _, name := range []string{"html", "limit", "set"} {
			if cmd.Flags().Changed(name) {
				return usagef("error.perplexity_file")
			}
		}
		text, err := readText(cmd, file)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(cmd)
		defer stop()
		model, err := f.model.open(ctx, cmd)
		if err != nil {
			return err
		}
		defer model.Close()
		result, err := perplexity(ctx, cmd, model, text, window, stride)
		if err != nil {
			return unlessInterrupted(ctx, err, "")
		}
		if f.json {
			return emitJSON(cmd, result)
		}
		return emit(cmd, table([][]string{
			{say("perplexity.perplexity"), fmt.Sprintf("%.4f", result.Perplexity)},
			{say("perplexity.bits_per_byte"), fmt.Sprintf("%.4f", result.BitsPerByte)},
			{say("perplexity.nll"), fmt.Sprintf("%.4f", result.NLL)},
			{say("perplexity.tokens"), fmt.Sprint(result.Tokens)},
			{say("perplexity.window"), fmt.Sprintf("%d, %d", result.Window, result.Stride)},
		}))
	}
	return cmd
}

func perplexity(ctx context.Context, cmd *cobra.Command, m *wenmo.Model, text string, window, stride int) (wenmo.PerplexityResult, error) {
	line := progressLine(cmd, say("progress.perplexity"), progress.Items)
	defer line.End()
	return m.Perplexity(ctx, text, window, stride, func(done, total int) { line.Set(int64(done), int64(total)) })
}

// readText reads a file, or standard input where there is none named.
func readText(cmd *cobra.Command, file string) (string, error) {
	var data []byte
	var err error
	switch {
	case file != "":
		data, err = os.ReadFile(file)
	case isTerminal(cmd.InOrStdin()):
		return "", usagef("error.missing", "--file")
	default:
		data, err = readInput(cmd)
	}
	if err != nil {
		return "", err
	}
	return string(data), checkUTF8(string(data), cmp.Or(file, say("what.text")))
}
