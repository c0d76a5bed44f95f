package wenmo

import (
	"context"
	"slices"
	"sync"

	"wenmo/chat"
	"wenmo/eval"
)

// textsAtOnce is how many texts an evaluation lets an engine write side by side.
const textsAtOnce = 64

// writeTexts implements eval.Model.Generate: greedily, each text at most tokens
// long.
func (m *Model) writeTexts(ctx context.Context, prompts []eval.Prompt, tokens int, done func(n int)) ([]eval.Text, error) {
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
		text, err := m.writeText(ctx, e, prompts[i], tokens)
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

func (m *Model) writeText(ctx context.Context, e *Engine, prompt eval.Prompt, tokens int) (t eval.Text, err error) {
	p := m.params
	p.DoSample, p.NumBeams, p.NumReturnSequences = false, 1, 1
	p.MaxLength, p.MinLength, p.MinNewTokens = 0, 0, 0
	p.MaxNewTokens = max(1, min(tokens, m.m.Context/2))
	ids, err := m.evalPrompt(prompt, &p)
	if err != nil {
		return t, err
	}
	if room := m.m.Context - p.MaxNewTokens; len(ids) > room {
		ids, t.Truncated = ids[len(ids)-room:], true
	}
	t.Text, err = Collect(e.Submit(ctx, Request{IDs: ids, Params: p}))
	return t, err
}

// evalPrompt encodes a prompt as a conversation where the model has a template.
func (m *Model) evalPrompt(prompt eval.Prompt, p *Params) ([]int32, error) {
	if m.template == nil && prompt.Text != "" {
		p.StopStrings = slices.Concat(p.StopStrings, prompt.Stop)
		return m.Encode(prompt.Text)
	}
	messages := make([]chat.Message, len(prompt.Messages))
	for i, turn := range prompt.Messages {
		messages[i] = chat.Message{Role: turn.Role, Content: turn.Content}
	}
	return m.Prompt(messages)
}
