package train

import (
	"math"

	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/nn"
)

// AdafactorOptions are the options of Adafactor, in the words of transformers.
type AdafactorOptions struct {
	Eps         [2]float64 // added to squared gradients; least scale of a parameter
	Clip        float64    // the root mean square of an update is at most this
	DecayRate   float64    // β₂ of step t is 1 − t^DecayRate
	Beta1       float64    // of an average of updates; 0: none, which saves its memory
	WeightDecay float64
	Decay       func(p *nn.Param) bool // what decays; nil: matrices, not norms and biases

	ScaleParameter bool // the rate is relative to a parameter's root mean square
	RelativeStep   bool // the rate follows from the step, not from the schedule
	WarmupInit     bool // and rises slowly then
}

// DefaultAdafactor has the values that transformers' documentation advises with a
// schedule of one's own.
var DefaultAdafactor = AdafactorOptions{Eps: [2]float64{1e-30, 1e-3}, Clip: 1, DecayRate: -0.8}

// Adafactor is Adam with the average of squared gradients of a matrix kept as
// that of its rows and that of its columns. (Shazeer & Stern 2018, algorithms 4
// and 5, as transformers computes them.)
type Adafactor struct {
	params []*nn.Param
	o      AdafactorOptions
	state  State
	parts  []adafactorState
	mem    []byte
	lr     float64 // of this step
}

// adafactorState is what there is of one parameter. A vector has squares alone.
type adafactorState struct {
	rows, cols, squares, average []float32
	rRoot, cRoot                 []float64 // scratch: what gradients are multiplied with
}

// update returns the update of element i, before clipping and scaling: the
// gradient over the root of its averaged square.
func (s *adafactorState) update(g []float32, i int) float64 {
	if s.squares != nil {
		return float64(g[i]) / math.Sqrt(float64(s.squares[i]))
	}
	n := len(s.cRoot)
	return float64(g[i]) * s.rRoot[i/n] * s.cRoot[i%n]
}

// NewAdafactor returns an optimizer of params. It fails where there is not enough
// memory.
func NewAdafactor(params []*nn.Param, o AdafactorOptions) (*Adafactor, error) {
	if o.Decay == nil {
		o.Decay = Matrix
	}
	a := &Adafactor{params: params, o: o, parts: make([]adafactorState, len(params))}
	var lens []int
	var to []*[]float32
	add := func(name string, p *nn.Param, n int, at *[]float32) {
		lens, to = append(lens, n), append(to, at)
		a.state.Tensors = append(a.state.Tensors, StateTensor{Name: name + "." + p.Name})
	}
	for i, p := range params {
		s := &a.parts[i]
		if Matrix(p) {
			rows, cols := shapeOf(p)
			add("exp_avg_sq_row", p, rows, &s.rows)
			add("exp_avg_sq_col", p, cols, &s.cols)
			s.rRoot, s.cRoot = make([]float64, rows), make([]float64, cols)
		} else {
			add("exp_avg_sq", p, len(p.Value), &s.squares)
		}
		if o.Beta1 != 0 {
			add("exp_avg", p, len(p.Value), &s.average)
		}
	}
	data, mem, err := zeros(lens...)
	if err != nil {
		return nil, err
	}
	for i, d := range data {
		*to[i], a.state.Tensors[i].Data = d, d
	}
	a.mem = mem
	return a, nil
}

// Step makes one update. With RelativeStep lr does not matter.
func (a *Adafactor) Step(pool *kernel.Pool, lr float64) {
	const warmupRate, mostRate = 1e-6, 1e-2
	a.state.Steps++
	a.lr = lr
	if n := float64(a.state.Steps); a.o.RelativeStep {
		most := mostRate
		if a.o.WarmupInit {
			most = warmupRate * n
		}
		a.lr = min(most, 1/math.Sqrt(n))
	}
	pool.Run(a, len(a.params))
}

// Do updates a parameter.
func (a *Adafactor) Do(_, i int) {
	p, s := a.params[i], &a.parts[i]
	keep := 1 - math.Pow(float64(a.state.Steps), a.o.DecayRate)
	lr := a.lr
	if a.o.ScaleParameter {
		lr *= max(a.o.Eps[1], norm64(p.Value)/math.Sqrt(float64(len(p.Value))))
	}
	if s.squares != nil {
		for i, x := range p.Grad {
			s.squares[i] = float32(keep*float64(s.squares[i]) + (1-keep)*(float64(x)*float64(x)+a.o.Eps[0]))
		}
	} else {
		a.factor(p.Grad, s, keep)
	}
	sum := 0.0
	for j := range p.Grad {
		u := s.update(p.Grad, j)
		sum += u * u
	}
	scale := lr / max(1, math.Sqrt(sum/float64(len(p.Grad)))/a.o.Clip)
	decay := 0.0
	if a.o.Decay(p) {
		decay = lr * a.o.WeightDecay
	}
	for j := range p.Value {
		u := scale * s.update(p.Grad, j)
		if s.average != nil {
			u = a.o.Beta1*float64(s.average[j]) + (1-a.o.Beta1)*u
			s.average[j] = float32(u)
		}
		p.Value[j] = float32(float64(p.Value[j])*(1-decay) - u)
	}
}

// factor averages the squared gradients of a matrix over rows and over columns.
func (a *Adafactor) factor(g []float32, s *adafactorState, keep float64) {
	n := len(s.cols)
	clear(s.cRoot)
	mean := 0.0
	for r := range s.rows {
		sum := 0.0
		for c, x := range g[r*n:][:n] {
			square := float64(x)*float64(x) + a.o.Eps[0]
			sum += square
			s.cRoot[c] += square
		}
		s.rows[r] = float32(keep*float64(s.rows[r]) + (1-keep)*sum/float64(n))
		mean += float64(s.rows[r])
	}
	mean /= float64(len(s.rows))
	for c, sum := range s.cRoot {
		s.cols[c] = float32(keep*float64(s.cols[c]) + (1-keep)*sum/float64(len(s.rows)))
		s.cRoot[c] = 1 / math.Sqrt(float64(s.cols[c]))
	}
	for r, v := range s.rows {
		s.rRoot[r] = math.Sqrt(mean / float64(v))
	}
}

// State returns the averages of squared gradients, and of updates.
func (a *Adafactor) State() *State { return &a.state }

// Close gives the memory of the state back.
func (a *Adafactor) Close() error { return mmap.Free(a.mem) }
