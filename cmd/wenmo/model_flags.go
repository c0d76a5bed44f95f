package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/internal/progress"
)

// modelFlags are the flags of every command that opens a model.
type modelFlags struct {
	name    string
	options wenmo.Options
}

// register adds the flags; dtype is what --dtype is when it is not given. The
// name that is set before is the model when none is given.
func (m *modelFlags) register(cmd *cobra.Command, dtype string) {
	m.options.DType = dtype
	addModelFlag(cmd, &m.name)
	addChoice(cmd, "model", choice{&m.options.DType, []string{"auto", "f32", "bf16", "q8_0", "q4_0"}}, "dtype", say("flag.dtype"))
	addChoice(cmd, "model", choice{&m.options.KV, []string{"f32", "bf16"}}, "kv", say("flag.kv"))
	addFlag(cmd, "model", func(f *pflag.FlagSet) { f.StringVar(&m.options.Adapter, "adapter", "", say("flag.adapter")) })
	addThreads(cmd, &m.options.Threads)
	addFlag(cmd, "model", func(f *pflag.FlagSet) {
		f.Var(count{&m.options.PrefillChunk, 1}, "prefill-chunk", say("flag.prefill_chunk"))
	})
}

func addModelFlag(cmd *cobra.Command, name *string) {
	addFlag(cmd, "model", func(f *pflag.FlagSet) { f.StringVarP(name, "model", "m", *name, say("flag.model")) })
	if err := cmd.RegisterFlagCompletionFunc("model", completeModels); err != nil {
		panic(err) // only when the flag does not exist
	}
}

func addThreads(cmd *cobra.Command, threads *int) {
	addFlag(cmd, "model", func(f *pflag.FlagSet) { f.Var(count{threads, 1}, "threads", say("flag.threads")) })
}

// named returns an error where no model is.
func (m *modelFlags) named() error {
	if m.name == "" {
		return usagef("error.no_model")
	}
	return nil
}

// open opens the model that the flags name.
func (m *modelFlags) open(ctx context.Context, cmd *cobra.Command) (*wenmo.Model, error) {
	line := progressLine(cmd, say("progress.pull", m.name), progress.Bytes)
	loading := newLoadNote(cmd.ErrOrStderr(), say("progress.load", m.name))
	loading.wait(patience)
	pulled, pull := false, pullProgress(line)
	m.options.Progress = func(p wenmo.PullProgress) {
		loading.end()
		pull(p)
		if pulled = p.Finished; pulled {
			line.End()
			loading.wait(patience)
		}
	}
	model, err := wenmo.Open(ctx, m.name, m.options)
	loading.end()
	if !pulled {
		line.End()
	}
	return model, unlessInterrupted(ctx, err, say("interrupted.pull"))
}

func pullProgress(line *progress.Line) func(wenmo.PullProgress) {
	return func(p wenmo.PullProgress) {
		line.Set(p.Done, p.Total)
		line.Note(p.Note)
	}
}

// completeModels completes the names of cached models, and of files.
func completeModels(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	models, _ := wenmo.CachedModels() // what cannot be read is not offered
	var names []string
	for _, b := range wenmo.Builtins() {
		if strings.HasPrefix(b.Name, begun) {
			names = append(names, b.Name)
		}
	}
	for _, m := range models {
		if strings.HasPrefix(m.Name, begun) && (len(names) == 0 || names[len(names)-1] != m.Name) {
			names = append(names, m.Name)
		}
	}
	return names, cobra.ShellCompDirectiveDefault
}

// paramFlag sets a key of generation_config.json.
type paramFlag struct {
	params *wenmo.Params
	key    wenmo.ParamKey
}

// Set also looks at the range, so that a bad value is told before a model is
// loaded. How many sequences are possible depends on the other flags.
func (f *paramFlag) Set(text string) error {
	alone := wenmo.DefaultParams()
	if err := alone.Set(f.key.Name, text); err != nil {
		return err
	}
	if f.key.Name != "num_return_sequences" {
		if err := alone.Validate(); err != nil {
			return err
		}
	}
	if prepend := lists[f.key.Name]; prepend != nil {
		prepend(&alone, f.params)
		*f.params = f.params.With(alone)
		return nil
	}
	return f.params.Set(f.key.Name, text)
}

// lists are the keys that hold lists: a flag given again adds to what it gave
// before.
var lists = map[string]func(p, earlier *wenmo.Params){
	"eos_token_id":   func(p, e *wenmo.Params) { p.EOSTokenID = slices.Concat(e.EOSTokenID, p.EOSTokenID) },
	"stop_token_ids": func(p, e *wenmo.Params) { p.StopTokenIDs = slices.Concat(e.StopTokenIDs, p.StopTokenIDs) },
	"stop_strings":   func(p, e *wenmo.Params) { p.StopStrings = slices.Concat(e.StopStrings, p.StopStrings) },
	"dry_sequence_breaker_ids": func(p, e *wenmo.Params) {
		p.DRYSequenceBreakerIDs = slices.Concat(e.DRYSequenceBreakerIDs, p.DRYSequenceBreakerIDs)
	},
	"bad_words_ids":   func(p, e *wenmo.Params) { p.BadWordsIDs = slices.Concat(e.BadWordsIDs, p.BadWordsIDs) },
	"sequence_bias":   func(p, e *wenmo.Params) { p.SequenceBias = slices.Concat(e.SequenceBias, p.SequenceBias) },
	"logit_bias":      func(p, e *wenmo.Params) { p.LogitBias = slices.Concat(e.LogitBias, p.LogitBias) },
	"suppress_tokens": func(p, e *wenmo.Params) { p.SuppressTokens = slices.Concat(e.SuppressTokens, p.SuppressTokens) },
	"begin_suppress_tokens": func(p, e *wenmo.Params) {
		p.BeginSuppressTokens = slices.Concat(e.BeginSuppressTokens, p.BeginSuppressTokens)
	},
	"forced_eos_token_id": func(p, e *wenmo.Params) { p.ForcedEOSTokenID = slices.Concat(e.ForcedEOSTokenID, p.ForcedEOSTokenID) },
}

func (f *paramFlag) String() string { return "" }

func (f *paramFlag) Type() string {
	if f.key.Bool {
		return "bool"
	}
	return "VALUE"
}

// paramFlags adds a flag for each key of generation_config.json.
func paramFlags(cmd *cobra.Command, p *wenmo.Params) {
	*p = wenmo.DefaultParams()
	for _, key := range wenmo.ParamKeys() {
		name, short := strings.ReplaceAll(key.Name, "_", "-"), ""
		if key.Name == "max_new_tokens" {
			short = "n"
		}
		addFlag(cmd, "generation", func(f *pflag.FlagSet) {
			flag := f.VarPF(&paramFlag{p, key}, name, short, paramHelp(key))
			if key.Bool {
				flag.NoOptDefVal = "true"
			}
		})
	}
	for _, key := range wenmo.ForeignParamKeys() { // so that commands of transformers' users work
		addFlag(cmd, "generation", func(f *pflag.FlagSet) {
			flag := f.VarPF(&paramFlag{p, key}, strings.ReplaceAll(key.Name, "_", "-"), "", "")
			flag.Hidden = true
			if key.Bool {
				flag.NoOptDefVal = "true"
			}
		})
	}
}

// paramHelp is the text of a key, which in English is the key's own.
func paramHelp(key wenmo.ParamKey) string {
	text := key.Help
	if own, ok := tongue["param."+key.Name]; ok {
		text = own
	}
	if lists[key.Name] != nil {
		text += say("flag.again")
	}
	switch key.Name {
	case "stop_strings":
		text += say("flag.strings")
	case "early_stopping":
		text += say("flag.equals")
	}
	return text
}
