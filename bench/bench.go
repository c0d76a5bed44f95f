// Package bench measures wenmo: behind the command "wenmo bench" and beside
// the peers.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"wenmo"
	"wenmo/kernel"
)

// Runs is a measurement repeated.
type Runs struct {
	Median float64   `json:"median"`
	Runs   []float64 `json:"runs"`
}

func runsOf(values []float64) Runs {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return Runs{Runs: []float64{}}
	}
	return Runs{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Runs: values}
}

// ModelOptions say what Model measures.
type ModelOptions struct {
	Path     string
	Open     wenmo.Options
	Prompt   int // tokens of the prompt; 0: decode alone
	Generate int // tokens to generate; 0: prefill alone
	Depth    int // tokens in the context before
	Streams  int // at once
	Repeat   int
	Fit      bool // shorten Prompt and Generate to what the context holds
}

// ModelResult is what Model measured. Tokens per second count all streams
// together.
type ModelResult struct {
	Prompt       int     `json:"prompt_tokens"`
	Generate     int     `json:"new_tokens"`
	Prefill      *Runs   `json:"prefill_tps,omitempty"`
	Decode       *Runs   `json:"decode_tps,omitempty"`
	FirstTokenMS float64 `json:"first_token_ms"`
	LoadMS       float64 `json:"load_ms"`
	PeakRSS      int64   `json:"peak_rss_bytes"`
	WeightBytes  int     `json:"weight_bytes"`
	KVBytes      int     `json:"kv_bytes_per_token"`
	Kernel       string  `json:"kernel"`
	Threads      int     `json:"threads"`
}

// Model measures a model's prefill and decode. progress is told of each round.
func Model(ctx context.Context, opt ModelOptions, progress func(done, total int)) (ModelResult, error) {
	start := time.Now()
	m, err := wenmo.Open(ctx, opt.Path, opt.Open)
	if err != nil {
		return ModelResult{}, err
	}
	defer m.Close()
	info := m.Info()
	r := ModelResult{
		LoadMS: ms(time.Since(start)), Kernel: kernel.Path(), Threads: info.Threads,
		WeightBytes: info.WeightBytes, KVBytes: info.KVBytes,
	}
	if err := opt.fit(info.Context); err != nil {
		return r, err
	}
	r.Prompt, r.Generate = opt.Prompt, opt.Generate
	perStream := (opt.Depth+max(opt.Prompt, 1)+opt.Generate)/64*64 + 128
	e, err := wenmo.NewEngine(m, wenmo.EngineOptions{CacheTokens: opt.Streams * perStream, MaxSequences: opt.Streams, NoReuse: opt.Depth == 0})
	if err != nil {
		return r, err
	}
	defer e.Close()
	var prefill, decode, first []float64
	for i := range opt.Repeat + 1 { // the first round warms up
		round, err := measure(ctx, e, info.Vocab, i, opt)
		if err != nil {
			return r, err
		}
		if i == 0 {
			continue
		}
		first = append(first, ms(round.first))
		prefill = append(prefill, round.prefill)
		decode = append(decode, round.decode)
		if progress != nil {
			progress(i, opt.Repeat)
		}
	}
	r.FirstTokenMS = runsOf(first).Median
	if opt.Prompt > 0 {
		p := runsOf(prefill)
		r.Prefill = &p
	}
	if opt.Generate > 0 {
		d := runsOf(decode)
		r.Decode = &d
	}
	r.PeakRSS = peakRSS()
	return r, nil
}

// fit checks that a stream fits into the context, together with the token that
// ends its prefill, or makes it fit, in the same proportions.
func (o *ModelOptions) fit(context int) error {
	need := o.Depth + max(o.Prompt, 1) + o.Generate + 1
	if need <= context {
		return nil
	}
	room := context - o.Depth - 1
	if !o.Fit || room < 2 {
		return fmt.Errorf("%d tokens before (-d), %d of the prompt (-p) and %d new ones (-n), with the one that ends the prefill, are more than the context of %d",
			o.Depth, o.Prompt, o.Generate, context)
	}
	if o.Prompt > 0 {
		o.Prompt = max(1, room*o.Prompt/(o.Prompt+o.Generate))
	}
	o.Generate = room - o.Prompt
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// round is one run over all streams.
type round struct {
	first           time.Duration // to the first token of the first stream
	prefill, decode float64       // tokens per second
}

// measure runs every stream once. What stands before the prompt is computed
// first, and not timed. Prefill ends when each stream has its first token; the
// tokens after that are decoded.
func measure(ctx context.Context, e *wenmo.Engine, vocab, number int, opt ModelOptions) (round, error) {
	if opt.Depth > 0 {
		for s := range opt.Streams {
			for _, err := range e.Submit(ctx, request(vocab, opt.Depth, s, 0, opt.Depth, 1)) {
				if err != nil {
					return round{}, err
				}
			}
		}
	}
	var mu sync.Mutex
	var firsts []time.Time
	var lasts []time.Time
	decoded, computed := 0, 0
	errs := make([]error, opt.Streams)
	length := opt.Depth + max(opt.Prompt, 1)
	start := time.Now()
	var wait sync.WaitGroup
	for s := range opt.Streams {
		wait.Go(func() {
			n := 0
			for ev, err := range e.Submit(ctx, request(vocab, length, s, number, opt.Depth, opt.Generate+1)) {
				if err != nil {
					errs[s] = err
					return
				}
				now := time.Now()
				mu.Lock()
				if n == 0 {
					firsts = append(firsts, now)
					computed += ev.Usage.Prompt - ev.Usage.Reused
				} else if len(firsts) == opt.Streams {
					decoded++
				}
				n++
				if n == opt.Generate+1 {
					lasts = append(lasts, now)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return round{}, err
	}
	ready := slices.MaxFunc(firsts, time.Time.Compare)
	r := round{first: slices.MinFunc(firsts, time.Time.Compare).Sub(start)}
	r.prefill = float64(computed) / seconds(ready.Sub(start))
	if opt.Generate > 0 {
		r.decode = float64(decoded) / seconds(slices.MaxFunc(lasts, time.Time.Compare).Sub(ready))
	}
	return r, nil
}

// request asks for so many new tokens after length tokens, which are the same in
// each round up to depth.
func request(vocab, length, stream, number, depth, generate int) wenmo.Request {
	ids := make([]int32, length)
	for i := range ids {
		ids[i] = int32((i*7919 + stream*104729 + 11) % vocab)
		if depth > 0 && i >= depth {
			ids[i] = int32((int(ids[i]) + number) % vocab)
		}
	}
	p := wenmo.DefaultParams()
	p.MaxNewTokens = generate
	return wenmo.Request{IDs: ids, Params: p}
}

// peakRSS is the most memory that the process has held, in bytes.
func peakRSS() int64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.Sys)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// seconds is a time that is measured, never zero: some clocks are slow.
func seconds(d time.Duration) float64 { return max(d.Seconds(), 1e-9) }
