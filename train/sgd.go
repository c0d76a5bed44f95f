package train

import (
	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/nn"
)

// SGDOptions are the options of SGD, in the words of torch.optim.SGD.
type SGDOptions struct {
	Momentum    float64
	Nesterov    bool
	WeightDecay float64                // added to the gradient
	Decay       func(p *nn.Param) bool // what decays; nil: matrices, not norms and biases
}

// SGD is stochastic gradient descent with momentum, as PyTorch computes it: the
// first gradient begins the momentum undamped.
type SGD struct {
	params []*nn.Param
	chunks []chunk
	o      SGDOptions
	state  State // momentum_buffer; nothing without momentum
	mem    []byte
	lr     float32
}

// NewSGD returns an optimizer of params. It fails where there is not enough
// memory.
func NewSGD(params []*nn.Param, o SGDOptions) (*SGD, error) {
	if o.Decay == nil {
		o.Decay = Matrix
	}
	s := &SGD{params: params, chunks: chunksOf(params), o: o}
	if o.Momentum == 0 {
		return s, nil
	}
	var err error
	s.state, s.mem, err = newState(params, "momentum_buffer")
	return s, err
}

// Step makes one update.
func (s *SGD) Step(pool *kernel.Pool, lr float64) {
	s.lr = float32(lr)
	pool.Run(s, len(s.chunks))
	s.state.Steps++
}

// Do updates a chunk: with g = gradient + decay·p and v = momentum·v + g it is
// p −= lr·v, or by Nesterov lr·(g + momentum·v).
func (s *SGD) Do(_, i int) {
	c := s.chunks[i]
	param := s.params[c.param]
	p, g := param.Value[c.from:c.to], param.Grad[c.from:c.to]
	decay, momentum := float32(0), float32(s.o.Momentum)
	if s.o.Decay(param) {
		decay = float32(s.o.WeightDecay)
	}
	var v []float32
	if momentum != 0 {
		v = s.state.Tensors[c.param].Data[c.from:c.to]
	}
	for j := range p {
		d := g[j] + float32(decay*p[j])
		switch {
		case v == nil:
		case s.state.Steps == 0:
			v[j] = d
		default:
			v[j] = float32(momentum*v[j]) + d
		}
		switch {
		case v == nil:
		case s.o.Nesterov:
			d += float32(momentum * v[j])
		default:
			d = v[j]
		}
		p[j] -= float32(s.lr * d)
	}
}

// State returns the momentum.
func (s *SGD) State() *State { return &s.state }

// Close gives the memory of the state back.
func (s *SGD) Close() error { return mmap.Free(s.mem) }
