package model

import (
	"fmt"
	"slices"
	"unsafe"

	"wenmo/checkpoint"
	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/nn"
	"wenmo/tensor"
)

// LoadTrainable is Load for training: everything has a gradient and is listed
// in Params. The values are float32; dtype, F32 or BF16, is that of products.
func LoadTrainable(c *Config, file *checkpoint.File, dtype DType, pool *kernel.Pool) (*Model, error) {
	return loadTrainable(c, file, dtype, pool, nil)
}

// LoadNewHead is LoadTrainable for a config of WithHead: where the checkpoint
// is that of another head, or of none, the new head begins as in transformers,
// with normal weights of deviation initializer_range that depend on seed alone
// and biases of zero. Params have the names of the new architecture.
func LoadNewHead(c *Config, file *checkpoint.File, dtype DType, pool *kernel.Pool, seed uint64) (*Model, error) {
	return loadTrainable(c, file, dtype, pool, &fresh{seed: seed, deviation: c.FloatOr("initializer_range", 0.02)})
}

func loadTrainable(c *Config, file *checkpoint.File, dtype DType, pool *kernel.Pool, f *fresh) (*Model, error) {
	if dtype != F32 && dtype != BF16 {
		return nil, fmt.Errorf("%s: weights in %s cannot be trained, want f32 or bf16", file.Path(), dtype)
	}
	l := NewLoader(file, dtype, pool)
	l.train, l.fresh = true, f
	return l.load(c)
}

// trainWeight gives a packed weight its values and gradient.
func (l *Loader) trainWeight(p *packer) {
	w := p.w
	if p.t.Panels != nil {
		l.fail(fmt.Errorf("%s: a packed file cannot be trained", p.t.File))
		return
	}
	stored := make([]float32, p.t.Len())
	if err := p.t.Float32(stored); err != nil {
		l.fail(err)
		return
	}
	w.Value, w.Grad = l.floats(len(stored)), l.floats(len(stored))
	if l.err != nil {
		return
	}
	param := &nn.Param{
		Name: l.paramName(w.Name), Shape: p.t.Shape, Value: w.Value, Grad: w.Grad, Weight: w, Conv1D: p.layout.Conv1D, Row: p.layout.Row,
	}
	param.Load(w.Value, stored)
	// A tied embedding may have been taken as a table before.
	l.params = slices.DeleteFunc(l.params, func(p *nn.Param) bool { return p.Name == param.Name })
	l.params = append(l.params, param)
}

// trainVector gives elements of v, of its own gradient, to a parameter.
func (l *Loader) trainVector(name string, v *tensor.Tensor, at, n int, row func(i int) int) {
	if v.Grad == nil {
		v.Grad = make([]float32, v.Cols)
	}
	l.params = append(l.params, &nn.Param{
		Name: l.paramName(name), Shape: []int{n}, Value: v.Data[at : at+n], Grad: v.Grad[at : at+n], Row: row,
	})
}

// trainTable reads a table into memory and gives it a gradient.
func (l *Loader) trainTable(table *tensor.Table, t checkpoint.Tensor) {
	value := l.floats(t.Len())
	table.Grad = l.floats(t.Len())
	if l.err != nil {
		return
	}
	if err := t.Float32(value); err != nil {
		l.fail(err)
		return
	}
	l.finite(table.Name, value)
	table.Row = rowsOf(value, table.Cols)
	l.params = append(l.params, &nn.Param{Name: l.paramName(table.Name), Shape: t.Shape, Value: value, Grad: table.Grad})
}

// rowsOf returns a look-up of the rows of a matrix.
func rowsOf(m []float32, cols int) func(dst []float32, i int) error {
	return func(dst []float32, i int) error {
		copy(dst, m[i*cols:(i+1)*cols])
		return nil
	}
}

// floats returns n zeros outside the Go heap, which live as long as the model.
func (l *Loader) floats(n int) []float32 {
	b, err := mmap.Anonymous(4 * n)
	if err != nil || n == 0 {
		l.fail(err)
		return nil
	}
	l.memory = append(l.memory, b)
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), n)
}

// fixPadding keeps look-ups from training the row of pad_token_id: the
// padding_idx of torch.nn.Embedding.
func fixPadding(t *tensor.Table, c *Config) {
	if pad, ok := number(c.raw["pad_token_id"]); ok && t != nil && pad >= 0 && pad < float64(t.Rows) {
		t.Fixed = []int32{int32(pad)}
	}
}
