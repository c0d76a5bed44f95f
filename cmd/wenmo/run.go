package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo"
	"wenmo/embedded"
	"wenmo/internal/progress"
)

// run is the command that generates text.
type run struct {
	modelFlags
	prompt
	params                               wenmo.Params // what flags give
	echo, json, stats, truncate, verbose bool

	cmd      *cobra.Command
	model    *wenmo.Model
	request  wenmo.Request
	chatting bool
}

func runCommand() *cobra.Command {
	r := &run{modelFlags: modelFlags{name: embedded.Chat}}
	cmd := describe(&cobra.Command{Use: "run [-m MODEL] [PROMPT]", Args: promptAlone}, "run")
	r.prompt.register(cmd)
	addFlag(cmd, "input", func(f *pflag.FlagSet) {
		f.BoolVar(&r.raw, "raw", false, say("flag.raw"))
		f.BoolVar(&r.truncate, "truncate", false, say("flag.truncate"))
	})
	r.modelFlags.register(cmd, "auto")
	r.options.Pull = true
	addFlag(cmd, "output", func(f *pflag.FlagSet) {
		f.BoolVar(&r.echo, "echo", false, say("flag.echo"))
		f.BoolVar(&r.json, "json", false, say("flag.run_json"))
		f.BoolVar(&r.stats, "stats", false, say("flag.stats"))
		f.BoolVar(&r.verbose, "verbose", false, say("flag.verbose"))
	})
	paramFlags(cmd, &r.params)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.cmd = cmd
		return r.run(args)
	}
	return cmd
}

// promptAlone checks that there is one argument at most, and that none is the
// value of a flag that is true without one: it would have to follow an =.
func promptAlone(cmd *cobra.Command, args []string) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for _, arg := range args {
			apart := arg == "true" || arg == "false" || arg == "never" && f.Name == "early-stopping"
			if _, ok := f.Value.(*paramFlag); ok && apart && f.NoOptDefVal != "" {
				err = usagef("error.equals", "--"+f.Name+" "+arg, "--"+f.Name+"="+arg)
			}
		}
	})
	if err != nil {
		return err
	}
	return arguments(1, "PROMPT")(cmd, args)
}

func (r *run) run(args []string) error {
	if !r.json && (r.params.Logprobs || r.params.TopLogprobs > 0) {
		return usagef("error.logprobs_json")
	}
	if err := r.prompt.read(r.cmd, args); err != nil {
		return err
	}
	ctx, stop := interruptible(r.cmd)
	defer stop()
	clock := newStopwatch()
	var err error
	if r.model, err = r.open(ctx, r.cmd); err != nil {
		return err
	}
	defer r.model.Close()
	clock.loaded()
	if err := r.prepare(); err != nil {
		return err
	}
	if r.verbose {
		r.describeRequest(clock)
	}
	if p := &r.request.Params; r.json || p.NumBeams > 1 || p.NumReturnSequences > 1 {
		err = r.collect(ctx, clock)
	} else {
		err = r.stream(ctx, clock)
	}
	if err == nil || ctx.Err() != nil {
		r.printStats(clock)
	}
	if err == nil {
		r.tellShort(clock)
	} else if ctx.Err() == nil && !r.truncate && len(r.request.IDs) >= r.model.Info().Context {
		err = fmt.Errorf("%w\n%s", err, say("error.truncate"))
	}
	return unlessInterrupted(ctx, err, "")
}

// prepare makes the request of the prompt and of the model's own parameters
// with those of the flags over them.
func (r *run) prepare() error {
	if err := checkTask(r.model, r.name, wenmo.TextGeneration); err != nil {
		return err
	}
	r.params.ImplySampling()
	p := r.model.Params().With(r.params)
	for _, err := range []error{p.Validate(), p.CheckVocab(r.model.Info().Vocab)} {
		if err != nil {
			return &usageError{err.Error()}
		}
	}
	ids, chatting, err := r.encode(r.model)
	if err != nil {
		return err
	}
	if r.truncate {
		all := len(ids)
		if ids = shorten(ids, r.model.Info().Context, p); len(ids) < all {
			note(r.cmd, "run.truncated", all-len(ids), all)
		}
	}
	r.chatting = chatting
	r.request = wenmo.Request{IDs: ids, Params: p}
	return nil
}

// tellShort says that the context ended before the length that was asked for.
func (r *run) tellShort(s *stopwatch) {
	prompt, context := len(r.request.IDs), r.model.Info().Context
	length, err := r.request.Params.MaxLen(prompt, 0) // an error where none was
	if asked := length - prompt; err == nil && s.longest < asked && prompt+s.longest == context {
		note(r.cmd, "run.full", context, s.longest, asked)
	}
}

// stream prints the new text as it comes; the ids where the model has no
// tokenizer.
func (r *run) stream(ctx context.Context, clock *stopwatch) error {
	out := r.cmd.OutOrStdout()
	begun := false
	write := func(text string) error {
		if isTerminal(out) {
			text = progress.Tame(text)
		}
		begun = begun || text != ""
		_, err := io.WriteString(out, text)
		return err
	}
	if err := write(r.echoed()); err != nil {
		return err
	}
	comma := r.echo
	engine, err := wenmo.NewEngine(r.model, wenmo.EngineOptions{})
	if err != nil {
		return err
	}
	defer engine.Close()
	for ev, err := range engine.Submit(ctx, r.request) {
		if err != nil {
			if begun {
				_ = write("\n") // err is the one to tell
			}
			return err
		}
		clock.event(ev)
		text := ev.Text
		if r.model.Tokenizer() == nil {
			if text = joinIDs([]int32{ev.ID}); comma {
				text = "," + text
			}
			comma = true
		}
		if text == "" {
			continue
		}
		if err := write(text); err != nil {
			return err
		}
	}
	return write("\n")
}

// echoed is what --echo prints before the new text: what the model was given,
// without special tokens; of a conversation the user's message.
func (r *run) echoed() string {
	switch tok := r.model.Tokenizer(); {
	case !r.echo:
		return ""
	case r.chatting:
		return r.text + "\n"
	case tok == nil:
		return joinIDs(r.request.IDs)
	default:
		return tok.Decode(r.request.IDs, true)
	}
}

// sequence is a generated sequence in the output of --json.
type sequence struct {
	IDs         []int32        `json:"ids"`
	Text        *string        `json:"text,omitempty"`
	Score       *float32       `json:"score,omitempty"` // of beam search
	Logprobs    []float32      `json:"logprobs,omitempty"`
	TopLogprobs [][]topLogprob `json:"top_logprobs,omitempty"`
}

type topLogprob struct {
	ID      int32   `json:"id"`
	Logprob float32 `json:"logprob"`
}

// collect prints whole sequences: as JSON, or one after the other.
func (r *run) collect(ctx context.Context, clock *stopwatch) error {
	find := r.samples
	if r.request.Params.NumBeams > 1 {
		find = r.beams
	}
	found, err := find(ctx, clock)
	if err != nil {
		return err
	}
	if r.json {
		return emitJSON(r.cmd, map[string]any{"sequences": found})
	}
	for i, s := range found {
		text := joinIDs(s.IDs)
		if s.Text != nil {
			text = *s.Text
		}
		if text = r.echoed() + text; isTerminal(r.cmd.OutOrStdout()) {
			text = progress.Tame(text)
		}
		if i > 0 {
			text = "\n" + text
		}
		if err := emit(r.cmd, text); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) beams(ctx context.Context, clock *stopwatch) ([]sequence, error) {
	found, err := r.model.Sequences(ctx, r.request.IDs, r.request.Params)
	out := make([]sequence, len(found))
	for i, s := range found {
		out[i] = sequence{IDs: s.IDs, Score: &s.Score}
		if tok := r.model.Tokenizer(); tok != nil {
			// Decoded with the prompt: the first word may begin with a space.
			all := tok.Decode(slices.Concat(r.request.IDs, s.IDs), true)
			text, ok := strings.CutPrefix(all, tok.Decode(r.request.IDs, true))
			if !ok {
				text = tok.Decode(s.IDs, true)
			}
			out[i].Text = &text
		}
		clock.beam(len(r.request.IDs), len(s.IDs))
	}
	return out, err
}

// samples computes num_return_sequences sequences side by side.
func (r *run) samples(ctx context.Context, clock *stopwatch) ([]sequence, error) {
	engine, err := wenmo.NewEngine(r.model, wenmo.EngineOptions{})
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([]sequence, r.request.Params.NumReturnSequences)
	var wait sync.WaitGroup
	for i := range out {
		request := r.request
		request.Sample = i
		wait.Go(func() {
			var err error
			if out[i], err = r.sample(ctx, engine, request, clock); err != nil {
				cancel(err)
			}
		})
	}
	wait.Wait()
	return out, context.Cause(ctx)
}

func (r *run) sample(ctx context.Context, engine *wenmo.Engine, request wenmo.Request, clock *stopwatch) (sequence, error) {
	s := sequence{IDs: []int32{}}
	var text strings.Builder
	for ev, err := range engine.Submit(ctx, request) {
		if err != nil {
			return s, err
		}
		clock.event(ev)
		text.WriteString(ev.Text)
		s.IDs = append(s.IDs, ev.ID)
		if request.Params.Logprobs || request.Params.TopLogprobs > 0 {
			s.Logprobs = append(s.Logprobs, ev.Logprob)
		}
		if request.Params.TopLogprobs > 0 {
			top := make([]topLogprob, len(ev.Top))
			for i, t := range ev.Top {
				top[i] = topLogprob{t.ID, t.Logprob}
			}
			s.TopLogprobs = append(s.TopLogprobs, top)
		}
	}
	if r.model.Tokenizer() != nil {
		whole := text.String()
		s.Text = &whole
	}
	return s, nil
}
