package model

import (
	"wenmo/nn"
	"wenmo/tensor"
)

// decoder is the body of all decoder-only families: embedding, blocks, norm
// and head. What a family leaves zero it does not have.
type decoder struct {
	embed          *tensor.Table
	embedScale     float32
	positions      *tensor.Table // learned
	positionOffset int32
	embedNorm      *nn.Norm
	blocks         []nn.Block
	norm           *nn.Norm
	dropout        float32 // of the embedding's output, while training
	head           nn.Linear
	logitCap       float32
}

func (d *decoder) Forward(g *tensor.Graph, b *nn.Batch) *tensor.Tensor {
	x := g.Embed(d.embed, b.IDs, 0)
	if d.embedScale != 0 {
		x = g.Scale(x, d.embedScale)
	}
	if d.positions != nil {
		x = g.Add(x, g.Embed(d.positions, b.Positions, d.positionOffset))
	}
	x = g.Dropout(d.embedNorm.Forward(g, x), d.dropout)
	keep := g.New(x.Rows, x.Cols)
	for i := range d.blocks {
		b.Hidden(x)
		mark := g.Mark()
		x = g.Reuse(mark, b.Through(g, &d.blocks[i], x), keep)
	}
	if b.Trace == nil {
		x = b.Select(g, x) // norms are per row
	}
	x = d.norm.Forward(g, x)
	if b.Trace != nil {
		b.Hidden(x)
		x = b.Select(g, x)
	}
	return x
}

func (d *decoder) Logits(g *tensor.Graph, hidden *tensor.Tensor) *tensor.Tensor {
	logits := d.head.Forward(g, hidden)
	if d.logitCap != 0 {
		logits = g.SoftCap(logits, d.logitCap)
	}
	return logits
}

// heads takes the embedding and the head of a model: one matrix where they are
// tied, and otherwise the embedding stays in the file.
func (d *decoder) heads(m *Model, l *Loader, embedding, head string, tied bool) {
	if m.Head == SequenceHead {
		d.embed = l.Table(embedding, m.Vocab, m.Hidden)
		d.head = l.Linear([]string{"score"}, []int{len(m.Labels)}, m.Hidden, false)
		return
	}
	if l.adapter.saves(head) && (tied || !l.Has(head)) {
		l.untie(head, embedding)
		tied = false
	}
	if tied || !l.Has(head) && l.Has(embedding) {
		l.adapter.tied(l, embedding)
		l.taken[head] = true // some checkpoints hold the one matrix twice
		w := l.Weight(embedding, m.Vocab, m.Hidden, Layout{})
		d.embed = WeightTable(w)
		d.head = l.layer(nil, w)
		return
	}
	d.embed = l.Table(embedding, m.Vocab, m.Hidden)
	d.head = l.layer(nil, l.Weight(head, m.Vocab, m.Hidden, Layout{}))
}
