package tensor

import (
	"wenmo/kernel"
)

// DType is the element type in which a weight takes part in products.
type DType uint8

const (
	F32 DType = iota
	BF16
	Quant // 8- or 4-bit blocks; Weight.Q.Type says which
)

// Weight is a matrix [Out, In] in panels of sixteen outputs (DESIGN: one
// panel). Exactly one of the three forms is set.
type Weight struct {
	Name    string // in the checkpoint, for messages
	Out, In int
	DType   DType
	F32     []float32
	BF16    []uint16
	Q       kernel.QPanels

	// Of a weight that is trained, F32 or BF16: its values, which Graph.Pack
	// brings into the panels, and their gradient; row-major [Out, In].
	Value, Grad []float32

	lookups rowGrads // of the embedding that is tied to it
}

// Bytes returns the size of the packed form.
func (w *Weight) Bytes() int {
	return 4*len(w.F32) + 2*len(w.BF16) + len(w.Q.Quants) + len(w.Q.Scales)
}

// Row writes row i, widened to float32, to dst (In elements).
func (w *Weight) Row(dst []float32, i int) {
	lane := i % 16
	switch w.DType {
	case F32:
		p := w.F32[i/16*16*w.In:]
		for k := range dst[:w.In] {
			dst[k] = p[k*16+lane]
		}
	case BF16:
		p := w.BF16[i/16*kernel.PanelLenBF16(16, w.In):]
		for k := range dst[:w.In] {
			dst[k] = kernel.FromBF16(p[k/2*32+lane*2+k%2])
		}
	case Quant:
		kernel.UnpackQuantRow(dst, &w.Q, i)
	}
}

// panels returns the number of panels.
func (w *Weight) panels() int { return (w.Out + 15) / 16 }

// Pack brings the values of a trained weight into its panels.
func (g *Graph) Pack(w *Weight) {
	g.tasks.pack = packTask{w: w}
	g.pool.Run(&g.tasks.pack, w.panels())
}

// packTask packs a weight, a panel a task.
type packTask struct{ w *Weight }

func (t *packTask) Do(_, p int) {
	w := t.w
	src, rows := w.Value[16*p*w.In:], min(16, w.Out-16*p)
	switch w.DType {
	case F32:
		n := kernel.PanelLenF32(16, w.In)
		kernel.PackF32(w.F32[p*n:(p+1)*n], src, rows, w.In, w.In)
	case BF16:
		n := kernel.PanelLenBF16(16, w.In)
		kernel.PackBF16(w.BF16[p*n:(p+1)*n], src, rows, w.In, w.In)
	}
}
