package terminalchat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"wenmo"
	"wenmo/chat"
)

// Session is a conversation with a model and what commands change of it.
type Session struct {
	Model  *Model
	System string       // what the model is told before the conversation
	Params wenmo.Params // over the model's own
	Say    Say
	Hello  string // what is said of the model before anything else
	// Open opens another model; progress is told of a download.
	Open func(ctx context.Context, name string, progress func(done, total int64)) (*Model, error)

	conversation
}

// begin checks what the session was made of.
func (s *Session) begin() error {
	s.system = s.System
	_, err := s.effective(s.Params)
	return err
}

// wish is what a line asks for beside a note.
type wish int

const (
	nothing wish = iota
	toAnswer
	toOpen  // the model of the outcome's name
	toClear // the screen, for there is another conversation
	toLeave
)

// outcome is what came of a line.
type outcome struct {
	wish wish
	note string
	name string
}

// take takes a line or a text: a message, or a command that begins with a slash.
// Two slashes begin a message with one.
func (s *Session) take(text string) (outcome, error) {
	if !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") {
		s.messages = append(s.messages, chat.Message{Role: "user", Content: strings.TrimPrefix(text, "/")})
		s.sample = 0
		return outcome{wish: toAnswer}, nil
	}
	name, argument, _ := strings.Cut(text[1:], " ")
	argument = strings.TrimSpace(argument)
	command, ok := commands[strings.TrimSpace(name)]
	if !ok {
		return outcome{}, errors.New(s.Say("unknown_command", "/"+strings.TrimSpace(name)))
	}
	if command.argument && argument == "" {
		return outcome{}, errors.New(s.Say("needs_argument", "/"+name))
	}
	return command.run(s, argument)
}

// commands are the commands by name. Their help is one text.
var commands = map[string]struct {
	argument bool // must be there
	run      func(s *Session, argument string) (outcome, error)
}{
	"help":       {false, func(s *Session, _ string) (outcome, error) { return outcome{note: s.Say("help")}, nil }},
	"model":      {false, (*Session).open},
	"system":     {false, (*Session).setSystem},
	"set":        {false, (*Session).set},
	"save":       {true, (*Session).saveTo},
	"load":       {true, (*Session).loadFrom},
	"regenerate": {false, (*Session).regenerate},
	"clear":      {false, (*Session).clear},
	"quit":       {false, func(*Session, string) (outcome, error) { return outcome{wish: toLeave}, nil }},
}

// open wants the model of that name, or tells of the one that answers.
func (s *Session) open(name string) (outcome, error) {
	if name == "" {
		return outcome{note: s.Model.Name}, nil
	}
	return outcome{wish: toOpen, name: name}, nil
}

func (s *Session) setSystem(text string) (outcome, error) {
	s.system = text
	if text == "" {
		return outcome{note: s.Say("system_none")}, nil
	}
	return outcome{note: s.Say("system_set")}, nil
}

// usual are the parameters that /set shows beside those that were given.
var usual = map[string]bool{"do_sample": true, "temperature": true, "top_k": true, "top_p": true, "seed": true, "max_new_tokens": true}

func (s *Session) set(argument string) (outcome, error) {
	key, value, assigned := strings.Cut(argument, "=")
	key = strings.ReplaceAll(strings.TrimSpace(key), "-", "_")
	if assigned {
		params := s.Params
		err := params.Set(key, value)
		if err == nil {
			_, err = s.effective(params)
		}
		if err != nil {
			return outcome{}, err
		}
		s.Params = params
	}
	params, err := s.effective(s.Params)
	if err != nil {
		return outcome{}, err
	}
	if key != "" {
		text, ok := params.Text(key)
		switch {
		case !ok && assigned:
			return outcome{note: s.Say("no_effect", key)}, nil
		case !ok:
			return outcome{}, errors.New(s.Say("unknown_key", key))
		}
		return outcome{note: key + " = " + text}, nil
	}
	var lines []string
	for _, k := range wenmo.ParamKeys() {
		if usual[k.Name] || params.Given(k.Name) {
			text, _ := params.Text(k.Name)
			lines = append(lines, k.Name+" = "+ansi.Truncate(text, 60, "…"))
		}
	}
	return outcome{note: strings.Join(lines, "\n")}, nil
}

// effective returns the model's parameters with others over them.
func (s *Session) effective(over wenmo.Params) (wenmo.Params, error) {
	over.ImplySampling()
	p := s.Model.Params.With(over)
	if p.NumBeams > 1 || p.NumReturnSequences > 1 {
		return p, errors.New(s.Say("one_answer"))
	}
	return p, cmp.Or(p.Validate(), s.Model.Check(p))
}

func (s *Session) saveTo(file string) (outcome, error) {
	if err := s.save(file); err != nil {
		return outcome{}, err
	}
	return outcome{note: s.Say("saved", len(s.messages), file)}, nil
}

func (s *Session) loadFrom(file string) (outcome, error) {
	if err := s.load(file); err != nil {
		return outcome{}, err
	}
	return outcome{wish: toClear, note: s.Say("loaded", len(s.messages), file)}, nil
}

func (s *Session) clear(string) (outcome, error) {
	s.conversation = conversation{system: s.system}
	return outcome{wish: toClear}, nil
}

// regenerate asks for another answer to the last message: the next sample where
// tokens are drawn.
func (s *Session) regenerate(string) (outcome, error) {
	n := len(s.messages)
	if n > 0 && s.messages[n-1].Role == "assistant" {
		n--
	}
	if n <= s.first {
		return outcome{}, errors.New(s.Say("nothing_to_answer"))
	}
	s.sample++
	o := outcome{wish: toAnswer}
	if p, err := s.effective(s.Params); err == nil && !p.Sampling() && n < len(s.messages) {
		o.note = s.Say("greedy")
	}
	s.messages = s.messages[:n:n]
	return o, nil
}

// start begins the answer to the conversation.
func (s *Session) start(ctx context.Context) (<-chan piece, error) {
	p, err := s.effective(s.Params)
	if err != nil {
		return nil, err
	}
	return answer(ctx, s.Model, s.clone(), p, s.sample), nil
}

// reply adds what the model has answered.
func (s *Session) reply(o chat.Output) {
	s.messages = append(s.messages, chat.Message{Role: "assistant", Content: o.Text, ReasoningContent: o.Reasoning})
}

// forget notes what the model no longer sees, and returns a note of it.
func (s *Session) forget(first int) string {
	n := exchanges(s.messages[s.first:first])
	s.first = first
	if n == 0 {
		return ""
	}
	return s.Say("forgotten", s.Model.Context, n)
}

// explain puts an error in the user's language where it is one of ours.
func (s *Session) explain(err error) string {
	var long *tooLongError
	if errors.As(err, &long) {
		return s.Say("too_long", long.tokens, long.context)
	}
	return fmt.Sprint(err)
}

// ended is the note of an answer that did not come to its own end.
func (s *Session) ended(p piece) string {
	if p.finish != wenmo.FinishLength {
		return ""
	}
	if s.Model.Context > 0 && p.usage.Prompt+p.usage.Completion >= s.Model.Context {
		return s.Say("full", s.Model.Context)
	}
	return s.Say("length", p.usage.Completion)
}

// change makes another model the one that answers.
func (s *Session) change(m *Model) string {
	s.Model.Close()
	s.Model = m
	s.first = 0 // its context may hold more
	return s.Say("opened", m.Name)
}
