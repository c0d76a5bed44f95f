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

// Logits: what the model predicts after each token of a prompt.
func ExampleModel_Logits() {
	ctx := context.Background()
	name := newModel(ctx)
	defer os.RemoveAll(name)
	model, err := wenmo.Open(ctx, name, wenmo.Options{DType: "f32"})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()

	var next int32 // the likeliest token after the prompt
	prompt := []int32{1, 2, 3}
	err = model.Logits(ctx, prompt, nil, func(pos int, logits []float32) error {
		next = 0
		for id, x := range logits {
			if x > logits[next] {
				next = int32(id)
			}
		}
		fmt.Println("position", pos, "has", len(logits), "logits")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	params := model.Params()
	params.MaxNewTokens = 1
	output, err := model.Generate(ctx, prompt, params)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("greedy decoding takes the likeliest:", output[3] == next)
	// Output:
	// position 0 has 512 logits
	// position 1 has 512 logits
	// position 2 has 512 logits
	// greedy decoding takes the likeliest: true
}

// Hidden states: what each layer makes of each token.
func ExampleModel_HiddenStates() {
	ctx := context.Background()
	name := newModel(ctx)
	defer os.RemoveAll(name)
	model, err := wenmo.Open(ctx, name, wenmo.Options{DType: "f32"})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()

	states, err := model.HiddenStates(ctx, []int32{1, 2, 3}, nil)
	if err != nil {
		log.Fatal(err)
	}
	info := model.Info()
	fmt.Println(len(states) == info.Layers+1, "the embedding and every layer")
	fmt.Println(len(states[0]), "tokens")
	fmt.Println(len(states[0][0]) == info.Hidden, "values each")
	// Output:
	// true the embedding and every layer
	// 3 tokens
	// true values each
}

// Attentions: where each token looks. A decoder's token sees none after it.
func ExampleModel_Attentions() {
	ctx := context.Background()
	name := newModel(ctx)
	defer os.RemoveAll(name)
	model, err := wenmo.Open(ctx, name, wenmo.Options{DType: "f32"})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()

	attentions, err := model.Attentions(ctx, []int32{1, 2, 3}, nil)
	if err != nil {
		log.Fatal(err)
	}
	info := model.Info()
	fmt.Println(len(attentions) == info.Layers, len(attentions[0]) == info.Heads)
	for query, keys := range attentions[0][0] { // of the first head of the first layer
		sum, later := float32(0), 0
		for key, weight := range keys {
			sum += weight
			if key > query && weight != 0 {
				later++
			}
		}
		fmt.Printf("token %d: weights of %.3f, %d on later tokens\n", query, sum, later)
	}
	// Output:
	// true true
	// token 0: weights of 1.000, 0 on later tokens
	// token 1: weights of 1.000, 0 on later tokens
	// token 2: weights of 1.000, 0 on later tokens
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
