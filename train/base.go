package train

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"wenmo/checkpoint"
	"wenmo/internal/atomicfile"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/nn"
)

func (r *run) baseConfig() (*model.Config, error) {
	name := filepath.Join(r.base, "config.json")
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return model.ParseConfig(data, name)
}

// load loads the base, with the head that the task wants.
func (r *run) load() error {
	c := r.cfg
	cfg, err := r.baseConfig()
	if err != nil {
		return err
	}
	if r.file, err = checkpoint.Open(r.base); err != nil {
		return err
	}
	r.done = append(r.done, r.file.Close)
	if r.baseSum, err = hashWeights(r.file); err != nil {
		return err
	}
	heads := map[string]model.Head{TaskMaskedLM: model.MaskedHead, TaskClassify: model.SequenceHead, TaskTokens: model.TokenHead, TaskAnswer: model.SpanHead}
	if head, ok := heads[c.Task]; ok {
		labels := c.Model.Labels
		problem := model.Problem("")
		if head == model.SequenceHead {
			problem = model.Problem(c.Model.Problem)
			if problem == "" {
				problem = model.SingleLabel
			}
			if problem == model.Regression && len(labels) == 0 {
				labels = []string{"LABEL_0"}
			}
		}
		if head == model.SpanHead || head == model.MaskedHead {
			labels = nil
		}
		if cfg, err = cfg.WithHead(head, labels, problem); err != nil {
			return err
		}
	}
	r.openPool()
	dtype := model.DType(c.DType)
	var m *model.Model
	if c.LoRA != nil {
		m, err = r.loadAdapter(cfg)
	} else {
		m, err = model.LoadNewHead(cfg, r.file, dtype, r.pool, c.Seed)
	}
	if err != nil {
		return err
	}
	return r.started(m)
}

// hashWeights returns the SHA-256 of all tensors.
func hashWeights(f *checkpoint.File) (string, error) {
	h := sha256.New()
	for _, name := range f.Names() {
		t, _ := f.Tensor(name)
		fmt.Fprintln(h, name, t.DType, t.Shape)
		err := t.Guard(func() error {
			h.Write(t.Data)
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (r *run) loadAdapter(cfg *model.Config) (*model.Model, error) {
	c := r.cfg
	a := model.DefaultAdapter()
	a.Base, a.Rank, a.Alpha, a.Dropout, a.RSLoRA, a.DoRA = c.Model.Base, c.LoRA.Rank, c.LoRA.Alpha, c.LoRA.Dropout, c.LoRA.RSLoRA, c.LoRA.DoRA
	a.Targets, a.ModulesToSave = c.LoRA.Targets, c.LoRA.Save
	adapter, err := model.NewAdapter(a, c.Seed)
	if err != nil {
		return nil, err
	}
	m, err := model.LoadTrainableAdapter(cfg, r.file, adapter, model.DType(c.LoRA.Base), r.pool, c.Seed)
	if err != nil {
		return nil, err
	}
	for key, names := range map[string][]string{"lora.targets": c.LoRA.Targets, "lora.modules_to_save": c.LoRA.Save} {
		for _, name := range names {
			has := func(p *nn.Param) bool { return strings.Contains("."+p.Name, "."+name+".") }
			if name != "all-linear" && !slices.ContainsFunc(m.Params, has) {
				return nil, errors.Join(fmt.Errorf("%s: the model has no module %q that could be adapted", key, name), m.Close())
			}
		}
	}
	return m, nil
}

func (r *run) openPool() {
	r.pool = kernel.NewPool(cmp.Or(r.cfg.Threads, runtime.GOMAXPROCS(0)))
	r.done = append(r.done, func() error {
		r.pool.Close()
		return nil
	})
}

// started notes the model of the run.
func (r *run) started(m *model.Model) error {
	r.pass = NewPass(m, r.pool)
	r.pass.Seed = r.cfg.Seed
	r.pass.Graph.Recompute(r.cfg.Train.Recompute)
	r.done = append(r.done, m.Close, r.pass.Close)
	switch task := r.cfg.Task; {
	case (task == TaskCausalLM || r.cfg.talks()) && m.Head != model.CausalHead:
		return fmt.Errorf("the task %q wants a model that writes text, found %s", task, m.Architecture)
	case task == TaskMaskedLM && m.Head != model.MaskedHead:
		return fmt.Errorf("the task %q wants a model that fills in masks, such as family bert, found %s", task, m.Architecture)
	}
	if m.Vocab < r.mat.tok.VocabSize() {
		return fmt.Errorf("the tokenizer has %d tokens, the model %d: they do not belong together", r.mat.tok.VocabSize(), m.Vocab)
	}
	if m.MaxLength < r.cfg.Model.Context {
		return fmt.Errorf("model.context: %d is more than the %d tokens that the model computes", r.cfg.Model.Context, m.MaxLength)
	}
	return nil
}

// model makes a new model, and the files beside its weights.
func (r *run) model(context.Context) error {
	c, t := r.cfg, r.mat
	if r.pass == nil {
		id := func(p *int32) int32 {
			if p == nil {
				return -1
			}
			return *p
		}
		raw := c.NewModelConfig(t.tok.VocabSize(), id(t.token(t.tokens.BOS)), id(t.eos()), id(t.token(t.tokens.PAD)))
		r.openPool()
		m, err := model.New(model.NewConfig(raw, "config.json"), model.DType(c.DType), r.pool, c.Seed)
		if err != nil {
			return err
		}
		if err := r.started(m); err != nil {
			return err
		}
	}
	return r.modelFiles()
}

// modelFiles makes config.json, generation_config.json and the tokenizer's
// files of the model, and writes them to its folder.
func (r *run) modelFiles() error {
	raw := map[string]any{}
	for k, v := range r.pass.Model.Config.Raw() {
		raw[k] = v
	}
	delete(raw, "dtype") // the same since transformers 4.56
	raw["torch_dtype"] = map[string]string{"f32": "float32", "bf16": "bfloat16"}[r.cfg.SaveAs]
	template, err := r.mat.chatTemplate()
	if err != nil {
		return err
	}
	values := map[string]map[string]any{"config.json": raw}
	if r.pass.Model.Head == model.CausalHead {
		generation := map[string]any{}
		if eos := r.ends(template); len(eos) > 0 {
			generation["eos_token_id"] = eos
		}
		values["generation_config.json"] = generation
	}
	values["tokenizer_config.json"] = r.mat.tokenizerConfig(r.files["tokenizer_config.json"], template)
	for name, v := range values {
		data, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		r.files[name] = append(data, '\n')
	}
	if r.pass.Model.Adapter != nil && r.pass.Model.Head == model.CausalHead {
		delete(r.files, "config.json") // that of the base says it all
	}
	for name, data := range r.files {
		if err := atomicfile.Replace(filepath.Join(r.cfg.Out, name), data); err != nil {
			return err
		}
	}
	return nil
}
