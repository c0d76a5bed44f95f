package model

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"strings"

	"wenmo/checkpoint"
	"wenmo/internal/philox"
)

// fresh makes the tensors of a new head. A nil fresh makes nothing.
type fresh struct {
	seed      uint64
	deviation float64
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
// architecture's where a head may be new, or an adapter names its modules.
func (l *Loader) rename(stored, wanted string) string {
	if l.fresh == nil && l.adapter == nil {
		return stored
	}
	l.stored, l.wanted = stored, wanted
	return wanted
}

// tensor returns a tensor of the checkpoint, or what an adapter has instead.
func (l *Loader) tensor(name string) (checkpoint.Tensor, bool) {
	if t, ok := l.adapter.saved(name); ok {
		return t, true
	}
	t, ok := l.file.Tensor(l.storedName(name))
	if embedding := l.untied[name]; !ok && embedding != "" {
		t, ok = l.file.Tensor(l.storedName(embedding))
		t.Name = name
	}
	return t, ok
}

// storedName returns the name by which the checkpoint may know a tensor.
func (l *Loader) storedName(name string) string {
	if _, ok := l.file.Tensor(name); !ok && l.stored != l.wanted {
		if rest, body := strings.CutPrefix(name, l.wanted); body {
			return l.stored + rest
		}
	}
	return name
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
