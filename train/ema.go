package train

import (
	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/nn"
)

// EMA is an exponential moving average of parameters. It begins at their values.
type EMA struct {
	params []*nn.Param
	chunks []chunk
	decay  float64
	state  State
	mem    []byte
	swap   bool // the region exchanges; else it averages
}

// NewEMA returns an average of params: each Step keeps the part decay of it. It
// fails where there is not enough memory.
func NewEMA(params []*nn.Param, decay float64) (*EMA, error) {
	state, mem, err := newState(params, "ema")
	if err != nil {
		return nil, err
	}
	for i, p := range params {
		copy(state.Tensors[i].Data, p.Value)
	}
	return &EMA{params: params, chunks: chunksOf(params), decay: decay, state: state, mem: mem}, nil
}

// Step takes the values of the parameters into the average.
func (e *EMA) Step(pool *kernel.Pool) {
	e.state.Steps++
	e.swap = false
	pool.Run(e, len(e.chunks))
}

// Swap exchanges the average with the values of the parameters, for validating
// or saving, and a second time back. Call Update of every parameter afterwards.
func (e *EMA) Swap(pool *kernel.Pool) {
	e.swap = true
	pool.Run(e, len(e.chunks))
}

// Do works on a chunk.
func (e *EMA) Do(_, i int) {
	c := e.chunks[i]
	avg, p := e.state.Tensors[c.param].Data[c.from:c.to], e.params[c.param].Value[c.from:c.to]
	if e.swap {
		for j := range p {
			avg[j], p[j] = p[j], avg[j]
		}
		return
	}
	kernel.Scale(avg, avg, float32(e.decay))
	kernel.AXPY(avg, float32(1-e.decay), p)
}

// State returns the average, as that of an optimizer.
func (e *EMA) State() *State { return &e.state }

// Close gives the memory of the average back.
func (e *EMA) Close() error { return mmap.Free(e.mem) }
