package model

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"strings"

	"wenmo/checkpoint"
	"wenmo/internal/philox"
)

// fresh makes the tensors of a new head, and knows the names of a checkpoint
// that leaves out the prefix of its body. A nil fresh makes nothing.
type fresh struct {
	seed           uint64
	deviation      float64
	stored, wanted string // prefix in the checkpoint, and in the architecture
}

// headParts begin the names of tensors that belong to a head, the prefix of the
// body left out.
var headParts = []string{"classifier.", "score.", "qa_outputs.", "cls.", "lm_head.", "pooler."}

func isHead(name string) bool {
	name = strings.TrimPrefix(name, "bert.")
	for _, p := range headParts {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// rename returns the prefix by which tensors are to be asked for: the
// architecture's, where f is set.
func (f *fresh) rename(stored, wanted string) string {
	if f == nil {
		return stored
	}
	f.stored, f.wanted = stored, wanted
	return wanted
}

// tensor returns a tensor of the checkpoint.
func (l *Loader) tensor(name string) (checkpoint.Tensor, bool) {
	t, ok := l.file.Tensor(name)
	if f := l.fresh; !ok && f != nil {
		if rest, body := strings.CutPrefix(name, f.wanted); body {
			return l.file.Tensor(f.stored + rest)
		}
	}
	return t, ok
}

// tensor makes a tensor of a head.
func (f *fresh) tensor(name string, shape []int, file string) (checkpoint.Tensor, bool) {
	if f == nil || !isHead(name) {
		return checkpoint.Tensor{}, false
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	data := make([]byte, 4*n)
	for i := range n {
		var x float32
		switch {
		case len(shape) > 1:
			x = float32(f.deviation * philox.Normal(f.seed, h.Sum32(), uint64(i)))
		case strings.HasSuffix(name, "LayerNorm.weight"):
			x = 1
		}
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(x))
	}
	return checkpoint.Tensor{Name: name, DType: checkpoint.F32, Shape: shape, Data: data, File: file}, true
}
