package chat

import (
	"fmt"
	"slices"
	"strings"
)

// Message is one turn of a conversation.
//
// A template sees it as a dict. Made in Go, the dict has the fields that are
// set, in the order below, and always role and content. Decoded from JSON, it
// is the JSON object as it was given (its keys in their order, those unknown
// here, null) with the changes since made to the fields.
type Message struct {
	Role             string
	Content          string
	Parts            []*Dict // content in parts, in place of Content if not nil
	ReasoningContent string
	ToolCalls        []ToolCall
	Name             string
	ToolCallID       string
	Extra            *Dict // further keys

	given *Dict
}

// ToolCall is a call that the model asks for.
type ToolCall struct {
	ID        string
	Name      string
	Arguments Value // a *Dict, or JSON text as OpenAI's API has it

	given *Dict
}

// TextPart returns a part of a message's content.
func TextPart(text string) *Dict { return NewDict("type", "text", "text", text) }

// Text returns the message's text; of parts, that of the text parts together.
func (m *Message) Text() string {
	if m.Parts == nil {
		return m.Content
	}
	var b strings.Builder
	for _, p := range m.Parts {
		t, _ := p.Get("text")
		b.WriteString(text(t))
	}
	return b.String()
}

// Dict returns the message as templates see it.
func (m *Message) Dict() *Dict {
	was, d := &Message{}, &Dict{}
	if m.given != nil {
		if err := was.read(m.given); err == nil {
			d = m.given.copy()
		}
	}
	change(d, "role", m.Role, was.Role)
	switch {
	case m.Parts != nil && (was.Parts == nil || !slices.Equal(m.Parts, was.Parts)):
		d.Set("content", dictList(m.Parts))
	case m.Parts == nil && (m.Content != was.Content || was.Parts != nil || m.given == nil):
		d.Set("content", m.Content)
	}
	change(d, "reasoning_content", m.ReasoningContent, was.ReasoningContent)
	if len(m.ToolCalls) == 0 && len(was.ToolCalls) > 0 {
		d.Delete("tool_calls")
	} else if !slices.Equal(m.ToolCalls, was.ToolCalls) {
		calls := &List{}
		for i := range m.ToolCalls {
			calls.Items = append(calls.Items, m.ToolCalls[i].Dict())
		}
		d.Set("tool_calls", calls)
	}
	change(d, "name", m.Name, was.Name)
	change(d, "tool_call_id", m.ToolCallID, was.ToolCallID)
	for k, v := range m.Extra.All() {
		d.Set(k, v)
	}
	return d
}

// change gives d the new value of a field, if it is new.
func change(d *Dict, key, now, was string) {
	switch {
	case now == was:
	case now == "":
		d.Delete(key)
	default:
		d.Set(key, now)
	}
}

// Dict returns the call as templates see it.
func (t *ToolCall) Dict() *Dict {
	if t.given == nil {
		d := &Dict{}
		if t.ID != "" {
			d.Set("id", t.ID)
		}
		d.Set("type", "function")
		d.Set("function", NewDict("name", t.Name, "arguments", t.Arguments))
		return d
	}
	was := &ToolCall{}
	if err := was.read(t.given); err != nil || *was == *t {
		return t.given
	}
	d := t.given.copy()
	change(d, "id", t.ID, was.ID)
	fn := d
	if f, ok := d.Get("function"); ok {
		fn = f.(*Dict).copy()
		d.Set("function", fn)
	}
	change(fn, "name", t.Name, was.Name)
	if t.Arguments != was.Arguments {
		fn.Set("arguments", t.Arguments)
	}
	return d
}

// UnmarshalJSON decodes a message of OpenAI's API.
func (m *Message) UnmarshalJSON(data []byte) error {
	d := &Dict{}
	if err := d.UnmarshalJSON(data); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	*m = Message{}
	return m.read(d)
}

// MarshalJSON encodes the message as templates see it.
func (m *Message) MarshalJSON() ([]byte, error) { return m.Dict().MarshalJSON() }

func (m *Message) read(d *Dict) error {
	m.given = d
	fields := []struct {
		key   string
		field *string
	}{{"role", &m.Role}, {"reasoning_content", &m.ReasoningContent}, {"name", &m.Name}, {"tool_call_id", &m.ToolCallID}}
	for _, f := range fields {
		if err := readText(d, f.key, f.field); err != nil {
			return fmt.Errorf("message: %w", err)
		}
	}
	if err := m.readContent(d); err != nil {
		return err
	}
	calls, err := readDicts(d, "tool_calls")
	if err != nil {
		return fmt.Errorf("message: %w", err)
	}
	for _, c := range calls {
		t := ToolCall{}
		if err := t.read(c); err != nil {
			return fmt.Errorf("message: tool_calls: %w", err)
		}
		m.ToolCalls = append(m.ToolCalls, t)
	}
	return nil
}

func (m *Message) readContent(d *Dict) (err error) {
	v, _ := d.Get("content")
	if _, ok := v.(*List); !ok {
		return readText(d, "content", &m.Content)
	}
	if m.Parts, err = readDicts(d, "content"); m.Parts == nil {
		m.Parts = []*Dict{}
	}
	return err
}

func (t *ToolCall) read(d *Dict) error {
	t.given = d
	if err := readText(d, "id", &t.ID); err != nil {
		return err
	}
	fn := d
	if v, ok := d.Get("function"); ok {
		if fn, ok = v.(*Dict); !ok {
			return fmt.Errorf("function: want an object, found %s", typeName(v))
		}
	}
	t.Arguments, _ = fn.Get("arguments")
	return readText(fn, "name", &t.Name)
}

// readText reads a string that may be null or left out.
func readText(d *Dict, key string, field *string) error {
	v, ok := d.Get(key)
	if !ok || v == nil {
		return nil
	}
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%s: want a string, found %s", key, typeName(v))
	}
	*field = s
	return nil
}

// readDicts reads a list of objects that may be null or left out.
func readDicts(d *Dict, key string) ([]*Dict, error) {
	v, ok := d.Get(key)
	if !ok || v == nil {
		return nil, nil
	}
	l, ok := v.(*List)
	if !ok {
		return nil, fmt.Errorf("%s: want a list, found %s", key, typeName(v))
	}
	var out []*Dict
	for i, item := range l.Items {
		o, ok := item.(*Dict)
		if !ok {
			return nil, fmt.Errorf("%s[%d]: want an object, found %s", key, i, typeName(item))
		}
		out = append(out, o)
	}
	return out, nil
}
