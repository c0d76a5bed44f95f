// Train makes a small language model of a text file, in Go: a vocabulary, a
// model, and what it writes.
//
//	go run ./examples/train my.txt my-model
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"

	"wenmo"
	"wenmo/tokenizer"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: train TEXT DIR")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1], os.Args[2], "5m"); err != nil {
		log.Fatal(err)
	}
}

// run trains a model on text, for about so long, and lets it go on with a text.
func run(ctx context.Context, out io.Writer, text, dir, budget string) error {
	vocabulary := filepath.Join(dir, "tokenizer")
	if err := learnVocabulary(ctx, text, vocabulary); err != nil {
		return err
	}
	c := &wenmo.TrainConfig{Task: "causal-lm", Out: filepath.Join(dir, "model")}
	c.AddData(text)
	c.Model.Tokenizer = vocabulary
	c.Model.Budget = budget // decides the size, and with it all that is left open here
	err := wenmo.Train(ctx, c, wenmo.TrainOptions{
		Planned: func(_ *wenmo.TrainConfig, p *wenmo.TrainPlan) {
			fmt.Fprintf(out, "%d parameters, %d steps\n", p.Params, p.Steps)
		},
		Told: func(e wenmo.TrainEvent) {
			if e.Train != nil && e.Step%100 == 0 {
				fmt.Fprintf(out, "step %d: loss %.3f\n", e.Step, e.Train.Loss)
			}
		},
	})
	if err != nil {
		return err
	}
	return write(ctx, out, c.Out)
}

// learnVocabulary makes a byte-level BPE vocabulary of a text.
func learnVocabulary(ctx context.Context, text, dir string) error {
	file, err := os.Open(text)
	if err != nil {
		return err
	}
	defer file.Close()
	tok, err := tokenizer.TrainBPE(ctx, nil, tokenizer.TrainOptions{VocabSize: 4000, SpecialTokens: []string{"<|endoftext|>"}}, file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return tok.Save(filepath.Join(dir, "tokenizer.json"))
}

// write lets the model go on with a text.
func write(ctx context.Context, out io.Writer, dir string) error {
	model, err := wenmo.Open(ctx, dir, wenmo.Options{})
	if err != nil {
		return err
	}
	defer model.Close()
	params := model.Params()
	params.MaxNewTokens = 40
	ids, err := model.Generate(ctx, model.Tokenizer().Encode("The", false), params)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, model.Tokenizer().Decode(ids, true))
	return nil
}
