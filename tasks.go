package wenmo

import (
	"context"
	"fmt"

	"wenmo/engine"
	"wenmo/model"
	"wenmo/tensor"
	"wenmo/tokenizer"
)

// Task is what a model is for, by the name that the hub has for it.
type Task string

// The tasks. They follow from a model's architecture.
const (
	TextGeneration      Task = "text-generation"
	FillMask            Task = "fill-mask"
	TextClassification  Task = "text-classification" // also values
	TokenClassification Task = "token-classification"
	QuestionAnswering   Task = "question-answering"
	FeatureExtraction   Task = "feature-extraction" // hidden states alone
)

var taskOf = map[model.Head]Task{
	model.NoHead:       FeatureExtraction,
	model.CausalHead:   TextGeneration,
	model.MaskedHead:   FillMask,
	model.SequenceHead: TextClassification,
	model.TokenHead:    TokenClassification,
	model.SpanHead:     QuestionAnswering,
}

// Task returns what the model is for.
func (m *Model) Task() Task { return taskOf[m.m.Head] }

// Labels returns the names of the classes of a model that classifies, by the
// column of its logits; nil for others. The slice must not be changed.
func (m *Model) Labels() []string { return m.m.Labels }

// SpecialTokens returns the names of the tokenizer's special tokens.
func (m *Model) SpecialTokens() tokenizer.Config { return m.tokens }

// Input is a sequence that is evaluated as a whole.
type Input = engine.Input

// BatchLogits computes sequences side by side, as fast as the cores allow, and
// calls f with the logits of each, in order: a row for each of its Rows or, of
// a model that classifies texts, the one row of the text. They do not depend on
// the other sequences. rows is f's to keep only during the call, and f must not
// evaluate the same model.
func (m *Model) BatchLogits(ctx context.Context, inputs []Input, f func(i int, rows [][]float32) error) error {
	return m.batch(ctx, inputs, false, f)
}

// BatchHidden is BatchLogits for the final hidden states, which models without a
// head have, too.
func (m *Model) BatchHidden(ctx context.Context, inputs []Input, f func(i int, rows [][]float32) error) error {
	return m.batch(ctx, inputs, true, f)
}

func (m *Model) batch(ctx context.Context, inputs []Input, hidden bool, f func(i int, rows [][]float32) error) error {
	return m.evaluate(func(e *engine.Evaluator) error {
		var rows [][]float32
		return e.Batch(inputs, hidden, func(i int, t *tensor.Tensor) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			rows = rows[:0]
			for r := range t.Rows {
				rows = append(rows, t.Row(r))
			}
			return f(i, rows)
		})
	})
}

// EncodeFull returns the ids of a text, or of a pair of texts, with offsets and
// masks. Nothing is cut off unless opt says so.
func (m *Model) EncodeFull(text string, opt tokenizer.EncodeOptions) (tokenizer.Encoding, error) {
	if m.tok == nil {
		return tokenizer.Encoding{}, fmt.Errorf("the model has no tokenizer: %w", m.tokErr)
	}
	return m.tok.EncodeFull(text, opt)
}
