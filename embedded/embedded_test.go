package embedded

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo"
	"wenmo/internal/testkit"
	"wenmo/task"
	"wenmo/train"
)

var update = flag.Bool("update", false, "write what the models say now into testdata")

// mostBytes is what a model inside may take.
const mostBytes = 16 << 20

func TestSize(t *testing.T) {
	total := 0
	for _, b := range wenmo.Builtins() {
		total += len(b.Data)
	}
	if total > mostBytes {
		t.Errorf("the models take %d bytes, want at most %d", total, mostBytes)
	}
}

// TestTexts compares what the model writes, greedily, with what it wrote when it
// was put here.
func TestTexts(t *testing.T) {
	m, err := wenmo.Open(t.Context(), Chat, wenmo.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p := m.Params()
	for key, value := range map[string]string{"do_sample": "false", "max_new_tokens": "40"} {
		if err := p.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, text := range []string{"Once upon a time", "One day, a little girl named Lily", "春眠不觉晓", "从前"} {
		ids, err := m.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		out, err := m.Generate(t.Context(), ids, p)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Tokenizer().Decode(out, false))
	}
	golden(t, "texts.json", got)
}

// TestLabels compares what the classifiers say.
func TestLabels(t *testing.T) {
	got := map[string][]string{}
	for name, texts := range map[string][]string{
		Moderation: {"Have a nice day!", "You are a stupid idiot.", "今天天气很好。", "女人就是没有脑子。"},
		Intent:     {"set an alarm for seven in the morning", "what is the weather like tomorrow", "could you send me the report by friday?"},
	} {
		m, err := wenmo.Open(t.Context(), name, wenmo.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		var inputs []task.Text
		for _, text := range texts {
			inputs = append(inputs, task.Text{Text: text})
		}
		found, err := task.Classify(t.Context(), m, inputs, task.ClassifyOptions{TopK: 2})
		if err != nil {
			t.Fatal(err)
		}
		for i, labels := range found {
			got[name] = append(got[name], fmt.Sprintf("%s: %s %.3f, %s %.3f", texts[i], labels[0].Label, labels[0].Score, labels[1].Label, labels[1].Score))
		}
	}
	golden(t, "labels.json", got)
}

// TestRecipe trains the first hundred steps of the recipe on a part of its data, and
// some that go on from them, in small batches: the same bytes come out, on any machine.
func TestRecipe(t *testing.T) {
	dir := t.TempDir()
	if err := wenmo.Convert(t.Context(), Chat, filepath.Join(dir, "model"), wenmo.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for _, part := range []struct {
		recipe string
		steps  int
		from   func(c *train.Config)
	}{
		{"pretrain", 100, func(c *train.Config) { c.Model.Tokenizer = filepath.Join(dir, "model") }},
		{"continue", 20, func(c *train.Config) { c.Model.Base = filepath.Join(dir, "pretrain") }},
	} {
		recipe := filepath.Join(testkit.Root(), "runs", "wenmo-mini")
		c, err := wenmo.ReadTrainConfig(filepath.Join(recipe, part.recipe+".toml"))
		if err != nil {
			t.Fatal(err)
		}
		part.from(c)
		c.Out, c.Threads = filepath.Join(dir, part.recipe), 2
		c.Data = slices.DeleteFunc(c.Data, func(s train.SourceConfig) bool { return s.Name != "identity" })
		c.Data[0].Path = filepath.Join(recipe, "identity.jsonl")
		c.Phases, c.Dataset.Evaluation = nil, nil
		c.Train.Tokens, c.Train.Steps, c.Train.BatchTokens = "", part.steps, 512
		c.Watch.SampleEvery, c.Watch.ValidateEvery = -1, 1000
		if err := wenmo.Train(t.Context(), c, wenmo.TrainOptions{}); err != nil {
			t.Fatal(err)
		}
		weights, err := os.ReadFile(filepath.Join(c.Out, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		sums[part.recipe] = fmt.Sprintf("%x", sha256.Sum256(weights))
	}
	golden(t, "recipe.json", sums)
}

// golden compares a value with the one in testdata.
func golden(t *testing.T, name string, got any) {
	t.Helper()
	path := filepath.Join("testdata", name)
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(got); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("%s: found %swant %s", name, text.String(), want)
	}
}
