package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wenmo/checkpoint"
	"wenmo/internal/atomicfile"
	"wenmo/internal/philox"
	"wenmo/internal/readfile"
	"wenmo/nn"
	"wenmo/tensor"
)

// Names of the files of an adapter, as PEFT writes them.
const (
	AdapterConfigFile  = "adapter_config.json"
	AdapterWeightsFile = "adapter_model.safetensors"
	adapterPrefix      = "base_model.model."
)

// Adapter is a LoRA for a model: read from PEFT's files, or new.
type Adapter struct {
	Config *AdapterConfig

	rules *moduleRules
	file  *checkpoint.File // nil: new
	seed  uint64           // of a new one
}

// OpenAdapter opens the adapter in a directory that PEFT, or SaveAdapter, wrote.
// It is closed after the models that use it.
func OpenAdapter(dir string) (*Adapter, error) {
	name := filepath.Join(dir, AdapterConfigFile)
	data, err := readfile.Regular(name)
	if err != nil {
		return nil, err
	}
	c, err := ParseAdapterConfig(data, name)
	if err != nil {
		return nil, err
	}
	file, err := checkpoint.Open(filepath.Join(dir, AdapterWeightsFile))
	if err != nil {
		return nil, err
	}
	a := &Adapter{Config: c, file: file}
	if a.rules, err = c.compile(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return a, nil
}

// NewAdapter returns an adapter that is to be trained from the start: A is drawn
// uniformly between ±1/√inputs, by seed and the name of the module alone, and B
// is zero, as PEFT begins.
func NewAdapter(config *AdapterConfig, seed uint64) (*Adapter, error) {
	own := *config
	c := &own
	c.normalize()
	if err := c.check(); err != nil {
		return nil, err
	}
	rules, err := c.compile()
	return &Adapter{Config: c, rules: rules, seed: seed}, err
}

// Close closes the adapter's file.
func (a *Adapter) Close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// saves says whether a tensor belongs to a module that the adapter has as a
// whole. A nil adapter has none.
func (a *Adapter) saves(name string) bool {
	if a == nil {
		return false
	}
	for i := range name {
		if name[i] == '.' && namesModule(a.Config.ModulesToSave, name[:i]) {
			return true
		}
	}
	return false
}

// matrices are what an adapter has for a module, in the order of the checkpoint.
type matrices struct {
	module    string
	rank      int
	scale     float32
	a, b      []float32 // [rank, in], [out, rank]
	magnitude []float32 // [out] of DoRA; nil: none, or of a new adapter to be computed
}

func (m *matrices) name(part string) string { return adapterPrefix + m.module + "." + part }

// Parts of an adapter of a module, as the ends of their tensors' names.
const (
	partA         = "lora_A.weight"
	partB         = "lora_B.weight"
	partMagnitude = "lora_magnitude_vector"
)

// read returns the matrices for a module of in inputs and out outputs.
func (a *Adapter) read(module string, out, in int, taken map[string]bool) (*matrices, error) {
	m := &matrices{module: module, rank: a.rules.rank(module), scale: a.rules.scale(module)}
	if a.file == nil {
		m.a, m.b = make([]float32, m.rank*in), make([]float32, out*m.rank)
		a.draw(m.name(partA), m.a, in)
		return m, nil
	}
	var err error
	take := func(part string, shape ...int) []float32 {
		v, e := a.tensor(m.name(part), shape, taken)
		err = errors.Join(err, e)
		return v
	}
	m.a, m.b = take(partA, m.rank, in), take(partB, out, m.rank)
	if a.Config.DoRA {
		m.magnitude = take(partMagnitude, out)
	}
	return m, err
}

// draw fills A of a new adapter.
func (a *Adapter) draw(name string, dst []float32, in int) {
	h := fnv.New32a()
	h.Write([]byte(name))
	bound := 1 / math.Sqrt(float64(in))
	key := [2]uint32{uint32(a.seed), uint32(a.seed >> 32)}
	for i := 0; i < len(dst); i += 4 {
		words := philox.Words(key, [4]uint32{uint32(i / 4), h.Sum32(), adapterDraw})
		for j := i; j < min(i+4, len(dst)); j++ {
			dst[j] = float32(float64(int32(words[j-i])) / (1 << 31) * bound)
		}
	}
}

// adapterDraw keeps these numbers apart from those of other uses of a seed.
const adapterDraw = 0x4c6f5241 // "LoRA"

// tensor reads a tensor of the adapter's file.
func (a *Adapter) tensor(name string, shape []int, taken map[string]bool) ([]float32, error) {
	t, ok := a.file.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("%s: no tensor %q, want one of shape %v", a.file.Path(), name, shape)
	}
	taken[name] = true
	if !slices.Equal(t.Shape, shape) {
		return nil, fmt.Errorf("%s: tensor %q has shape %v, want %v", t.File, name, t.Shape, shape)
	}
	v := make([]float32, t.Len())
	if err := t.Float32(v); err != nil {
		return nil, err
	}
	if i := tensor.NotFinite(v); i >= 0 {
		return nil, fmt.Errorf("%s: tensor %q: element %d is %v", t.File, name, i, v[i])
	}
	return v, nil
}

// unused fails when the adapter's file has tensors that no module took: it is
// for another model.
func (a *Adapter) unused(taken map[string]bool) error {
	if a.file == nil {
		return nil
	}
	for _, name := range a.file.Names() {
		if !taken[name] {
			return fmt.Errorf("%s: tensor %q belongs to no module of the model that the adapter may change", a.file.Path(), name)
		}
	}
	return nil
}

// SaveAdapter writes the adapter that m was loaded with for training, as PEFT
// writes it, to a directory; the files that were there are replaced each as a
// whole.
func (m *Model) SaveAdapter(dir string) error {
	if m.Adapter == nil || m.Params == nil {
		return errors.New("the model has no adapter that is trained")
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var out []checkpoint.Out
	for _, p := range m.Params {
		out = append(out, ParamOut(p, checkpoint.F32))
	}
	if err := checkpoint.WriteSafetensors(filepath.Join(dir, AdapterWeightsFile), out, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	data, err := json.MarshalIndent(m.Adapter, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(dir, AdapterConfigFile), append(data, '\n'))
}

// ParamOut returns a parameter's values as a tensor of a checkpoint.
func ParamOut(p *nn.Param, dtype checkpoint.DType) checkpoint.Out {
	return checkpoint.Out{Name: p.Name, DType: dtype, Shape: p.Shape, Write: func(w io.Writer) error {
		values, data := make([]float32, len(p.Value)), make([]byte, dtype.RowBytes(len(p.Value)))
		p.Store(values, p.Value)
		if err := checkpoint.Quantize(dtype, data, values); err != nil {
			return err
		}
		_, err := w.Write(data)
		return err
	}}
}

// moduleOf returns the module that a weight belongs to.
func moduleOf(name string) string { return strings.TrimSuffix(name, ".weight") }
