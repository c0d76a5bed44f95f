package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/engine"
)

// jsonText is a row with a text.
func jsonText(text string) string {
	data, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		panic(err)
	}
	return string(data)
}

// Each run of a sequence that stands in some document is found once, with what the
// two share from there on.
func TestCopyFinder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(most int) []int32 {
		ids := make([]int32, rng.IntN(most))
		for i := range ids {
			ids[i] = rng.Int32N(3)
		}
		return ids
	}
	for range 300 {
		const n = 4
		sequences := [][]int32{draw(12), draw(12), draw(3)}
		finder := newCopyFinder(sequences, n)
		found := map[[2]string]int{} // by sequence and its run
		var documents [][]int32
		for range 4 {
			d := draw(20)
			documents = append(documents, d)
			finder.find(d, func(s int, copied []int32) {
				if len(copied) < n || !contains(sequences[s], copied) || !contains(d, copied) {
					t.Fatalf("%v is no run of %v and %v", copied, sequences[s], d)
				}
				found[[2]string{string(rune('a' + s)), key(copied[:n])}]++
			})
		}
		for s, ids := range sequences {
			want := map[string]int{}
			for i := 0; i+n <= len(ids); i++ {
				if slices.ContainsFunc(documents, func(d []int32) bool { return contains(d, ids[i:i+n]) }) {
					want[key(ids[i:i+n])]++
				}
			}
			for k, times := range want {
				if got := found[[2]string{string(rune('a' + s)), k}]; got != times {
					t.Errorf("%q of %v in %v: found %d times, want %d", k, ids, documents, got, times)
				}
			}
		}
	}
}

// Two runs of the same hash are told apart.
func TestCopyFinderCollision(t *testing.T) {
	finder := newCopyFinder([][]int32{{1, 2}}, 2)
	for hash, runs := range finder.at {
		finder.sequences[0][0] = 7 // as if this had the hash of 1, 2
		finder.find([]int32{1, 2}, func(int, []int32) { t.Error("a false copy was found") })
		if !slices.Equal(finder.at[hash], runs) {
			t.Error("the run was forgotten")
		}
	}
}

func contains(ids, part []int32) bool {
	for i := 0; i+len(part) <= len(ids); i++ {
		if slices.Equal(ids[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

func key(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteByte(byte('0' + id))
	}
	return b.String()
}

// Of samples some stand in the data, whose places are told; limit is about the
// documents gone on from, and both are listed by file.
func TestMemorization(t *testing.T) {
	alphabet := "abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	m := fake()
	var seen []Prompt
	var with engine.Params
	m.Generate = func(_ context.Context, prompts []Prompt, p engine.Params, _ func(int)) ([]Text, error) {
		seen, with = prompts, p
		texts := []string{"<" + alphabet[:50] + ">", "<" + alphabet[:49] + ">", alphabet, "short"}
		var out []Text
		for i := range prompts {
			out = append(out, Text{IDs: bytesOf(texts[i])})
		}
		return out, nil
	}
	dir := t.TempDir()
	for name, rows := range map[string][]string{
		"a.jsonl": {jsonText(strings.Repeat("one ", 25)), jsonText("none"), jsonText(strings.Repeat("two ", 25)), `{"x":1}`},
		"b.jsonl": {
			`{"messages":[{"role":"user","content":"hm"},{"role":"assistant","content":"` + alphabet + `"}]}`,
			jsonText("Then " + alphabet + strings.Repeat("x", 50)), jsonText(strings.Repeat("four", 25)),
		},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(rows, "\n")), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var opt Options
	opt.Samples, opt.Limit = 4, 3
	opt.Params = engine.DefaultParams()
	if err := opt.Params.Set("seed", "7"); err != nil {
		t.Fatal(err)
	}
	r, err := Evaluate(t.Context(), m, "memorization", dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"memorized": 2. / 3, "copied": 0.5, "copies": 2} {
		if got, ok := r.Metric(name); !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if r.Count != 3 || r.Broken != 1 || len(r.Groups) != 2 || r.Groups[0].Name != "a.jsonl" || r.Groups[1].Count != 1 {
		t.Errorf("%+v", r)
	}
	if seen[2].Sample != 2 || seen[2].Text != "" || with.Seed != 7 || !with.DoSample || r.Sampling.Seed != 7 || r.Sampling.Texts != 4 {
		t.Errorf("prompts %+v, parameters %+v, sampling %+v", seen, with, r.Sampling)
	}
	var places []string
	for _, f := range r.Findings {
		places = append(places, fmt.Sprintf("%s:%d %s %.3s", filepath.Base(f.File), f.Line, f.What[0], f.Text))
	}
	want := []string{"b.jsonl:1 copied abc", "b.jsonl:1 copied abc", "a.jsonl:1 memorized e o", "a.jsonl:3 memorized o t"}
	if !slices.Equal(places, want) {
		t.Errorf("found %q, want %q", places, want)
	}

	opt.Samples = 0
	if _, err := Evaluate(t.Context(), m, "memorization", write(t, jsonText("short")), opt); err == nil || !strings.Contains(err.Error(), "no document of the data has 100 tokens") {
		t.Errorf("error %v", err)
	}
}

// A row of one sign is no copy.
func TestCopiesAreVaried(t *testing.T) {
	spaces, text := make([]int32, 60), make([]int32, 60)
	for i := range text {
		text[i] = int32(i % 7)
	}
	for _, c := range []struct {
		ids  []int32
		want int
	}{{spaces, 0}, {text, 1}} {
		n := 0
		newCopyFinder([][]int32{c.ids}, copyTokens).find(c.ids, func(int, []int32) { n = 1 })
		if n != c.want {
			t.Errorf("%v: %d, want %d", c.ids[:8], n, c.want)
		}
	}
}
