package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"wenmo/dataset"
)

// Row is a record of a data file.
type Row struct{ dataset.Document }

// readRows reads the rows that a task and the options want.
func readRows(ctx context.Context, task Task, name, data string, opt Options) ([]Row, error) {
	read := dataset.ReadOptions{MaxBroken: opt.MaxBroken, Log: opt.Log, Templates: opt.Templates}
	var rows []Row
	seen := map[string]bool{}
	for doc, err := range dataset.Read(ctx, data, read) {
		if err != nil {
			return nil, err
		}
		row := Row{doc}
		if opt.Templates.Text != "" {
			if err := row.setText(); err != nil {
				return nil, err
			}
		}
		if set, ok := row.String("set"); ok {
			seen[set] = true
		}
		if !row.wanted(task, opt) {
			continue
		}
		rows = append(rows, row)
		if len(rows) == opt.Limit {
			break
		}
	}
	if len(rows) > 0 {
		return rows, nil
	}
	want := opt.Sets
	if len(want) == 0 {
		want = task.Sets
	}
	return nil, fmt.Errorf("%s: no row of the set %s, which %s wants; the file's are %s",
		data, strings.Join(want, ", "), name, strings.Join(slices.Sorted(maps.Keys(seen)), ", "))
}

// setText makes the document's text the field of it.
func (r *Row) setText() error {
	text, err := json.Marshal(r.Text)
	r.Fields = maps.Clone(r.Fields)
	r.Fields["text"] = text
	return err
}

// setFields are the fields by which files name the set that a row belongs to.
var setFields = []string{"set", "task", "source", "kind", "split"}

func (r *Row) wanted(task Task, opt Options) bool {
	for _, f := range setFields {
		set, ok := r.String(f)
		switch {
		case !ok:
		case len(opt.Sets) > 0:
			if slices.Contains(opt.Sets, set) {
				return true
			}
		case f == "set" || f == "task":
			return len(task.Sets) == 0 ||
				slices.ContainsFunc(task.Sets, func(s string) bool { return strings.HasPrefix(set, s) })
		}
	}
	return len(opt.Sets) == 0
}

// group returns the subset that a row's figures are listed under.
func (r *Row) group(fields []string) string {
	for _, f := range slices.Concat(fields, setFields[:3]) {
		if name, ok := r.String(f); ok {
			return name
		}
	}
	return ""
}

// text returns the first of some fields that the row has; it must be a text.
func (r *Row) text(fields ...string) (string, error) {
	for _, f := range fields {
		var s string
		if ok, err := r.field(f, &s); ok || err != nil {
			return s, err
		}
	}
	return "", fmt.Errorf("no field %s", quoted(fields))
}

// texts returns a list of texts: a field may hold one text, a list of them,
// a list of {"text"}, or {"text": list}, as SQuAD's answers are given.
func (r *Row) texts(fields ...string) ([]string, error) {
	for _, f := range fields {
		raw, ok := r.Fields[f]
		if !ok || string(raw) == "null" {
			continue
		}
		list, ok := textsOf(raw)
		if !ok {
			return nil, fmt.Errorf("field %q: neither a text nor a list of texts", f)
		}
		return list, nil
	}
	return nil, fmt.Errorf("no field %s", quoted(fields))
}

func textsOf(raw json.RawMessage) ([]string, bool) {
	var one string
	var list []string
	var objects []struct{ Text *string }
	var object struct{ Text []string }
	switch {
	case json.Unmarshal(raw, &one) == nil:
		return []string{one}, true
	case json.Unmarshal(raw, &list) == nil:
		return list, true
	case json.Unmarshal(raw, &objects) == nil:
		for _, o := range objects {
			if o.Text == nil {
				return nil, false
			}
			list = append(list, *o.Text)
		}
		return list, true
	}
	return object.Text, json.Unmarshal(raw, &object) == nil && object.Text != nil
}

// index returns which of n options a field names: by its number from 0 (as a
// number or as digits) or by a letter from A.
func (r *Row) index(n int, fields ...string) (int, error) {
	for _, f := range fields {
		s, ok := r.String(f)
		if !ok {
			continue
		}
		i, err := parseIndex(s)
		if err != nil || i >= n {
			return 0, fmt.Errorf("field %q: %q is not one of %d options", f, s, n)
		}
		return i, nil
	}
	return 0, fmt.Errorf("no field %s", quoted(fields))
}

func parseIndex(s string) (int, error) {
	if len(s) == 1 && 'A' <= s[0] && s[0] <= 'Z' {
		return int(s[0] - 'A'), nil
	}
	if len(s) == 0 || len(s) > 3 {
		return 0, errors.New("no index")
	}
	i := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, errors.New("no index")
		}
		i = 10*i + int(c-'0')
	}
	return i, nil
}

func (r *Row) field(name string, v any) (bool, error) {
	raw, ok := r.Fields[name]
	if !ok || string(raw) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("field %q: %w", name, err)
	}
	return true, nil
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(q, " or ")
}
