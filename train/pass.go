// Package train makes models learn: passes that compute losses and gradients,
// optimizers, and the loop of a run with its checkpoints.
package train

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"wenmo/dataset"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/nn"
	"wenmo/tensor"
)

// Pass computes losses of a model, and gradients. One goroutine uses it.
type Pass struct {
	Model *model.Model
	Graph *tensor.Graph

	Seed uint64 // of dropout
	Step uint32 // what dropout draws in gradients depends on, too

	kv      *tensor.KV
	pages   []int32
	batch   nn.Batch
	rows    []int32 // that have a label
	labels  []int32
	targets model.Targets
	head    headPart
}

// NewPass returns a pass over m, whose regions run on pool.
func NewPass(m *model.Model, pool *kernel.Pool) *Pass {
	shape := m.KV
	shape.Layers, shape.BF16 = 1, m.BF16                                                                  // keys and values are on the tape
	return &Pass{Model: m, Graph: tensor.NewGraph(pool), kv: tensor.NewKV(shape, 1<<20), rows: []int32{}} // nil stands for all rows
}

// Close frees the memory of the pass.
func (p *Pass) Close() error {
	p.Graph.Close()
	return p.kv.Close()
}

// Loss returns the mean loss of batches over the weights of them all.
func (p *Pass) Loss(ctx context.Context, o Objective, batches [][]dataset.Sequence) (loss float64, err error) {
	p.Graph.Record(false)
	return p.run(ctx, o, batches, nil)
}

// Gradients adds the gradients of a step to those of the parameters, which
// begin at zero: those of the mean loss over all batches, which it returns. The
// chains of one batch are taken up by the next, so the split into batches, each
// of an even number of tokens, does not show.
func (p *Pass) Gradients(ctx context.Context, o Objective, batches [][]dataset.Sequence) (loss float64, err error) {
	for _, param := range p.Model.Params {
		clear(param.Grad)
	}
	p.Graph.Record(true)
	loss, err = p.run(ctx, o, batches, func(t *tensor.Tensor) { p.Graph.Backward(t, nil) })
	if err != nil {
		return 0, err
	}
	for _, param := range p.Model.Params {
		param.Finish()
	}
	return loss, nil
}

func (p *Pass) run(ctx context.Context, o Objective, batches [][]dataset.Sequence, back func(loss *tensor.Tensor)) (loss float64, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(error)
			if !ok || !errors.Is(e, tensor.ErrMemory) {
				panic(r)
			}
			err = e
		}
	}()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	total := 0.0
	for _, b := range batches {
		total += o.Weight(p, b)
	}
	tokens := uint32(0)
	for _, b := range batches {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		p.Graph.Reset()
		p.Graph.Randomize(p.Seed, p.Step, tokens)
		for i := range b {
			tokens += uint32(len(b[i].IDs))
		}
		t := o.Loss(p, b, float32(total))
		if err := p.Graph.Err(); err != nil {
			return 0, err
		}
		loss += float64(t.Data[0])
		if back != nil {
			back(t)
		}
	}
	return loss, nil
}

// Batch lays sequences out as a batch. It is valid until the next call.
func (p *Pass) Batch(sequences []dataset.Sequence) *nn.Batch {
	for _, page := range p.pages {
		p.kv.Release(page)
	}
	p.pages = p.pages[:0]
	b := &p.batch
	b.Reset()
	b.KV = p.kv
	for i := range sequences {
		p.add(&sequences[i])
	}
	at := 0 // pages moved while they grew
	for i := range b.Spans {
		n := (b.Spans[i].Len + tensor.PageTokens - 1) / tensor.PageTokens
		b.Spans[i].Pages = p.pages[at : at+n]
		at += n
	}
	return b
}

func (p *Pass) add(s *dataset.Sequence) {
	b := &p.batch
	b.Spans = append(b.Spans, tensor.Span{Start: len(b.IDs), Len: len(s.IDs), Total: len(s.IDs)})
	b.IDs = append(b.IDs, s.IDs...)
	for i := range s.IDs {
		b.Positions = append(b.Positions, int32(i))
		kind := int32(0)
		if s.TypeIDs != nil {
			kind = s.TypeIDs[i]
		}
		b.TypeIDs = append(b.TypeIDs, kind)
		if i%tensor.PageTokens == 0 {
			page, err := p.kv.Alloc()
			if err != nil {
				panic(fmt.Errorf("%w: %w", tensor.ErrMemory, err))
			}
			p.pages = append(p.pages, page)
		}
	}
}
