package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/tensor"
)

// slimModel opens a small model that is always there.
func slimModel(t testing.TB, name string, dtype model.DType) *model.Model {
	t.Helper()
	tt, ok := t.(*testing.T)
	if !ok {
		t.Fatal("slimModel needs a *testing.T")
	}
	return openFixture(tt, filepath.Join(testkit.Root(), "testdata", "fixtures", name), dtype).m
}

func startEngine(t testing.TB, m *model.Model, threads int, opt Options) *Engine {
	t.Helper()
	pool := kernel.NewPool(threads)
	e := New(m, pool, new(sync.Mutex), opt)
	t.Cleanup(func() { e.Close(); pool.Close() })
	return e
}

func testPrompt(n, salt, vocab int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((i*i*7 + i*salt + 3*salt + 5) % vocab)
	}
	return ids
}

func collect(t testing.TB, e *Engine, req Request) ([]int32, Event) {
	t.Helper()
	var ids []int32
	var last Event
	for ev, err := range e.Generate(t.Context(), req) {
		if err != nil {
			t.Error(err)
			return nil, last
		}
		ids = append(ids, ev.ID)
		last = ev
	}
	return ids, last
}

// requests are of all kinds: short and long, greedy and sampled, with lookup.
func requests(vocab int) []Request {
	var out []Request
	for i := range 12 {
		p := DefaultParams()
		p.MaxNewTokens = 5 + 3*i%17
		if i%3 == 1 {
			p.DoSample, p.Temperature, p.Seed = true, 1.3, uint64(i)
			p.TopK, p.TopP = 20, 0.95
		}
		if i%4 == 3 {
			p.PromptLookupNumTokens = 3 + 1000*(i/8) // more than a reader's buffer holds
		}
		prompt := testPrompt(1+(i*13)%40, i%5, vocab)
		if i%4 == 0 { // with a whole page that others begin with, too
			prompt = append(testPrompt(66, 0, vocab), prompt...)
		}
		out = append(out, Request{IDs: prompt, Params: p, Tenant: fmt.Sprint(i % 2)})
	}
	return out
}

// The same request gives the same tokens alone and among others, for any
// chunking, cache state and number of threads.
func TestSameTokensWhateverRuns(t *testing.T) {
	for _, name := range []string{"decoder_llama_mha", "decoder_mistral", "decoder_gpt2_bare_names", "decoder_mixtral"} {
		for _, dtype := range []model.DType{model.F32, model.BF16} {
			t.Run(fmt.Sprintf("%s/%s", name, dtype), func(t *testing.T) {
				if testing.Short() && dtype == model.BF16 && name != "decoder_llama_mha" {
					t.Skip("slow where products are portable")
				}
				m := slimModel(t, name, dtype)
				learned := m.Type == "gpt2"
				if !learned {
					m.Context, m.MaxLength = 512, 512
				}
				reqs := requests(m.Vocab)
				for i := range reqs {
					reqs[i].IDs = reqs[i].IDs[:min(len(reqs[i].IDs), m.Context/2)]
				}
				alone := startEngine(t, m, 1, Options{NoReuse: true, BF16: dtype == model.BF16})
				var want [][]int32
				for _, r := range reqs {
					ids, _ := collect(t, alone, r)
					want = append(want, ids)
				}
				for _, opt := range []Options{{PrefillChunk: 7}, {PrefillChunk: 64, MaxSequences: 3}, {}} {
					opt.CacheTokens, opt.BF16 = 4096, dtype == model.BF16
					e := startEngine(t, m, 3, opt)
					for round := range 2 { // the second finds cached prefixes
						var wait sync.WaitGroup
						for i, r := range reqs {
							wait.Go(func() {
								if got, _ := collect(t, e, r); !slices.Equal(got, want[i]) {
									t.Errorf("round %d request %d: %v, alone %v", round, i, got, want[i])
								}
							})
						}
						wait.Wait()
					}
					if !learned && e.Stats().ReusedTokens == 0 {
						t.Error("no prefix was reused")
					}
				}
			})
		}
	}
}

// Logits are the same bits for any chunk and number of threads, also where the
// tiles of a long context are shared out over the threads.
func TestSameBitsForLongContexts(t *testing.T) {
	for _, name := range []string{"decoder_llama_mha", "decoder_mistral", "decoder_gemma3", "decoder_bloom"} {
		for _, bf16 := range []bool{false, true} {
			m := slimModel(t, name, model.F32)
			m.MaxLength = 512
			ids := testPrompt(330, 3, m.Vocab)
			logits := func(threads, chunk int) (rows [][]float32) {
				pool := kernel.NewPool(threads)
				defer pool.Close()
				g := tensor.NewGraph(pool)
				defer g.Close()
				e := &Evaluator{Model: m, Graph: g, Chunk: chunk, BF16: bf16}
				err := e.Logits(t.Context(), ids, nil, nil, func(_ int, row []float32) error {
					rows = append(rows, slices.Clone(row))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				return rows
			}
			want := logits(1, 0)
			for _, c := range [][2]int{{3, 1}, {2, 7}, {3, 64}} {
				got := logits(c[0], c[1])
				for i := range want {
					close32(t, fmt.Sprintf("%s: %d threads, chunks of %d: logits[%d]", name, c[0], c[1], i), got[i], want[i], 0, 0)
				}
			}
		}
	}
}

func TestPrefixReuse(t *testing.T) {
	m := slimModel(t, "decoder_llama_mha", model.F32)
	m.MaxLength, m.Context = 512, 512
	e := startEngine(t, m, 2, Options{CacheTokens: 1024})
	p := DefaultParams()
	p.MaxNewTokens = 4
	prompt := testPrompt(200, 1, m.Vocab)
	first, ev := collect(t, e, Request{IDs: prompt, Params: p})
	if ev.Reused != 0 {
		t.Errorf("the first request reused %d tokens", ev.Reused)
	}
	again, ev := collect(t, e, Request{IDs: prompt, Params: p})
	if ev.Reused != 192 {
		t.Errorf("the second request reused %d tokens, want 192", ev.Reused)
	}
	if !slices.Equal(first, again) {
		t.Errorf("%v with cached pages, %v without", again, first)
	}
	if _, ev = collect(t, e, Request{IDs: prompt, Params: p, Tenant: "other"}); ev.Reused != 0 {
		t.Errorf("another tenant reused %d tokens", ev.Reused)
	}
	// Many different prompts push cached pages out and never fail.
	for i := range 30 {
		if ids, _ := collect(t, e, Request{IDs: testPrompt(300, i+2, m.Vocab), Params: p}); len(ids) != 4 {
			t.Fatalf("prompt %d: %d tokens", i, len(ids))
		}
	}
}

func TestRefused(t *testing.T) {
	m := slimModel(t, "decoder_llama_mha", model.F32)
	e := startEngine(t, m, 1, Options{CacheTokens: 64})
	p := DefaultParams()
	for name, req := range map[string]Request{
		"empty":      {Params: p},
		"vocabulary": {IDs: []int32{int32(m.Vocab)}, Params: p},
		"negative":   {IDs: []int32{-1}, Params: p},
		"context":    {IDs: testPrompt(m.Context+1, 1, m.Vocab), Params: p},
		"top_p":      {IDs: []int32{1}, Params: func() Params { q := p; q.TopP = 2; return q }()},
	} {
		if _, err := first(e.Generate(t.Context(), req)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	m.MaxLength = 1000
	p.MaxNewTokens = 100
	_, err := first(e.Generate(t.Context(), Request{IDs: []int32{1}, Params: p}))
	if want := "the request needs room for 128 tokens, the KV cache holds 64"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func first(seq func(func(Event, error) bool)) (ev Event, err error) {
	for ev, err = range seq {
		break
	}
	return ev, err
}

// Leaving the loop, or a context that ends, frees the pages; a reader that
// sleeps stops only its own sequence.
type panicky struct{}

func (panicky) Process(c *Context, _ []float32) {
	if len(c.New()) == 2 {
		panic("boom")
	}
}

// TestPanickingProcessor ends the request of a processor that panics, and no
// other.
func TestPanickingProcessor(t *testing.T) {
	m := slimModel(t, "decoder_llama_mha", model.F32)
	e := startEngine(t, m, 1, Options{CacheTokens: 1024})
	p := DefaultParams()
	p.MaxNewTokens = 5
	req := Request{IDs: []int32{1, 2}, Params: p, Processors: []Processor{panicky{}}}
	n := 0
	var last error
	for _, err := range e.Generate(t.Context(), req) {
		if n++; err != nil {
			last = err
		}
	}
	const want = "new token 3 (position 4): the logits processor engine.panicky panicked: boom"
	if n != 3 || last == nil || last.Error() != want {
		t.Errorf("after %d events: %v, want %s", n, last, want)
	}
	req.Params.NumBeams = 2
	if _, err := e.Beam(t.Context(), req); err == nil || !strings.Contains(err.Error(), "panicked: boom") {
		t.Errorf("with beams: %v", err)
	}
	req.Params.NumBeams, req.Processors = 1, nil
	if ids, _ := collect(t, e, req); len(ids) != 5 {
		t.Errorf("afterwards %d tokens", len(ids))
	}
}

func TestCancelAndSlowReader(t *testing.T) {
	m := slimModel(t, "decoder_llama_mha", model.F32)
	m.MaxLength = 4096
	e := startEngine(t, m, 2, Options{CacheTokens: 4096, NoReuse: true})
	p := DefaultParams()
	p.MaxNewTokens = 1000
	p.EOSTokenID = nil
	long := Request{IDs: []int32{1, 2}, Params: p}
	if _, err := first(e.Generate(t.Context(), long)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var err error
	for _, err = range e.Generate(ctx, long) {
		if n++; n == 3 {
			cancel()
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v after cancelling, want %v", err, context.Canceled)
	}
	slow := e.Generate(t.Context(), long)
	n = 0
	for range slow {
		if n++; n == 1 {
			time.Sleep(50 * time.Millisecond) // its buffer fills up meanwhile
			quick := p
			quick.MaxNewTokens = 3
			if ids, _ := collect(t, e, Request{IDs: []int32{3}, Params: quick}); len(ids) != 3 {
				t.Errorf("%d tokens beside a slow reader", len(ids))
			}
		}
	}
	if n != 1000 {
		t.Errorf("the slow reader got %d tokens, want 1000", n)
	}
	deadline := time.Now().Add(5 * time.Second)
	for e.Stats().Running > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if s := e.Stats(); s.Running != 0 || s.Waiting != 0 || s.PagesUsed != 0 {
		t.Errorf("still running: %+v", s)
	}
}

// A request that waits ends with its context at once, though those before it
// have all the room and their reader sleeps.
func TestCancelWaiting(t *testing.T) {
	m := slimModel(t, "decoder_llama_mha", model.F32)
	m.MaxLength = 4096
	e := startEngine(t, m, 1, Options{CacheTokens: 4096, MaxSequences: 1})
	p := DefaultParams()
	p.MaxNewTokens, p.EOSTokenID = 1000, nil
	for range e.Generate(t.Context(), Request{IDs: []int32{1}, Params: p}) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := first(e.Generate(ctx, Request{IDs: []int32{2}, Params: p})); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want %v", err, context.DeadlineExceeded)
		}
		if _, err := e.Beam(ctx, Request{IDs: []int32{2}, Params: beams(p)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("beam search: %v, want %v", err, context.DeadlineExceeded)
		}
		if s := e.Stats(); s.Running != 1 || s.Waiting != 0 {
			t.Errorf("%+v, want one running", s)
		}
		break
	}
}

func beams(p Params) Params {
	p.NumBeams = 2
	return p
}

// What a failed step left in pages must not be found by later requests.
func TestFailedStepIsForgotten(t *testing.T) {
	m := slimModel(t, "decoder_llama_mha", model.F32)
	m.MaxLength, m.Context = 512, 512
	e := startEngine(t, m, 1, Options{CacheTokens: 1024, PrefillChunk: 64})
	p := DefaultParams()
	p.MaxNewTokens = 4
	prompt := testPrompt(200, 1, m.Vocab)
	bad := slices.Clone(prompt)
	m.Vocab++ // so that an id passes which the embedding does not have
	bad[130] = int32(m.Vocab - 1)
	if _, err := first(e.Generate(t.Context(), Request{IDs: bad, Params: p})); err == nil {
		t.Fatal("no error")
	}
	m.Vocab--
	e.Close()
	for i := range e.cache.nodes {
		if slices.Contains(e.cache.nodes[i].ids[:], int32(m.Vocab)) {
			t.Error("the page of the failed step was kept")
		}
	}
	if n := len(e.cache.nodes); n != 2 {
		t.Errorf("%d pages kept, want the 2 before", n)
	}
}

// A job for which there is no page fails alone.
func TestNoRoomForOne(t *testing.T) {
	m := slimModel(t, "decoder_llama_mha", model.F32)
	m.MaxLength, m.Context = 512, 512
	pool := kernel.NewPool(1)
	defer pool.Close()
	var lock sync.Mutex
	e := newIdle(m, pool, &lock, Options{CacheTokens: 256, PrefillChunk: 512})
	p := DefaultParams()
	p.MaxNewTokens = 4
	var jobs []*sampleJob
	for i := range 2 {
		j, err := e.newSample(t.Context(), &Request{IDs: testPrompt(100, i, m.Vocab), Params: p})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.submit(j); err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	for len(e.queue) > 0 {
		if !e.admit() {
			t.Fatal("nothing to do")
		}
	}
	for range 2 { // pages that nobody has counted
		if _, err := e.groups[0].kv.Alloc(); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		e.step()
	}
	if err := jobs[1].err; !errors.Is(err, tensor.ErrMemory) {
		t.Errorf("the second job: %v, want no memory", err)
	}
	if n := len(jobs[0].seq.ids); jobs[0].err != nil || n != 104 {
		t.Errorf("the first job: %v after %d tokens, want 104", jobs[0].err, n)
	}
}

// Logits that are no numbers are an error.
func TestCheckFinite(t *testing.T) {
	if err := checkFinite([]float32{1, -3e38, 0}, 0); err != nil {
		t.Error(err)
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		if err := checkFinite([]float32{1, bad}, 7); err == nil || !strings.Contains(err.Error(), "logit 1 at position 7") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestClosed(t *testing.T) {
	m := slimModel(t, "decoder_llama_mha", model.F32)
	pool := kernel.NewPool(1)
	defer pool.Close()
	e := New(m, pool, new(sync.Mutex), Options{})
	e.Close()
	if _, err := first(e.Generate(t.Context(), Request{IDs: []int32{1}, Params: DefaultParams()})); !errors.Is(err, ErrClosed) {
		t.Errorf("%v, want %v", err, ErrClosed)
	}
}

// A decode step takes nothing from the Go heap, penalties on.
func TestNoAllocationsPerStep(t *testing.T) {
	for _, dtype := range []model.DType{model.F32, model.BF16, model.Q8_0} {
		for _, streams := range []int{1, 16} {
			checkAllocations(t, "decoder_llama_mha", dtype, streams)
		}
	}
	checkAllocations(t, "decoder_gemma2", model.F32, 3) // with a window
}

func checkAllocations(t *testing.T, name string, dtype model.DType, streams int) {
	m := slimModel(t, name, dtype)
	m.MaxLength = 4096
	pool := kernel.NewPool(2)
	e := newIdle(m, pool, new(sync.Mutex), Options{CacheTokens: streams * 512, NoReuse: true, BF16: dtype == model.BF16})
	p := DefaultParams()
	p.MaxNewTokens, p.EOSTokenID = 200, nil
	p.RepetitionPenalty, p.PresencePenalty = 1.1, 0.1
	for i := range streams {
		req := Request{IDs: testPrompt(5, i, m.Vocab), Params: p}
		j, err := e.newSample(context.Background(), &req)
		if err != nil {
			t.Fatal(err)
		}
		e.commit(j.base(), 1)
		e.running = append(e.running, j)
	}
	for range 70 { // beyond the first page
		e.step()
	}
	if n := testing.AllocsPerRun(50, e.step); n > 0 {
		t.Errorf("%s, %d streams: %v allocations a step", dtype, streams, n)
	}
	e.g.Close()
	if err := e.closePages(); err != nil {
		t.Fatal(err)
	}
	pool.Close()
}
