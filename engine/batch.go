package engine

import (
	"errors"
	"fmt"
	"runtime/debug"

	"wenmo/model"
	"wenmo/nn"
	"wenmo/tensor"
)

// Input is a sequence that is evaluated as a whole.
type Input struct {
	IDs, TypeIDs []int32 // TypeIDs: BERT's segments, or nil

	// Rows are the positions that the output is wanted for; nil: all of them or,
	// of a head for whole sequences, the one that it reads.
	Rows []int32
}

// batchTokens is how many tokens a pass over several sequences has, about: enough
// to keep the cores busy, and few enough for the cache.
const batchTokens = 1024

// Batch computes sequences side by side and calls f with the logits of each, in
// order; with hidden, its final hidden states. What f gets is a row for each of
// the input's rows and is valid during the call. It does not depend on the
// other sequences.
func (e *Evaluator) Batch(inputs []Input, hidden bool, f func(i int, rows *tensor.Tensor) error) error {
	for i := range inputs {
		if err := e.check(&inputs[i]); err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	for from := 0; from < len(inputs); {
		to, tokens := from+1, len(inputs[from].IDs)
		for to < len(inputs) && tokens+len(inputs[to].IDs) <= batchTokens {
			tokens += len(inputs[to].IDs)
			to++
		}
		err := e.pass(inputs[from:to], hidden, func(i int, rows *tensor.Tensor) error { return f(from+i, rows) })
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (e *Evaluator) check(in *Input) error {
	if in.TypeIDs != nil && len(in.TypeIDs) != len(in.IDs) {
		return fmt.Errorf("%d type ids for %d ids", len(in.TypeIDs), len(in.IDs))
	}
	for _, r := range in.Rows {
		if r < 0 || int(r) >= len(in.IDs) {
			return fmt.Errorf("position %d of %d tokens", r, len(in.IDs))
		}
	}
	return checkLength(e.Model, len(in.IDs))
}

// pass computes some sequences at once.
func (e *Evaluator) pass(inputs []Input, hidden bool, f func(i int, rows *tensor.Tensor) error) (err error) {
	shape := e.Model.KV
	shape.Layers, shape.BF16 = 1, e.BF16 // a layer's keys are not looked at again
	pages := 0
	for i := range inputs {
		pages += pagesFor(len(inputs[i].IDs))
	}
	kv := tensor.NewKV(shape, pages)
	defer func() { err = errors.Join(err, kv.Close()) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recoverMemory(&err)
	b, counts, err := e.lay(inputs, kv)
	if err != nil {
		return err
	}
	e.Graph.Reset()
	var out *tensor.Tensor
	e.locked(func() {
		out = e.Model.Forward(e.Graph, b)
		if !hidden {
			out = e.Model.Logits(e.Graph, out)
		}
	})
	if err := e.Graph.Err(); err != nil {
		return err
	}
	if out == nil {
		return fmt.Errorf("%s has no head", e.Model.Architecture)
	}
	at := 0
	for i, n := range counts {
		for r := 0; r < n && !hidden; r++ {
			if err := checkFinite(out.Row(at+r), r); err != nil {
				return fmt.Errorf("sequence %d: %w", i, err)
			}
		}
		if err := f(i, e.Graph.RowRange(out, at, n)); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// lay puts sequences into a batch and returns how many rows of output each has.
func (e *Evaluator) lay(inputs []Input, kv *tensor.KV) (*nn.Batch, []int, error) {
	b := &nn.Batch{KV: kv, Out: []int32{}}
	counts := make([]int, len(inputs))
	for i := range inputs {
		in := &inputs[i]
		start, n := len(b.IDs), len(in.IDs)
		span := tensor.Span{Start: start, Len: n, Total: n}
		for range pagesFor(n) {
			p, err := kv.Alloc()
			if err != nil {
				return nil, nil, err
			}
			span.Pages = append(span.Pages, p)
		}
		b.Spans = append(b.Spans, span)
		b.IDs = append(b.IDs, in.IDs...)
		b.Positions = append(b.Positions, positions(0, n)...)
		if in.TypeIDs == nil {
			b.TypeIDs = append(b.TypeIDs, make([]int32, n)...)
		}
		b.TypeIDs = append(b.TypeIDs, in.TypeIDs...)
		out := len(b.Out)
		switch {
		case in.Rows != nil:
			for _, r := range in.Rows {
				b.Out = append(b.Out, int32(start)+r)
			}
		case e.Model.Head == model.SequenceHead:
			b.Out = append(b.Out, int32(start+e.Model.HeadRow(in.IDs)))
		default:
			for r := range n {
				b.Out = append(b.Out, int32(start+r))
			}
		}
		counts[i] = len(b.Out) - out
	}
	return b, counts, nil
}
