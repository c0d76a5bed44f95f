package terminalchat

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"wenmo"
	"wenmo/chat"
	"wenmo/internal/atomicfile"
	"wenmo/internal/readfile"
)

// conversation is what was said. What the model no longer sees is kept, for the
// user to read and to save.
type conversation struct {
	system   string
	messages []chat.Message // of the user and the assistant
	first    int            // index of the first message that the model sees
	sample   int            // number of the answer to the last message
}

// seen returns what the model is given.
func (c *conversation) seen() []chat.Message { return c.withSystem(c.messages[c.first:]) }

func (c *conversation) withSystem(messages []chat.Message) []chat.Message {
	if c.system == "" {
		return messages
	}
	return slices.Concat([]chat.Message{{Role: "system", Content: c.system}}, messages)
}

// clone returns a copy that does not change with c.
func (c *conversation) clone() conversation {
	return conversation{c.system, slices.Clone(c.messages), c.first, c.sample}
}

// tooLongError is a message that does not fit alone.
type tooLongError struct{ tokens, context int }

func (e *tooLongError) Error() string {
	return fmt.Sprintf("%d tokens in a context of %d", e.tokens, e.context)
}

// fit leaves the oldest exchanges to oblivion until there is room for an
// answer. It returns the end of the prompt's text.
func (c *conversation) fit(m *Model, p wenmo.Params) (end string, err error) {
	room := m.Context / 4
	if p.MaxNewTokens > 0 {
		room = min(p.MaxNewTokens, m.Context/2)
	}
	for {
		tokens, end, err := m.Prompt(c.seen())
		if err != nil || m.Context <= 0 || tokens+room <= m.Context {
			return end, err
		}
		next := slices.IndexFunc(c.messages[min(c.first+1, len(c.messages)):], func(m chat.Message) bool { return m.Role == "user" })
		switch {
		case next >= 0:
			c.first += 1 + next
		case tokens >= m.Context:
			return "", &tooLongError{tokens, m.Context}
		default:
			return end, nil
		}
	}
}

// exchanges counts the user's messages among some.
func exchanges(messages []chat.Message) int {
	n := 0
	for _, m := range messages {
		if m.Role == "user" {
			n++
		}
	}
	return n
}

// save writes the conversation as a JSON array of messages.
func (c *conversation) save(file string) error {
	messages := c.withSystem(c.messages)
	dicts := make([]*chat.Dict, len(messages))
	for i := range messages {
		dicts[i] = messages[i].Dict()
	}
	data, err := json.MarshalIndent(dicts, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Replace(file, append(data, '\n'))
}

// load reads what save writes, or an object that has it as "messages".
func (c *conversation) load(file string) error {
	data, err := readfile.Regular(file)
	if err != nil {
		return err
	}
	var object struct{ Messages []chat.Message }
	err = json.Unmarshal(data, &object.Messages)
	if err != nil && json.Unmarshal(data, &object) == nil {
		err = nil
	}
	if err == nil && object.Messages == nil {
		err = errors.New("want a list of messages, or an object with it as messages")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	loaded := conversation{}
	for i, m := range object.Messages {
		switch {
		case m.Role == "system" && i == 0:
			loaded.system = m.Text()
		case m.Role == "user" || m.Role == "assistant":
			loaded.messages = append(loaded.messages, m)
		default:
			return fmt.Errorf("%s: message %d has the role %q", file, i+1, m.Role)
		}
	}
	*c = loaded
	return nil
}
