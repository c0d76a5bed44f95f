package bench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"wenmo"
	"wenmo/checkpoint"
	"wenmo/dataset"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/train"
)

// TrainOptions say what Train measures.
type TrainOptions struct {
	Shape   string // one of TrainShapes
	DType   string // "f32" or "bf16"
	Init    string // safetensors with the starting weights; "": random
	Batches string // safetensors with input_ids and labels; "": made up
	Steps   int
	Threads int

	Recompute bool // activations, for less memory
}

// TrainResult is what Train measured.
type TrainResult struct {
	TokensPerSecond Runs      `json:"tokens_per_second"` // a run a step; the first is not counted
	Losses          []float64 `json:"losses"`            // before each step
	PeakRSS         int64     `json:"peak_rss_bytes"`
	PeakFraction    float64   `json:"peak_fraction"` // of what the product alone reaches
	Kernel          string    `json:"kernel"`
	Threads         int       `json:"threads"`
}

// trainShape is the size of the batches of a shape.
type trainShape struct{ batch, length int }

var trainShapes = map[string]trainShape{
	"gpt-12m":      {16, 256},
	"mlm-12m":      {16, 256},
	"classify-12m": {32, 128},
	"gpt2-124m":    {4, 512},
}

// TrainShapes returns the names of the shapes that Train knows.
func TrainShapes() []string { return []string{"gpt-12m", "mlm-12m", "classify-12m", "gpt2-124m"} }

// Train measures whole steps of training: forward, backward and AdamW (rate
// 3e-4, betas 0.9 and 0.999, decay 0.01 of matrices), without dropout or
// clipping. progress is told of each step.
func Train(ctx context.Context, opt TrainOptions, progress func(done, total int)) (TrainResult, error) {
	shape, ok := trainShapes[opt.Shape]
	if !ok {
		return TrainResult{}, fmt.Errorf("shape %q is not one of %s", opt.Shape, strings.Join(TrainShapes(), ", "))
	}
	if err := kernel.Err(); err != nil {
		return TrainResult{}, err
	}
	pool := kernel.NewPool(opt.Threads)
	defer pool.Close()
	m, err := trainable(ctx, opt, pool)
	if err != nil {
		return TrainResult{}, err
	}
	defer m.Close()
	batches, err := trainBatches(opt, shape, m)
	if err != nil {
		return TrainResult{}, err
	}
	r := TrainResult{Losses: []float64{}, Kernel: kernel.Path(), Threads: opt.Threads}
	p := train.NewPass(m, pool)
	defer p.Close()
	p.Graph.Recompute(opt.Recompute)
	optimizer, err := train.NewAdamW(m.Params, train.DefaultAdamW)
	if err != nil {
		return r, err
	}
	defer optimizer.Close()
	objective, err := train.HeadObjective(m, train.ObjectiveOptions{Shifted: true})
	if err != nil {
		return r, err
	}
	var runs []float64
	for i, batch := range batches {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		start := time.Now()
		loss, err := p.Gradients(ctx, objective, [][]dataset.Sequence{batch})
		if err != nil {
			return r, err
		}
		optimizer.Step(pool, 3e-4)
		for _, param := range m.Params {
			param.Update(p.Graph)
		}
		took := seconds(time.Since(start))
		if i > 0 || len(batches) == 1 {
			runs = append(runs, float64(tokensOf(batch))/took)
		}
		r.Losses = append(r.Losses, loss)
		if progress != nil {
			progress(i+1, len(batches))
		}
	}
	r.TokensPerSecond = runsOf(runs)
	r.PeakRSS = peakRSS()
	peak, err := GEMM(ctx, opt.DType, 2048, 768, 3072, opt.Threads, 3)
	if err != nil {
		return r, err
	}
	flops := train.FLOPs(m, batches[:1]) / float64(tokensOf(batches[0]))
	r.PeakFraction = flops * r.TokensPerSecond.Median / (peak.GFLOPS.Median * 1e9)
	return r, nil
}

func tokensOf(batch []dataset.Sequence) (n int) {
	for i := range batch {
		n += len(batch[i].IDs)
	}
	return n
}

// trainable makes the model of a shape.
func trainable(ctx context.Context, opt TrainOptions, pool *kernel.Pool) (*model.Model, error) {
	dtype, err := model.ParseDType(opt.DType)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "wenmo-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := wenmo.Create(ctx, dir, wenmo.CreateOptions{Shape: opt.Shape, Seed: 1}); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	var raw map[string]any
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	dropouts := []string{"hidden_dropout_prob", "attention_probs_dropout_prob"}
	if raw["model_type"] == "gpt2" {
		dropouts = []string{"resid_pdrop", "embd_pdrop", "attn_pdrop"}
	}
	for _, key := range dropouts {
		raw[key] = 0.0
	}
	path := dir
	if opt.Init != "" {
		path = opt.Init
	}
	file, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return model.LoadTrainable(model.NewConfig(raw, "config.json"), file, dtype, pool)
}

// trainBatches reads or makes up the batches of all steps.
func trainBatches(opt TrainOptions, shape trainShape, m *model.Model) ([][]dataset.Sequence, error) {
	if opt.Batches == "" {
		return madeUpBatches(opt, shape, m), nil
	}
	file, err := checkpoint.Open(opt.Batches)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	ids, idShape, err := integers(file, "input_ids")
	if err != nil {
		return nil, err
	}
	labels, labelShape, err := integers(file, "labels")
	if err != nil {
		return nil, err
	}
	steps := min(idShape[0], opt.Steps)
	batch, length := idShape[1], 0
	if len(idShape) == 3 {
		length = idShape[2]
	}
	perSequence := len(labelShape) == 2
	if length == 0 || labelShape[0] != idShape[0] || labelShape[1] != batch || !perSequence && (len(labelShape) != 3 || labelShape[2] != length) {
		return nil, fmt.Errorf("%s: input_ids has shape %v and labels %v, want [steps, batch, length] and the same, or [steps, batch]", opt.Batches, idShape, labelShape)
	}
	out := make([][]dataset.Sequence, steps)
	for i := range out {
		for j := range batch {
			at := (i*batch + j) * length
			s := dataset.Sequence{IDs: ids[at : at+length]}
			if perSequence {
				s.Targets = []float32{float32(labels[i*batch+j])}
			} else {
				s.Labels = labels[at : at+length]
			}
			out[i] = append(out[i], s)
		}
	}
	return out, nil
}

// integers reads a tensor of int32.
func integers(file *checkpoint.File, name string) ([]int32, []int, error) {
	t, ok := file.Tensor(name)
	if !ok {
		return nil, nil, fmt.Errorf("%s: there is no tensor %q", file.Path(), name)
	}
	if t.DType != checkpoint.I32 || len(t.Shape) < 2 {
		return nil, nil, fmt.Errorf("%s: %s is %v %v, want I32 of two or three dimensions", file.Path(), name, t.DType, t.Shape)
	}
	out := make([]int32, t.Len())
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	if len(out) == 0 {
		return nil, nil, errors.New(file.Path() + ": " + name + " is empty")
	}
	return out, t.Shape, nil
}

// madeUpBatches walks over the vocabulary in a way that can be learnt.
func madeUpBatches(opt TrainOptions, shape trainShape, m *model.Model) [][]dataset.Sequence {
	out := make([][]dataset.Sequence, opt.Steps)
	seed := uint32(1)
	next := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(uint64(seed) * uint64(n) >> 32)
	}
	classes := strings.HasPrefix(opt.Shape, "classify")
	for i := range out {
		for range shape.batch {
			s := dataset.Sequence{IDs: make([]int32, shape.length)}
			id := next(m.Vocab)
			for j := range s.IDs {
				s.IDs[j] = int32(id)
				id = (id*5 + next(4)) % m.Vocab
			}
			switch {
			case classes:
				s.Targets = []float32{float32(s.IDs[0] % 4)}
			case m.Head == model.MaskedHead:
				s.Labels = make([]int32, shape.length)
				for j := range s.Labels {
					s.Labels[j] = dataset.NoLabel
					if next(100) < 15 {
						s.Labels[j], s.IDs[j] = s.IDs[j], 4
					}
				}
			default:
				s.Labels = append(s.IDs[1:len(s.IDs):len(s.IDs)], int32(id))
			}
			out[i] = append(out[i], s)
		}
	}
	return out
}
