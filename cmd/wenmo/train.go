package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wenmo/dataset"
	"wenmo/internal/progress"
	"wenmo/tokenizer"
)

// training is the command that learns a vocabulary.
type training struct {
	kind, out string
	files     []string
	options   tokenizer.TrainOptions
	json      bool
}

// alphabet is how many tokens for bytes BPE and Unigram vocabularies have.
const alphabet = 256

func trainCommand() *cobra.Command {
	t := training{kind: "bpe"}
	t.options.VocabSize = 30000
	cmd := describe(&cobra.Command{Use: "train --file TEXT --out DIR", Args: arguments(0)}, "train")
	addFlag(cmd, "input", func(f *pflag.FlagSet) { f.StringArrayVar(&t.files, "file", nil, say("flag.train_file")) })
	addChoice(cmd, "model", choice{&t.kind, []string{"bpe", "wordpiece", "unigram"}}, "type", say("flag.train_type"))
	addFlag(cmd, "model", func(f *pflag.FlagSet) {
		f.Var(count{&t.options.VocabSize, 1}, "vocab", say("flag.vocab"))
		f.StringSliceVar(&t.options.SpecialTokens, "special-tokens", nil, say("flag.special_tokens"))
	})
	addThreads(cmd, &t.options.Threads)
	addFlag(cmd, "output", func(f *pflag.FlagSet) {
		f.StringVar(&t.out, "out", "", say("flag.train_out"))
		f.BoolVar(&t.json, "json", false, say("flag.train_json"))
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case len(t.files) == 0:
			return usagef("error.missing", "--file")
		case t.out == "":
			return usagef("error.missing", "--out")
		}
		if t.kind == "bpe" && !cmd.Flags().Changed("special-tokens") {
			t.options.SpecialTokens = []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"} // which ends a text; a turn in ChatML
		}
		if special := len(t.options.SpecialTokens); t.kind != "wordpiece" && t.options.VocabSize < alphabet+special {
			return usagef("error.vocab_small", t.options.VocabSize, special, alphabet+special)
		}
		for _, name := range []string{"config.json", "model.safetensors"} {
			if _, err := os.Stat(filepath.Join(t.out, name)); err == nil {
				return usagef("error.model_there", t.out)
			}
		}
		ctx, stop := interruptible(cmd)
		defer stop()
		return unlessInterrupted(ctx, t.run(ctx, cmd), say("interrupted.train"))
	}
	return cmd
}

func (t *training) run(ctx context.Context, cmd *cobra.Command) error {
	sources := make([]io.Reader, len(t.files))
	var size int64
	known := true // the size of all
	for i, name := range t.files {
		f, n, err := dataset.OpenText(ctx, name, func(text string) { cmd.PrintErrln(text) })
		if err != nil {
			return err
		}
		defer f.Close()
		size, known = size+n, known && n > 0
		sources[i] = f
	}
	if !known {
		size = 0
	}
	show := &trainProgress{cmd: cmd, size: size}
	t.options.Progress = show.set
	start := time.Now()
	tok, err := t.learn(ctx, sources)
	show.line.End()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(t.out, 0o777); err != nil {
		return err
	}
	file := filepath.Join(t.out, "tokenizer.json")
	if err := tok.Save(file); err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if t.json {
		return emitJSON(cmd, map[string]float64{"seconds": seconds})
	}
	text := say("train.result", file, tok.VocabSize(), fmt.Sprintf("%.1f", seconds))
	if tok.VocabSize() < t.options.VocabSize {
		text += "\n" + say("train.small", t.options.VocabSize)
	}
	return emit(cmd, text)
}

// learn trains a vocabulary of the kind that was asked for.
func (t *training) learn(ctx context.Context, sources []io.Reader) (*tokenizer.Tokenizer, error) {
	o := t.options
	switch t.kind {
	case "wordpiece":
		return tokenizer.TrainWordPiece(ctx, nil, o, sources...)
	case "unigram":
		return tokenizer.TrainUnigram(ctx, nil, tokenizer.UnigramOptions{
			VocabSize: o.VocabSize, SpecialTokens: o.SpecialTokens, ByteFallback: true, Threads: o.Threads, Progress: o.Progress,
		}, sources...)
	}
	return tokenizer.TrainBPE(ctx, nil, o, sources...)
}

// trainProgress shows each stage of training on a line of its own.
type trainProgress struct {
	cmd     *cobra.Command
	size    int64 // bytes of all files
	stage   string
	line    *progress.Line
	sampled bool
}

func (p *trainProgress) set(now tokenizer.TrainProgress) {
	if now.Stage != p.stage {
		p.line.End()
		unit := progress.Items
		if now.Stage == "count" {
			unit = progress.Bytes
		}
		p.stage, p.line = now.Stage, progressLine(p.cmd, say("progress.train_"+now.Stage), unit)
	}
	total := now.Total
	if now.Stage == "count" {
		total = p.size
	}
	p.line.Set(now.Done, total)
	if now.Sampled && !p.sampled {
		p.sampled = true
		p.line.Note(say("progress.train_sampled"))
	}
}
