package eval

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"wenmo/dataset"
)

// Row is a record of a data file.
type Row struct{ dataset.Document }

// readRows reads the rows that a task and the options want.
func (j *job) readRows() error {
	for row, err := range j.wantedRows() {
		if err != nil {
			return err
		}
		if j.rows = append(j.rows, row); len(j.rows) == j.opt.Limit {
			break
		}
	}
	return nil
}

// wantedRows gives the rows of the sets that a task and the options want. Where
// there is none, it ends with an error that names the sets that there are.
func (j *job) wantedRows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		read := dataset.ReadOptions{MaxBroken: j.opt.MaxBroken, Log: j.opt.Log, Templates: j.opt.Templates}
		some, seen := false, map[string]bool{}
		for doc, err := range dataset.Read(j.ctx, j.data, read) {
			row := Row{doc}
			if err == nil && j.opt.Templates.Text != "" {
				err = row.setText()
			}
			if err != nil {
				yield(row, err)
				return
			}
			if set, ok := row.String("set"); ok {
				seen[set] = true
			}
			if !row.wanted(j.task, j.opt) {
				continue
			}
			if some = true; !yield(row, nil) {
				return
			}
		}
		if some {
			return
		}
		want := j.opt.Sets
		if len(want) == 0 {
			want = j.task.Sets
		}
		yield(Row{}, fmt.Errorf("%s: no row of the set %s, which %s wants; the file's are %s",
			j.data, strings.Join(want, ", "), j.name, strings.Join(slices.Sorted(maps.Keys(seen)), ", ")))
	}
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

// groupFields are those that name subsets where a task does not know better.
var groupFields = setFields[:3]

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

// groups divides the rows into the subsets whose figures are listed: by a field of
// the task's, else by file where there are several, else by a field that names a
// set.
func (j *job) groups() map[string][]int {
	several := slices.ContainsFunc(j.rows, func(r Row) bool { return r.File != j.rows[0].File })
	groups := map[string][]int{}
	for i := range j.rows {
		r := &j.rows[i]
		name, ok := r.first(j.task.Groups)
		switch {
		case ok:
		case several:
			name = j.fileName(r.File)
		default:
			name, _ = r.first(groupFields)
		}
		groups[name] = append(groups[name], i)
	}
	return groups
}

// first returns the value of the first of some fields that the row has.
func (r *Row) first(fields []string) (string, bool) {
	for _, f := range fields {
		if value, ok := r.String(f); ok {
			return value, true
		}
	}
	return "", false
}

// fileName is the name of a file below the folder that the data are, if they are
// one.
func (j *job) fileName(path string) string {
	if below, err := filepath.Rel(j.data, path); err == nil && filepath.IsLocal(below) {
		return filepath.ToSlash(below)
	}
	return path
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
