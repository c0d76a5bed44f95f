package wenmo

import (
	"context"
	"fmt"

	"wenmo/engine"
	"wenmo/eval"
	"wenmo/model"
	"wenmo/nn"
	"wenmo/tensor"
)

// Logits calls f with the logits of each position of ids, in order: row i says
// what follows ids[:i+1] (for a masked language model, what stands at i; for one
// that classifies tokens or finds answers, what token i is). Of a model that
// classifies texts there is one row, of the position that its head reads. The
// slice is f's to keep only during the call, and f must not evaluate the same
// model. A logit that is no finite number is an error. typeIDs are BERT's
// segments, or nil; other models do not look at them.
func (m *Model) Logits(ctx context.Context, ids, typeIDs []int32, f func(pos int, logits []float32) error) error {
	return m.evaluate(func(e *engine.Evaluator) error {
		return e.Logits(ctx, ids, typeIDs, nil, func(pos int, row []float32) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return f(pos, row)
		})
	})
}

// HiddenStates returns, for each layer, the hidden states of ids
// [tokens][hidden]: first the embedding's output, last what the head reads.
func (m *Model) HiddenStates(ctx context.Context, ids, typeIDs []int32) ([][][]float32, error) {
	trace := &nn.Trace{WantHidden: true}
	if err := m.trace(ctx, ids, typeIDs, trace); err != nil {
		return nil, err
	}
	out := make([][][]float32, len(trace.Hidden))
	for l, flat := range trace.Hidden {
		out[l] = rows(flat, len(flat)/len(ids)) // the last one may have another width
	}
	return out, nil
}

// Attentions returns, for each layer and head, where each token of ids looks:
// [layers][heads][queries][keys], every row of keys summing to one.
func (m *Model) Attentions(ctx context.Context, ids, typeIDs []int32) ([][][][]float32, error) {
	trace := &nn.Trace{WantAttentions: true}
	if err := m.trace(ctx, ids, typeIDs, trace); err != nil {
		return nil, err
	}
	out := make([][][][]float32, len(trace.Attentions))
	for l, flat := range trace.Attentions {
		for _, head := range rows(flat, len(ids)*len(ids)) {
			out[l] = append(out[l], rows(head, len(ids)))
		}
	}
	return out, nil
}

// Hidden returns the final hidden states of ids, [tokens][hidden], and the
// pooled output of models that have one.
func (m *Model) Hidden(ctx context.Context, ids, typeIDs []int32) (hidden [][]float32, pooled []float32, err error) {
	err = m.evaluate(func(e *engine.Evaluator) error {
		hidden, pooled, err = e.Hidden(ctx, ids, typeIDs, nil)
		return err
	})
	return hidden, pooled, err
}

func (m *Model) trace(ctx context.Context, ids, typeIDs []int32, trace *nn.Trace) error {
	return m.evaluate(func(e *engine.Evaluator) error {
		_, _, err := e.Hidden(ctx, ids, typeIDs, trace)
		return err
	})
}

func rows(flat []float32, n int) [][]float32 {
	var out [][]float32
	for i := 0; i+n <= len(flat); i += n {
		out = append(out, flat[i:i+n:i+n])
	}
	return out
}

// evaluate runs f with the model's evaluator, one evaluation at a time; engines go
// on between its passes.
func (m *Model) evaluate(f func(e *engine.Evaluator) error) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.leave()
	m.evaluating.Lock()
	defer m.evaluating.Unlock()
	if m.graph == nil {
		m.graph = tensor.NewGraph(m.pool)
	}
	chunk := m.opt.PrefillChunk
	if chunk <= 0 {
		chunk = engine.DefaultChunk
	}
	return f(&engine.Evaluator{Model: m.m, Graph: m.graph, Chunk: chunk, BF16: m.bf16, Lock: &m.work})
}

// Score is how likely a model finds a text.
type Score struct {
	Tokens   int     // predicted
	LogProb  float64 // sum of their natural log-probabilities
	LogProbs []float32
}

// Score returns the log-probabilities of ids[1:], each given those before it.
func (m *Model) Score(ctx context.Context, ids []int32) (Score, error) {
	var s Score
	if m.m.Head != model.CausalHead {
		return s, fmt.Errorf("%s does not predict the next token", m.m.Architecture)
	}
	err := m.Logits(ctx, ids, nil, func(pos int, logits []float32) error {
		if pos+1 < len(ids) {
			l := eval.LogProb(logits, ids[pos+1])
			s.Tokens++
			s.LogProb += l
			s.LogProbs = append(s.LogProbs, float32(l))
		}
		return nil
	})
	return s, err
}

// PerplexityResult is how well a model predicts a text.
type PerplexityResult = eval.PerplexityResult

// Perplexity measures how well the model predicts a text, in windows of window
// tokens (0: the model's context) of which stride are new (0: half). A window
// beyond the context and a stride beyond the window are errors.
func (m *Model) Perplexity(ctx context.Context, text string, window, stride int, progress func(done, total int)) (PerplexityResult, error) {
	ids, err := m.Encode(text)
	if err != nil {
		return PerplexityResult{}, err
	}
	if m.m.Head != model.CausalHead {
		return PerplexityResult{}, fmt.Errorf("%s does not predict the next token", m.m.Architecture)
	}
	switch {
	case window < 0 || window == 1 || stride < 0:
		return PerplexityResult{}, fmt.Errorf("window %d and stride %d, wanted a window of 2 tokens or more and a stride of 1 or more (0: the default)", window, stride)
	case window > m.m.Context:
		return PerplexityResult{}, fmt.Errorf("window %d is longer than the model's context of %d", window, m.m.Context)
	case window == 0:
		window = m.m.Context
	}
	if stride > window {
		return PerplexityResult{}, fmt.Errorf("stride %d is longer than the window of %d", stride, window)
	}
	logits := func(ctx context.Context, ids []int32, f func(int, []float32) error) error {
		return m.Logits(ctx, ids, nil, f)
	}
	return eval.Perplexity(ctx, logits, ids, eval.PerplexityOptions{Window: window, Stride: stride, Bytes: len(text), Progress: progress})
}
