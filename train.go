package wenmo

import (
	"context"
	"sync"
	"time"

	"wenmo/dataset"
	"wenmo/engine"
	"wenmo/kernel"
	"wenmo/tensor"
	"wenmo/train"
)

// TrainConfig is a training run, as its TOML file says.
type TrainConfig = train.Config

// TrainPlan is what a run will be, and why.
type TrainPlan = train.Plan

// TrainOptions are what a run needs besides its config. Find, Sample, FLOPS and
// Memory have defaults.
type TrainOptions = train.RunOptions

// TrainEvent is something that happened in a run.
type TrainEvent = train.Event

// PrepareProgress says how far the preparation of the data is.
type PrepareProgress = dataset.PrepareProgress

// ErrDiverged is the error of a run in which too many updates in a row had to be
// left out.
var ErrDiverged = train.ErrDiverged

// ReadTrainConfig reads a run from a TOML file. Unknown keys are errors.
func ReadTrainConfig(path string) (*TrainConfig, error) { return train.ReadConfig(path) }

// ResumeTrainConfig reads the config that the run in the folder out keeps, with
// what the TOML file at path, which may be "", says on top.
func ResumeTrainConfig(path, out string) (*TrainConfig, error) { return train.ResumeConfig(path, out) }

// TrainReport writes the report of a run, as far as it is, to a file.
func TrainReport(c *TrainConfig, path, lang string) error { return train.WriteReport(c, path, lang) }

// Train trains a model as a config says: from text to a folder with the model,
// its card and a report. The config is completed on the way. When ctx is done
// the run is saved, and goes on with TrainOptions.Resume as if it had not been
// broken off.
func Train(ctx context.Context, c *TrainConfig, opt TrainOptions) error {
	if err := kernel.Err(); err != nil {
		return err
	}
	if c.Threads <= 0 {
		c.Threads = DefaultThreads()
	}
	if opt.Find == nil {
		opt.Find = folderOf
	}
	if opt.Sample == nil {
		opt.Sample = sampleTexts
	}
	if opt.FLOPS == 0 {
		opt.FLOPS = productSpeed(c.Threads)
	}
	if opt.Memory == 0 {
		opt.Memory = int64(freeMemory())
	}
	if opt.Log == nil {
		opt.Log = func(string) {}
	}
	return train.Run(ctx, c, opt)
}

// productSpeed is how many operations a second a float32 product reaches, the
// best of many: the machine may be busy.
func productSpeed(threads int) float64 {
	const rows, n = 512, 768
	pool := kernel.NewPool(threads)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	x := tensor.FromSlice(make([]float32, rows*n), rows, n)
	w := &tensor.Weight{Out: n, In: n, F32: make([]float32, kernel.PanelLenF32(n, n))}
	best := time.Duration(1 << 62)
	for begin := time.Now(); time.Since(begin) < 400*time.Millisecond; {
		start := time.Now()
		g.Reset()
		g.Linear(x, []*tensor.Weight{w}, nil)
		best = min(best, time.Since(start))
	}
	return 2 * rows * n * n / best.Seconds()
}

// sampleTexts continues the prompts of a run by a moderate temperature, always
// with the same random numbers.
func sampleTexts(ctx context.Context, s train.Sampler) ([]string, error) {
	var lock sync.Mutex
	e := engine.New(s.Model, s.Pool, &lock, engine.Options{BF16: s.Model.BF16, CacheTokens: s.Model.Context, MaxSequences: 1, NoReuse: true})
	defer e.Close()
	p := engine.DefaultParams()
	for key, value := range map[string]string{"do_sample": "true", "temperature": "0.8", "top_k": "50", "seed": "0"} {
		if err := p.Set(key, value); err != nil {
			return nil, err
		}
	}
	p.EOSTokenID = s.EOS
	texts := make([]string, len(s.Prompts))
	for i, ids := range s.Prompts {
		p.MaxNewTokens = min(s.Tokens, s.Model.Context-len(ids))
		if p.MaxNewTokens <= 0 {
			continue
		}
		var out []int32
		for ev, err := range e.Generate(ctx, engine.Request{IDs: ids, Params: p}) {
			if err != nil {
				return nil, err
			}
			out = append(out, ev.ID)
		}
		texts[i] = s.Tokenizer.Decode(out, true)
	}
	return texts, nil
}
