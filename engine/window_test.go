package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/tensor"
)

var windowed = []string{"decoder_mistral", "decoder_gemma2", "decoder_gemma3", "decoder_phi3"}

// generated is what a request gives.
type generated struct {
	tokens []Token
	reused int
}

func generate(t *testing.T, e *Engine, req Request) (g generated) {
	t.Helper()
	req.Params.Logprobs = true
	for ev, err := range e.Generate(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		g.tokens = append(g.tokens, Token{ID: ev.ID, Logprob: ev.Logprob})
		g.reused = ev.Reused
	}
	return g
}

func (g generated) check(t *testing.T, what string, want generated) {
	t.Helper()
	same := func(a, b Token) bool { return a.ID == b.ID && a.Logprob == b.Logprob }
	if !slices.EqualFunc(g.tokens, want.tokens, same) {
		t.Errorf("%s: other tokens", what)
	}
}

// taken counts the pages that an engine ever had in use at once, group by group:
// a store grows only when no page is free. The engine must be at rest.
func taken(e *Engine) int {
	n := 0
	for _, g := range e.groups {
		n += g.kv.Bytes() / g.kv.PageBytes()
	}
	return n
}

// TestWindowsBoundPages generates far beyond a window: the pages that nobody sees
// any more go, and the numbers are those of keeping all.
func TestWindowsBoundPages(t *testing.T) {
	for _, name := range windowed {
		t.Run(name, func(t *testing.T) {
			m := slimModel(t, name, model.F32)
			m.MaxLength, m.Context = 2048, 2048
			groups := m.Groups
			if len(groups) == 0 {
				t.Fatal("no groups")
			}
			p := DefaultParams()
			p.MaxNewTokens, p.EOSTokenID, p.DoSample = 300, nil, true
			p.PromptLookupNumTokens = 5
			req := Request{IDs: testPrompt(300, 2, m.Vocab), Params: p}
			opt := Options{PrefillChunk: 100, NoReuse: true}
			e := startEngine(t, m, 2, opt)
			with := generate(t, e, req)
			most := 0
			for _, g := range groups {
				if most += pagesFor(600); g.Window > 0 {
					most += pagesFor(g.Window+100) + 1 - pagesFor(600)
				}
			}
			if n := taken(e); n > most || n == 0 {
				t.Errorf("%d pages in use, want at most %d", n, most)
			}
			m.Groups = nil
			e = startEngine(t, m, 2, opt)
			without := generate(t, e, req)
			if n := taken(e); n != pagesFor(600) {
				t.Errorf("%d pages in use without groups, want %d", n, pagesFor(600))
			}
			with.check(t, "with groups", without)
		})
	}
}

// TestWindowsReusePrefixes finds prefixes again, whole and in part, also where
// there is room for few of them.
func TestWindowsReusePrefixes(t *testing.T) {
	for _, name := range windowed {
		for _, room := range []int{640, 8192} {
			t.Run(fmt.Sprintf("%s/%d", name, room), func(t *testing.T) {
				m := slimModel(t, name, model.F32)
				m.MaxLength, m.Context = 2048, 2048
				p := DefaultParams()
				p.MaxNewTokens, p.EOSTokenID = 70, nil
				alone := startEngine(t, m, 1, Options{NoReuse: true, CacheTokens: 4096})
				e := startEngine(t, m, 2, Options{PrefillChunk: 64, CacheTokens: room})
				long := testPrompt(330, 1, m.Vocab)
				for i, c := range []struct {
					ids    []int32
					reused int // where there is room
				}{
					{long, 0},
					{long, 320},
					{append(slices.Clone(long[:200]), testPrompt(60, 3, m.Vocab)...), 192},
					{append(slices.Clone(long[:100]), testPrompt(300, 4, m.Vocab)...), 64},
					{long, 320},
				} {
					req := Request{IDs: c.ids, Params: p}
					got := generate(t, e, req)
					got.check(t, fmt.Sprintf("request %d", i), generate(t, alone, req))
					if got.reused > c.reused || room == 8192 && got.reused != c.reused {
						t.Errorf("request %d reused %d tokens, want %d", i, got.reused, c.reused)
					}
				}
				first := generate(t, e, Request{IDs: long, Params: p})
				for _, tok := range first.tokens {
					long = append(long, tok.ID)
				}
				if again := generate(t, e, Request{IDs: append(long, 3), Params: p}); again.reused < 320 {
					t.Errorf("going on reused %d tokens", again.reused)
				}
			})
		}
	}
}

// TestPrefixComputedTwice has two sequences compute the same prefix at once: what
// the cache keeps of it must stay in use as long as one of them lives, or its pages
// could neither be dropped nor are they counted.
func TestPrefixComputedTwice(t *testing.T) {
	kv := tensor.NewKV(tensor.KVShape{Layers: 1, Heads: 1, Dim: 2, VDim: 2}, 6)
	c := newPrefixCache([]pageGroup{{0, kv}})
	ids := testPrompt(3*pageTokens, 1, 50)
	owner := prefixOwner{"", 0}
	a, b := make([]pageTable, 1), make([]pageTable, 1)
	for _, table := range [][]pageTable{a, b} {
		if err := table[0].reserve(kv, 0, len(ids)); err != nil {
			t.Fatal(err)
		}
	}
	c.add(owner, ids, pageTokens, a)
	a[0].release(kv)
	c.add(owner, ids, len(ids), b)
	if kv.Free() != 3 {
		t.Errorf("%d pages are free, want 3: one sequence of 3 pages lives", kv.Free())
	}
	if c.evict(0) {
		t.Error("a page in use was dropped")
	}
	b[0].release(kv)
	for c.evict(0) {
	}
	if kv.Free() != 6 || len(c.nodes) != 0 {
		t.Errorf("%d pages are free and %d prefixes kept, want all and none", kv.Free(), len(c.nodes))
	}
}

// TestPrefixNeedsEveryGroup finds a prefix only as far as each group has the
// pages that the next token sees.
func TestPrefixNeedsEveryGroup(t *testing.T) {
	shape := tensor.KVShape{Layers: 1, Heads: 1, Dim: 2, VDim: 2}
	groups := []pageGroup{{0, tensor.NewKV(shape, 8)}, {70, tensor.NewKV(shape, 8)}}
	c := newPrefixCache(groups)
	ids := testPrompt(5*pageTokens, 1, 50)
	owner := prefixOwner{"", 0}
	tables := make([]pageTable, 2)
	for g := range groups {
		if err := tables[g].reserve(groups[g].kv, 0, len(ids)); err != nil {
			t.Fatal(err)
		}
	}
	tables[1].drop(groups[1].kv, 2) // as if the window had gone on before
	c.add(owner, ids, len(ids), tables)
	for g := range groups {
		tables[g].release(groups[g].kv)
	}
	find := func(length, want int) {
		t.Helper()
		found := make([]pageTable, 2)
		n := c.find(owner, append(slices.Clone(ids), 1)[:length], found)
		if n != want*pageTokens || len(found[0].pages) != want || len(found[1].pages) != want {
			t.Errorf("of %d tokens %d, tables of %d and %d pages, want %d pages", length, n, len(found[0].pages), len(found[1].pages), want)
		}
		for g := range groups {
			found[g].release(groups[g].kv)
		}
	}
	find(5*pageTokens+1, 5)
	find(4*pageTokens+1, 4)
	find(3*pageTokens+1, 0) // page 1 of the window is gone
	if !c.evict(1) {
		t.Fatal("nothing to evict")
	}
	find(5*pageTokens+1, 4) // without what was unused for longest
	for c.evict(1) {
	}
	find(5*pageTokens+1, 0)
	for c.evict(0) {
	}
	if len(c.nodes) != 0 || groups[0].kv.Free() != 8 || groups[1].kv.Free() != 8 {
		t.Errorf("%d nodes and %d, %d free pages, want 0 and 8", len(c.nodes), groups[0].kv.Free(), groups[1].kv.Free())
	}
}

// scaledModel opens the small Llama with another rope_scaling.
func scaledModel(t *testing.T, change map[string]any) *model.Model {
	t.Helper()
	dir := filepath.Join(testkit.Root(), "testdata", "fixtures", "decoder_llama_mha")
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	raw := map[string]any{}
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	maps.Copy(raw, change)
	file, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(1)
	t.Cleanup(func() { pool.Close(); file.Close() })
	m, err := model.Load(t.Context(), model.NewConfig(raw, "config.json"), file, model.F32, pool)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func scaledModels(t *testing.T) map[string]*model.Model {
	ones, twos := []any{}, []any{}
	for range 4 {
		ones, twos = append(ones, 1.0), append(twos, 2.0)
	}
	return map[string]*model.Model{
		"dynamic": scaledModel(t, map[string]any{"max_position_embeddings": 160.0, "rope_scaling": map[string]any{"rope_type": "dynamic", "factor": 2.0}}),
		"longrope": scaledModel(t, map[string]any{"max_position_embeddings": 512.0, "original_max_position_embeddings": 160.0,
			"rope_scaling": map[string]any{"rope_type": "longrope", "short_factor": ones, "long_factor": twos}}),
	}
}

// TestFrequencySetsReusePrefixes finds prefixes again where they were computed
// with the same frequencies, and looks drafts up, with the tokens of neither.
func TestFrequencySetsReusePrefixes(t *testing.T) {
	// What request 3 computed again beyond the context is for all lengths there
	// with long RoPE, for its own alone with dynamic NTK.
	crossed := map[string]int{"longrope": 128}
	for name, m := range scaledModels(t) {
		t.Run(name, func(t *testing.T) {
			alone := startEngine(t, m, 1, Options{NoReuse: true, CacheTokens: 4096})
			e := startEngine(t, m, 2, Options{PrefillChunk: 50, CacheTokens: 4096})
			for i, c := range []struct{ prompt, reused int }{
				{100, 0}, {100, 64}, {158, 64}, {158, 128}, {200, crossed[name]}, {200, 192}, {150, 128},
			} {
				p := DefaultParams()
				p.MaxNewTokens, p.EOSTokenID = 20, nil
				req := Request{IDs: testPrompt(c.prompt, 1, m.Vocab), Params: p}
				want := generate(t, alone, req)
				req.Params.PromptLookupNumTokens = 4
				got := generate(t, e, req)
				got.check(t, fmt.Sprintf("request %d", i), want)
				if got.reused != c.reused {
					t.Errorf("request %d reused %d tokens, want %d", i, got.reused, c.reused)
				}
			}
		})
	}
}

// TestFrequencySetsBeams crosses into other frequencies with several beams, which
// share pages, and compares with the whole forward of each beam.
func TestFrequencySetsBeams(t *testing.T) {
	for name, m := range scaledModels(t) {
		t.Run(name, func(t *testing.T) {
			p := DefaultParams()
			p.MaxNewTokens, p.EOSTokenID, p.NumBeams, p.NumReturnSequences = 12, nil, 3, 3
			prompt := testPrompt(155, 1, m.Vocab)
			e := startEngine(t, m, 2, Options{CacheTokens: 4096})
			got, err := e.Beam(t.Context(), Request{IDs: prompt, Params: p})
			if err != nil {
				t.Fatal(err)
			}
			want := wholeBeams(t, m, p, prompt)
			for i := range want {
				if !slices.Equal(got[i].IDs, want[i].IDs) || got[i].Score != want[i].Score {
					t.Errorf("beam %d is %v, want %v", i, got[i], want[i])
				}
			}
		})
	}
}

// wholeBeams is a beam search that computes every beam anew at each step.
func wholeBeams(t *testing.T, m *model.Model, p Params, prompt []int32) []Hypothesis {
	pool := kernel.NewPool(1)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	ev := &Evaluator{Model: m, Graph: g, Lock: new(sync.Mutex)}
	b := NewBeams(&p, prompt, len(prompt)+p.MaxNewTokens)
	w := NewScratch(m.Vocab)
	for b.Live() > 0 {
		rows := make([][]float32, b.Live())
		for i := range rows {
			err := ev.Logits(t.Context(), b.IDs(i), nil, nil, func(_ int, row []float32) error {
				rows[i] = append(rows[i][:0], row...)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Step(w, rows); err != nil {
			t.Fatal(err)
		}
	}
	found, err := b.Results()
	if err != nil {
		t.Fatal(err)
	}
	return found
}
