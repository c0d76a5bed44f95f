package tensor

import "wenmo/kernel"

// RMSNorm returns x / sqrt(mean(x²) + eps) · (offset + w), row by row
// (Zhang & Sennrich 2019; offset 1 is Gemma's form). w is [1, n]; x's columns
// are normed in runs of n, so that heads can be normed each on its own.
func (g *Graph) RMSNorm(x, w *Tensor, eps, offset float32) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: rmsNormRow, x: x, out: out, w: w, eps: eps, s: offset})
	return out
}

func rmsNormRow(t *rowTask, r int) {
	src, dst, n := t.x.Row(r), t.out.Row(r), t.w.Cols
	for i := 0; i < len(src); i += n {
		kernel.RMSNorm(dst[i:i+n], src[i:i+n], t.w.Data, t.eps, t.s)
	}
}

// LayerNorm returns (x − mean) / sqrt(var + eps) · w + b, row by row (Ba et al.
// 2016). w and b are [1, n]; b may be nil.
func (g *Graph) LayerNorm(x, w, b *Tensor, eps float32) *Tensor {
	out := g.New(x.Rows, x.Cols)
	g.eachRow(rowTask{run: layerNormRow, x: x, out: out, w: w, b: b, eps: eps})
	return out
}

func layerNormRow(t *rowTask, r int) {
	var b []float32
	if t.b != nil {
		b = t.b.Data
	}
	kernel.LayerNorm(t.out.Row(r), t.x.Row(r), t.w.Data, b, t.eps)
}
