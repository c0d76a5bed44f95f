package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"wenmo/chat"
)

// Templates make documents of records in any form. They are Jinja templates
// whose variables are the fields of a record (of a text file: text), and line, where
// it stands in its file: so phrasings can take turns. White space around what they
// render is cut off; a record for which one is left with nothing is left out.
type Templates struct {
	Text string `json:"text,omitempty"` // the text of the document
	// User and Answer are the turns of a conversation of one exchange.
	User   string `json:"user,omitempty"`
	Answer string `json:"answer,omitempty"`
	// Label is the field "label": the names of labels, one a line. None is no
	// reason to leave a record out.
	Label string `json:"label,omitempty"`
}

// renderer has the parsed Templates; nil where there are none.
type renderer struct {
	text, user, answer, label *chat.Template
}

func (t Templates) parse() (*renderer, error) {
	if t == (Templates{}) {
		return nil, nil
	}
	if (t.User == "") != (t.Answer == "") || t.Text != "" && t.User != "" {
		return nil, fmt.Errorf("templates: want one of the text, or those of user and answer")
	}
	r := &renderer{}
	for _, part := range []struct {
		name, source string
		to           **chat.Template
	}{{"template", t.Text, &r.text}, {"user", t.User, &r.user}, {"answer", t.Answer, &r.answer}, {"label", t.Label, &r.label}} {
		if part.source == "" {
			continue
		}
		parsed, err := chat.Parse(part.source, part.name)
		if err != nil {
			return nil, err
		}
		*part.to = parsed
	}
	return r, nil
}

// render makes the document's text or conversation, and its labels, of its
// fields.
func (r *renderer) render(doc *Document, line int) error {
	vars := chat.NewDict("text", doc.Text)
	for name, raw := range doc.Fields {
		v, err := chat.ParseJSON(raw)
		if err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
		vars.Set(name, v)
	}
	vars.Set("line", int64(line))
	if r.label != nil {
		if err := doc.setLabels(r.label, vars); err != nil {
			return err
		}
		if r.text == nil && r.user == nil {
			return nil
		}
	}
	doc.Text, doc.Messages, doc.bare = "", nil, false
	fill := func(t *chat.Template) (string, error) {
		text, err := t.RenderValues(vars, time.Time{})
		text = strings.TrimSpace(text)
		doc.leave = doc.leave || text == ""
		return text, err
	}
	if r.text != nil {
		text, err := fill(r.text)
		doc.Text = text
		return err
	}
	user, err := fill(r.user)
	if err != nil {
		return err
	}
	answer, err := fill(r.answer)
	if err == nil && !doc.leave {
		doc.Messages = []chat.Message{{Role: "user", Content: user}, {Role: "assistant", Content: answer}}
	}
	return err
}

// setLabels puts what a template says in the place of the field "label".
func (d *Document) setLabels(t *chat.Template, vars *chat.Dict) error {
	text, err := t.RenderValues(vars, time.Time{})
	if err != nil {
		return err
	}
	labels := []string{}
	for line := range strings.Lines(text) {
		if name := strings.TrimSpace(line); name != "" {
			labels = append(labels, name)
		}
	}
	raw, err := json.Marshal(labels)
	if err != nil {
		return err
	}
	d.Fields = maps.Clone(d.Fields)
	if d.Fields == nil {
		d.Fields = map[string]json.RawMessage{}
	}
	d.Fields["label"] = raw
	return nil
}
