package wenmo

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/eval"
	"wenmo/internal/testkit"
)

// created makes and opens a model of a shape.
func created(t *testing.T, shape string, opt Options) *Model {
	t.Helper()
	dir := filepath.Join(t.TempDir(), shape)
	if err := Create(t.Context(), dir, CreateOptions{Shape: shape, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	m, err := Open(t.Context(), dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func ignore(int) {}

// The likelihood of a text is that of its ids one by one, whatever is computed
// beside it, on any number of threads; context and continuation are cut where
// the context's ids end.
func TestLogLikelihoods(t *testing.T) {
	requests := []eval.Request{
		{Continuation: "The sea is wide."},
		{Context: "The sea is", Continuation: " wide."},
		{Context: "The sea is ", Continuation: "wide."},
		{Context: "问题：海有多宽？\n答案：", Continuation: "很宽"},
		{Continuation: strings.Repeat("Of the sea, 海。 ", 20)},
		{Continuation: "x"},
	}
	var first []eval.Likelihood
	for _, threads := range []int{1, 2, 3} {
		m := created(t, "tiny-llama", Options{DType: "f32", Threads: threads})
		got, err := m.logLikelihoods(t.Context(), requests, ignore)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if !slices.Equal(got, first) {
			t.Errorf("%d threads: %v, with one %v", threads, got, first)
		}
		if got[1] != got[2] {
			t.Errorf("a space at the end of the context: %v, want %v", got[2], got[1])
		}
		frame, err := m.textFrame()
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range requests {
			alone, err := m.logLikelihoods(t.Context(), requests[i:i+1], ignore)
			if err != nil || alone[0] != got[i] {
				t.Errorf("%+v alone: %v %v, beside others %v", r, alone, err, got[i])
			}
			ids := append(slices.Clone(frame.prefix), m.tok.Encode(r.Context+r.Continuation, false)...)
			n := len(m.tok.Encode(strings.TrimRight(r.Context, " "), false))
			score, err := m.Score(t.Context(), ids)
			if err != nil {
				t.Fatal(err)
			}
			want := 0.0
			for _, l := range score.LogProbs[n:] {
				want += float64(l)
			}
			if math.Abs(want-got[i].LogProb) > 1e-4 || got[i].Tokens != len(score.LogProbs)-n {
				t.Errorf("%+v: %v, want %v of %d tokens", r, got[i], want, len(score.LogProbs)-n)
			}
		}
	}
}

// A text longer than the context is predicted in windows, each token once, from
// as many before it as there is room for; of a long context the beginning goes.
func TestLikelihoodWindows(t *testing.T) {
	m := created(t, "tiny-llama", Options{DType: "f32", Threads: 2})
	most := m.m.Context
	for _, n := range []int{2, most, most + 1, most + 2, 2*most + 1, 3*most - 5} {
		ids := make([]int32, n)
		next := 1
		parts, truncated := m.windows(ids, 1)
		for _, p := range parts {
			if len(p.input.IDs) > most || len(p.input.Rows) != len(p.targets) {
				t.Errorf("%d ids: a window of %d with %d rows for %d targets", n, len(p.input.IDs), len(p.input.Rows), len(p.targets))
			}
			next += len(p.targets)
		}
		if next != n || truncated {
			t.Errorf("%d ids: the windows end at %d, truncated %v", n, next, truncated)
		}
	}
	long := strings.Repeat("sea ", most)
	got, err := m.logLikelihoods(t.Context(), []eval.Request{{Continuation: long}, {Context: long, Continuation: " end"}}, ignore)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Tokens != len(long) || got[0].Truncated || got[1].Tokens != 5 || !got[1].Truncated {
		t.Errorf("%v", got)
	}
}

// A text longer than the context of a masked model is masked in parts: each
// token once, none without its frame; of a long context the beginning goes.
func TestMaskedWindows(t *testing.T) {
	m := maskedModel(t)
	f, err := m.textFrame()
	if err != nil {
		t.Fatal(err)
	}
	most := m.m.MaxLength
	for _, n := range []int{1, most - 2, most - 1, 2*most - 4, 3 * most} {
		for _, first := range []int{1, n, n + 1} {
			ids := slices.Concat(f.prefix, make([]int32, n))
			for i := range n {
				ids[1+i] = int32(5 + i%26)
			}
			parts, truncated := f.masked(m, ids, first)
			if len(parts) != n+1-first || truncated != (first > 1 && first <= n && n > most-2) {
				t.Fatalf("%d ids from %d: %d parts, truncated %v", n, first, len(parts), truncated)
			}
			for i, p := range parts {
				in, at := p.input.IDs, p.input.Rows[0]
				if len(in) > most || in[0] != f.prefix[0] || in[len(in)-1] != f.suffix[0] || in[at] != f.mask || p.targets[0] != ids[first+i] {
					t.Fatalf("%d ids from %d: part %d has %d ids with %d masked for %v", n, first, i, len(in), at, p.targets)
				}
			}
		}
	}
}

// maskedModel is a BERT for masked language modelling with a vocabulary of
// letters.
func maskedModel(t *testing.T) *Model {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bert")
	if err := Create(t.Context(), dir, CreateOptions{Shape: "mlm-12m", Seed: 3}); err != nil {
		t.Fatal(err)
	}
	vocab := map[string]int{"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
	for c := 'a'; c <= 'z'; c++ {
		vocab[string(c)] = len(vocab)
	}
	data, err := json.Marshal(vocab)
	if err != nil {
		t.Fatal(err)
	}
	tokenizer := fmt.Sprintf(`{"added_tokens":[{"id":4,"content":"[MASK]","special":true}],
		"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":%s},
		"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],
		"pair":[],"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[2],"tokens":["[CLS]"]},"[SEP]":{"id":"[SEP]","ids":[3],"tokens":["[SEP]"]}}}}`, data)
	for name, text := range map[string]string{"tokenizer.json": tokenizer, "tokenizer_config.json": `{"mask_token":"[MASK]"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Open(t.Context(), dir, Options{DType: "f32", Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// A masked language model finds each token from all others.
func TestPseudoLikelihood(t *testing.T) {
	m := maskedModel(t)
	got, err := m.logLikelihoods(t.Context(), []eval.Request{{Continuation: "a b c"}, {Context: "a", Continuation: " b c"}}, ignore)
	if err != nil {
		t.Fatal(err)
	}
	ids := m.tok.Encode("a b c", true)
	if len(ids) != 5 {
		t.Fatalf("ids %v", ids)
	}
	var each []float64
	for i := 1; i <= 3; i++ {
		masked := slices.Clone(ids)
		masked[i] = 4
		err := m.Logits(t.Context(), masked, nil, func(pos int, logits []float32) error {
			if pos == i {
				each = append(each, eval.LogProb(logits, ids[i]))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []float64{each[0] + each[1] + each[2], each[1] + each[2]} {
		if math.Abs(got[i].LogProb-want) > 1e-9 || got[i].Tokens != 3-i {
			t.Errorf("%v, want %v", got[i], want)
		}
	}
}

// Sampled texts are the same on any number of threads, differ from each other and
// between seeds.
func TestEvaluateSamples(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data.jsonl")
	rows := `{"text":"` + strings.Repeat("word ", 40) + `","prompt":"Once","form":"五绝"}` + "\n" + `{"text":"b","prompt":"","form":"七律"}` + "\n"
	if err := os.WriteFile(data, []byte(rows), 0o666); err != nil {
		t.Fatal(err)
	}
	one, two := created(t, "tiny-llama", Options{DType: "f32", Threads: 1}), created(t, "tiny-llama", Options{DType: "f32", Threads: 3})
	for _, task := range []string{"stories", "poems", "memorization"} {
		figures := func(m *Model, seed string) string {
			opt := EvalOptions{Samples: 3, MaxNewTokens: 40}
			if err := opt.Params.Set("seed", seed); err != nil {
				t.Fatal(err)
			}
			r, err := Evaluate(t.Context(), m, task, data, opt)
			if err != nil {
				t.Fatal(err)
			}
			texts := map[string]bool{}
			for _, f := range r.Findings {
				texts[f.Text] = true
			}
			if len(texts) < len(r.Findings) || task != "memorization" && len(texts) != 6 {
				t.Errorf("%s: %d different texts of %d", task, len(texts), len(r.Findings))
			}
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		a, b, c := figures(one, "1"), figures(two, "1"), figures(one, "2")
		if a != b {
			t.Errorf("%s:\n%s\n%s", task, a, b)
		}
		if !strings.Contains(a, `"seed":1`) || strings.ReplaceAll(c, `"seed":2`, `"seed":1`) == a && task != "memorization" {
			t.Errorf("%s: %s, with another seed %s", task, a, c)
		}
	}
	opt := EvalOptions{Samples: 2}
	if err := opt.Params.Set("temperature", "0"); err != nil {
		t.Fatal(err)
	}
	if _, err := Evaluate(t.Context(), one, "stories", data, opt); err == nil || !strings.Contains(err.Error(), "temperature 0") {
		t.Errorf("error %v", err)
	}
}

// What a model goes on with greedily is what counts as known by heart; what it
// samples is found in the data that hold it.
func TestMemorization(t *testing.T) {
	dir := testkit.SharedFile(t, "models", "aidreams-260k")
	m, err := Open(t.Context(), dir, Options{DType: "f32", Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	start, err := m.textStart()
	if err != nil {
		t.Fatal(err)
	}
	p := m.Params()
	p.MaxLength, p.MaxNewTokens = 0, 110
	greedy, err := m.Generate(t.Context(), start, p)
	if err != nil {
		t.Fatal(err)
	}
	p.DoSample, p.Seed = true, 5
	sampled, err := m.Generate(t.Context(), start, p)
	if err != nil {
		t.Fatal(err)
	}
	known, drawn := m.tok.Decode(greedy[1:], true), m.tok.Decode(sampled[1:], true)
	data := filepath.Join(t.TempDir(), "data.jsonl")
	var rows strings.Builder
	for _, text := range []string{known, known[:100] + drawn, "Before it: " + drawn} {
		if err := json.NewEncoder(&rows).Encode(map[string]string{"text": text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(data, []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	opt := EvalOptions{Samples: 2, MaxNewTokens: 110}
	if err := opt.Params.Set("seed", "5"); err != nil {
		t.Fatal(err)
	}
	r, err := Evaluate(t.Context(), m, "memorization", data, opt)
	if err != nil {
		t.Fatal(err)
	}
	memorized, _ := r.Metric("memorized")
	copied, _ := r.Metric("copied")
	if r.Count != 3 || math.Abs(memorized-1./3) > 1e-9 || copied != 0.5 || len(r.Findings) != 2 || r.Findings[0].Line != 2 || r.Findings[1].Line != 1 {
		t.Errorf("%+v", r)
	}
}

func TestEvaluateHeads(t *testing.T) {
	m := created(t, "classify-12m", Options{DType: "f32", Threads: 2})
	data := filepath.Join(t.TempDir(), "data.jsonl")
	var rows strings.Builder
	for i := range 8 {
		fmt.Fprintf(&rows, `{"text":"text %d 文 %s","label":%d,"set":"s%d"}`+"\n", i, strings.Repeat("x", 50*i), i%4, i%2)
	}
	if err := os.WriteFile(data, []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	r, err := Evaluate(t.Context(), m, "classify", data, EvalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := r.Metric("accuracy"); !ok || a < 0 || a > 1 || len(r.Groups) != 2 || r.Count != 8 || r.Truncated == 0 || r.Confusion == nil {
		t.Errorf("%+v", r)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Evaluate(ctx, m, "classify", data, EvalOptions{}); err == nil {
		t.Error("no error of a cancelled context")
	}
	if _, err := Evaluate(t.Context(), m, "blimp", data, EvalOptions{}); err == nil {
		t.Error("no error where the rows do not fit")
	}
}
