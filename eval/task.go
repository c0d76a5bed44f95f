package eval

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"wenmo/dataset"
	"wenmo/engine"
)

// Model is what tasks ask of a model, many things at once, so that it can compute
// them side by side. A nil function is something that the model cannot do. Each
// calls done with how many of its inputs are finished; the results have their
// order.
type Model struct {
	Name string // of its architecture, for errors

	LogLikelihood func(ctx context.Context, requests []Request, done func(n int)) ([]Likelihood, error)
	Generate      func(ctx context.Context, prompts []Prompt, p engine.Params, done func(n int)) ([]Text, error)
	Classify      func(ctx context.Context, texts []TextPair, done func(n int)) ([]Scores, error)
	Tag           func(ctx context.Context, sentences [][]string, done func(n int)) ([]Tags, error)
	Answer        func(ctx context.Context, questions []Question, done func(n int)) ([]Answer, error)

	Encode func(texts []string) [][]int32 // without special tokens
	Decode func(ids []int32) string

	Chats      bool          // it has a chat template, which Messages want
	Params     engine.Params // the model's own, of generation
	Labels     []string      // of Classify and Tag: the name of each class
	Regression bool          // Classify gives numbers, not classes
	MultiLabel bool          // of any number of classes that a text has
}

// Request asks how likely Continuation is after Context, "" being the start of a
// text; where there are IDs, how likely those from First on are after those before.
type Request struct {
	Context, Continuation string
	IDs                   []int32
	First                 int
}

// Likelihood is how likely a model finds a continuation.
type Likelihood struct {
	LogProb   float64 // natural logarithm, the sum over its tokens
	Tokens    int     // that count in it
	Greedy    bool    // each of them is the most likely one
	Truncated bool    // the context's beginning did not fit
}

// Prompt asks for a text: Messages are for models with a chat template, Text is
// for others, which stop at one of Stop. Text alone is gone on from by any model, ""
// being the start of a text.
type Prompt struct {
	Text     string
	Stop     []string
	Messages []Message
	Sample   int // number of the text among those of one seed
}

// Text is what a model wrote.
type Text struct {
	Text      string
	IDs       []int32 // its tokens
	Ended     bool    // by an end token or a stop string
	Truncated bool    // the prompt's beginning did not fit
}

// Message is a turn of a conversation.
type Message struct{ Role, Content string }

// TextPair is a text to classify, or two whose relation is asked for.
type TextPair struct{ Text, Pair string }

// Scores are a text's logits.
type Scores struct {
	Logits    []float32
	Truncated bool // the text did not fit
}

// Tags are the classes of a sentence's words, -1 for words that did not fit.
type Tags struct {
	Classes   []int
	Truncated bool
}

// Question is asked of a text that may hold its answer.
type Question struct{ Question, Context string }

// Answer is a stretch of the text, and how probable it is that there is none.
type Answer struct {
	Text     string
	NoAnswer float64 // from 0 to 1
}

// Task is a benchmark.
type Task struct {
	// Sets are beginnings of the field "set" of the rows that are meant for it,
	// where a file has rows of several; nil: all rows.
	Sets []string
	// Groups are the fields whose values name subsets; the first that a row has
	// counts.
	Groups []string

	// streams says that run reads the rows, of which there may be many.
	streams bool
	run     func(j *job) (metrics, error)
}

// metrics computes the figures of some of a task's items.
type metrics func(items []int) []Metric

// Tasks are the benchmarks by name.
var Tasks = map[string]Task{
	"blimp":        blimp,
	"choice":       choice,
	"classify":     classify,
	"cloze":        cloze,
	"cmrc":         cmrc,
	"crows-pairs":  crowsPairs,
	"generate":     generate,
	"hellaswag":    hellaSwag,
	"lambada":      lambada,
	"memorization": memorization,
	"multilabel":   multiLabel,
	"perplexity":   perplexity,
	"piqa":         piqa,
	"poems":        poems,
	"regression":   regression,
	"squad":        squad,
	"stories":      stories,
	"tokens":       tokens,
	"truthfulqa":   truthfulQA,
	"winobias":     winoBias,
	"winogender":   winoGender,
}

// TaskNames returns the names of the tasks, sorted.
func TaskNames() []string { return slices.Sorted(maps.Keys(Tasks)) }

// Options say what of a data file is used, and how.
type Options struct {
	Sets      []string // values of the field "set" of the rows to take; nil: the task's
	Limit     int      // rows, from the first; 0: all
	MaxBroken int      // rows that may be broken; 0: 100
	Log       func(line string)
	// Templates say where a row's text and labels are.
	Templates dataset.Templates
	Progress  func(done, total int)

	MaxNewTokens int // of a text that the model writes; 0: 256, of stories 1024
	// Params say how texts are sampled; what they were not given is the model's own.
	Params engine.Params
	// Samples is how many stories or poems each prompt gives (0: one); of
	// memorization how many texts in all are searched for copies (0: none).
	Samples int
	Prompts string // file of what those texts go on from; "": the start of a text
	Chars   string // file of Chinese characters, for the tones and rhymes of poems
	// NoAnswer is the probability of there being no answer above which a
	// question counts as not answered; 0: a half.
	NoAnswer float64
}

// Evaluate runs a task on the rows of a data file (JSON lines, also .gz and
// .zst). The same model and seed give the same figures every time.
func Evaluate(ctx context.Context, m Model, name, data string, opt Options) (*Result, error) {
	task, ok := Tasks[name]
	if !ok {
		return nil, fmt.Errorf("there is no task %q (known: %s)", name, strings.Join(TaskNames(), ", "))
	}
	j := &job{ctx: ctx, task: task, name: name, data: data, model: m, opt: opt}
	if !task.streams {
		if err := j.readRows(); err != nil {
			return nil, err
		}
	}
	compute, err := task.run(j)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	all := make([]int, len(j.rows))
	for i := range all {
		all[i] = i
	}
	r := &Result{
		Task: name, Data: data, Count: len(all), Broken: j.broken, Truncated: j.truncated,
		Sampling: j.sampling, Metrics: append(compute(all), j.whole...), Confusion: j.confusion, Findings: j.findings,
	}
	if groups := j.groups(); len(groups) > 1 {
		for _, g := range slices.Sorted(maps.Keys(groups)) {
			r.Groups = append(r.Groups, Group{Name: g, Count: len(groups[g]), Metrics: compute(groups[g])})
		}
	}
	return r, nil
}

// job is a task under way.
type job struct {
	ctx        context.Context
	task       Task
	name, data string
	model      Model
	opt        Options
	rows       []Row // those that parse took, once it is done
	broken     int
	truncated  int
	sampling   *Sampling
	whole      []Metric // figures that have no subsets
	confusion  *Confusion
	findings   []Finding
}

var errNoRow = errors.New("no row of the data fits the task")

// parse makes items of the rows and drops those it cannot, up to a limit.
func parse[T any](j *job, f func(r *Row) (T, error)) ([]T, error) {
	var items []T
	var kept []Row
	for i := range j.rows {
		item, err := f(&j.rows[i])
		if err != nil {
			if err := j.leaveOut(&j.rows[i], err); err != nil {
				return nil, err
			}
			continue
		}
		items = append(items, item)
		kept = append(kept, j.rows[i])
	}
	j.rows = kept
	if len(items) == 0 {
		return nil, j.noRow()
	}
	return items, nil
}

func (j *job) noRow() error {
	if n := j.opt.Limit; n > 0 {
		return fmt.Errorf("%w among the first %d", errNoRow, n)
	}
	return errNoRow
}

// leaveOut counts a broken row and tells why it is; it returns an error where
// there are too many.
func (j *job) leaveOut(r *Row, err error) error {
	err = fmt.Errorf("%s:%d: %w", r.File, r.Line, err)
	if j.broken++; j.broken > j.opt.maxBroken() {
		return fmt.Errorf("more than %d broken rows, the last: %w", j.opt.maxBroken(), err)
	}
	if j.broken <= brokenShown && j.opt.Log != nil {
		j.opt.Log(err.Error())
	}
	return nil
}

const (
	defaultMaxBroken = 100
	brokenShown      = 5 // broken rows that are logged
)

func (o *Options) maxBroken() int {
	if o.MaxBroken == 0 {
		return defaultMaxBroken
	}
	return max(0, o.MaxBroken)
}

// done returns a progress function for total inputs.
func (j *job) done(total int) func(n int) {
	return func(n int) {
		if j.opt.Progress != nil {
			j.opt.Progress(n, total)
		}
	}
}

// likelihoods asks the model for log-likelihoods.
func (j *job) likelihoods(requests []Request) ([]Likelihood, error) {
	if j.model.LogLikelihood == nil {
		return nil, fmt.Errorf("%s gives no likelihoods: it has no language-model head", j.model.Name)
	}
	found, err := j.model.LogLikelihood(j.ctx, requests, j.done(len(requests)))
	for _, l := range found {
		j.count(l.Truncated)
	}
	return found, err
}

func (j *job) count(truncated bool) {
	if truncated {
		j.truncated++
	}
}
