// Package terminalchat is a conversation with a model: on a terminal's screen,
// or line by line.
package terminalchat

import (
	"context"
	"iter"

	"wenmo"
	"wenmo/chat"
)

// Model is what a conversation needs of a model.
type Model struct {
	Name    string
	Context int // in tokens; 0: no limit
	Format  chat.Format
	Params  wenmo.Params
	// Check says what is wrong with parameters for this model.
	Check func(p wenmo.Params) error
	// Prompt returns how many tokens a conversation has, and the end of its text.
	Prompt func(messages []chat.Message) (tokens int, end string, err error)
	Answer func(ctx context.Context, request wenmo.Request) iter.Seq2[wenmo.Event, error]
	Close  func()
}

// NewModel wraps a model that has a chat template, for it and its engine to be
// closed with Close.
func NewModel(m *wenmo.Model, name string) (*Model, error) {
	template, err := m.Template()
	if err != nil {
		return nil, err
	}
	engine, err := wenmo.NewEngine(m, wenmo.EngineOptions{})
	if err != nil {
		return nil, err
	}
	info, format := m.Info(), template.Format()
	format.Tools = chat.NoTools // there are none, so a call of one is text
	return &Model{
		Name: name, Context: info.Context, Format: format, Params: m.Params(),
		Check: func(p wenmo.Params) error { return p.CheckVocab(info.Vocab) },
		Prompt: func(messages []chat.Message) (int, string, error) {
			ids, err := m.Prompt(messages)
			if err != nil {
				return 0, "", err
			}
			const enough = 64 // for the tag that begins the reasoning
			return len(ids), m.Tokenizer().Decode(ids[max(0, len(ids)-enough):], false), nil
		},
		Answer: engine.Submit,
		Close: func() {
			engine.Close()
			_ = m.Close() // of what was only read
		},
	}, nil
}

// Say returns the text of a key in the user's language, with its arguments put
// in.
type Say func(key string, args ...any) string
