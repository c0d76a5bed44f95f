package model

import (
	"errors"
	"fmt"
	"io"

	"wenmo/checkpoint"
	"wenmo/internal/mmap"
	"wenmo/kernel"
)

// plan lists what a family takes from a checkpoint, in the order of taking, as
// the tensors of a packed file. A nil plan lists nothing.
type plan struct {
	outs    []checkpoint.Out
	place   map[string]int // by name
	changed bool           // a matrix is packed in another form than the stored one
}

// Pack returns the tensors of the packed file of a model, for
// checkpoint.PackedGGUF. Every weight is packed, on pool, when it is written,
// and its memory freed; file must stay open until then. asStored says that the
// matrices keep the shapes and rows of the checkpoint, so that the packed file
// can become one again.
func Pack(c *Config, file *checkpoint.File, dtype DType, pool *kernel.Pool) (outs []checkpoint.Out, asStored bool, err error) {
	l := NewLoader(file, dtype, pool)
	l.plan = &plan{place: map[string]int{}}
	if _, err := l.model(c); err != nil {
		return nil, false, err
	}
	return l.plan.outs, !l.plan.changed, nil
}

// Check returns why a model of a config cannot be opened from a checkpoint: a
// family that is not known, a setting that is not, tensors of other shapes.
func Check(c *Config, file *checkpoint.File) error {
	_, _, err := Pack(c, file, Auto, nil) // a pool would be for writing
	return err
}

// tensor notes a tensor that is not packed. Where its panels are noted as well,
// as of an embedding that is the head too, those are enough.
func (p *plan) tensor(o checkpoint.Out) {
	if p == nil {
		return
	}
	if _, ok := p.place[o.Name]; !ok {
		p.place[o.Name] = len(p.outs)
		p.outs = append(p.outs, o)
	}
}

// panels notes a weight to be packed.
func (p *plan) panels(w *packer, pool *kernel.Pool) error {
	o := checkpoint.Out{Name: w.w.Name, DType: w.dtype, Shape: []int{w.w.Out, w.w.In}, Panels: true, Write: func(to io.Writer) error {
		err := w.run(pool)
		if err == nil {
			_, err = to.Write(w.memory)
		}
		return errors.Join(err, mmap.Free(w.memory))
	}}
	w.room = mmap.Anonymous
	x := w.layout
	p.changed = p.changed || x.Conv1D || x.Row != nil || x.Rows > w.w.Out || x.Scale != 0
	at, ok := p.place[o.Name]
	switch {
	case !ok:
		p.place[o.Name] = len(p.outs)
		p.outs = append(p.outs, o)
	case p.outs[at].Panels:
		return fmt.Errorf("tensor %q is taken twice and cannot be packed", o.Name)
	default:
		p.outs[at] = o
	}
	return nil
}
