package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"wenmo/dataset"
	"wenmo/kernel"
	"wenmo/model"
)

// Loop is a run: steps of training with what goes on between them.
type Loop struct {
	Pass      *Pass
	Pool      *kernel.Pool
	Objective Objective
	Optimizer Optimizer
	Schedule  Schedule
	Guard     *Guard
	EMA       *EMA    // nil: none; otherwise validation and samples use it
	Clip      float64 // greatest norm of the gradients; 0: any
	Data      Data
	State     LoopState

	// Validate measures the model as it is; nil: nothing is measured. It is called
	// every ValidateEvery steps and at the end, Sample every SampleEvery steps
	// and at the end.
	Validate      func(ctx context.Context) (Validation, error)
	ValidateEvery int
	Sample        func(ctx context.Context, step int) error
	SampleEvery   int
	Patience      int // validations without a better one, then training ends; 0: no matter how many
	// KeepLast makes Finish keep the last weights, not those that validated best:
	// where the data changes during a run, they are what it was for.
	KeepLast bool

	Checkpoints     *Checkpoints // nil: none
	CheckpointEvery time.Duration

	Told func(Event) error // of all that happens, in order

	clip *Clip
}

// Data gives the batches of a run.
type Data interface {
	// Batch returns the micro-batches of a step, and the state of the data after
	// it. It may be called again with the same state.
	Batch(step int, state json.RawMessage) (batch [][]dataset.Sequence, next json.RawMessage, err error)
}

// LoopState is where a run is: what a checkpoint holds besides tensors.
type LoopState struct {
	Run     string          `json:"run"`     // stands for data and settings: a checkpoint of another run is not taken
	Step    int             `json:"step"`    // steps made
	Updates int64           `json:"updates"` // steps whose update was made
	Tokens  int64           `json:"tokens"`  // trained on
	Seconds float64         `json:"seconds"` // spent training
	Data    json.RawMessage `json:"data"`
	Guard   *Guard          `json:"guard"`

	Best      float64 `json:"best"` // score of the best validation
	BestLoss  float64 `json:"best_loss"`
	BestStep  int     `json:"best_step"`
	Waited    int     `json:"waited"` // validations since
	Validated int     `json:"validated"`
	Sampled   int     `json:"sampled"`
}

// Validation is how good a model is on data that it does not train on.
type Validation struct {
	Loss        float64            `json:"loss"`
	BitsPerByte float64            `json:"bits_per_byte,omitempty"` // of language models
	Metrics     map[string]float64 `json:"metrics,omitempty"`
	// Score is what the best checkpoint is chosen by: the larger the better.
	Score float64 `json:"score"`
}

// Event is something that happened: one of the fields but Step is set.
type Event struct {
	Step       int            `json:"step"`
	Train      *StepResult    `json:"train,omitempty"`
	Validation *Validation    `json:"validation,omitempty"`
	Saved      *time.Duration `json:"checkpoint_stalls_ns,omitempty"` // what waiting for checkpoints has cost so far
	Stopped    string         `json:"stopped,omitempty"`              // why a run ended before its last step
	Resumed    bool           `json:"resumed,omitempty"`              // the run goes on after Step
	Best       int            `json:"best,omitempty"`                 // the step whose model is kept, where it is not the last
}

// StepResult is what a step came to.
type StepResult struct {
	Loss            float64 `json:"loss"`
	Norm            float64 `json:"gradient_norm"` // before clipping
	Rate            float64 `json:"learning_rate"`
	Tokens          int64   `json:"tokens"` // so far
	TokensPerSecond float64 `json:"tokens_per_second"`
	FLOPs           float64 `json:"flops"` // of the step's products
	Seconds         float64 `json:"seconds"`
	Skipped         string  `json:"skipped,omitempty"` // why no update was made
}

// MarshalJSON leaves out what JSON has no number for.
func (r StepResult) MarshalJSON() ([]byte, error) {
	type plain StepResult
	return json.Marshal(struct {
		plain
		Loss *float64 `json:"loss"`
		Norm *float64 `json:"gradient_norm"`
	}{plain(r), number(r.Loss), number(r.Norm)})
}

// Run trains until steps are made, ctx is done or nothing gets better. It saves
// a checkpoint at the end, also where ctx is done, but not where it has diverged.
// The error of ctx comes back as it is.
func (l *Loop) Run(ctx context.Context, steps int) error {
	l.clip = NewClip(l.Pass.Model.Params)
	err := l.run(ctx, steps)
	if l.Checkpoints == nil {
		return err
	}
	if err == nil || ctx.Err() != nil { // not of a run that has diverged: what is there is better
		if saveErr := l.save(); saveErr != nil {
			return errors.Join(err, saveErr)
		}
	}
	return errors.Join(err, l.Checkpoints.Wait())
}

func (l *Loop) run(ctx context.Context, steps int) error {
	saved := time.Now()
	for {
		// Before the first step, too: a run may have been broken off between a step
		// and what follows it.
		last := l.State.Step >= steps
		stop, err := l.watch(ctx, last)
		if err != nil {
			return err
		}
		if stop != "" {
			return l.Told(Event{Step: l.State.Step, Stopped: stop})
		}
		if last {
			return nil
		}
		if err := l.step(ctx); err != nil {
			return err
		}
		if l.Checkpoints != nil && l.State.Step < steps && time.Since(saved) >= l.CheckpointEvery && l.CheckpointEvery > 0 {
			if err := l.save(); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
}

func (l *Loop) save() error {
	if err := l.Checkpoints.Save(l); err != nil {
		return err
	}
	stalled := l.Checkpoints.Stalled()
	return l.Told(Event{Step: l.State.Step, Saved: &stalled})
}

// step makes one step. When it is broken off nothing has changed.
func (l *Loop) step(ctx context.Context) error {
	start := time.Now()
	s := &l.State
	batch, next, err := l.Data.Batch(s.Step, s.Data)
	if err != nil {
		return err
	}
	l.Pass.Step = uint32(s.Step)
	loss, err := l.Pass.Gradients(ctx, l.Objective, batch)
	if err != nil {
		return err
	}
	if l.Checkpoints != nil { // which are written while gradients are computed
		if err := l.Checkpoints.Wait(); err != nil {
			return err
		}
	}
	r := StepResult{Loss: loss, Rate: l.Schedule.At(s.Step), FLOPs: FLOPs(l.Pass.Model, batch)}
	if l.Clip > 0 {
		r.Norm = l.clip.To(l.Pool, l.Clip)
	} else {
		r.Norm = l.clip.Norm(l.Pool)
	}
	why, diverged := l.Guard.Check(s.Step, loss, r.Norm)
	if why == "" {
		l.update(r.Rate)
	}
	tokens := int64(0)
	for _, b := range batch {
		for i := range b {
			tokens += int64(len(b[i].IDs))
		}
	}
	r.Skipped, r.Seconds = why, time.Since(start).Seconds()
	if r.Seconds > 0 { // a clock may be slower than a small step
		r.TokensPerSecond = float64(tokens) / r.Seconds
	}
	s.Step++
	s.Data, s.Guard = next, l.Guard
	s.Tokens += tokens
	s.Seconds += r.Seconds
	r.Tokens = s.Tokens
	return errors.Join(l.Told(Event{Step: s.Step, Train: &r}), diverged)
}

func (l *Loop) update(rate float64) {
	l.Optimizer.Step(l.Pool, rate)
	l.State.Updates++
	l.repack()
	if l.EMA != nil {
		l.EMA.Step(l.Pool)
	}
}

func (l *Loop) repack() {
	for _, p := range l.Pass.Model.Params {
		p.Update(l.Pass.Graph)
	}
}

// watch measures and samples when it is time to, and says why the run should
// stop, if it should.
func (l *Loop) watch(ctx context.Context, last bool) (stop string, err error) {
	s := &l.State
	due := func(every, done int) bool { return done != s.Step && (last || every > 0 && s.Step%every == 0) }
	validate := l.Validate != nil && due(l.ValidateEvery, s.Validated)
	sample := l.Sample != nil && due(l.SampleEvery, s.Sampled)
	if validate || sample {
		better, err := l.look(ctx, validate, sample)
		if err != nil {
			return "", err
		}
		if better && l.Checkpoints != nil && !last {
			if err := l.save(); err != nil {
				return "", err
			}
		}
	}
	if l.Patience > 0 && s.Waited >= l.Patience && !last {
		return fmt.Sprintf("no better validation for %d measurements; the best was after %d steps", s.Waited, s.BestStep), nil
	}
	return "", nil
}

// look samples and validates, with the average in place if there is one.
func (l *Loop) look(ctx context.Context, validate, sample bool) (better bool, err error) {
	s := &l.State
	if l.EMA != nil {
		if l.Checkpoints != nil {
			if err := l.Checkpoints.Wait(); err != nil {
				return false, err
			}
		}
		l.swap()
		defer l.swap()
	}
	if sample {
		if err := l.Sample(ctx, s.Step); err != nil {
			return false, err
		}
		s.Sampled = s.Step
	}
	if !validate {
		return false, nil
	}
	v, err := l.Validate(ctx)
	if err != nil {
		return false, err
	}
	s.Validated = s.Step
	s.Waited++
	if better = number(v.Score) != nil && (s.BestStep == 0 || v.Score > s.Best || v.Score == s.Best && v.Loss < s.BestLoss); better {
		s.Best, s.BestLoss, s.BestStep, s.Waited = v.Score, v.Loss, s.Step, 0
	}
	return better, l.Told(Event{Step: s.Step, Validation: &v})
}

// swap exchanges the average with the parameters.
func (l *Loop) swap() {
	l.EMA.Swap(l.Pool)
	l.repack()
}

// Finish puts in place what the run comes to: the best checkpoint, where
// validation chose one, and the average, if there is one. It returns the step that
// this is the model of; State stays that of the run.
func (l *Loop) Finish() (step int, err error) {
	step = l.State.Step
	if best := l.State.BestStep; !l.KeepLast && l.Checkpoints != nil && best > 0 && best != step {
		state := l.State
		if err := l.Checkpoints.RestoreStep(l, best); err != nil {
			return step, err
		}
		l.State, step = state, best
	}
	if l.EMA != nil {
		l.swap()
	}
	return step, nil
}

// FLOPs is the work of the matrix products of a step, forward and backward: six
// operations for each weight and row that meets it, and those of attention.
// It is 0 for an adapter.
func FLOPs(m *model.Model, batches [][]dataset.Sequence) float64 {
	if m.Adapter != nil {
		return 0
	}
	tokens, counted, pairs := 0, 0, 0
	for _, batch := range batches {
		for i := range batch {
			n := len(batch[i].IDs)
			tokens += n
			pairs += n * n
			counted += headRows(m, &batch[i])
		}
	}
	if !m.Bidirectional {
		pairs /= 2
	}
	flops := 12 * float64(pairs) * float64(m.Layers) * float64(m.Heads*m.KV.Dim)
	for _, p := range m.Params {
		switch {
		case p.Weight == nil:
		case p.Weight.Out == m.Vocab || model.IsHead(p.Name):
			flops += 6 * float64(counted) * float64(len(p.Value))
		default:
			flops += 6 * float64(tokens) * float64(len(p.Value))
		}
	}
	return flops
}

// headRows is how many rows of a sequence the head is computed for.
func headRows(m *model.Model, s *dataset.Sequence) (n int) {
	switch m.Head {
	case model.SequenceHead:
		return 1
	case model.SpanHead:
		return len(s.IDs)
	}
	for _, y := range labelsOf(s, 0) {
		if y >= 0 {
			n++
		}
	}
	return n
}
