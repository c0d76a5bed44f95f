package wenmo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"wenmo/chat"
	"wenmo/engine"
)

// Params say how to generate: the keys of generation_config.json.
type Params = engine.Params

// Processor changes the logits of the next token: a constraint, a bias, a mask.
type Processor = engine.Processor

// TokenLogprob is a token with the logarithm of its probability.
type TokenLogprob = engine.TokenLogprob

// Params returns the model's own parameters of generation: greedy decoding
// unless its generation_config.json says otherwise.
func (m *Model) Params() Params { return m.params }

// Generate returns ids and what follows them, greedily or sampled as p says. A
// beam search (p.NumBeams) gives its best sequence.
func (m *Model) Generate(ctx context.Context, ids []int32, p Params) ([]int32, error) {
	seqs, err := m.Sequences(ctx, ids, p)
	if err != nil {
		return nil, err
	}
	if len(seqs) == 0 {
		return nil, errors.New("beam search found no sequence that the constraints allow")
	}
	return append(slices.Clone(ids), seqs[0].IDs...), nil
}

// Sequence is a generated sequence: the new ids, the end token included.
type Sequence struct {
	IDs   []int32 `json:"ids"`
	Score float32 `json:"score,omitempty"` // of beam search: sum of log-probabilities over length^length_penalty
}

// Sequences returns p.NumReturnSequences continuations of ids.
func (m *Model) Sequences(ctx context.Context, ids []int32, p Params) ([]Sequence, error) {
	e, err := m.ownEngine()
	if err != nil {
		return nil, err
	}
	return e.Sequences(ctx, Request{IDs: ids, Params: p})
}

// Chat streams the answer to a conversation, through the model's chat template.
func (m *Model) Chat(ctx context.Context, messages []chat.Message, p Params) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		e, err := m.ownEngine()
		if err != nil {
			yield(Event{}, err)
			return
		}
		e.Submit(ctx, Request{Messages: messages, Params: p})(yield)
	}
}

// Prompt returns the ids of a conversation, ready for the model's answer.
func (m *Model) Prompt(messages []chat.Message) ([]int32, error) {
	switch {
	case m.tok == nil:
		return nil, fmt.Errorf("the model has no tokenizer: %w", m.tokErr)
	case m.tmplErr != nil:
		return nil, m.tmplErr
	case m.template == nil:
		return nil, errors.New("the model has no chat template")
	}
	text, err := m.template.Render(chat.Input{
		Messages: messages, AddGenerationPrompt: true, BOS: m.tokens.BOS, EOS: m.tokens.EOS, Now: time.Now(),
	})
	if err != nil {
		return nil, err
	}
	return m.tok.Encode(text, false), nil
}

// Encode returns the ids of a text that the model is to continue.
func (m *Model) Encode(text string) ([]int32, error) {
	if m.tok == nil {
		return nil, fmt.Errorf("the model has no tokenizer: %w", m.tokErr)
	}
	return m.tok.Encode(text, true), nil
}

// Complete streams the continuation of a text.
func (m *Model) Complete(ctx context.Context, text string, p Params) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		e, err := m.ownEngine()
		if err != nil {
			yield(Event{}, err)
			return
		}
		e.Submit(ctx, Request{Text: text, Params: p})(yield)
	}
}

// Collect returns the whole text of a stream.
func Collect(events iter.Seq2[Event, error]) (string, error) {
	var b strings.Builder
	for ev, err := range events {
		if err != nil {
			return b.String(), err
		}
		b.WriteString(ev.Text)
	}
	return b.String(), nil
}

// DefaultParams returns transformers' defaults: greedy decoding.
func DefaultParams() Params { return engine.DefaultParams() }

// ParamKey is a key of Params and what it means.
type ParamKey = engine.Key

// ForeignParamKeys returns the keys of transformers that Params.Set takes without
// effect, or only with values that have none.
func ForeignParamKeys() []ParamKey { return engine.ForeignKeys() }

// ParamKeys returns the keys that Params.Set knows.
func ParamKeys() []ParamKey { return engine.Keys() }
