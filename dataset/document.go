package dataset

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"wenmo/chat"
)

// Document is what one record of a data file holds.
type Document struct {
	// Text is the text of a plain document; "" where the record has none.
	Text string
	// Messages is the conversation of a record that is one, whether it came as
	// messages, as ShareGPT's conversations or as Alpaca's instruction; nil: none.
	Messages []chat.Message
	// Fields holds all fields of the record as JSON, those of a table as JSON
	// strings; nil for plain text.
	Fields map[string]json.RawMessage

	File string // path of the file
	Line int    // the record's first line, from 1; of parquet and arrow the row

	bare  bool // neither a field for the text nor a conversation
	leave bool // its template says nothing
}

// Field decodes the field of that name into v. It reports false if the record
// does not have it or has null.
func (d *Document) Field(name string, v any) (bool, error) {
	raw, ok := d.Fields[name]
	if !ok || string(raw) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, d.errorf("field %q: %w", name, err)
	}
	return true, nil
}

// String returns the text in the field of that name. A number or a truth value
// is given as its JSON; "" and false if the record does not have the field.
func (d *Document) String(name string) (string, bool) {
	raw, ok := d.Fields[name]
	if !ok || string(raw) == "null" {
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, true
	}
	return string(raw), true
}

// ErrNoField is the error of a record that lacks a field.
var ErrNoField = errors.New("the record has no field")

// fieldsNamed is how many fields an error names.
const fieldsNamed = 8

// lacks says what is missing for want of a field, and which fields there are.
func (d *Document) lacks(what, field string) error {
	var names []string
	for name, raw := range d.Fields {
		if string(raw) != "null" {
			names = append(names, strconv.Quote(name))
		}
	}
	slices.Sort(names)
	if len(names) > fieldsNamed {
		names = append(names[:fieldsNamed], "…")
	}
	return d.errorf("%s: %w %q, but %s", what, ErrNoField, field, cmp.Or(strings.Join(names, ", "), "none at all"))
}

func (d *Document) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", d.File, d.Line, fmt.Errorf(format, args...))
}
