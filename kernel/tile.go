package kernel

// A tile is the work of one call of a micro-kernel: rows × panels outputs over
// a run of k. The chains of its outputs begin at +0, or with acc at what dst
// holds. Assembly reads the fields by offset (internal/asmgen/tile.go).
type tile[T float32 | uint16] struct {
	dst    []float32 // begins at the first output
	ldd    int       // elements between rows of dst
	x      []T       // begins at the first activation
	ldx    int       // elements between rows of x
	w      []T       // begins at the first panel
	step   int       // elements between panels
	k      int       // rows of 64 bytes in a panel
	rows   int
	panels int
	width  int // outputs of a panel; below 16 only where panels is 1
	acc    bool

	wide []float32 // for bfloat16 on AVX2: x as float32, rows of 2k
	done int       // set by bfloat16 on NEON: panels that are finished
}

// tilePlan is how a path cuts a product into tiles.
type tilePlan struct {
	rows   int // the most rows of a tile
	stream int // products of up to so many rows read a panel once, in one run of k
	limit  int // and of so many steps of k a tile, over all its panels, at most

	// Otherwise: the longest run of k, and how many panels over it stay in the
	// second-level cache while all rows pass.
	run, panels int
}

// A limit of 512 kB of panels keeps one call of assembly below about 50 µs.
const streamLimit = 512 << 10 / 64

// block is a tile's place in its product.
type block struct {
	k, run    int // first step of k, number of steps
	p, panels int
	row, rows int
	width     int
	acc       bool
}

// tiles calls do for every tile of m rows by the panels [p0, p1), of n outputs
// over k steps. Runs of k ascend, so that each chain goes on where it was left,
// and follow each other for one group of panels, while its outputs are still
// in a cache. acc says whether chains begin at what dst holds. The small products
// of attention are one tile.
func (plan *tilePlan) tiles(m, k, n, p0, p1 int, acc bool, do func(b block)) {
	if p0 < p1 && m <= plan.rows && k <= plan.run && p1-p0 <= plan.panels && p1*panelWidth <= n {
		do(block{run: k, p: p0, panels: p1 - p0, rows: m, width: panelWidth, acc: acc})
		return
	}
	run, group := plan.blocking(m, k)
	for g := p0; g < p1; g += group {
		end := min(g+group, p1)
		full := min(end, n/panelWidth)
		for k0 := 0; k0 == 0 || k0 < k; k0 += run {
			b := block{k: k0, run: min(run, k-k0), acc: acc || k0 > 0}
			for b.row = 0; b.row < m; b.row += b.rows {
				b.rows = plan.height(m - b.row)
				if b.p, b.panels, b.width = g, full-g, panelWidth; b.panels > 0 {
					do(b)
				}
				if full < end {
					b.p, b.panels, b.width = full, 1, n-full*panelWidth
					do(b)
				}
			}
		}
	}
}

// blocking returns the longest run of k and the number of panels in a group.
func (plan *tilePlan) blocking(m, k int) (run, group int) {
	if m <= plan.stream {
		run = max(1, min(k, plan.limit))
		return run, max(1, plan.limit/run)
	}
	runs := max(1, (k+plan.run-1)/plan.run)
	return max(1, (k+runs-1)/runs), plan.panels
}

// height returns the rows of the next tile where left remain: the most, but
// the last two share what is left, since low tiles are slow.
func (plan *tilePlan) height(left int) int {
	switch {
	case left <= plan.rows:
		return left
	case left < 2*plan.rows:
		return (left + 1) / 2
	}
	return plan.rows
}

// checkProduct panics where the slices are shorter than a product of m rows
// with panels up to p1 needs, since assembly does not look.
func checkProduct[T float32 | uint16 | int8](dst []float32, ldd int, x []T, ldx, m, k, n, p1, w, wNeeded int) {
	switch {
	case p1 > panels(n):
		panic("kernel: panels beyond the last output")
	case ldd < 0 || ldx < 0:
		panic("kernel: a negative stride")
	case len(dst) < (m-1)*ldd+min(n, p1*panelWidth):
		panic("kernel: too short a slice for the outputs")
	case len(x) < (m-1)*ldx+k:
		panic("kernel: too short a slice of activations")
	case w < wNeeded:
		panic("kernel: too short a slice of weights")
	}
}
