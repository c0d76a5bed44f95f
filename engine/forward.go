// Package engine generates text with many requests at once: batching, pages of
// keys and values, samplers, beams. It speaks ids only.
package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"wenmo/model"
	"wenmo/nn"
	"wenmo/tensor"
)

// Evaluator runs a model over whole sequences and hands out what it computes
// for each position. It is used by one goroutine at a time.
type Evaluator struct {
	Model *model.Model
	Graph *tensor.Graph
	Chunk int         // tokens of a pass; 0: the whole sequence at once
	BF16  bool        // keys and values in bfloat16
	Lock  sync.Locker // held while the pool works, not while results are handed out; may be nil
}

// Logits calls f with the logits of each position of ids, in order, or, where
// the head is for whole sequences, of the one position that it reads; they are
// valid during the call. trace, if not nil, collects hidden states and
// attentions and makes the sequence one pass. Between passes ctx is looked at.
func (e *Evaluator) Logits(ctx context.Context, ids, typeIDs []int32, trace *nn.Trace, f func(pos int, logits []float32) error) error {
	return e.run(ctx, ids, typeIDs, trace, func(from int, hidden *tensor.Tensor, b *nn.Batch) error {
		if e.Model.Head == model.SequenceHead {
			row := e.Model.HeadRow(ids)
			if row < from || row >= from+hidden.Rows {
				return nil
			}
			hidden, from = e.Graph.RowRange(hidden, row-from, 1), row
		}
		// Wide vocabularies: few rows of logits at a time.
		const rows = 64
		for r := 0; r < hidden.Rows; r += rows {
			part := e.Graph.RowRange(hidden, r, min(rows, hidden.Rows-r))
			var logits *tensor.Tensor
			e.locked(func() { logits = e.Model.Logits(e.Graph, part) })
			if logits == nil {
				return fmt.Errorf("%s has no head", e.Model.Architecture)
			}
			for i := range logits.Rows {
				if err := checkFinite(logits.Row(i), from+r+i); err != nil {
					return err
				}
				if err := f(from+r+i, logits.Row(i)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// checkFinite returns an error where a logit of a position is NaN or infinite: of
// weights that do not belong together, for one.
func checkFinite(logits []float32, pos int) error {
	if i := tensor.NotFinite(logits); i >= 0 {
		return fmt.Errorf("logit %d at position %d is %v: the model's weights or its config are wrong", i, pos, logits[i])
	}
	return nil
}

// Hidden returns a copy of the final hidden states, [tokens][hidden], and the
// pooled output where the architecture has one.
func (e *Evaluator) Hidden(ctx context.Context, ids, typeIDs []int32, trace *nn.Trace) (hidden [][]float32, pooled []float32, err error) {
	err = e.run(ctx, ids, typeIDs, trace, func(_ int, h *tensor.Tensor, b *nn.Batch) error {
		for i := range h.Rows {
			hidden = append(hidden, append([]float32(nil), h.Row(i)...))
		}
		e.locked(func() {
			if p := e.Model.Pooled(e.Graph, b, h); p != nil {
				pooled = append([]float32(nil), p.Row(0)...)
			}
		})
		return nil
	})
	return hidden, pooled, err
}

// locked runs f while nobody else uses the pool.
func (e *Evaluator) locked(f func()) {
	if e.Lock != nil {
		e.Lock.Lock()
		defer e.Lock.Unlock()
	}
	f()
}

func (e *Evaluator) run(ctx context.Context, ids, typeIDs []int32, trace *nn.Trace, f func(from int, hidden *tensor.Tensor, b *nn.Batch) error) (err error) {
	if err := checkLength(e.Model, len(ids)); err != nil {
		return err
	}
	if typeIDs != nil && len(typeIDs) != len(ids) {
		return fmt.Errorf("%d type ids for %d ids", len(typeIDs), len(ids))
	}
	shape := e.Model.KV
	shape.BF16 = e.BF16
	kv := tensor.NewKV(shape, pagesFor(len(ids)))
	defer func() { err = errors.Join(err, kv.Close()) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recoverMemory(&err)
	var pages []int32
	for range pagesFor(len(ids)) {
		p, err := kv.Alloc()
		if err != nil {
			return err
		}
		pages = append(pages, p)
	}
	chunk := e.Chunk
	if chunk <= 0 || e.Model.Bidirectional || trace != nil {
		chunk = len(ids)
	}
	for from := 0; from < len(ids); from += chunk {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n := min(chunk, len(ids)-from)
		b := &nn.Batch{
			IDs: ids[from : from+n], Positions: positions(from, n), KV: kv, Trace: trace,
			Spans: []tensor.Span{{Len: n, Pos: from, Total: len(ids), Pages: pages}},
		}
		if typeIDs != nil {
			b.TypeIDs = typeIDs[from : from+n]
		}
		e.Graph.Reset()
		var h *tensor.Tensor
		e.locked(func() { h = e.Model.Forward(e.Graph, b) })
		if err := e.Graph.Err(); err != nil {
			return err
		}
		if err := f(from, h, b); err != nil {
			return err
		}
	}
	return nil
}

// ErrTooLong is the error of a sequence with more tokens than the model computes.
var ErrTooLong = errors.New("more than the context")

func checkLength(m *model.Model, n int) error {
	if n == 0 {
		return fmt.Errorf("no input ids")
	}
	if n > m.MaxLength {
		return fmt.Errorf("%d tokens are %w of %d", n, ErrTooLong, m.MaxLength)
	}
	return nil
}

const pageTokens = tensor.PageTokens

func pagesFor(tokens int) int { return (tokens + pageTokens - 1) / pageTokens }

func positions(from, n int) []int32 {
	p := make([]int32, n)
	for i := range p {
		p[i] = int32(from + i)
	}
	return p
}

// recoverMemory turns the panic of an operation that found no memory, or that
// read a mapped file which was cut short meanwhile, into an error.
func recoverMemory(err *error) {
	switch r := recover().(type) { // a fault knows its address
	case nil:
	case interface{ Addr() uintptr }:
		*err = fmt.Errorf("reading the model failed: its file was cut short or cannot be read any more")
	case error:
		if !errors.Is(r, tensor.ErrMemory) {
			panic(r)
		}
		*err = r
	default:
		panic(r)
	}
}
