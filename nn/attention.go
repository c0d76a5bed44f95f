package nn

import "wenmo/tensor"

// Attention is a multi-head attention layer with its projections.
type Attention struct {
	tensor.Attention
	QKV          Linear // query, key and value side by side
	Output       Linear
	QNorm, KNorm *Norm // over each head (Qwen 3) or the whole width (OLMo 2); nil: none
	Rope         *Rope // nil: positions are not rotated
	Layer        int

	Group, InGroup int // of layers that see equally far, and the number within it
}

// Forward stores the keys and values of the batch's tokens and returns the
// attention's output, [tokens, hidden].
func (a *Attention) Forward(g *tensor.Graph, x *tensor.Tensor, b *Batch) *tensor.Tensor {
	qkv := a.QKV.Forward(g, x)
	nq, nk := a.Heads*a.Dim, a.KVHeads*a.Dim
	q := g.Columns(qkv, 0, nq)
	k := g.Columns(qkv, nq, nq+nk)
	v := g.Columns(qkv, nq+nk, nq+nk+a.KVHeads*a.VDim)
	return a.Output.Forward(g, a.Mix(g, q, k, v, b))
}

// Mix norms and rotates queries and keys, stores keys and values, and attends.
func (a *Attention) Mix(g *tensor.Graph, q, k, v *tensor.Tensor, b *Batch) *tensor.Tensor {
	q, k = a.QNorm.Forward(g, q), a.KNorm.Forward(g, k)
	if a.Rope != nil {
		a.Rope.rotate(g, q, k, b, a.Dim)
	}
	kv, spans, layer := b.KV, b.Spans, a.Layer
	if b.Groups != nil {
		kv, spans, layer = b.Groups[a.Group].KV, b.Groups[a.Group].Spans, a.InGroup
	}
	keys := g.Store(kv, layer, k, v, spans)
	return g.Attend(&a.Attention, q, keys, spans, b.probs(a.Heads))
}
