package train

import (
	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/nn"
)

// A quintic a·X + b·(XXᵀ)X + c·(XXᵀ)²X acts on the singular values of X.
type quintic struct{ a, b, c float32 }

// newtonSchulz is the iteration of Keller Jordan's Muon.
var newtonSchulz = []quintic{
	{3.4445, -4.7750, 2.0315}, {3.4445, -4.7750, 2.0315}, {3.4445, -4.7750, 2.0315},
	{3.4445, -4.7750, 2.0315}, {3.4445, -4.7750, 2.0315},
}

// polarExpress has the best polynomials of five steps, with safety factor 2e-2
// and cushion 2. (Amsel et al. 2025, arXiv 2505.16932, algorithm 1; as nanochat.)
var polarExpress = []quintic{
	{8.156554524902461, -22.48329292557795, 15.878769915207462},
	{4.042929935166739, -2.808917465908714, 0.5000178451051316},
	{3.8916678022926607, -2.772484153217685, 0.5060648178503393},
	{3.285753657755655, -2.3681294933425376, 0.46449024233003106},
	{2.3465413258596377, -1.7097828382687081, 0.42323551169305323},
}

// orthogonalizer moves the singular values of a matrix to 1. Its products run on
// panels, as those of the model do.
type orthogonalizer struct {
	x, turned  []float32 // the matrix, and a tall one's transpose
	gram, poly []float32 // XXᵀ, and b·XXᵀ + c·(XXᵀ)²
	scaled     []float32 // c·XXᵀ
	panels     []float32
	mem        []byte
	task       orthoTask
}

func (o *orthogonalizer) allocate(matrices []*nn.Param, most int) (err error) {
	square, panels, tall := 0, 0, 0
	for _, p := range matrices {
		rows, cols := shapeOf(p)
		if rows > cols {
			tall = max(tall, len(p.Value))
		}
		n, k := min(rows, cols), max(rows, cols)
		square = max(square, n*n)
		panels = max(panels, kernel.PanelLenF32(n, k), kernel.PanelLenF32(k, n))
	}
	data, mem, err := zeros(most, tall, square, square, square, panels)
	if err != nil {
		return err
	}
	o.x, o.turned, o.gram, o.poly, o.scaled, o.panels = data[0], data[1], data[2], data[3], data[4], data[5]
	o.mem = mem
	return nil
}

func (o *orthogonalizer) close() error { return mmap.Free(o.mem) }

// run replaces x [rows, cols], whose norm is at most 1, by its orthogonal factor,
// nearly.
func (o *orthogonalizer) run(pool *kernel.Pool, rows, cols int, steps []quintic) {
	x := o.x[:rows*cols]
	if rows > cols {
		o.task = orthoTask{dst: o.turned, x: x, m: cols, k: rows}
		o.region(pool, (*orthoTask).transpose, (cols+blockRows-1)/blockRows)
		x, rows, cols = o.turned[:rows*cols], cols, rows
	}
	for _, q := range steps {
		o.step(pool, x, rows, cols, q)
	}
	if len(o.turned) > 0 && &x[0] == &o.turned[0] {
		o.task = orthoTask{dst: o.x, x: x, m: cols, k: rows}
		o.region(pool, (*orthoTask).transpose, (cols+blockRows-1)/blockRows)
	}
}

// step applies a quintic to x [n, k], n ≤ k. XXᵀ and its square are symmetric to
// the bit, so the blocks above the diagonal are mirrored.
func (o *orthogonalizer) step(pool *kernel.Pool, x []float32, n, k int, q quintic) {
	gram, poly, scaled := o.gram[:n*n], o.poly[:n*n], o.scaled[:n*n]
	o.product(pool, orthoTask{dst: gram, x: x, w: x, m: n, k: k, n: n, symmetric: true})
	kernel.Scale(poly, gram, q.b)
	kernel.Scale(scaled, gram, q.c)
	o.product(pool, orthoTask{dst: poly, x: scaled, w: gram, m: n, k: n, n: n, symmetric: true, acc: true})
	o.pack(pool, orthoTask{w: x, k: n, n: k, byCol: true})
	kernel.Scale(x, x, q.a)
	o.multiply(pool, orthoTask{dst: x, x: poly, m: n, k: n, n: k, acc: true})
}

// product sets dst [m, n] = x [m, k] · wᵀ, w [n, k].
func (o *orthogonalizer) product(pool *kernel.Pool, t orthoTask) {
	o.pack(pool, t)
	o.multiply(pool, t)
	if t.symmetric {
		o.task = t
		o.region(pool, (*orthoTask).mirror, (t.m+blockRows-1)/blockRows)
	}
}

func (o *orthogonalizer) pack(pool *kernel.Pool, t orthoTask) {
	t.panels = o.panels
	o.task = t
	o.region(pool, (*orthoTask).pack, (t.n+blockCols-1)/blockCols)
}

func (o *orthogonalizer) multiply(pool *kernel.Pool, t orthoTask) {
	t.panels = o.panels
	t.across = (t.n + blockCols - 1) / blockCols
	o.task = t
	o.region(pool, (*orthoTask).multiply, t.across*((t.m+blockRows-1)/blockRows))
}

func (o *orthogonalizer) region(pool *kernel.Pool, do func(t *orthoTask, i int), n int) {
	o.task.do = do
	pool.Run(&o.task, n)
}

// Results are computed in blocks: those of a column use the same panels.
const blockRows, blockCols = 96, 96

// orthoTask is a region over the blocks of a product dst [m, n] = x [m, k] · w,
// w [n, k] or with byCol [k, n].
type orthoTask struct {
	do              func(t *orthoTask, i int)
	dst, x, w       []float32
	panels          []float32
	m, k, n, across int
	byCol, acc      bool
	symmetric       bool // blocks above the diagonal are left to mirror
}

// Do works on a block.
func (t *orthoTask) Do(_, i int) { t.do(t, i) }

// pack lays a run of outputs out as panels.
func (t *orthoTask) pack(i int) {
	from := i * blockCols
	n := min(blockCols, t.n-from)
	dst := t.panels[from*t.k:]
	if t.byCol {
		kernel.PackF32T(dst, t.w[from:], n, t.k, t.n)
	} else {
		kernel.PackF32(dst, t.w[from*t.k:], n, t.k, t.k)
	}
}

func (t *orthoTask) multiply(i int) {
	const panelWidth = 16
	row, col := i/t.across*blockRows, i%t.across*blockCols
	if t.symmetric && col > row {
		return
	}
	last := min(col+blockCols, t.n)
	kernel.MatMulF32(t.dst[row*t.n:], t.n, t.x[row*t.k:], t.k, min(blockRows, t.m-row), t.panels, t.k, t.n,
		col/panelWidth, (last+panelWidth-1)/panelWidth, t.acc)
}

// mirror fills the blocks right of the diagonal's in a run of rows.
func (t *orthoTask) mirror(i int) {
	from := i * blockRows
	to := min(from+blockRows, t.m)
	for c := to; c < t.n; c++ {
		for r := from; r < to; r++ {
			t.dst[r*t.n+c] = t.dst[c*t.n+r]
		}
	}
}

// transpose sets rows of dst [m, k] from x [k, m].
func (t *orthoTask) transpose(i int) {
	from := i * blockRows
	to := min(from+blockRows, t.m)
	for c := range t.k {
		for r := from; r < to; r++ {
			t.dst[r*t.k+c] = t.x[c*t.m+r]
		}
	}
}
