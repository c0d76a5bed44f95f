package train

import (
	"fmt"
	"unsafe"

	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/nn"
)

// Optimizer changes parameters by their gradients. It was made for a list of
// parameters and keeps state for each of them, outside the Go heap. The result
// of a step does not depend on the number of threads, and after the first a step
// allocates nothing. Who calls Step calls Update of every parameter afterwards.
type Optimizer interface {
	// Step makes one update at learning rate lr.
	Step(pool *kernel.Pool, lr float64)
	// State returns what the optimizer remembers, to be written to a checkpoint
	// or filled from one.
	State() *State
	// Close gives the memory of the state back.
	Close() error
}

// State is what an optimizer remembers between steps. It is a view: setting
// Steps and the data of the tensors restores an optimizer made for the same
// parameters with the same options.
type State struct {
	Steps   int64 // that have been made
	Tensors []StateTensor
}

// StateTensor is a part of a State. Its order never changes.
type StateTensor struct {
	Name string // what it is and for which parameter: exp_avg.lm_head.weight
	Data []float32
}

// zeros returns slices of the given lengths outside the Go heap, each aligned to
// a cache line, and the memory that they lie in.
func zeros(lens ...int) ([][]float32, []byte, error) {
	const align = 16 // elements
	total := 0
	for _, n := range lens {
		total += (n + align - 1) &^ (align - 1)
	}
	b, err := mmap.Anonymous(4 * total)
	if err != nil {
		return nil, nil, fmt.Errorf("state of the optimizer: %w", err)
	}
	all := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), total)
	out := make([][]float32, len(lens))
	for i, n := range lens {
		out[i] = all[:n:n]
		all = all[(n+align-1)&^(align-1):]
	}
	return out, b, nil
}

// newState returns zeros for each kind of state and each parameter.
func newState(params []*nn.Param, kinds ...string) (State, []byte, error) {
	var lens []int
	for range kinds {
		for _, p := range params {
			lens = append(lens, len(p.Value))
		}
	}
	data, mem, err := zeros(lens...)
	if err != nil {
		return State{}, nil, err
	}
	var s State
	for i, kind := range kinds {
		for j, p := range params {
			s.Tensors = append(s.Tensors, StateTensor{Name: kind + "." + p.Name, Data: data[i*len(params)+j]})
		}
	}
	return s, mem, nil
}

// chunk is a run of elements of a parameter, which one call of a task works on.
type chunk struct{ param, from, to int }

const chunkLen = 1 << 15

// chunksOf cuts parameters into chunks, always the same.
func chunksOf(params []*nn.Param) []chunk {
	var out []chunk
	for i, p := range params {
		for from := 0; from < len(p.Value); from += chunkLen {
			out = append(out, chunk{param: i, from: from, to: min(from+chunkLen, len(p.Value))})
		}
	}
	return out
}

// Matrix says whether a parameter is a matrix: norms and biases are vectors.
func Matrix(p *nn.Param) bool { return len(p.Shape) > 1 }
