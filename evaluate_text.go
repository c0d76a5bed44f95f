package wenmo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"wenmo/chat"
	"wenmo/eval"
)

// textsAtOnce is how many texts an evaluation lets an engine write side by side.
const textsAtOnce = 64

// writeTexts implements eval.Model.Generate.
func (m *Model) writeTexts(ctx context.Context, prompts []eval.Prompt, p Params, done func(n int)) ([]eval.Text, error) {
	e, err := m.ownEngine()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := make([]eval.Text, len(prompts))
	var mu sync.Mutex
	finished := 0
	inParallel(textsAtOnce, len(prompts), func(i int) {
		if ctx.Err() != nil {
			return
		}
		text, err := m.writeText(ctx, e, prompts[i], p)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			stop(err)
			return
		}
		out[i] = text
		finished++
		done(finished)
	})
	return out, context.Cause(ctx)
}

// writeText writes one text. A prompt loses its beginning where it would leave too
// little room: less than the new tokens asked for, and than half the context.
func (m *Model) writeText(ctx context.Context, e *Engine, prompt eval.Prompt, p Params) (t eval.Text, err error) {
	ids, err := m.evalPrompt(prompt, &p)
	if err != nil {
		return t, err
	}
	if room := m.m.Context - max(1, min(p.MaxNewTokens, m.m.Context/2)); len(ids) > room {
		ids, t.Truncated = ids[len(ids)-room:], true
	}
	var text strings.Builder
	for ev, err := range e.Submit(ctx, Request{IDs: ids, Params: p, Sample: prompt.Sample}) {
		if err != nil {
			return t, err
		}
		text.WriteString(ev.Text)
		t.IDs = append(t.IDs, ev.ID)
		t.Ended = ev.Finish == FinishEOS || ev.Finish == FinishStop
	}
	t.Text = text.String()
	return t, nil
}

// evalPrompt encodes a prompt as a conversation where it is one and the model has a
// template.
func (m *Model) evalPrompt(prompt eval.Prompt, p *Params) ([]int32, error) {
	switch {
	case prompt.Text == "" && prompt.Messages == nil:
		return m.textStart()
	case prompt.Text != "" && (m.template == nil || prompt.Messages == nil):
		p.StopStrings = slices.Concat(p.StopStrings, prompt.Stop)
		return m.Encode(prompt.Text)
	}
	messages := make([]chat.Message, len(prompt.Messages))
	for i, turn := range prompt.Messages {
		messages[i] = chat.Message{Role: turn.Role, Content: turn.Content}
	}
	return m.Prompt(messages)
}

// textStart is what stands before the first token of a text.
func (m *Model) textStart() ([]int32, error) {
	frame, err := m.textFrame()
	if err == nil && len(frame.prefix) == 0 {
		err = errors.New("the model has no token that begins a text: give it something to go on from")
	}
	return frame.prefix, err
}

// encodeTexts implements eval.Model.Encode.
func (m *Model) encodeTexts(texts []string) [][]int32 {
	ids := make([][]int32, len(texts))
	inParallel(m.opt.Threads, len(texts), func(i int) { ids[i] = m.tok.Encode(texts[i], false) })
	return ids
}
