package model

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"wenmo/checkpoint"
	"wenmo/kernel"
	"wenmo/nn"
	"wenmo/tensor"
)

// LoadAdapted is Load with an adapter, which stays apart from the weights.
func LoadAdapted(ctx context.Context, c *Config, file *checkpoint.File, a *Adapter, dtype DType, pool *kernel.Pool) (*Model, error) {
	l := NewLoader(file, dtype, pool)
	l.ctx = ctx
	l.adapter = newAdapting(a)
	return l.load(c)
}

// LoadTrainableAdapter loads a model for training an adapter: Params has its
// matrices and the modules that it has as a whole, under PEFT's names, and
// nothing else has a gradient. The base may be of any type; it takes part in
// the backward as float32 or bfloat16. file stays open as long as the model. What
// the base lacks of a head that a config of WithHead asks for begins as
// LoadNewHead has it, and joins the ModulesToSave of a new adapter.
func LoadTrainableAdapter(c *Config, file *checkpoint.File, a *Adapter, dtype DType, pool *kernel.Pool, seed uint64) (*Model, error) {
	l := NewLoader(file, dtype, pool)
	l.train, l.adapter = true, newAdapting(a)
	if a.file == nil {
		l.fresh = &fresh{seed: seed, deviation: c.FloatOr("initializer_range", 0.02)}
	}
	return l.load(c)
}

// adapting is a loader's work on an adapter. A nil one does nothing.
type adapting struct {
	*Adapter
	taken   map[string]bool             // of the adapter's file
	modules int                         // that are adapted
	conv    bool                        // some are stored [in, out]
	waiting map[*tensor.Weight]*nn.LoRA // for the layer of their weight
	merges  []merge                     // what the adapter changes, where nothing is packed
}

// merge is a weight of the checkpoint that an adapter changes.
type merge struct {
	t    checkpoint.Tensor
	conv bool
	*matrices
}

func newAdapting(a *Adapter) *adapting {
	own, config, rules := *a, *a.Config, *a.rules
	config.ModulesToSave = slices.Clone(config.ModulesToSave)
	own.Config, own.rules, rules.c = &config, &rules, &config
	return &adapting{Adapter: &own, taken: map[string]bool{}, waiting: map[*tensor.Weight]*nn.LoRA{}}
}

func (a *adapting) saves(name string) bool { return a != nil && a.Adapter.saves(name) }

// saved returns a tensor that the adapter has as a whole.
func (a *adapting) saved(name string) (checkpoint.Tensor, bool) {
	if !a.saves(name) || a.file == nil {
		return checkpoint.Tensor{}, false
	}
	t, ok := a.file.Tensor(adapterPrefix + name)
	t.Name = name
	return t, ok
}

// take notes that a tensor has been taken, which must be the adapter's where the
// adapter should have it.
func (a *adapting) take(l *Loader, name string) {
	if !a.saves(name) || a.file == nil {
		return
	}
	if _, ok := a.file.Tensor(adapterPrefix + name); !ok {
		l.fail(fmt.Errorf("%s: modules_to_save: no tensor %q", a.file.Path(), adapterPrefix+name))
	}
	a.taken[adapterPrefix+name] = true
}

// own makes a module that the base lacks part of a new adapter.
func (a *adapting) own(name string) {
	if a != nil && !a.saves(name) {
		a.Config.ModulesToSave = append(a.Config.ModulesToSave, name[:strings.LastIndexByte(name, '.')])
	}
}

// trains says whether a tensor has a gradient.
func (l *Loader) trains(name string) bool {
	return l.train && (l.adapter == nil || l.adapter.saves(name))
}

func (l *Loader) paramName(name string) string {
	if l.adapter != nil {
		return adapterPrefix + name
	}
	return name
}

// untie has a head begin as the embedding, from which the adapter has it apart.
func (l *Loader) untie(head, embedding string) {
	l.untied = map[string]string{head: embedding}
}

// tied refuses what cannot be done to an embedding that is the head as well.
func (a *adapting) tied(l *Loader, name string) {
	if a.saves(name) {
		l.fail(fmt.Errorf("%s: modules_to_save: %q is the head as well, which is to be saved too", a.Config.file, moduleOf(name)))
	}
	a.embedding(l, name)
}

// embedding refuses to adapt an embedding. AllLinear does not mean it.
func (a *adapting) embedding(l *Loader, name string) {
	if a != nil && a.rules.targets(moduleOf(name), false) {
		l.fail(fmt.Errorf("%s: target_modules: %q is an embedding, for which there are no adapters", a.Config.file, moduleOf(name)))
	}
}

// notLinear are the ends of names of what AllLinear leaves out: heads, and
// embeddings that are heads.
var notLinear = []string{"lm_head", "embed_out", "cls.predictions.decoder", "score", "classifier",
	"wte", "embed_tokens", "embed_in", "word_embeddings"}

// adapt makes what the adapter has for a weight, once it has been packed.
func (a *adapting) adapt(l *Loader, p *packer, layout Layout) {
	if a == nil || l.err != nil {
		return
	}
	module := moduleOf(p.w.Name)
	if !a.rules.targets(module, !namesModule(notLinear, module)) {
		return
	}
	m, err := a.read(module, p.w.Out, p.w.In, a.taken)
	if err != nil {
		l.fail(err)
		return
	}
	a.modules++
	a.conv = a.conv || layout.Conv1D
	if l.plan != nil {
		a.merges = append(a.merges, merge{t: p.t, conv: layout.Conv1D, matrices: m})
		return
	}
	a.waiting[p.w] = l.lora(m, p.w, layout)
}

// lora brings the matrices for a weight into the form that a layer takes.
func (l *Loader) lora(m *matrices, w *tensor.Weight, layout Layout) *nn.LoRA {
	g := tensor.NewGraph(l.pool)
	defer g.Close()
	down := l.matrix(g, m.name(partA), m.a, []int{m.rank, w.In}, w.DType, nil)
	up := l.matrix(g, m.name(partB), m.b, []int{w.Out, m.rank}, w.DType, layout.Row)
	if l.err != nil {
		return nil
	}
	if !l.adapter.Config.DoRA {
		p := nn.NewLoRA(down, up, m.scale, nil)
		l.owned(p)
		return p
	}
	v := newVector(w.Out)
	p := nn.NewLoRA(down, up, m.scale, v)
	p.Refresh(g, w)
	if m.magnitude == nil {
		copy(v.Data, p.Norms())
	}
	l.owned(p)
	param := &nn.Param{Name: m.name(partMagnitude), Shape: []int{w.Out}, Value: v.Data, Row: layout.Row}
	if m.magnitude != nil {
		param.Load(v.Data, m.magnitude)
	}
	if l.train {
		v.Grad = make([]float32, w.Out)
		param.Grad = v.Grad
		l.params = append(l.params, param)
	}
	return p
}

// owned tells the parameters of an adapter whose they are.
func (l *Loader) owned(p *nn.LoRA) {
	for _, param := range l.params {
		if param.Weight == p.A || param.Weight == p.B {
			param.LoRA = p
		}
	}
}

// matrix packs a matrix of an adapter: bfloat16 where the weight is, else
// float32.
func (l *Loader) matrix(g *tensor.Graph, name string, stored []float32, shape []int, dtype tensor.DType, row func(int) int) *tensor.Weight {
	d := checkpoint.F32
	if dtype == tensor.BF16 {
		d = checkpoint.BF16
	}
	memory, err := l.room(checkpoint.PanelBytes(d, shape[0], shape[1]))
	if err != nil {
		l.fail(fmt.Errorf("%s: %w", name, err))
		return nil
	}
	w := checkpoint.Panels(memory, name, d, shape[0], shape[1])
	w.Value = l.floats(len(stored))
	if l.err != nil {
		return nil
	}
	param := &nn.Param{Name: name, Shape: shape, Value: w.Value, Weight: &w, Row: row}
	param.Load(w.Value, stored)
	g.Pack(&w)
	if l.train {
		w.Grad = l.floats(len(stored))
		param.Grad = w.Grad
		l.params = append(l.params, param)
	}
	return &w
}

// layer returns the Linear of weights that share an input, with their adapters.
func (l *Loader) layer(bias *tensor.Tensor, weights ...*tensor.Weight) nn.Linear {
	lin := nn.Linear{Weights: weights, Bias: bias}
	a := l.adapter
	if a == nil {
		return lin
	}
	loras := make([]*nn.LoRA, len(weights))
	for i, w := range weights {
		loras[i] = a.waiting[w]
		delete(a.waiting, w)
	}
	if slices.ContainsFunc(loras, func(p *nn.LoRA) bool { return p != nil }) {
		lin.Adapter = nn.NewAdapter(loras, float32(a.Config.Dropout))
	}
	return lin
}

// finish checks that the adapter and the model belong together.
func (a *adapting) finish(l *Loader, m *Model) {
	if a == nil || l.err != nil {
		return
	}
	for w := range a.waiting {
		l.fail(fmt.Errorf("%s: target_modules: there are no adapters for %q", a.Config.file, moduleOf(w.Name)))
	}
	if a.modules == 0 {
		l.fail(fmt.Errorf("%s: target_modules: the model has none of %s", a.Config.file, a.Config.targetNames()))
	}
	l.fail(a.unused(a.taken))
	a.Config.FanInFanOut = a.conv
	m.Adapter = a.Config
}

func (c *AdapterConfig) targetNames() string {
	if c.TargetPattern != "" {
		return fmt.Sprintf("%q", c.TargetPattern)
	}
	return strings.Join(c.Targets, ", ")
}
