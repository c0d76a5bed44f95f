// Package nn has the layers that model families are made of. They take and
// return activations [tokens, features] of a ragged batch.
package nn

import "wenmo/tensor"

// Batch is a flat list of tokens with their positions and the spans of the
// sequences they belong to; no padding is ever computed.
type Batch struct {
	IDs       []int32
	Positions []int32
	TypeIDs   []int32 // BERT's segments; nil: all 0
	Spans     []tensor.Span
	KV        *tensor.KV

	// Groups, if not nil, hold the keys and values of the layers of each group
	// (Attention.Group) apart, in place of KV: the spans are the same but for
	// their pages.
	Groups []Group

	// Out lists the rows for which the final hidden state, and so logits, are
	// wanted; nil: all rows.
	Out []int32

	// Trace, if not nil, keeps what happens on the way.
	Trace *Trace

	runs []layerRun
}

// Group is where layers that see equally far keep their keys and values.
type Group struct {
	KV    *tensor.KV
	Spans []tensor.Span
}

// Reset empties a batch for other sequences, and keeps its memory.
func (b *Batch) Reset() {
	*b = Batch{IDs: b.IDs[:0], Positions: b.Positions[:0], TypeIDs: b.TypeIDs[:0], Spans: b.Spans[:0], KV: b.KV, runs: b.runs[:0]}
}

// Layer is a part of a model that keeps the shape of its input.
type Layer interface {
	Forward(g *tensor.Graph, x *tensor.Tensor, b *Batch) *tensor.Tensor
}

// layerRun is a layer on its batch, as a segment of the tape.
type layerRun struct {
	layer Layer
	batch *Batch
}

func (r *layerRun) Run(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
	return r.layer.Forward(g, x, r.batch)
}

// Through returns what a layer makes of x, which it will make again when a tape
// that recomputes goes back.
func (b *Batch) Through(g *tensor.Graph, l Layer, x *tensor.Tensor) *tensor.Tensor {
	if !g.Recomputes() {
		return l.Forward(g, x, b)
	}
	b.runs = append(b.runs, layerRun{l, b})
	return g.Segment(&b.runs[len(b.runs)-1], x)
}

// Trace keeps copies of intermediate values of a batch of one span.
type Trace struct {
	WantHidden, WantAttentions bool
	Hidden                     [][]float32 // per layer [tokens, hidden]: the embedding first, the final norm's output last
	Attentions                 [][]float32 // per layer [heads, queries, keys]
}

// Hidden keeps the hidden states x, if the batch wants them.
func (b *Batch) Hidden(x *tensor.Tensor) {
	if b.Trace == nil || !b.Trace.WantHidden {
		return
	}
	rows := make([]float32, 0, x.Rows*x.Cols)
	for i := range x.Rows {
		rows = append(rows, x.Row(i)...)
	}
	b.Trace.Hidden = append(b.Trace.Hidden, rows)
}

// probs returns the memory for a layer's attention probabilities, or nil.
func (b *Batch) probs(heads int) []float32 {
	if b.Trace == nil || !b.Trace.WantAttentions {
		return nil
	}
	s := b.Spans[0]
	p := make([]float32, heads*s.Len*(s.Pos+s.Len))
	b.Trace.Attentions = append(b.Trace.Attentions, p)
	return p
}

// Select returns the rows of x that the batch wants logits for.
func (b *Batch) Select(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
	if b.Out == nil {
		return x
	}
	g.DropRows(b.Out)
	return g.Gather(x, b.Out)
}
