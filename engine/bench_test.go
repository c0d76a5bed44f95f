package engine

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"wenmo/checkpoint"
	"wenmo/kernel"
	"wenmo/model"
)

// BenchmarkModel measures prefill and decode of the .gguf file that
// WENMO_BENCH_MODEL names, for profiles; the figures of docs/log.md come from
// "wenmo bench".
func BenchmarkModel(b *testing.B) {
	path := os.Getenv("WENMO_BENCH_MODEL")
	if path == "" {
		b.Skip("set WENMO_BENCH_MODEL to a .gguf file")
	}
	file, err := checkpoint.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	view, config, err := checkpoint.FromGGUF(file)
	if err != nil {
		b.Fatal(err)
	}
	for _, threads := range []int{1, 2} {
		pool := kernel.NewPool(threads)
		start := time.Now()
		m, err := model.Load(b.Context(), model.NewConfig(config, path), view, model.Auto, pool)
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("load: %v", time.Since(start))
		for _, c := range []struct{ prompt, streams int }{{512, 1}, {1, 1}, {1024, 1}, {32, 16}} {
			e := New(m, pool, new(sync.Mutex), Options{CacheTokens: 1 << 13, NoReuse: true, MaxSequences: 16})
			name := fmt.Sprintf("threads=%d/prompt=%d/streams=%d", threads, c.prompt, c.streams)
			b.Run(name, func(b *testing.B) { benchStreams(b, e, m.Vocab, c.prompt, c.streams) })
			e.Close()
		}
		pool.Close()
	}
}

func benchStreams(b *testing.B, e *Engine, vocab, prompt, streams int) {
	for b.Loop() {
		p := DefaultParams()
		p.MaxNewTokens, p.EOSTokenID = 48, nil
		var wait sync.WaitGroup
		var mu sync.Mutex
		var ready, end time.Time
		start, tokens := time.Now(), 0
		for s := range streams {
			wait.Go(func() {
				n := 0
				for _, err := range e.Generate(b.Context(), Request{IDs: testPrompt(prompt, s, vocab), Params: p}) {
					if err != nil {
						b.Error(err)
					}
					mu.Lock()
					if n++; n == 1 {
						ready = time.Now()
					} else {
						tokens++
					}
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		end = time.Now()
		b.ReportMetric(float64(prompt*streams)/ready.Sub(start).Seconds(), "prefill-tok/s")
		b.ReportMetric(float64(tokens)/end.Sub(ready).Seconds(), "decode-tok/s")
	}
}
