package tensor

import (
	"unsafe"

	"wenmo/kernel"
)

// element is the type of a product's operands: float32, or bfloat16 as uint16.
type element interface{ float32 | uint16 }

// panelLen returns the length of panels of n outputs over k.
func panelLen[T element](n, k int) int {
	if isBF16[T]() {
		return kernel.PanelLenBF16(n, k)
	}
	return kernel.PanelLenF32(n, k)
}

func isBF16[T element]() bool {
	var zero T
	return unsafe.Sizeof(zero) == 2
}

// packT lays k rows of n values of src out as panels over k: outputs are the
// columns.
func packT[T element](dst []T, src []float32, n, k, ld int) {
	switch dst := any(dst).(type) {
	case []float32:
		kernel.PackF32T(dst, src, n, k, ld)
	case []uint16:
		kernel.PackBF16T(dst, src, n, k, ld)
	}
}

// pack lays n rows of k values of src out as panels: outputs are the rows.
func pack[T element](dst []T, src []float32, n, k, ld int) {
	switch dst := any(dst).(type) {
	case []float32:
		kernel.PackF32(dst, src, n, k, ld)
	case []uint16:
		kernel.PackBF16(dst, src, n, k, ld)
	}
}

// matMul is kernel.MatMulF32 or kernel.MatMulBF16.
func matMul[T element](dst []float32, ldd int, x []T, ldx, m int, w []T, k, n, p0, p1 int, acc bool) {
	switch x := any(x).(type) {
	case []float32:
		kernel.MatMulF32(dst, ldd, x, ldx, m, any(w).([]float32), k, n, p0, p1, acc)
	case []uint16:
		kernel.MatMulBF16(dst, ldd, x, ldx, m, any(w).([]uint16), k, n, p0, p1, acc)
	}
}

// take returns n undefined elements, which live until Reset or give.
func take[T element](g *Graph, n int) []T {
	if n == 0 {
		return nil
	}
	return cast[T](g.take(floats[T](n)))[:n:n]
}

// give makes memory of take available again.
func give[T element](g *Graph, b []T) {
	if len(b) > 0 {
		g.give(unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), floats[T](len(b))))
	}
}

// floats returns how many float32 have the memory of n elements.
func floats[T element](n int) int {
	var zero T
	return (n*int(unsafe.Sizeof(zero)) + 3) / 4
}

func cast[T element](f []float32) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(&f[0])), len(f)*4/int(unsafe.Sizeof(zero)))
}

// operandLen returns how much memory rows of k values take as the left side of
// a product: float32 is used as it lies.
func operandLen[T element](rows, k int) int {
	if isBF16[T]() {
		return rows * ((k + 1) &^ 1)
	}
	return 0
}

// rowsOf returns rows of k values of src as the left side of a product, and
// the distance of its rows: src itself, or, rounded to bfloat16, dst.
func rowsOf[T element](dst []T, src []float32, ld, rows, k int) ([]T, int) {
	if !isBF16[T]() {
		return cast[T](src), ld
	}
	n := (k + 1) &^ 1
	for r := range rows {
		roundRow(dst[r*n:(r+1)*n], src[r*ld:][:k])
	}
	return dst, n
}

// operandTask is rowsOf on all threads.
type operandTask[T element] struct {
	dst         []T
	src         []float32
	ld, rows, k int
}

const operandRows = 64 // of a task

func (t *operandTask[T]) run(g *Graph) ([]T, int) {
	if !isBF16[T]() {
		return cast[T](t.src), t.ld
	}
	g.pool.Run(t, (t.rows+operandRows-1)/operandRows)
	return t.dst, (t.k + 1) &^ 1
}

func (t *operandTask[T]) Do(_, i int) {
	r := i * operandRows
	rowsOf(t.dst[r*((t.k+1)&^1):], t.src[r*t.ld:], t.ld, min(operandRows, t.rows-r), t.k)
}

// roundRow rounds a row to bfloat16 and fills up with zeros.
func roundRow[T element](dst []T, src []float32) {
	if d, ok := any(dst).([]uint16); ok {
		kernel.RoundBF16(d[:len(src)], src)
		clear(d[len(src):])
	}
}

// productTask multiplies m rows of x with all panels of w.
type productTask[T element] struct {
	dst      []float32
	x, w     []T
	ldd, ldx int
	m, k, n  int
	acc      bool

	rowStep, rowBlocks, colStep int
}

// run cuts the outputs into rectangles: few rows by panels alone.
func (t *productTask[T]) run(g *Graph) {
	panels := (t.n + 15) / 16
	t.rowStep, t.rowBlocks = t.m, 1
	if t.m > 2*linearRows {
		t.rowStep = linearRows
		t.rowBlocks = (t.m + linearRows - 1) / linearRows
	}
	tasks := 1
	if threads := g.pool.Threads(); threads > 1 {
		tasks = (4*threads + t.rowBlocks - 1) / t.rowBlocks
	}
	t.colStep = max(4, (panels+tasks-1)/tasks)
	g.pool.Run(t, t.rowBlocks*((panels+t.colStep-1)/t.colStep))
}

func (t *productTask[T]) Do(_, i int) {
	r0 := i % t.rowBlocks * t.rowStep
	p0 := i / t.rowBlocks * t.colStep
	m, p1 := min(t.rowStep, t.m-r0), min(p0+t.colStep, (t.n+15)/16)
	matMul(t.dst[r0*t.ldd:], t.ldd, t.x[r0*t.ldx:], t.ldx, m, t.w, t.k, t.n, p0, p1, t.acc)
}

// stepsTask packs k rows of n values as panels over k whose outputs are the
// columns: rows of src, or of a weight from row first on.
type stepsTask[T element] struct {
	dst      []T
	src      []float32
	ld       int
	w        *Weight
	first    int
	k, n     int
	unpacked []float32 // of the workers: rows of a weight that has no Value
}

const stepRows = 16 // of a task: even, and a panel of a weight

func (t *stepsTask[T]) run(g *Graph) {
	if t.w != nil && t.w.Value != nil {
		t.src, t.ld = t.w.Value[t.first*t.n:], t.n
	}
	if t.src == nil {
		t.ld = t.n
		t.unpacked = g.take(g.pool.Threads() * stepRows * t.n)
	}
	g.pool.Run(t, (t.k+stepRows-1)/stepRows)
	g.give(t.unpacked)
}

func (t *stepsTask[T]) Do(worker, i int) {
	k0 := i * stepRows
	rows := min(stepRows, t.k-k0)
	var src []float32
	if t.src != nil {
		src = t.src[k0*t.ld:]
	} else {
		src = t.unpacked[worker*stepRows*t.n:][:stepRows*t.n]
		for r := range rows {
			t.w.Row(src[r*t.n:(r+1)*t.n], t.first+k0+r)
		}
	}
	panel := panelLen[T](16, t.k)
	at := panelLen[T](16, k0)
	for p := 0; 16*p < t.n; p++ {
		packT(t.dst[p*panel+at:], src[16*p:], min(16, t.n-16*p), rows, t.ld)
	}
}
