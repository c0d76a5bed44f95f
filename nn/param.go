package nn

import "wenmo/tensor"

// Param is a trainable parameter: a tensor of a checkpoint.
type Param struct {
	Name  string // in a Hugging Face checkpoint
	Shape []int  // there

	// Value and Grad lie as in memory: a matrix is [outputs, inputs]. Who changes
	// Value calls Update afterwards.
	Value, Grad []float32

	Weight *tensor.Weight    // whose panels follow Value; nil: Value is used as it lies
	Conv1D bool              // the checkpoint has the transpose (GPT-2)
	Row    func(out int) int // the checkpoint's row, or element of a vector, for an output; nil: the same
	LoRA   *LoRA             // that the parameter belongs to; nil: none
}

// Finish completes the gradient after the backward of all micro-batches: that
// of a tied embedding is the sum of two.
func (p *Param) Finish() {
	if p.Weight != nil {
		p.Weight.Fold()
	}
}

// Update brings a changed Value to where the forward reads it.
func (p *Param) Update(g *tensor.Graph) {
	if p.Weight != nil {
		g.Pack(p.Weight)
	}
	if p.LoRA != nil {
		p.LoRA.Changed()
	}
}

// Load sets dst, values or gradients as they lie in memory, from stored, which
// has the order of the checkpoint.
func (p *Param) Load(dst, stored []float32) {
	p.each(len(dst), func(i, at int) { dst[i] = stored[at] })
}

// Store sets stored, in the order of the checkpoint, from src, values or
// gradients as they lie in memory.
func (p *Param) Store(stored, src []float32) {
	p.each(len(src), func(i, at int) { stored[at] = src[i] })
}

// each calls f with the place of every element in memory and in the checkpoint.
func (p *Param) each(n int, f func(i, at int)) {
	outs := p.Shape[0]
	if p.Conv1D {
		outs = p.Shape[1]
	}
	in := n / outs
	for i := range n {
		row, k := i/in, i%in
		if p.Row != nil {
			row = p.Row(row)
		}
		if p.Conv1D {
			f(i, k*outs+row)
		} else {
			f(i, row*in+k)
		}
	}
}
