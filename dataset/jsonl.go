package dataset

import (
	"encoding/json"
	"errors"
	"fmt"

	"wenmo/chat"
)

func (f *dataFile) textField() string {
	if f.opt.TextField == "" {
		return "text"
	}
	return f.opt.TextField
}

// readJSON reads a record that is a JSON object.
func (f *dataFile) readJSON(rec record) (Document, error) {
	fields, err := splitObject(rec.data)
	if err != nil {
		return Document{}, fmt.Errorf("not a JSON object: %w", err)
	}
	doc := Document{Fields: fields}
	if f.templates != nil {
		return doc, nil
	}
	field := f.textField()
	if raw, ok := doc.Fields[field]; ok && string(raw) != "null" {
		if doc.Text, err = unquote(raw); err != nil {
			return doc, fmt.Errorf("field %q is no text", field)
		}
		return doc, nil
	}
	if f.opt.TextField != "" {
		return doc, fmt.Errorf("no field %q", field)
	}
	err = readConversation(&doc)
	return doc, err
}

// readConversation fills in the messages of a record that is a conversation in
// one of the forms in use.
func readConversation(doc *Document) (err error) {
	switch {
	case has(doc, "messages"):
		if err = json.Unmarshal(doc.Fields["messages"], &doc.Messages); err != nil {
			err = fmt.Errorf("field %q: %w", "messages", err)
		}
	case has(doc, "conversations"):
		err = readShareGPT(doc)
	case has(doc, "instruction") && has(doc, "output"):
		err = readAlpaca(doc)
	default:
		doc.bare = true
		return nil
	}
	if err == nil && len(doc.Messages) == 0 {
		return errors.New("a conversation without messages")
	}
	return err
}

func has(doc *Document, field string) bool {
	raw, ok := doc.Fields[field]
	return ok && string(raw) != "null"
}

// shareGPTRoles maps the speakers that ShareGPT's files have to roles.
var shareGPTRoles = map[string]string{
	"system": "system",
	"human":  "user", "user": "user",
	"gpt": "assistant", "chatgpt": "assistant", "assistant": "assistant", "model": "assistant",
	"tool": "tool", "observation": "tool",
}

// readShareGPT reads {"conversations": [{"from", "value"}], "system"}, also with
// the keys role and content.
func readShareGPT(doc *Document) error {
	var turns []struct {
		From, Value   *string
		Role, Content *string
	}
	if err := json.Unmarshal(doc.Fields["conversations"], &turns); err != nil {
		return fmt.Errorf("field %q: %w", "conversations", err)
	}
	addSystem(doc)
	for i, turn := range turns {
		from, value := turn.From, turn.Value
		if from == nil && value == nil {
			from, value = turn.Role, turn.Content
		}
		if from == nil || value == nil {
			return fmt.Errorf("conversations[%d]: no from or no value", i)
		}
		role, ok := shareGPTRoles[*from]
		if !ok {
			return fmt.Errorf("conversations[%d]: from %q is not known", i, *from)
		}
		doc.Messages = append(doc.Messages, chat.Message{Role: role, Content: *value})
	}
	if len(turns) == 0 {
		return errors.New("a conversation without messages")
	}
	return nil
}

// readAlpaca reads {"instruction", "input", "output"}, with the earlier turns in
// history, [[user, assistant], …], and system where they are given. The input
// follows the instruction on a line of its own.
func readAlpaca(doc *Document) error {
	var instruction, input, output string
	for name, into := range map[string]*string{"instruction": &instruction, "input": &input, "output": &output} {
		if has(doc, name) && json.Unmarshal(doc.Fields[name], into) != nil {
			return fmt.Errorf("field %q is no text", name)
		}
	}
	var history [][2]string
	if has(doc, "history") && doc.Fields["history"][0] == '[' {
		if err := json.Unmarshal(doc.Fields["history"], &history); err != nil {
			return fmt.Errorf("field %q: %w", "history", err)
		}
	}
	if input != "" {
		instruction += "\n" + input
	}
	addSystem(doc)
	for _, turn := range append(history, [2]string{instruction, output}) {
		doc.Messages = append(doc.Messages,
			chat.Message{Role: "user", Content: turn[0]},
			chat.Message{Role: "assistant", Content: turn[1]})
	}
	return nil
}

func addSystem(doc *Document) {
	if system, ok := doc.String("system"); ok && system != "" {
		doc.Messages = []chat.Message{{Role: "system", Content: system}}
	}
}
