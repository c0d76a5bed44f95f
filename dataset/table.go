package dataset

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// startTable reads the header of a table, whose records and fields the two
// functions give.
func (f *dataFile) startTable(records func() (record, bool, error), split func([]byte) ([]string, error)) error {
	rec, more, err := records()
	if err != nil {
		return err
	}
	if !more {
		return fmt.Errorf("a table without a header: %w", ErrEmpty)
	}
	if err := rec.check(f.opt.maxRecord()); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	names, err := split(rec.data)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("header: two columns are named %q", name)
		}
	}
	if want := f.opt.TextField; want != "" && !slices.Contains(names, want) {
		return fmt.Errorf("no column %q, only %s", want, strings.Join(names, ", "))
	}
	f.records = records
	f.read = func(rec record) (Document, error) {
		fields, err := split(rec.data)
		if err != nil {
			return Document{}, err
		}
		if len(fields) != len(names) {
			return Document{}, fmt.Errorf("%d fields, but the header has %d", len(fields), len(names))
		}
		return f.tableRow(names, fields)
	}
	return nil
}

func (f *dataFile) tableRow(names, fields []string) (Document, error) {
	doc := Document{Fields: make(map[string]json.RawMessage, len(names))}
	hasText := false
	for i, name := range names {
		value, err := json.Marshal(fields[i])
		if err != nil {
			return doc, err
		}
		doc.Fields[name] = value
		if name == f.textField() {
			doc.Text, hasText = fields[i], true
		}
	}
	if hasText {
		return doc, nil
	}
	err := readConversation(&doc)
	return doc, err
}

// splitCSV parts a record of a table with commas and quotes (RFC 4180).
func splitCSV(data []byte) ([]string, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1
	fields, err := r.Read()
	if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
		err = fmt.Errorf("column %d: %w", parse.Column, parse.Err)
	}
	return fields, err
}

// splitTSV parts a line at its tabs. Quotes are text, as IANA's
// text/tab-separated-values has it.
func splitTSV(data []byte) ([]string, error) {
	return strings.Split(string(data), "\t"), nil
}
