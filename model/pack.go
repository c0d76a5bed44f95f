package model

import (
	"fmt"
	"sync"
	"unsafe"

	"wenmo/checkpoint"
	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/tensor"
)

// packer packs a stored matrix into panels, a panel a task.
type packer struct {
	t      checkpoint.Tensor
	layout Layout
	w      *tensor.Weight
	dtype  checkpoint.DType // of the panels
	conv   []float32        // a Conv1D weight, widened, [in, out]

	mu    sync.Mutex
	first error
}

func (p *packer) err() error { return p.first }

func (p *packer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == nil {
		p.first = err
	}
}

// prepare takes the memory of the panels.
func (p *packer) prepare() error {
	w := p.w
	var err error
	switch q, quant := quantTypes[p.dtype]; {
	case quant:
		w.DType = tensor.Quant
		quants, scales := kernel.QPanelSizes(q, w.Out, w.In)
		w.Q = kernel.QPanels{Type: q, N: w.Out, K: w.In}
		if w.Q.Quants, err = mmap.Anonymous(quants); err != nil {
			return err
		}
		w.Q.Scales, err = mmap.Anonymous(scales)
	case p.dtype == checkpoint.BF16:
		w.DType = tensor.BF16
		w.BF16, err = anonymous[uint16](kernel.PanelLenBF16(w.Out, w.In))
	default:
		w.DType = tensor.F32
		w.F32, err = anonymous[float32](kernel.PanelLenF32(w.Out, w.In))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.Name, err)
	}
	if p.layout.Conv1D && !p.t.Transposed {
		p.conv = make([]float32, p.t.Len())
		return p.t.Float32(p.conv)
	}
	return nil
}

func anonymous[T float32 | uint16](n int) ([]T, error) {
	var zero T
	b, err := mmap.Anonymous(n * int(unsafe.Sizeof(zero)))
	if err != nil || n == 0 {
		return nil, err
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n), nil
}

func (p *packer) Do(_, panel int) {
	row0 := panel * 16
	rows := min(16, p.w.Out-row0)
	if err := p.pack(panel, row0, rows); err != nil {
		p.fail(err)
	}
}

func (p *packer) pack(panel, row0, rows int) error {
	w, k := p.w, p.w.In
	if w.DType == tensor.Quant && p.t.DType == p.dtype && p.conv == nil {
		var blocks []byte
		for i := range rows {
			blocks = append(blocks, p.t.RawRow(p.row(row0+i))...)
		}
		kernel.PackQuant(&w.Q, blocks, row0, rows)
		return nil
	}
	values := make([]float32, rows*k)
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
		blocks := make([]byte, rows*p.dtype.RowBytes(k))
		if err := checkpoint.Quantize(p.dtype, blocks, values); err != nil {
			return err
		}
		kernel.PackQuant(&w.Q, blocks, row0, rows)
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
	for i, x := range dst {
		if x-x != 0 {
			return fmt.Errorf("%s: tensor %q: element [%d, %d] is %v", p.t.File, p.t.Name, row, i, x)
		}
	}
	if s := p.layout.Scale; s != 0 {
		for i := range dst {
			dst[i] *= s
		}
	}
	return nil
}
