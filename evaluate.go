package wenmo

import (
	"context"
	"fmt"
	"io"

	"wenmo/eval"
	"wenmo/model"
)

// EvalOptions say what of a data file an evaluation uses, and how.
type EvalOptions = eval.Options

// EvalResult is what an evaluation found.
type EvalResult = eval.Result

// EvalMetric is a figure with its name.
type EvalMetric = eval.Metric

// EvalTasks returns the names of the tasks that Evaluate knows, sorted.
func EvalTasks() []string { return eval.TaskNames() }

// Evaluate runs a task ("blimp", "hellaswag", "classify", …) on a data file of
// JSON lines, also .gz and .zst. The same model and seed give the same figures every
// time, for any number of threads.
func Evaluate(ctx context.Context, m *Model, task, data string, opt EvalOptions) (*EvalResult, error) {
	if m.tok == nil {
		return nil, fmt.Errorf("the model has no tokenizer: %w", m.tokErr)
	}
	return eval.Evaluate(ctx, m.evalModel(), task, data, opt)
}

// WriteEvalPage writes results as a page of HTML that needs nothing else, in
// English ("en") or Chinese ("zh").
func WriteEvalPage(w io.Writer, title string, results []*EvalResult, lang string) error {
	return eval.WritePage(w, title, results, lang)
}

// evalModel is what the model's head lets it do.
func (m *Model) evalModel() eval.Model {
	e := eval.Model{
		Name: m.m.Architecture, Params: m.params,
		Labels: m.m.Labels, Regression: m.m.Problem == model.Regression, MultiLabel: m.m.Problem == model.MultiLabel,
	}
	switch m.m.Head {
	case model.CausalHead:
		e.LogLikelihood, e.Generate = m.logLikelihoods, m.writeTexts
		e.Chats = m.template != nil || m.tmplErr != nil
		e.Encode = m.encodeTexts
		e.Decode = func(ids []int32) string { return m.tok.Decode(ids, true) }
	case model.MaskedHead:
		e.LogLikelihood = m.logLikelihoods
	case model.SequenceHead:
		e.Classify = m.scoreTexts
	case model.TokenHead:
		e.Tag = m.tagWords
	case model.SpanHead:
		e.Answer = m.answerQuestions
	}
	return e
}
