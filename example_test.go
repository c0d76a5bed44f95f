package wenmo_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"wenmo"
)

// The shortest way from a name to a text. Here the name is a folder with a new,
// untrained model, so the text is noise; "gpt2" would be downloaded.
func Example() {
	ctx := context.Background()
	name := newModel(ctx)
	defer os.RemoveAll(name)

	model, err := wenmo.Open(ctx, name, wenmo.Options{Pull: true})
	if err != nil {
		log.Fatal(err)
	}
	ids := model.Tokenizer().Encode("The quick brown fox jumps over the lazy dog", true)
	params := model.Params()
	params.MaxLength = 50
	output, err := model.Generate(ctx, ids, params)
	if err != nil {
		log.Fatal(err)
	}
	text := model.Tokenizer().Decode(output, true)
	fmt.Println(len(output), "tokens that begin with", text[:19])
	// Output: 50 tokens that begin with The quick brown fox
}

// Streaming: the text arrives as it is made.
func ExampleModel_Complete() {
	ctx := context.Background()
	name := newModel(ctx)
	defer os.RemoveAll(name)
	model, err := wenmo.Open(ctx, name, wenmo.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()

	params := model.Params()
	params.MaxNewTokens = 8
	pieces := 0
	for event, err := range model.Complete(ctx, "床前明月光", params) {
		if err != nil {
			log.Fatal(err)
		}
		pieces++ // fmt.Print(event.Text)
		if event.Finish != "" {
			fmt.Println(event.Finish, event.Usage.Completion == pieces)
		}
	}
	// Output: length true
}

// An engine computes many requests at once; each gets the tokens it would get
// alone.
func ExampleEngine() {
	ctx := context.Background()
	name := newModel(ctx)
	defer os.RemoveAll(name)
	model, err := wenmo.Open(ctx, name, wenmo.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	engine, err := wenmo.NewEngine(model, wenmo.EngineOptions{CacheTokens: 4096})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()

	params := model.Params()
	params.MaxNewTokens = 4
	params.Seed, params.DoSample = 7, true
	first, err := wenmo.Collect(engine.Submit(ctx, wenmo.Request{Text: "Hello", Params: params}))
	if err != nil {
		log.Fatal(err)
	}
	second, err := wenmo.Collect(engine.Submit(ctx, wenmo.Request{Text: "Hello", Params: params}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(first == second)
	// Output: true
}

// newModel makes a small untrained model.
func newModel(ctx context.Context) string {
	dir, err := os.MkdirTemp("", "wenmo")
	if err != nil {
		log.Fatal(err)
	}
	if err := wenmo.Create(ctx, filepath.Join(dir, "tiny"), wenmo.CreateOptions{Shape: "tiny-llama", Seed: 1}); err != nil {
		log.Fatal(err)
	}
	return filepath.Join(dir, "tiny")
}
