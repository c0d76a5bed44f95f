package model

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"wenmo/checkpoint"
	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/nn"
	"wenmo/tensor"
)

// DType says in which type weights take part in products.
type DType string

// The types of --dtype. Auto is the stored type, float16 being widened to F32.
const (
	Auto DType = "auto"
	F32  DType = "f32"
	BF16 DType = "bf16"
	Q8_0 DType = "q8_0"
	Q4_0 DType = "q4_0"
)

// ParseDType reads the value of --dtype.
func ParseDType(s string) (DType, error) {
	switch d := DType(s); d {
	case Auto, F32, BF16, Q8_0, Q4_0:
		return d, nil
	}
	return "", fmt.Errorf("dtype %q is not one of auto, f32, bf16, q8_0, q4_0", s)
}

// Loader takes weights from a checkpoint by name and shape. The first failure
// is kept and returned by Err; what it returns after that must not be used.
type Loader struct {
	ctx    context.Context // where set, its end is that of the loading
	file   *checkpoint.File
	dtype  DType
	pool   *kernel.Pool
	taken  map[string]bool
	work   []packScratch // of the pool's workers, for one weight after the other
	plan   *plan         // where set, what is taken is noted there, and not packed
	memory [][]byte      // of what was packed
	rest   []byte        // the rest of the last piece of memory that small matrices share
	bytes  int
	bf16   bool // some weight is in bfloat16
	err    error

	train   bool // everything, or an adapter, has gradients, and is listed
	params  []*nn.Param
	fresh   *fresh    // what the checkpoint lacks of a head is made; nil: it must be there
	adapter *adapting // nil: none

	stored, wanted string            // prefix of the body in the checkpoint, and in the architecture
	untied         map[string]string // heads that begin as the embedding and are trained apart from it
}

// NewLoader returns a loader of file's tensors. Packing runs on pool.
func NewLoader(file *checkpoint.File, dtype DType, pool *kernel.Pool) *Loader {
	return &Loader{file: file, dtype: dtype, pool: pool, taken: map[string]bool{}}
}

// Err returns the first thing wrong.
func (l *Loader) Err() error { return l.err }

// Layers yields 0, 1, … up to n − 1 and ends early once something is wrong: a
// config may name more layers than there are.
func (l *Loader) Layers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if l.err != nil || !yield(i) {
				return
			}
		}
	}
}

// Bytes returns the size of the weights in panels.
func (l *Loader) Bytes() int { return l.bytes }

// Has says whether the checkpoint has a tensor.
func (l *Loader) Has(name string) bool {
	_, ok := l.tensor(name)
	return ok
}

// Prefix returns the first of prefixes with which name is in the checkpoint:
// files of a bare model leave out the prefix that its heads' files have.
func (l *Loader) Prefix(name string, prefixes ...string) string {
	if l.fresh != nil && l.fresh.all {
		return prefixes[0]
	}
	for _, p := range prefixes {
		if l.Has(p + name) {
			return l.rename(p, prefixes[0])
		}
	}
	l.fail(fmt.Errorf("%s: no tensor %q", l.file.Path(), prefixes[0]+name))
	return prefixes[0]
}

func (l *Loader) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// take returns the tensor of that name if its shape is one of shapes.
func (l *Loader) take(name string, shapes ...[]int) (checkpoint.Tensor, bool) {
	if l.ctx != nil {
		if err := l.ctx.Err(); err != nil {
			l.fail(err)
			return checkpoint.Tensor{}, false
		}
	}
	t, ok := l.tensor(name)
	if !ok {
		if t, ok = l.fresh.tensor(name, shapes[0], l.file.Path()); ok {
			l.adapter.own(name)
		}
	}
	if !ok {
		l.fail(fmt.Errorf("%s: no tensor %q, want one of shape %v", l.file.Path(), name, shapes[0]))
		return t, false
	}
	l.taken[t.Name], l.taken[l.storedName(name)] = true, true
	l.adapter.take(l, name)
	for _, s := range shapes {
		if slices.Equal(s, t.Shape) {
			return t, l.err == nil
		}
	}
	l.fail(fmt.Errorf("%s: tensor %q has shape %v, want %v", t.File, name, t.Shape, shapes[0]))
	return t, false
}

// Vector returns a tensor [n], widened, as [1, n].
func (l *Loader) Vector(name string, n int) *tensor.Tensor {
	return l.PermutedVector(name, n, nil)
}

// PermutedVector is Vector with element i stored at row(i).
func (l *Loader) PermutedVector(name string, n int, row func(i int) int) *tensor.Tensor {
	t, ok := l.take(name, []int{n})
	if !ok {
		return nil
	}
	v := newVector(n)
	l.vector(t, name, v, 0, row)
	return v
}

// Vectors returns several vectors one after the other, as [1, Σn]: the biases
// of projections that share an input.
func (l *Loader) Vectors(names []string, sizes []int) *tensor.Tensor {
	n := 0
	for _, size := range sizes {
		n += size
	}
	parts := make([]checkpoint.Tensor, len(names))
	for i, name := range names { // before memory is taken for what a config says
		var ok bool
		if parts[i], ok = l.take(name, []int{sizes[i]}); !ok {
			return nil
		}
	}
	v, at := newVector(n), 0
	for i, name := range names {
		l.vector(parts[i], name, v, at, nil)
		at += sizes[i]
	}
	return v
}

func newVector(n int) *tensor.Tensor { return tensor.FromSlice(make([]float32, n), 1, n) }

// vector reads a tensor [n] of that name to the elements of v from at on.
func (l *Loader) vector(t checkpoint.Tensor, name string, v *tensor.Tensor, at int, row func(i int) int) {
	n := t.Len()
	stored := make([]float32, n)
	if err := t.Float32(stored); err != nil {
		l.fail(err)
		return
	}
	t.Release()
	l.finite(name, stored)
	l.plan.tensor(t.As(checkpoint.F32))
	dst := v.Data[at : at+n]
	copy(dst, stored)
	if row != nil {
		for i := range dst {
			dst[i] = stored[row(i)]
		}
	}
	if l.trains(name) {
		l.trainVector(name, v, at, n, row)
	}
}

func (l *Loader) finite(name string, data []float32) {
	if i := tensor.NotFinite(data); i >= 0 {
		l.fail(fmt.Errorf("%s: tensor %q: element %d is %v", l.file.Path(), name, i, data[i]))
	}
}

// Router returns the projection that chooses a mixture's experts.
func (l *Loader) Router(name string, experts, in int) nn.Linear {
	return l.layer(nil, l.Weight(name+".weight", experts, in, Layout{Exact: true}))
}

// Linear returns the projections of names (without ".weight"), out outputs
// each over in inputs, side by side; with bias where bias is set.
func (l *Loader) Linear(names []string, outs []int, in int, bias bool) nn.Linear {
	weights, biases := make([]*tensor.Weight, len(names)), make([]string, len(names))
	for i, name := range names {
		weights[i] = l.Weight(name+".weight", outs[i], in, Layout{})
		biases[i] = name + ".bias"
	}
	if bias {
		return l.layer(l.Vectors(biases, outs), weights...)
	}
	return l.layer(nil, weights...)
}

// Layout says how a stored matrix differs from [out, in].
type Layout struct {
	Conv1D bool              // stored as [in, out] (GPT-2)
	Row    func(out int) int // the stored row of an output; nil: the same
	Rows   int               // stored rows, where more than out
	Scale  float32           // 0: none
	Exact  bool              // float32 in every dtype: a small error would change which experts run
}

// Weight packs the matrix of that name. In a packed file it lies as it is
// wanted, already in its final layout, and is taken as it is unless another
// type is asked for.
func (l *Loader) Weight(name string, out, in int, layout Layout) *tensor.Weight {
	p, ok := l.packer(name, out, in, layout)
	if !ok {
		return nil
	}
	if l.plan != nil {
		l.fail(l.plan.panels(p, l.pool))
		l.adapter.adapt(l, p, layout)
		return p.w
	}
	if err := p.run(l.pool); err != nil {
		l.fail(err)
		return nil
	}
	l.bytes += p.w.Bytes()
	l.bf16 = l.bf16 || p.w.DType == tensor.BF16
	if l.trains(name) {
		l.trainWeight(p)
	}
	l.adapter.adapt(l, p, layout)
	return p.w
}

// packer returns what will pack a matrix.
func (l *Loader) packer(name string, out, in int, layout Layout) (*packer, bool) {
	if t, ok := l.tensor(name); ok && t.Panels != nil {
		layout = Layout{Exact: layout.Exact}
	}
	rows := max(out, layout.Rows)
	shape := []int{rows, in}
	if layout.Conv1D {
		shape = []int{in, rows}
	}
	t, ok := l.take(name, shape)
	w := &tensor.Weight{Name: name, Out: out, In: in}
	return &packer{t: t, layout: layout, w: w, dtype: l.target(name, t, in, layout), scratch: &l.work, room: l.room}, ok
}

// room returns memory for panels, which goes with the model. Small matrices share
// large pieces, so that the system's pages of 2 MB hold them, too: to get them by
// 4 kB took a third of the time of loading.
func (l *Loader) room(n int) ([]byte, error) {
	const small, shared = 4 << 20, 32 << 20
	if n > small {
		b, err := mmap.Anonymous(n)
		l.memory = append(l.memory, b)
		return b, err
	}
	if len(l.rest) < n {
		b, err := mmap.Anonymous(shared)
		if err != nil {
			return nil, err
		}
		l.memory = append(l.memory, b)
		l.rest = b
	}
	const align = 64 // a line of the cache
	b := l.rest[:n:n]
	l.rest = l.rest[min((n+align-1)/align*align, len(l.rest)):]
	return b, nil
}

// Table returns the embedding of that name as it lies in the file; rows are
// widened, and checked, when they are looked up.
func (l *Loader) Table(name string, rows, cols int) *tensor.Table {
	t, ok := l.take(name, []int{rows, cols})
	if !ok {
		return nil
	}
	l.plan.tensor(t.As(t.DType))
	table := &tensor.Table{Name: name, Rows: rows, Cols: cols, Row: func(dst []float32, i int) error {
		if err := t.Row(dst, i); err != nil {
			return err
		}
		if k := tensor.NotFinite(dst); k >= 0 {
			return fmt.Errorf("%s: tensor %q: element [%d, %d] is %v", t.File, name, i, k, dst[k])
		}
		return nil
	}}
	l.adapter.embedding(l, name)
	if l.trains(name) {
		l.trainTable(table, t)
	}
	return table
}

// WeightTable returns a lookup of a packed weight's rows: a tied embedding.
func WeightTable(w *tensor.Weight) *tensor.Table {
	if w == nil {
		return nil
	}
	if w.Value != nil {
		return &tensor.Table{Name: w.Name, Rows: w.Out, Cols: w.In, Row: rowsOf(w.Value, w.In), Tied: w}
	}
	return &tensor.Table{Name: w.Name, Rows: w.Out, Cols: w.In, Row: func(dst []float32, i int) error {
		w.Row(dst, i)
		return nil
	}}
}

// target chooses the type of a packed weight: what --dtype asks for, or the
// stored one. A row that is no multiple of a block stays float32, and so does what
// is trained on one row of a sequence: bfloat16 products take rows in pairs, and
// the split into micro-batches would show.
func (l *Loader) target(name string, t checkpoint.Tensor, in int, layout Layout) checkpoint.DType {
	if layout.Exact || l.train && strings.Contains(name, "pooler.") {
		return checkpoint.F32
	}
	want := map[DType]checkpoint.DType{F32: checkpoint.F32, BF16: checkpoint.BF16, Q8_0: checkpoint.Q8_0, Q4_0: checkpoint.Q4_0}[l.dtype]
	if l.dtype == Auto {
		want = t.DType
	}
	if want != checkpoint.BF16 && l.trains(name) {
		return checkpoint.F32 // values are
	}
	if want.HasPanels(in) {
		return want
	}
	return checkpoint.F32
}

// Rest fails when the checkpoint has tensors that nothing took and that no
// pattern of ignore (a substring) covers: a model with parts that the family
// does not know would silently be another model.
func (l *Loader) Rest(ignore ...string) {
next:
	for _, name := range l.file.Names() {
		if l.taken[name] {
			continue
		}
		if (l.fresh != nil || l.adapter != nil) && IsHead(name) {
			continue // of the head that the checkpoint had
		}
		for _, s := range ignore {
			if strings.Contains(name, s) {
				continue next
			}
		}
		l.fail(fmt.Errorf("%s: tensor %q does not belong to this family", l.file.Path(), name))
		return
	}
}
