package train

import (
	"errors"
	"math"
	"strings"

	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/nn"
)

// MuonOptions are the options of Muon.
type MuonOptions struct {
	Momentum    float64
	Beta2       float64 // of the second moment per neuron
	WeightDecay float64

	// Classic is Keller Jordan's form: Newton-Schulz with one polynomial, decay
	// of everything, and nothing but the momentum remembered.
	Classic bool

	Takes func(p *nn.Param) bool // what Muon changes; nil: matrices of blocks
	Rest  AdamWOptions           // for all other parameters
	// RestRate is the learning rate of the rest, as a part of Muon's.
	RestRate float64
}

// DefaultMuon has the values of nanochat's optim.py and base_train.py for
// matrices, and a rate for the rest that suits embeddings tied to the head.
var DefaultMuon = MuonOptions{
	Momentum: 0.95, Beta2: 0.9, WeightDecay: 0.2,
	Rest:     AdamWOptions{Beta1: 0.8, Beta2: 0.95, Eps: 1e-10},
	RestRate: 0.15,
}

// Muon changes a matrix by its momentum made orthogonal, and all other
// parameters as AdamW does. (Jordan et al. 2024; nanochat's form of 2026 adds
// equilibrated rows, arXiv 2603.28254, the polynomials of Polar Express, arXiv
// 2505.16932, the norm of an orthogonal matrix, arXiv 2602.21545, a second moment
// per neuron, arXiv 2510.05491, and decay only where it goes the update's way.)
type Muon struct {
	o        MuonOptions
	matrices []*nn.Param
	state    State // momentum_buffer of the matrices, their second_momentum_buffer, the rest's
	mem      []byte
	rest     *AdamW
	ortho    orthogonalizer
	scale    []float32 // scratch: a number for each row or column
	task     muonTask
}

// BlockMatrix says whether a parameter is a matrix inside a block: its name
// counts the blocks (model.layers.3.mlp.up_proj.weight). Embeddings and heads
// are none.
func BlockMatrix(p *nn.Param) bool {
	if len(p.Shape) != 2 {
		return false
	}
	for part := range strings.SplitSeq(p.Name, ".") {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			return true
		}
	}
	return false
}

// NewMuon returns an optimizer of params. It fails where there is not enough
// memory.
func NewMuon(params []*nn.Param, o MuonOptions) (*Muon, error) {
	if o.Takes == nil {
		o.Takes = BlockMatrix
	}
	m := &Muon{o: o}
	var rest []*nn.Param
	most, longest := 0, 0
	var lens []int
	for _, p := range params {
		if !o.Takes(p) {
			rest = append(rest, p)
			continue
		}
		rows, cols := shapeOf(p)
		m.matrices = append(m.matrices, p)
		lens = append(lens, len(p.Value))
		most, longest = max(most, len(p.Value)), max(longest, rows, cols)
	}
	for _, p := range m.matrices {
		rows, cols := shapeOf(p)
		lens = append(lens, max(rows, cols))
	}
	if o.Classic {
		lens = lens[:len(m.matrices)]
	}
	return m, m.allocate(lens, rest, most, longest)
}

func (m *Muon) allocate(lens []int, rest []*nn.Param, most, longest int) (err error) {
	var data [][]float32
	data, m.mem, err = zeros(lens...)
	if err != nil {
		return err
	}
	for i, d := range data {
		kind := "momentum_buffer."
		if i >= len(m.matrices) {
			kind = "second_momentum_buffer."
		}
		m.state.Tensors = append(m.state.Tensors, StateTensor{Name: kind + m.matrices[i%len(m.matrices)].Name, Data: d})
	}
	if m.rest, err = NewAdamW(rest, m.o.Rest); err != nil {
		return errors.Join(err, mmap.Free(m.mem))
	}
	m.state.Tensors = append(m.state.Tensors, m.rest.state.Tensors...)
	m.scale = make([]float32, longest)
	if err = m.ortho.allocate(m.matrices, most); err != nil {
		return errors.Join(err, m.rest.Close(), mmap.Free(m.mem))
	}
	return nil
}

// shapeOf returns the shape of a matrix as it lies in memory.
func shapeOf(p *nn.Param) (outs, in int) {
	outs = p.Shape[0]
	if p.Conv1D {
		outs = p.Shape[1]
	}
	return outs, len(p.Value) / outs
}

// Step makes one update; lr is the rate of the matrices.
func (m *Muon) Step(pool *kernel.Pool, lr float64) {
	for i := range m.matrices {
		m.update(pool, i, lr)
	}
	m.rest.state.Steps = m.state.Steps
	m.rest.Step(pool, lr*m.o.RestRate)
	m.state.Steps++
}

// State returns the momentum and second moments, and what AdamW remembers of the
// rest.
func (m *Muon) State() *State { return &m.state }

// Close gives the memory of the state back.
func (m *Muon) Close() error {
	return errors.Join(m.rest.Close(), m.ortho.close(), mmap.Free(m.mem))
}

// update changes matrix i.
func (m *Muon) update(pool *kernel.Pool, i int, lr float64) {
	p := m.matrices[i]
	rows, cols := shapeOf(p)
	rate := lr * math.Sqrt(max(1, float64(rows)/float64(cols)))
	t := &m.task
	*t = muonTask{
		p: p.Value, g: p.Grad, momentum: m.state.Tensors[i].Data, x: m.ortho.x[:len(p.Value)], cols: cols,
		scale: m.scale[:rows], keep: float32(m.o.Momentum), fresh: float32(1 - m.o.Momentum),
		rate: float32(rate),
	}
	t.run(pool, rows, (*muonTask).advance)
	m.equilibrate(t.scale)
	t.run(pool, rows, (*muonTask).scaleRow)
	if m.o.Classic {
		m.ortho.run(pool, rows, cols, newtonSchulz)
		t.decay = float32(lr * m.o.WeightDecay)
		t.run(pool, rows, (*muonTask).descend)
		return
	}
	m.ortho.run(pool, rows, cols, polarExpress)
	t.decay = float32(rate * m.o.WeightDecay)
	t.byColumn = rows < cols
	m.even(pool, t, rows, m.state.Tensors[len(m.matrices)+i].Data)
	t.run(pool, rows, (*muonTask).descendCautiously)
}

// equilibrate turns the norms of rows into what rows are multiplied with before
// they are made orthogonal: the spectral norm is then below 1, because the
// Frobenius norm is.
func (m *Muon) equilibrate(norms []float32) {
	const (
		classicLeast = 1e-7
		leastNorm    = 1e-6
		margin       = 1.01
	)
	total := norm64(norms)
	if m.o.Classic {
		for i := range norms {
			norms[i] = float32(1 / (total + classicLeast))
		}
		return
	}
	target := total / math.Sqrt(float64(len(norms)))
	sum := 0.0
	for i, n := range norms {
		scale := target / max(float64(n), leastNorm)
		sum += scale * float64(n) * scale * float64(n)
		norms[i] = float32(scale)
	}
	all := 1 / (math.Sqrt(sum)*margin + leastNorm)
	for i := range norms {
		norms[i] = float32(float64(norms[i]) * all)
	}
}

func norm64(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// even sets the scale of every neuron, which is a row of a tall matrix and a
// column of a wide one: by the second moment of its updates, such that the norm of
// the whole update is that of an orthogonal matrix.
func (m *Muon) even(pool *kernel.Pool, t *muonTask, rows int, second []float32) {
	const leastNorm, leastMoment = 1e-6, 1e-10
	n := len(second) // neurons
	t.scale = m.scale[:n]
	if t.byColumn {
		clear(t.scale)
		for r := range rows {
			row := t.x[r*t.cols:][:t.cols]
			kernel.MulAdd(t.scale, row, row)
		}
	} else {
		t.run(pool, rows, (*muonTask).square)
	}
	squares := t.scale
	total := 0.0
	for _, s := range squares {
		total += float64(s)
	}
	width := float64(len(t.x) / n) // elements of a neuron
	renorm := math.Sqrt(min(width, float64(n))) / max(math.Sqrt(total), leastNorm)
	keep, after := m.o.Beta2, 0.0
	for i, s := range squares {
		mean := float64(s) * renorm * renorm / width
		second[i] = float32(keep*float64(second[i]) + (1-keep)*mean)
		step := 1 / math.Sqrt(max(float64(second[i]), leastMoment))
		after += mean * width * step * step
		t.scale[i] = float32(step)
	}
	all := renorm * renorm * math.Sqrt(total) / max(math.Sqrt(after), leastMoment)
	for i := range t.scale {
		t.scale[i] = float32(float64(t.scale[i]) * all)
	}
}

// muonTask works on the rows of one matrix.
type muonTask struct {
	do                func(t *muonTask, r int)
	p, g, momentum, x []float32
	cols              int
	scale             []float32 // of the rows or columns
	byColumn          bool
	keep, fresh       float32 // momentum and 1 − momentum
	rate, decay       float32
	rows              int
}

// muonRows is how many rows are an item of a region.
const muonRows = 16

func (t *muonTask) run(pool *kernel.Pool, rows int, do func(t *muonTask, r int)) {
	t.do, t.rows = do, rows
	pool.Run(t, (rows+muonRows-1)/muonRows)
}

// Do works on a group of rows.
func (t *muonTask) Do(_, i int) {
	for r := i * muonRows; r < min((i+1)*muonRows, t.rows); r++ {
		t.do(t, r)
	}
}

func (t *muonTask) row(of []float32, r int) []float32 { return of[r*t.cols:][:t.cols] }

// advance takes the gradient into the momentum, looks ahead by it (Nesterov) and
// measures the row.
func (t *muonTask) advance(r int) {
	g, v, x := t.row(t.g, r), t.row(t.momentum, r), t.row(t.x, r)
	for i := range x {
		v[i] = float32(t.keep*v[i]) + float32(t.fresh*g[i])
		x[i] = float32(t.keep*v[i]) + float32(t.fresh*g[i])
	}
	t.scale[r] = float32(math.Sqrt(float64(kernel.SumSquares(x))))
}

func (t *muonTask) scaleRow(r int) {
	x := t.row(t.x, r)
	kernel.Scale(x, x, t.scale[r])
}

func (t *muonTask) square(r int) { t.scale[r] = kernel.SumSquares(t.row(t.x, r)) }

func (t *muonTask) descend(r int) {
	p, x := t.row(t.p, r), t.row(t.x, r)
	for i := range p {
		p[i] = float32((1-t.decay)*p[i]) - float32(t.rate*x[i])
	}
}

func (t *muonTask) descendCautiously(r int) {
	p, x := t.row(t.p, r), t.row(t.x, r)
	for i := range p {
		at := r
		if t.byColumn {
			at = i
		}
		u := float32(x[i] * t.scale[at])
		step := float32(t.rate * u)
		if float32(u*p[i]) >= 0 {
			step += float32(t.decay * p[i])
		}
		p[i] -= step
	}
}
