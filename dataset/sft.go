package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"wenmo/chat"
	"wenmo/tokenizer"
)

// Overlong says what is done with a record that is longer than the model's
// context.
type Overlong int

const (
	Truncate Overlong = iota // keep what fits
	Drop                     // leave the record out
	Refuse                   // an error
)

// Cut counts records that did not fit.
type Cut struct{ Truncated, Dropped int }

// Add adds the counts of d.
func (c *Cut) Add(d Cut) {
	c.Truncated += d.Truncated
	c.Dropped += d.Dropped
}

// ChatOptions are the settings of a Chat.
type ChatOptions struct {
	MaxLength int // in tokens; 0: no limit
	// Overlong: Truncate takes the oldest exchanges away, each from a user's
	// turn to the next, and keeps the system message; a conversation of which
	// no exchange fits is dropped.
	Overlong Overlong
	// SplitTurns makes a sequence of each of the assistant's turns, with what
	// stands before it. It is for templates that write a turn differently once
	// others follow, as those do that take earlier reasoning away.
	SplitTurns bool
	Kwargs     map[string]any // further variables of the template
	Now        time.Time      // what the template takes for now
}

// Chat makes sequences of conversations through a chat template. It may be used
// by many goroutines.
type Chat struct {
	tok      *tokenizer.Tokenizer
	template *chat.Template
	config   tokenizer.Config
	ends     []string // texts of added tokens
	opt      ChatOptions
}

// NewChat makes a Chat of the template of c, DefaultTemplate if it has none.
func NewChat(t *tokenizer.Tokenizer, c tokenizer.Config, opt ChatOptions) (*Chat, error) {
	source := c.ChatTemplate
	if source == "" {
		var err error
		if source, err = DefaultTemplate(t, c); err != nil {
			return nil, err
		}
	}
	template, err := chat.Parse(source, "chat_template")
	if err != nil {
		return nil, err
	}
	s := &Chat{tok: t, template: template, config: c, opt: opt}
	for _, added := range t.AddedTokens() {
		if strings.TrimSpace(added.Content) != "" { // some that end a turn are not marked as special
			s.ends = append(s.ends, added.Content)
		}
	}
	return s, nil
}

// conversation is what a template is given.
type conversation struct {
	messages []chat.Message
	tools    []*chat.Dict
}

// Sequences returns the conversation of a document with labels on the
// assistant's turns, their end-of-turn tokens included. Where the template marks
// the assistant's text by {% generation %}, the labels are those of
// transformers' return_assistant_tokens_mask; else a turn goes from the end of
// the generation prompt to its last added token. A token that lies partly
// inside a turn counts.
func (s *Chat) Sequences(d *Document) ([]Sequence, Cut, error) {
	c := conversation{messages: d.Messages}
	if _, err := d.Field("tools", &c.tools); err != nil {
		return nil, Cut{}, err
	}
	if !slices.ContainsFunc(c.messages, isAnswer) {
		return nil, Cut{}, d.errorf("no turn of the assistant to learn from")
	}
	seqs, cut, err := s.sequences(c)
	if err != nil {
		return nil, cut, d.errorf("%w", err)
	}
	return seqs, cut, nil
}

func isAnswer(m chat.Message) bool { return m.Role == "assistant" }

func (s *Chat) sequences(c conversation) (seqs []Sequence, cut Cut, err error) {
	if !s.opt.SplitTurns {
		return s.sequence(c, s.allAnswers)
	}
	for i, m := range c.messages {
		if !isAnswer(m) {
			continue
		}
		some, missed, err := s.sequence(conversation{c.messages[:i+1], c.tools}, s.lastAnswer)
		cut.Add(missed)
		if err != nil {
			return nil, cut, err
		}
		seqs = append(seqs, some...)
	}
	return seqs, cut, nil
}

// sequence makes one sequence of a conversation, none if it is dropped.
func (s *Chat) sequence(c conversation, answers func(conversation) (string, [][2]int, error)) ([]Sequence, Cut, error) {
	c, cut, err := s.fit(c)
	if err != nil || cut.Dropped > 0 {
		return nil, cut, err
	}
	text, spans, err := answers(c)
	if err != nil {
		return nil, cut, err
	}
	seq, err := s.label(text, spans)
	return []Sequence{seq}, cut, err
}

// label encodes text with labels on the tokens inside spans, which ascend.
func (s *Chat) label(text string, spans [][2]int) (Sequence, error) {
	e, err := s.tok.EncodeFull(text, tokenizer.EncodeOptions{})
	if err != nil {
		return Sequence{}, err
	}
	seq := Sequence{IDs: e.IDs, Labels: make([]int32, len(e.IDs))}
	counted := 0
	for i, id := range e.IDs {
		seq.Labels[i] = NoLabel
		start, end := e.Offsets[i][0], e.Offsets[i][1]
		for len(spans) > 0 && spans[0][1] <= start {
			spans = spans[1:]
		}
		if len(spans) > 0 && start < end && end > spans[0][0] {
			seq.Labels[i] = id
			counted++
		}
	}
	if counted == 0 {
		return Sequence{}, errors.New("the template writes nothing for the assistant's turns")
	}
	return seq, nil
}

// fit takes exchanges away until the conversation fits.
func (s *Chat) fit(c conversation) (conversation, Cut, error) {
	n, err := s.length(c)
	switch {
	case err != nil || s.opt.MaxLength <= 0 || n <= s.opt.MaxLength:
		return c, Cut{}, err
	case s.opt.Overlong == Drop:
		return c, Cut{Dropped: 1}, nil
	case s.opt.Overlong == Refuse:
		return c, Cut{}, fmt.Errorf("the conversation has %d tokens, more than the context of %d", n, s.opt.MaxLength)
	}
	system, starts := exchanges(c.messages)
	from := func(k int) conversation {
		return conversation{slices.Concat(c.messages[:system], c.messages[starts[k]:]), c.tools}
	}
	k := 1 + sort.Search(max(len(starts)-1, 0), func(i int) bool {
		n, lengthErr := s.length(from(i + 1))
		err = cmp.Or(err, lengthErr)
		return n <= s.opt.MaxLength
	})
	if err != nil {
		return c, Cut{}, err
	}
	if k >= len(starts) || !slices.ContainsFunc(c.messages[starts[k]:], isAnswer) {
		return c, Cut{Dropped: 1}, nil
	}
	return from(k), Cut{Truncated: 1}, nil
}

// exchanges returns how many messages the conversation begins with that are
// the system's, and where its exchanges begin: at a user's turn that follows
// another's.
func exchanges(messages []chat.Message) (system int, starts []int) {
	for system < len(messages) && (messages[system].Role == "system" || messages[system].Role == "developer") {
		system++
	}
	for i := system; i < len(messages); i++ {
		if i == system || messages[i].Role == "user" && messages[i-1].Role != "user" {
			starts = append(starts, i)
		}
	}
	return system, starts
}

func (s *Chat) length(c conversation) (int, error) {
	text, err := s.render(c, false)
	if err != nil {
		return 0, err
	}
	return len(s.tok.Encode(text, false)), nil
}

func (s *Chat) render(c conversation, prompt bool) (string, error) {
	return s.template.Render(s.input(c, prompt))
}

func (s *Chat) input(c conversation, prompt bool) chat.Input {
	return chat.Input{
		Messages: c.messages, Tools: c.tools, AddGenerationPrompt: prompt,
		BOS: s.config.BOS, EOS: s.config.EOS, Kwargs: s.opt.Kwargs, Now: s.opt.Now,
	}
}
