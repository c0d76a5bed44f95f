package model

import (
	"slices"

	"wenmo/nn"
	"wenmo/tensor"
)

// decoder is the body of all decoder-only families: embedding, blocks, norm
// and head. What a family leaves zero it does not have.
type decoder struct {
	embed          *tensor.Table
	embedScale     float32
	projectIn      *nn.Linear    // from an embedding of another width (OPT-350m); nil: none
	positions      *tensor.Table // learned
	positionOffset int32
	embedNorm      *nn.Norm
	blocks         []nn.Block
	norm           *nn.Norm
	projectOut     *nn.Linear // back to that width; nil: none
	dropout        float32    // of the embedding's output, while training
	head           nn.Linear
	logitCap       float32
}

// group numbers the layers within groups of the same window; nil where all see
// everything. A window as long as the longest sequence is none.
func (d *decoder) group(longest int) []LayerGroup {
	var groups []LayerGroup
	for i := range d.blocks {
		a := d.blocks[i].Attention
		window := a.Window
		if window >= longest {
			window = 0
		}
		a.Group = slices.IndexFunc(groups, func(g LayerGroup) bool { return g.Window == window })
		if a.Group < 0 {
			a.Group = len(groups)
			groups = append(groups, LayerGroup{Window: window})
		}
		a.InGroup = groups[a.Group].Layers
		groups[a.Group].Layers++
	}
	if len(groups) == 1 && groups[0].Window == 0 {
		return nil
	}
	return groups
}

func (d *decoder) Forward(g *tensor.Graph, b *nn.Batch) *tensor.Tensor {
	x := g.Embed(d.embed, b.IDs, 0)
	if d.embedScale != 0 {
		x = g.Scale(x, d.embedScale)
	}
	if d.projectIn != nil {
		x = d.projectIn.Forward(g, x)
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
	if d.projectOut != nil {
		x = d.projectOut.Forward(g, x)
	}
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
	d.headsOf(m.Hidden, m, l, embedding, head, tied)
}

// headsOf is heads for matrices of another width than the hidden states'.
func (d *decoder) headsOf(width int, m *Model, l *Loader, embedding, head string, tied bool) {
	if m.Head == SequenceHead {
		d.embed = l.Table(embedding, m.Vocab, width)
		d.head = l.Linear([]string{"score"}, []int{len(m.Labels)}, width, false)
		return
	}
	if l.adapter.saves(head) && (tied || !l.Has(head)) {
		l.untie(head, embedding)
		tied = false
	}
	if tied || !l.Has(head) && l.Has(embedding) {
		l.adapter.tied(l, embedding)
		l.taken[head] = true // some checkpoints hold the one matrix twice
		w := l.Weight(embedding, m.Vocab, width, Layout{})
		d.embed = WeightTable(w)
		d.head = l.layer(nil, w)
		return
	}
	d.embed = l.Table(embedding, m.Vocab, width)
	d.head = l.layer(nil, l.Weight(head, m.Vocab, width, Layout{}))
}
