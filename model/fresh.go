package model

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"slices"
	"strings"

	"wenmo/checkpoint"
	"wenmo/internal/philox"
	"wenmo/kernel"
)

// fresh makes the tensors of a new head, or of a whole model. A nil fresh makes
// nothing.
type fresh struct {
	seed      uint64
	deviation float64
	all       bool
	residual  float64 // factor of what is added to the residual stream; 0: 1
}

// New returns a new model of a config for training. Matrices are normal with
// deviation initializer_range, those of decoders that are added to the residual
// stream divided by √(2·layers) (Radford et al. 2019, §2.3); norms are 1 and
// biases 0. All depends on seed and names alone.
func New(c *Config, dtype DType, pool *kernel.Pool, seed uint64) (*Model, error) {
	f := &fresh{seed: seed, deviation: c.FloatOr("initializer_range", 0.02), all: true}
	for _, key := range []string{"num_hidden_layers", "n_layer"} {
		if n, ok := number(c.raw[key]); ok && n > 0 && c.StringOr("model_type", "") != "bert" {
			f.residual = 1 / math.Sqrt(2*float64(n))
		}
	}
	return loadTrainable(c, &checkpoint.File{}, dtype, pool, f)
}

// residualParts end the names of matrices whose output is added to the residual
// stream.
var residualParts = []string{"o_proj.weight", "down_proj.weight", "c_proj.weight"}

// headParts begin the names of tensors that belong to a head, the prefix of the
// body left out.
var headParts = []string{"classifier.", "score.", "qa_outputs.", "cls.", "lm_head.", "pooler."}

// IsHead says whether a parameter belongs to a head, by its name.
func IsHead(name string) bool {
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

// isNorm says whether a vector scales what was normed.
func isNorm(name string) bool {
	if !strings.HasSuffix(name, ".weight") {
		return false
	}
	return strings.Contains(name, "norm") || strings.Contains(name, "LayerNorm") || strings.Contains(name, ".ln_")
}

// tensor makes a tensor of a head, or of a new model.
func (f *fresh) tensor(name string, shape []int, file string) (checkpoint.Tensor, bool) {
	if f == nil || !f.all && !IsHead(name) {
		return checkpoint.Tensor{}, false
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	deviation := f.deviation
	if f.residual > 0 && slices.ContainsFunc(residualParts, func(part string) bool { return strings.HasSuffix(name, part) }) {
		deviation *= f.residual
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	data := make([]byte, 4*n)
	for i := range n {
		var x float32
		switch {
		case len(shape) > 1:
			x = float32(deviation * philox.Normal(f.seed, h.Sum32(), uint64(i)))
		case isNorm(name):
			x = 1
		}
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(x))
	}
	return checkpoint.Tensor{Name: name, DType: checkpoint.F32, Shape: shape, Data: data, File: file}, true
}
