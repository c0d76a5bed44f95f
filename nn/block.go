package nn

import "wenmo/tensor"

// FeedForward is the part of a block after attention: an MLP or an MoE.
type FeedForward interface {
	Forward(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor
}

// Block is a layer of a decoder. A nil norm is none: families differ in where
// they norm.
type Block struct {
	InputNorm     *Norm // before attention
	PostAttention *Norm // of attention's output, before it is added (Gemma 2, OLMo 2)
	MLPNorm       *Norm // before the feed-forward part
	PostMLP       *Norm // of its output, before it is added
	AttentionSum  *Norm // of the stream after attention is added (OPT-350m)
	MLPSum        *Norm // of the stream after the feed-forward part is added
	Attention     *Attention
	MLP           FeedForward
	Parallel      bool    // both parts read the block's input (GPT-NeoX)
	FromNorm      bool    // parts are added to what they read, not to the stream (BLOOM's option)
	Dropout       float32 // of each part's output, while training
}

// Forward returns the residual stream after the block. Outside training it
// overwrites x with the stream between its parts.
func (l *Block) Forward(g *tensor.Graph, x *tensor.Tensor, b *Batch) *tensor.Tensor {
	stream, mark := x, g.Mark()
	in := l.InputNorm.Forward(g, x)
	a := l.PostAttention.Forward(g, l.Attention.Forward(g, in, b))
	a = g.Dropout(a, l.Dropout)
	if l.Parallel {
		m := l.MLP.Forward(g, l.MLPNorm.Forward(g, x))
		return g.Add(g.Add(g.Dropout(m, l.Dropout), a), x)
	}
	if l.FromNorm {
		x = in
	}
	x = g.Reuse(mark, l.AttentionSum.Forward(g, g.Add(x, a)), stream)
	in = l.MLPNorm.Forward(g, x)
	m := l.PostMLP.Forward(g, l.MLP.Forward(g, in))
	if l.FromNorm {
		x = in
	}
	return l.MLPSum.Forward(g, g.Add(x, g.Dropout(m, l.Dropout)))
}
