package model

import (
	"fmt"
	"sync"

	"wenmo/checkpoint"
	"wenmo/kernel"
	"wenmo/tensor"
)

// packer packs a stored matrix into panels, a panel a task.
type packer struct {
	t       checkpoint.Tensor
	layout  Layout
	w       *tensor.Weight
	dtype   checkpoint.DType            // of the panels
	room    func(n int) ([]byte, error) // gives memory for panels
	memory  []byte                      // of the panels; nil where they lie in the file
	conv    []float32                   // a Conv1D weight, widened, [in, out]
	scratch *[]packScratch              // of the workers, which other packers use before and after
	panel   int                         // where the part under way begins

	mu    sync.Mutex
	first error
}

func (p *packer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == nil {
		p.first = err
	}
}

// run fills the weight.
func (p *packer) run(pool *kernel.Pool) error {
	if p.t.Panels != nil && p.t.DType == p.dtype {
		*p.w = *p.t.Panels
		return nil
	}
	if err := p.prepare(); err != nil {
		return err
	}
	if *p.scratch == nil {
		*p.scratch = make([]packScratch, pool.Threads())
	}
	err := p.t.Guard(func() error {
		// Some panels at a time, so that little of the file is in memory at once.
		panels := (p.w.Out + 15) / 16
		part := max(1, mappedAtOnce/(16*p.t.DType.RowBytes(p.w.In)))
		for p.panel = 0; p.panel < panels; p.panel += part {
			pool.Run(p, min(part, panels-p.panel))
			p.t.Release()
		}
		return nil
	})
	p.conv = nil
	if err == nil {
		err = p.first
	}
	if err != nil {
		return err
	}
	return nil
}

// prepare takes the memory of the panels.
func (p *packer) prepare() error {
	w := p.w
	if p.layout.Conv1D && !p.t.Transposed {
		p.conv = make([]float32, p.t.Len())
		if err := p.t.Float32(p.conv); err != nil {
			return err
		}
	}
	var err error
	if p.memory, err = p.room(checkpoint.PanelBytes(p.dtype, w.Out, w.In)); err != nil {
		return fmt.Errorf("%s: %w", w.Name, err)
	}
	*w = checkpoint.Panels(p.memory, w.Name, p.dtype, w.Out, w.In)
	return nil
}

// mappedAtOnce bounds the bytes of a file that packing keeps mapped in memory.
const mappedAtOnce = 4 << 20

func (p *packer) Do(worker, i int) {
	panel := p.panel + i
	row0 := panel * 16
	rows := min(16, p.w.Out-row0)
	if err := p.pack(&(*p.scratch)[worker], panel, row0, rows); err != nil {
		p.fail(err)
	}
}

// packScratch is a worker's memory for the rows of a panel.
type packScratch struct {
	values []float32
	bytes  []byte
}

func (s *packScratch) floats(n int) []float32 {
	if cap(s.values) < n {
		s.values = make([]float32, n)
	}
	return s.values[:n]
}

func (p *packer) pack(s *packScratch, panel, row0, rows int) error {
	w, k := p.w, p.w.In
	asStored := p.t.DType == p.dtype && p.conv == nil && p.layout.Scale == 0
	if asStored && w.DType == tensor.Quant {
		s.bytes = s.bytes[:0]
		for i := range rows {
			s.bytes = append(s.bytes, p.t.RawRow(p.row(row0+i))...)
		}
		kernel.PackQuant(&w.Q, s.bytes, row0, rows)
		return p.checkScales(panel, row0)
	}
	values := s.floats(rows * k)
	for i := range rows {
		if err := p.read(values[i*k:(i+1)*k], row0+i); err != nil {
			return err
		}
	}
	switch w.DType {
	case tensor.F32:
		n := kernel.PanelLenF32(16, k)
		kernel.PackF32(w.F32[panel*n:(panel+1)*n], values, rows, k, k)
	case tensor.BF16:
		n := kernel.PanelLenBF16(16, k)
		kernel.PackBF16(w.BF16[panel*n:(panel+1)*n], values, rows, k, k)
	case tensor.Quant:
		n := rows * p.dtype.RowBytes(k)
		if cap(s.bytes) < n {
			s.bytes = make([]byte, n)
		}
		s.bytes = s.bytes[:n]
		if err := checkpoint.Quantize(p.dtype, s.bytes, values); err != nil {
			return err
		}
		kernel.PackQuant(&w.Q, s.bytes, row0, rows)
	}
	return nil
}

// checkScales fails when a scale of a packed panel is not finite.
func (p *packer) checkScales(panel, row0 int) error {
	if lane := kernel.CheckQuant(&p.w.Q, panel); lane >= 0 {
		return fmt.Errorf("%s: tensor %q: a scale of row %d is not finite", p.t.File, p.t.Name, row0+lane)
	}
	return nil
}

func (p *packer) row(out int) int {
	if p.layout.Row != nil {
		return p.layout.Row(out)
	}
	return out
}

// read widens the row of an output and checks its values.
func (p *packer) read(dst []float32, out int) error {
	row := p.row(out)
	if p.conv != nil {
		cols := p.t.Shape[1]
		for k := range dst {
			dst[k] = p.conv[k*cols+row]
		}
	} else if err := p.t.Row(dst, row); err != nil {
		return err
	}
	if i := tensor.NotFinite(dst); i >= 0 {
		return fmt.Errorf("%s: tensor %q: element [%d, %d] is %v", p.t.File, p.t.Name, row, i, dst[i])
	}
	if s := p.layout.Scale; s != 0 {
		for i := range dst {
			dst[i] *= s
		}
	}
	return nil
}
