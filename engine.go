package wenmo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"wenmo/chat"
	"wenmo/engine"
	"wenmo/tokenizer"
)

// EngineOptions bound what an engine computes at once; zero values are the
// defaults.
type EngineOptions struct {
	CacheTokens  int  // room of the KV cache in tokens; default half of the free memory, for 1 to 64 sequences
	MaxSequences int  // computed at once; default 64
	NoReuse      bool // do not keep prefixes for later requests
}

// Engine computes many requests at once; they join and leave at any step. The
// same request gives the same tokens whatever runs beside it.
type Engine struct {
	m     *Model
	e     *engine.Engine
	close sync.Once
}

// Request asks for a continuation of IDs, of Text, or an answer to Messages.
type Request struct {
	IDs        []int32
	Text       string
	Messages   []chat.Message
	Params     Params
	Processors []Processor
	Sample     int    // number of this sample among those of one request
	Tenant     string // prefixes are shared within a tenant only
}

// Event is a piece of an answer.
type Event struct {
	ID      int32  // the new token
	Text    string // what is certain to follow; "" while a character or a stop string may be incomplete
	Logprob float32
	Top     []TokenLogprob
	Finish  Finish // of the last event
	Usage   Usage  // so far
}

// Finish says why an answer ended.
type Finish = engine.Finish

// Why an answer ended: an end token, a stop string or id, the greatest length.
const (
	FinishEOS    = engine.FinishEOS
	FinishStop   = engine.FinishStop
	FinishLength = engine.FinishLength
)

// Usage counts tokens.
type Usage struct {
	Prompt, Reused, Completion int
}

// Stats is a picture of an engine.
type Stats = engine.Stats

// NewEngine returns an engine of its own for a model. It must be closed before
// the model.
func NewEngine(m *Model, opt EngineOptions) (*Engine, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	return m.newEngine(opt), nil
}

func (m *Model) newEngine(opt EngineOptions) *Engine {
	if opt.CacheTokens <= 0 {
		opt.CacheTokens = m.defaultCacheTokens()
	}
	return &Engine{m: m, e: engine.New(m.m, m.pool, &m.work, engine.Options{
		PrefillChunk: m.opt.PrefillChunk, BF16: m.bf16,
		CacheTokens: opt.CacheTokens, MaxSequences: opt.MaxSequences, NoReuse: opt.NoReuse,
	})}
}

// ownEngine returns the engine that the model's short forms share.
func (m *Model) ownEngine() (*Engine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if m.engine == nil {
		m.users.Add(1)
		m.engine = m.newEngine(EngineOptions{})
	}
	return m.engine, nil
}

// Close waits for the requests under way and ends the engine. A second Close
// does nothing.
func (e *Engine) Close() {
	e.close.Do(func() {
		e.e.Close()
		e.m.leave()
	})
}

// Stats returns a picture of the engine.
func (e *Engine) Stats() Stats { return e.e.Stats() }

// Submit yields the pieces of an answer as they come. Leaving the loop cancels
// the request.
func (e *Engine) Submit(ctx context.Context, req Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ids, err := e.m.prompt(&req)
		if err == nil && e.m.tok == nil && len(req.Params.StopStrings) > 0 {
			err = fmt.Errorf("stop_strings need text, but the model has no tokenizer: %w", e.m.tokErr)
		}
		if err != nil {
			yield(Event{}, err)
			return
		}
		before := ids
		if req.Messages != nil {
			before = nil // an answer is a text of its own
		}
		t := e.m.newTexter(&req.Params, before)
		usage := Usage{Prompt: len(ids)}
		inner := engine.Request{IDs: ids, Params: req.Params, Processors: req.Processors, Sample: req.Sample, Tenant: req.Tenant}
		for ev, err := range e.e.Generate(ctx, inner) {
			if err != nil {
				yield(Event{Usage: usage}, err)
				return
			}
			usage.Completion++
			usage.Reused = ev.Reused
			out := Event{ID: ev.ID, Logprob: ev.Logprob, Top: ev.Top, Finish: ev.Finish, Usage: usage}
			var stopped bool
			if out.Text, stopped = t.push(ev.ID, ev.Finish); stopped {
				out.Finish = FinishStop
			}
			if !yield(out, nil) || stopped {
				return
			}
		}
	}
}

// Sequences returns whole what a request asks for: the best sequences of a beam
// search, or as many samples as Params.NumReturnSequences says, from number Sample
// on.
func (e *Engine) Sequences(ctx context.Context, req Request) ([]Sequence, error) {
	if err := req.Params.Validate(); err != nil {
		return nil, err
	}
	ids, err := e.m.prompt(&req)
	if err != nil {
		return nil, err
	}
	if req.Params.NumBeams > 1 {
		return e.beams(ctx, ids, &req)
	}
	req.IDs, req.Text, req.Messages = ids, "", nil
	out := make([]Sequence, req.Params.NumReturnSequences)
	errs := make([]error, len(out))
	var wait sync.WaitGroup
	for i := range out {
		one := req
		one.Sample += i
		wait.Go(func() {
			for ev, err := range e.Submit(ctx, one) {
				if err != nil {
					errs[i] = err
					return
				}
				out[i].IDs = append(out[i].IDs, ev.ID)
			}
		})
	}
	wait.Wait()
	return out, errors.Join(errs...)
}

func (e *Engine) beams(ctx context.Context, ids []int32, req *Request) ([]Sequence, error) {
	found, err := e.e.Beam(ctx, engine.Request{IDs: ids, Params: req.Params, Processors: req.Processors, Tenant: req.Tenant})
	var out []Sequence
	for _, h := range found {
		out = append(out, Sequence{IDs: h.IDs, Score: h.Score})
	}
	return out, err
}

// prompt returns the ids of a request.
func (m *Model) prompt(req *Request) ([]int32, error) {
	given := 0
	for _, g := range []bool{req.IDs != nil, req.Text != "", req.Messages != nil} {
		if g {
			given++
		}
	}
	if given > 1 {
		return nil, fmt.Errorf("a request has ids, a text or messages, not several of them")
	}
	switch {
	case req.IDs != nil:
		return req.IDs, nil
	case req.Messages != nil:
		return m.Prompt(req.Messages)
	}
	return m.Encode(req.Text)
}

// texter turns the ids of an answer into text, up to a stop string.
type texter struct {
	stream *tokenizer.Stream // nil: the model has no tokenizer
	stop   *engine.StopFinder
}

// newTexter starts the text that follows the ids of before: decoders that strip
// the first space of a text must see that it is not the first.
func (m *Model) newTexter(p *Params, before []int32) *texter {
	const enough = 16 // tokens that the next one's text may depend on
	t := &texter{stop: engine.NewStopFinder(p.StopStrings)}
	if m.tok != nil {
		t.stream = m.tok.NewStream(true)
		for _, id := range before[max(0, len(before)-enough):] {
			t.stream.Push(id)
		}
	}
	return t
}

// push returns the text that an id completes; finish is set at the last one.
func (t *texter) push(id int32, finish Finish) (text string, stopped bool) {
	if t.stream == nil {
		return "", false
	}
	piece := t.stream.Push(id)
	if finish != "" {
		piece += t.stream.Flush()
	}
	text, stopped = t.stop.Push(piece)
	if finish != "" && !stopped {
		text += t.stop.Flush()
	}
	return text, stopped
}
