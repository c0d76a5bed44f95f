package dataset

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Labels are the names of classes, in the order of their numbers.
type Labels struct {
	names    []string
	ids      map[string]int
	numbered bool // all names are whole numbers
}

// NewLabels makes a list of names, which must differ.
func NewLabels(names []string) (*Labels, error) {
	if len(names) == 0 {
		return nil, errors.New("no labels")
	}
	l := &Labels{names: slices.Clone(names), ids: make(map[string]int, len(names)), numbered: allWhole(names)}
	for i, name := range names {
		if other, twice := l.ids[name]; twice {
			return nil, fmt.Errorf("labels %d and %d are both %q", other, i, name)
		}
		l.ids[name] = i
	}
	return l, nil
}

func allWhole(names []string) bool {
	return !slices.ContainsFunc(names, func(s string) bool { _, err := strconv.Atoi(s); return err != nil })
}

// Len returns the number of labels.
func (l *Labels) Len() int { return len(l.names) }

// Names returns the names.
func (l *Labels) Names() []string { return slices.Clone(l.names) }

// ID returns the number of a label given by its name, or by its number where
// the names are not numbers themselves.
func (l *Labels) ID(label string) (int, error) {
	if id, ok := l.ids[label]; ok {
		return id, nil
	}
	n, err := strconv.Atoi(label)
	switch {
	case err != nil || l.numbered:
		return 0, fmt.Errorf("label %q is not one of the %d known (%s)", label, len(l.names), l.list())
	case n < 0 || n >= len(l.names):
		return 0, fmt.Errorf("label %d is out of range: there are %d labels, 0 to %d (%s)", n, len(l.names), len(l.names)-1, l.list())
	}
	return n, nil
}

// list returns the first names for an error.
func (l *Labels) list() string {
	const most = 8
	if len(l.names) > most {
		return strings.Join(l.names[:most], ", ") + ", …"
	}
	return strings.Join(l.names, ", ")
}

// LabelCounts counts the labels of documents, to find out which there are. The
// zero value is empty and ready for use.
type LabelCounts struct{ counts map[string]int64 }

// Add counts the labels in a field of a document: a name or number, or a list
// of names or numbers.
func (c *LabelCounts) Add(d *Document, field string) error {
	labels, err := rowLabels(d, field)
	c.add(labels)
	return err
}

func (c *LabelCounts) add(labels []string) {
	if c.counts == nil {
		c.counts = map[string]int64{}
	}
	for _, l := range labels {
		c.counts[l]++
	}
}

// Labels returns the labels seen: by value if all are whole numbers, else by
// name.
func (c *LabelCounts) Labels() (*Labels, error) {
	names := slices.Sorted(maps.Keys(c.counts))
	if allWhole(names) {
		slices.SortStableFunc(names, func(a, b string) int {
			x, _ := strconv.Atoi(a)
			y, _ := strconv.Atoi(b)
			return cmp.Compare(x, y)
		})
	}
	return NewLabels(names)
}

// Of returns how often each label of l was seen. A label that is not one of l
// is an error.
func (c *LabelCounts) Of(l *Labels) ([]int64, error) {
	out := make([]int64, l.Len())
	for _, name := range slices.Sorted(maps.Keys(c.counts)) {
		id, err := l.ID(name)
		if err != nil {
			return nil, err
		}
		out[id] += c.counts[name]
	}
	return out, nil
}

// ClassWeights returns weights for the loss by which all classes count alike:
// total / (classes · count), as scikit-learn's "balanced" has it, of the classes
// that occur; 0 for one that does not.
func ClassWeights(counts []int64) []float32 {
	var total, seen int64
	for _, n := range counts {
		total += n
		if n > 0 {
			seen++
		}
	}
	out := make([]float32, len(counts))
	for i, n := range counts {
		if n > 0 {
			out[i] = float32(float64(total) / (float64(seen) * float64(n)))
		}
	}
	return out
}

// rowLabels returns the labels in a field, numbers in digits.
func rowLabels(d *Document, field string) ([]string, error) {
	raw, ok := d.Fields[field]
	if !ok || string(raw) == "null" {
		return nil, d.lacks("no label", field)
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	out := make([]string, len(list))
	for i, item := range list {
		s, ok := labelText(item)
		if !ok {
			return nil, d.errorf("field %q: a label is a text, a whole number or a truth value, not %s", field, excerpt(string(item)))
		}
		out[i] = s
	}
	return out, nil
}

// labelText returns a label in JSON as text.
func labelText(raw json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, s != ""
	}
	var x float64
	if json.Unmarshal(raw, &x) == nil {
		if n := int64(x); float64(n) == x {
			return strconv.FormatInt(n, 10), true
		}
		return "", false
	}
	text := string(raw)
	return text, text == "true" || text == "false"
}
