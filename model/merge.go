package model

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"wenmo/checkpoint"
)

// Merge returns a view of a checkpoint in which an adapter is part of the
// weights: W + s·B·A, of DoRA with the rows brought to their magnitudes, and the
// modules that the adapter has as a whole. It lives as long as file and a. The
// config is c, or says that a head is not the embedding any more.
func Merge(c *Config, file *checkpoint.File, a *Adapter) (*checkpoint.File, *Config, error) {
	if file.Packed() {
		return nil, nil, fmt.Errorf("%s: an adapter cannot be merged into a packed file", file.Path())
	}
	l, err := planAdapter(c, file, a)
	if err != nil {
		return nil, nil, err
	}
	edits := map[string]func(dst []float32, i int){}
	for _, m := range l.adapter.merges {
		edit, err := m.edit()
		if err != nil {
			return nil, nil, err
		}
		edits[m.t.Name] = edit
	}
	var saved []checkpoint.Tensor
	if a.file != nil {
		for _, name := range slices.Sorted(maps.Keys(l.taken)) {
			if t, ok := l.adapter.saved(name); ok {
				t.Name = l.storedName(name)
				saved = append(saved, t)
			}
		}
	}
	var left []string // a head that the adapter's model does not have
	for _, name := range file.Names() {
		if !l.taken[name] && IsHead(name) {
			left = append(left, name)
		}
	}
	if l.untied != nil {
		raw := maps.Clone(c.raw)
		raw["tie_word_embeddings"] = false
		c = NewConfig(raw, c.file)
	}
	return file.Edited(left, saved, edits), c, nil
}

// planAdapter goes through a model without packing anything.
func planAdapter(c *Config, file *checkpoint.File, a *Adapter) (*Loader, error) {
	l := NewLoader(file, Auto, nil)
	l.plan, l.adapter = &plan{place: map[string]int{}}, newAdapting(a)
	_, err := l.model(c)
	return l, err
}

// edit returns what merging does to a stored row of the weight.
func (m *merge) edit() (func(dst []float32, i int), error) {
	in, out := m.t.Shape[1], m.t.Shape[0]
	if m.conv {
		in, out = out, in
	}
	byOutput := !m.conv || m.t.Transposed // stored rows are those of outputs
	add := func(dst []float32, i int) {
		if byOutput {
			m.addOutput(dst, i, in)
		} else {
			m.addInput(dst, i, in)
		}
	}
	if m.magnitude == nil {
		return add, nil
	}
	factor, err := m.factors(add, byOutput, out)
	return func(dst []float32, i int) {
		add(dst, i)
		for k := range dst {
			if byOutput {
				dst[k] *= factor[i]
			} else {
				dst[k] *= factor[k]
			}
		}
	}, err
}

// addOutput adds s·B·A to the weights of an output.
func (m *merge) addOutput(dst []float32, out, in int) {
	for k := range dst {
		sum := 0.0
		for r := range m.rank {
			sum += float64(float64(m.b[out*m.rank+r]) * float64(m.a[r*in+k]))
		}
		dst[k] += float32(float64(m.scale) * sum)
	}
}

// addInput adds s·B·A to the weights of an input.
func (m *merge) addInput(dst []float32, k, in int) {
	for out := range dst {
		sum := 0.0
		for r := range m.rank {
			sum += float64(float64(m.b[out*m.rank+r]) * float64(m.a[r*in+k]))
		}
		dst[out] += float32(float64(m.scale) * sum)
	}
}

// factors returns magnitude over length for each output of DoRA.
func (m *merge) factors(add func(dst []float32, i int), byOutput bool, outs int) ([]float32, error) {
	squares := make([]float64, outs)
	rows, k := m.t.Rows()
	row := make([]float32, k)
	for i := range rows {
		if err := m.t.Row(row, i); err != nil {
			return nil, err
		}
		add(row, i)
		for j, x := range row {
			at := i
			if !byOutput {
				at = j
			}
			squares[at] += float64(float64(x) * float64(x))
		}
	}
	factors := make([]float32, outs)
	for i, s := range squares {
		factors[i] = float32(float64(m.magnitude[i]) / math.Sqrt(s))
	}
	return factors, nil
}
