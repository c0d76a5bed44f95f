package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"wenmo/checkpoint"
	"wenmo/dataset"
	"wenmo/internal/atomicfile"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/report"
	"wenmo/tensor"
	"wenmo/tokenizer"
)

// RunOptions are what a run needs besides its config.
type RunOptions struct {
	Resume bool // go on from the newest checkpoint
	Plan   bool // tell what the run will be, and end

	// Find returns the folder of a model that the config names; nil: its name is
	// the folder's.
	Find func(ctx context.Context, name string) (string, error)
	// Sample lets the model of a run continue texts; nil: there are no samples.
	Sample func(ctx context.Context, s Sampler) ([]string, error)
	// FLOPS is what the machine's product reaches a second; 0: it is not known.
	FLOPS float64
	// Memory is how much there is, in bytes; 0: it is not known.
	Memory int64

	Prepared func(dataset.PrepareProgress)
	Planned  func(c *Config, p *Plan)
	Told     func(Event)
	Sampled  func(step int, prompt, text string)
	Log      func(string) // what goes wrong but can be lived with; nil: nobody hears it
	Lang     string       // of report and card: en or zh
}

// Sampler is what is needed to generate with the model that is trained.
type Sampler struct {
	Model     *model.Model
	Pool      *kernel.Pool
	Tokenizer *tokenizer.Tokenizer
	Prompts   [][]int32
	Tokens    int // of each text
	EOS       []int32
}

// run is a run under way.
type run struct {
	cfg  *Config
	opt  RunOptions
	plan *Plan
	mat  *material
	feed Data
	base string // folder
	file *checkpoint.File

	baseSum string // SHA-256 of the base's weights
	print   string // fingerprint, once it is made

	pool  *kernel.Pool
	pass  *Pass
	loop  *Loop
	prefs *Preferences
	files map[string][]byte // that stand beside the weights
	diary *diary
	saved int // step that the finished model is of
	done  []func() error

	held    []dataset.Held // of a language model, to be measured on
	measure Objective      // by which it is
	sources *report.Table  // how well each source was learnt; nil: there is one
}

// referenceFile keeps the log-probabilities of preferences.
const referenceFile = "reference.safetensors"

// Run trains a model as a config says, from preparing the data to the finished
// model in c.Out. When ctx is done it saves where it is and returns the error of
// ctx; with Resume it goes on from there, as if it had not been broken off.
func Run(ctx context.Context, c *Config, opt RunOptions) (err error) {
	if err := c.Complete(); err != nil {
		return err
	}
	r := &run{cfg: c, opt: opt}
	if r.opt.Log == nil {
		r.opt.Log = func(string) {}
	}
	_, before := os.Stat(c.Out)
	defer func() {
		if err != nil && errors.Is(before, os.ErrNotExist) {
			removeEmpty(c.Out)
		}
		for i := len(r.done) - 1; i >= 0; i-- {
			err = errors.Join(err, r.done[i]())
		}
	}()
	parts := []func(context.Context) error{r.place, r.open, r.data, r.scale, r.model, r.objective, r.train, r.finish}
	if opt.Plan {
		parts = parts[:4]
	}
	for _, part := range parts {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// open reads the tokenizer, and finds the base.
func (r *run) open(ctx context.Context) (err error) {
	c := r.cfg
	if c.Model.Base != "" {
		r.base = c.Model.Base
		if r.opt.Find != nil {
			if r.base, err = r.opt.Find(ctx, c.Model.Base); err != nil {
				return err
			}
		}
		if info, err := os.Stat(r.base); err == nil && !info.IsDir() {
			return fmt.Errorf("%s: want a folder with config.json and model.safetensors to train (wenmo convert makes one)", r.base)
		}
	}
	dir := r.base
	if c.Model.Tokenizer != "" {
		dir = c.Model.Tokenizer
		if info, err := os.Stat(dir); err == nil && !info.IsDir() {
			const name = "tokenizer.json"
			if filepath.Base(dir) != name {
				return fmt.Errorf("model.tokenizer: %s: want a folder, or the %s in one", dir, name)
			}
			dir = filepath.Dir(dir)
		}
	}
	m := &material{cfg: c, log: r.opt.Log}
	if m.tok, err = tokenizer.LoadDir(dir); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	if m.tokens, err = tokenizer.LoadConfig(dir); err != nil {
		return err
	}
	r.mat = m
	m.nameTokens()
	r.files, err = tokenizerFiles(dir)
	return err
}

// data reads and prepares the data.
func (r *run) data(ctx context.Context) error {
	c, m := r.cfg, r.mat
	if c.Model.Context == 0 && r.base != "" {
		raw, err := r.baseConfig()
		if err != nil {
			return err
		}
		for _, key := range []string{"max_position_embeddings", "n_positions"} {
			if n, ok := raw.Raw()[key].(float64); ok {
				c.Model.Context = min(int(n), 512)
			}
		}
	}
	if c.Model.Context == 0 {
		c.Model.Context = 256
	}
	if c.IsLanguageModel() {
		cache := c.Dataset.Cache
		if cache == "" {
			cache = filepath.Join(c.Out, "data")
		}
		if err := m.prepare(ctx, cache, r.opt.Prepared); err != nil {
			return err
		}
		r.done = append(r.done, m.corpus.Close)
		return m.corpus.Manifest.Save(filepath.Join(c.Out, "manifest.json"))
	}
	if c.Task == TaskClassify && c.Model.Problem != string(model.Regression) || c.Task == TaskTokens {
		if err := m.findLabels(ctx, c.Model.Labels); err != nil {
			return err
		}
		c.Model.Labels = m.labels.Names()
	}
	return m.list(ctx)
}

// scale chooses what the config leaves open. Of a base the sizes are those of
// its config.
func (r *run) scale(context.Context) error {
	c, m := r.cfg, r.mat
	s := Supply{Lang: r.lang(), Vocab: m.tok.VocabSize(), FLOPS: r.opt.FLOPS, Machine: r.opt.Memory, Examples: len(m.train)}
	if m.corpus != nil {
		s.Tokens = m.corpus.PassTokens()
	}
	for _, g := range m.train {
		for i := range g {
			s.Tokens += int64(len(g[i].IDs))
		}
	}
	if r.base != "" {
		if err := r.load(); err != nil {
			return err
		}
		s.Base = SizesOf(r.pass.Model)
	}
	plan, err := c.Scale(s)
	if err != nil {
		return err
	}
	r.plan = plan
	if err := r.batches(); err != nil {
		return err
	}
	if r.opt.Resume {
		if err := r.sameRun(); err != nil {
			return err
		}
	}
	if r.opt.Planned != nil {
		r.opt.Planned(c, plan)
	}
	return atomicfile.Replace(filepath.Join(c.Out, savedConfig), []byte(c.Text()))
}

// objective chooses the loss, and prepares what it needs.
func (r *run) objective(ctx context.Context) error {
	c, m := r.cfg, r.pass.Model
	r.loop = &Loop{Pass: r.pass, Pool: r.pool, KeepLast: len(c.Phases) > 0, Guard: &Guard{Limit: c.Train.SkipLimit}, Clip: *c.Train.Clip, Patience: c.Train.Patience}
	var err error
	if c.Task == TaskDPO {
		return r.preferences(ctx)
	}
	r.loop.Objective, err = HeadObjective(m, ObjectiveOptions{Smoothing: float32(c.Train.LabelSmoothing), ClassWeights: r.mat.weights})
	return err
}

func (r *run) preferences(ctx context.Context) error {
	c := r.cfg
	kind, err := tensor.ParsePreference(c.DPO.Loss)
	if err != nil {
		return err
	}
	name := filepath.Join(c.Out, referenceFile)
	ref, err := LoadReference(name, r.fingerprint())
	if err != nil {
		r.opt.Log(fmt.Sprintf(r.word("made again: %v", "重新计算：%v"), err))
	}
	for _, b := range micro(append(r.mat.train[:len(r.mat.train):len(r.mat.train)], r.mat.held...), c.Train.MicroTokens) {
		if err := ref.Add(ctx, r.pass, b); err != nil {
			return err
		}
	}
	r.prefs = &Preferences{
		Kind: kind, Mean: kind == tensor.IPO, // as trl
		Beta: float32(c.DPO.Beta), Smoothing: float32(c.DPO.Smoothing), Reference: ref,
	}
	r.loop.Objective = r.prefs.Objective()
	return ref.Save(name)
}

// train runs the loop.
func (r *run) train(ctx context.Context) (err error) {
	c, l := r.cfg, r.loop
	if l.Optimizer, err = c.newOptimizer(r.pass.Model); err != nil {
		return err
	}
	r.done = append(r.done, l.Optimizer.Close)
	if c.Train.EMA > 0 {
		if l.EMA, err = NewEMA(r.pass.Model.Params, c.Train.EMA); err != nil {
			return err
		}
		r.done = append(r.done, l.EMA.Close)
	}
	l.Schedule = Schedule{Kind: c.Schedule.Kind, Rate: c.Optimizer.Rate, Warmup: r.plan.Warmup, Steps: r.plan.Steps, Decay: r.plan.Decay}
	if c.Schedule.Floor != nil {
		l.Schedule.Floor = *c.Schedule.Floor
	}
	if err := l.Schedule.Check(); err != nil {
		return err
	}
	l.Data = r.feed
	if listed, ok := l.Data.(*Listed); ok {
		listed.Pairs = r.pass.Model.BF16
	}
	l.ValidateEvery, l.SampleEvery = c.Watch.ValidateEvery, c.Watch.SampleEvery
	if err := r.validation(ctx); err != nil {
		return err
	}
	if err := r.samples(); err != nil {
		return err
	}
	every, _ := parseDuration(c.Save.Every)
	l.CheckpointEvery = every
	l.Checkpoints = &Checkpoints{Dir: filepath.Join(c.Out, checkpointsDir), Keep: c.Save.Keep, Files: r.files}
	l.State.Run = r.fingerprint()
	if r.opt.Resume {
		if _, err := l.Checkpoints.Restore(l, func(err error) { r.opt.Log(err.Error()) }); err != nil {
			return err
		}
		r.say(Event{Step: l.State.Step, Resumed: true})
	}
	if r.diary, err = openDiary(c.Out, &l.State, c.Watch.TensorBoard); err != nil {
		return err
	}
	r.done = append(r.done, r.diary.close)
	l.Told = func(e Event) error {
		r.say(e)
		return r.diary.note(e)
	}
	return l.Run(ctx, r.plan.Steps)
}

// say tells of an event that is not for the diary, or not only.
func (r *run) say(e Event) {
	if r.opt.Told != nil {
		r.opt.Told(e)
	}
}

// newOptimizer makes the optimizer of a run.
func (c *Config) newOptimizer(m *model.Model) (Optimizer, error) {
	o := c.Optimizer
	switch o.Kind {
	case "muon":
		muon := DefaultMuon
		muon.Momentum, muon.WeightDecay = *o.Momentum, *o.WeightDecay
		muon.Rest = AdamWOptions{Beta1: *o.Beta1, Beta2: *o.Beta2, Eps: *o.Eps}
		return NewMuon(m.Params, muon)
	case "sgd":
		return NewSGD(m.Params, SGDOptions{Momentum: *o.Momentum, WeightDecay: *o.WeightDecay})
	case "adafactor":
		adafactor := DefaultAdafactor
		adafactor.Beta1, adafactor.WeightDecay = *o.Beta1, *o.WeightDecay
		return NewAdafactor(m.Params, adafactor)
	}
	return NewAdamW(m.Params, AdamWOptions{Beta1: *o.Beta1, Beta2: *o.Beta2, Eps: *o.Eps, WeightDecay: *o.WeightDecay})
}

// batches chooses where batches come from.
func (r *run) batches() error {
	c, m := r.cfg, r.mat
	if m.corpus == nil {
		r.feed = &Listed{Groups: m.train, PerStep: c.Train.Batch, Seed: c.Seed, MicroTokens: c.Train.MicroTokens}
		return nil
	}
	opt := dataset.MixtureOptions{Seed: c.Seed, Rows: c.Train.BatchTokens / c.Model.Context, Context: c.Model.Context, Steps: r.plan.Steps, Join: c.Dataset.Join}
	for _, p := range c.Phases {
		opt.Phases = append(opt.Phases, dataset.Phase(p))
	}
	mix, err := dataset.NewMixture(m.corpus, opt)
	if err != nil {
		return err
	}
	r.feed = &Mixed{Mixture: mix, Masker: m.masker, MicroTokens: c.Train.MicroTokens}
	return nil
}

// validation chooses how the model is measured; not at all where nothing was
// held out. Texts are measured without smoothing, for bits per byte.
func (r *run) validation(ctx context.Context) error {
	c, m, l := r.cfg, r.mat, r.loop
	if m.corpus == nil {
		if len(m.held) == 0 {
			r.nothingHeld()
			return nil
		}
		l.Validate = func(ctx context.Context) (Validation, error) {
			if r.prefs != nil {
				return r.pass.validatePairs(ctx, r.prefs, m.held, c.Train.MicroTokens)
			}
			return r.pass.validateGroups(ctx, l.Objective, m.held, c.Train.MicroTokens)
		}
		return nil
	}
	var err error
	if r.held, err = m.heldText(ctx, c.Watch.ValidationTokens); err != nil {
		return err
	}
	if len(r.held) == 0 {
		r.nothingHeld()
		return nil
	}
	r.measure, err = HeadObjective(r.pass.Model, ObjectiveOptions{})
	l.Validate = func(ctx context.Context) (Validation, error) {
		return r.pass.validateText(ctx, r.measure, r.held, c.Train.MicroTokens)
	}
	return err
}

func (r *run) nothingHeld() {
	r.opt.Log(r.word(
		"no validation: the data is too small for a document to be held out (more data, or dataset.validation with a file of its own)",
		"不做验证：数据太少，没有留出的文档（可用更多数据，或在 dataset.validation 中给出专门的文件）"))
}

// fingerprint stands for all that decides what a run comes to: the split into
// micro-batches, recomputing and the number of threads do not. It is made once, when
// the config has been scaled.
func (r *run) fingerprint() string {
	if r.print != "" {
		return r.print
	}
	c := *r.cfg
	c.Out, c.Name, c.Threads, c.SaveAs, c.Dataset.Cache = "", "", 0, "", ""
	c.Watch, c.Save = WatchConfig{}, CheckpointConfig{}
	c.Train.MicroTokens, c.Train.Recompute = 0, false
	h := sha256.New()
	for line := range strings.Lines(c.marshal()) {
		if !strings.HasPrefix(line, "#") {
			fmt.Fprint(h, line)
		}
	}
	fmt.Fprintln(h, r.baseSum)
	if r.mat.corpus != nil {
		fmt.Fprintln(h, r.mat.corpus.Fingerprint)
	}
	for _, g := range r.mat.train {
		for i := range g {
			fmt.Fprintln(h, g[i].IDs, g[i].Labels, g[i].Targets)
		}
	}
	r.print = hex.EncodeToString(h.Sum(nil)[:16])
	return r.print
}

// finish writes the finished model, its card and the report.
func (r *run) finish(ctx context.Context) error {
	var err error
	if r.saved, err = r.loop.Finish(); err != nil {
		return err
	}
	if r.saved != r.loop.State.Step {
		r.say(Event{Step: r.loop.State.Step, Best: r.saved})
	}
	dtype := map[string]checkpoint.DType{"f32": checkpoint.F32, "bf16": checkpoint.BF16}[r.cfg.SaveAs]
	if err := SaveWeights(r.pass.Model, r.cfg.Out, dtype); err != nil {
		return err
	}
	if r.sources, err = r.bySource(ctx); err != nil {
		return err
	}
	return r.tell(time.Now())
}
