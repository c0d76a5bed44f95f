// Package tensor has the tensors of a forward (and backward) pass and the
// operations on them. Activations are float32 matrices [tokens, features] in
// an arena outside the Go heap; weights are matrices [out, in] in panels.
package tensor

import (
	"fmt"
	"unsafe"

	"wenmo/kernel"
)

// Tensor is a row-major float32 matrix; rows may lie Stride elements apart, so
// that a tensor can be a view of some columns of another.
type Tensor struct {
	Rows, Cols, Stride int
	Data               []float32
	Grad               []float32 // of the same layout; nil: not wanted, or not there yet

	base  *Tensor // whose elements, from at on, a view shares
	at    int
	taped bool // made while recording: Backward finds memory for its gradient
}

// Row returns row i, sharing memory.
func (t *Tensor) Row(i int) []float32 {
	return t.Data[i*t.Stride : i*t.Stride+t.Cols : i*t.Stride+t.Cols]
}

// FromSlice returns a tensor [rows, cols] over data.
func FromSlice(data []float32, rows, cols int) *Tensor {
	if len(data) < rows*cols {
		panic(fmt.Sprintf("tensor: %d values for a tensor [%d, %d]", len(data), rows, cols))
	}
	return &Tensor{Rows: rows, Cols: cols, Stride: cols, Data: data}
}

// Graph runs operations. It owns the memory of their results, which live until
// Reset, and hands parallel regions to a pool. A graph is used by one
// goroutine at a time.
type Graph struct {
	pool  *kernel.Pool
	mem   arena
	heads []*[128]Tensor
	used  int
	tasks tasks
	err   error

	tape *tape // nil while nothing is recorded
	kept tape
	drop dropout

	training  bool        // recording, or in a segment that will run again
	recompute bool        // segments run again when the tape goes back
	inner     []node      // memory of the tape of a segment
	spareFree [][]float32 // memory of its list of free memory
}

// tasks are the bodies of parallel regions, kept here so that running one
// allocates nothing.
type tasks struct {
	linear    linearTask
	rows      rowTask
	attention attentionTask
	store     storeTask
	node      node // of a forward that runs as a loop
	loop      loopTask
	pack      packTask
	matMul    matMulTask
	norms     normTask
	back32    linearBackTask[float32]
	back16    linearBackTask[uint16]

	attention32 attentionBack[float32]
	attention16 attentionBack[uint16]
}

// NewGraph returns a graph whose regions run on pool.
func NewGraph(pool *kernel.Pool) *Graph { return &Graph{pool: pool} }

// Pool returns the pool that the graph's regions run on.
func (g *Graph) Pool() *kernel.Pool { return g.pool }

// Reset takes back the memory of all results since the last Reset.
func (g *Graph) Reset() {
	g.mem.reset()
	g.used = 0
	g.err = nil
	g.kept.reset()
	g.drop.rows = nil
}

// Mark is a place in a pass: see Reuse.
type Mark struct{ chunk, bytes, heads int }

// Mark returns the place where the pass is.
func (g *Graph) Mark() Mark { return Mark{g.mem.at, g.mem.used, g.used} }

// Reuse copies x into keep, which is older than the mark, takes back the memory
// of everything made since the mark, and returns keep: a pass needs memory for
// half a layer, not for all. In training, which needs all, it returns x.
func (g *Graph) Reuse(m Mark, x, keep *Tensor) *Tensor {
	if g.training {
		return x
	}
	for i := range x.Rows {
		copy(keep.Row(i), x.Row(i))
	}
	g.rewind(m)
	return keep
}

// rewind takes back the memory of everything made since the mark.
func (g *Graph) rewind(m Mark) { g.mem.at, g.mem.used, g.used = m.chunk, m.bytes, m.heads }

// Close returns the graph's memory to the system. Its tensors must no longer
// be used.
func (g *Graph) Close() { g.mem.close() }

// Err returns the first error of an operation since Reset: a bad id, a weight
// file that can no longer be read.
func (g *Graph) Err() error { return g.err }

// Fail records the first error of the pass.
func (g *Graph) Fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

// New returns a tensor [rows, cols] with undefined contents.
func (g *Graph) New(rows, cols int) *Tensor {
	return g.header(Tensor{Rows: rows, Cols: cols, Stride: cols, Data: alloc[float32](&g.mem, rows*cols), taped: g.tape != nil})
}

// Columns returns the view of columns [from, to) of t.
func (g *Graph) Columns(t *Tensor, from, to int) *Tensor {
	v := t.view(from)
	v.Cols = to - from
	if t.Rows > 0 {
		v.Data = t.Data[from : (t.Rows-1)*t.Stride+to]
	}
	return g.header(v)
}

// view returns a view of t that begins at an element, without its Data.
func (t *Tensor) view(at int) Tensor {
	v := Tensor{Rows: t.Rows, Cols: t.Cols, Stride: t.Stride, base: t, at: at}
	if t.base != nil {
		v.base, v.at = t.base, t.at+at
	}
	return v
}

// RowRange returns the view of n rows of t from row first.
func (g *Graph) RowRange(t *Tensor, first, n int) *Tensor {
	v := t.view(first * t.Stride)
	v.Rows = n
	v.Data = t.Data[first*t.Stride : (first+n-1)*t.Stride+t.Cols]
	return g.header(v)
}

func (g *Graph) header(t Tensor) *Tensor {
	const n = 128
	if g.used == n*len(g.heads) {
		g.heads = append(g.heads, new([n]Tensor))
	}
	p := &g.heads[g.used/n][g.used%n]
	*p = t
	g.used++
	return p
}

// alloc returns n elements of an arena, aligned to 64 bytes.
func alloc[T float32 | uint16 | int8 | int32 | [2]int16](a *arena, n int) []T {
	if n == 0 {
		return nil
	}
	var zero T
	b := a.alloc(n * int(unsafe.Sizeof(zero)))
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}

// NotFinite returns the index of the first NaN or infinity, or −1.
func NotFinite(x []float32) int {
	bad := float32(0) // stays 0 while all are finite
	for _, v := range x {
		bad += v - v
	}
	if bad == 0 {
		return -1
	}
	for i, v := range x {
		if v-v != 0 {
			return i
		}
	}
	return -1
}
