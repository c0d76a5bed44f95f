package train

import (
	"math"

	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/nn"
)

// AdamWOptions are the options of AdamW, in the words of torch.optim.AdamW.
type AdamWOptions struct {
	Beta1, Beta2 float64
	Eps          float64
	WeightDecay  float64
	Decay        func(p *nn.Param) bool // what decays; nil: matrices, not norms and biases
}

// DefaultAdamW has the values of torch.optim.AdamW.
var DefaultAdamW = AdamWOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01}

// AdamW is Adam with decoupled weight decay (Loshchilov & Hutter 2019,
// algorithm 2), as PyTorch computes it.
type AdamW struct {
	params []*nn.Param
	chunks []chunk
	o      AdamWOptions
	state  State // exp_avg of all parameters, then exp_avg_sq
	mem    []byte

	decay, keep kernel.AdamWStep // of this step: with and without weight decay
}

// NewAdamW returns an optimizer of params. It fails where there is not enough
// memory.
func NewAdamW(params []*nn.Param, o AdamWOptions) (*AdamW, error) {
	if o.Decay == nil {
		o.Decay = Matrix
	}
	state, mem, err := newState(params, "exp_avg", "exp_avg_sq")
	if err != nil {
		return nil, err
	}
	return &AdamW{params: params, chunks: chunksOf(params), o: o, state: state, mem: mem}, nil
}

// Step makes one update.
func (a *AdamW) Step(pool *kernel.Pool, lr float64) {
	a.state.Steps++
	n := float64(a.state.Steps)
	a.keep = kernel.AdamWStep{
		Keep:  1,
		Beta1: float32(a.o.Beta1), New1: float32(1 - a.o.Beta1),
		Beta2: float32(a.o.Beta2), New2: float32(1 - a.o.Beta2),
		Root: float32(1 / math.Sqrt(1-math.Pow(a.o.Beta2, n))),
		Eps:  float32(a.o.Eps),
		Rate: float32(lr / (1 - math.Pow(a.o.Beta1, n))),
	}
	a.decay = a.keep
	a.decay.Keep = float32(1 - lr*a.o.WeightDecay)
	pool.Run(a, len(a.chunks))
}

// Do updates a chunk.
func (a *AdamW) Do(_, i int) {
	c := a.chunks[i]
	p := a.params[c.param]
	m, v := a.state.Tensors[c.param].Data, a.state.Tensors[len(a.params)+c.param].Data
	step := &a.keep
	if a.o.Decay(p) {
		step = &a.decay
	}
	kernel.AdamW(p.Value[c.from:c.to], m[c.from:c.to], v[c.from:c.to], p.Grad[c.from:c.to], step)
}

// State returns the averages of gradients and of their squares.
func (a *AdamW) State() *State { return &a.state }

// Close gives the memory of the state back.
func (a *AdamW) Close() error { return mmap.Free(a.mem) }
