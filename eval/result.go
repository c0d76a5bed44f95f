package eval

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
)

// Metric is a figure with its name in JSON.
type Metric struct {
	Name  string
	Value Maybe
}

// Group are the figures of a subset.
type Group struct {
	Name    string
	Count   int
	Metrics []Metric
}

// Confusion is a confusion matrix, [label][prediction].
type Confusion struct {
	Labels []string `json:"labels"`
	Counts [][]int  `json:"counts"`
}

// Result is what a task found. In JSON the metrics stand beside the task's name.
type Result struct {
	Task      string
	Data      string
	Count     int // rows
	Broken    int // rows left out
	Truncated int // requests whose context was too long for the model
	Sampling  *Sampling
	Metrics   []Metric
	Groups    []Group // where the rows are of several
	Confusion *Confusion
	Findings  []Finding
}

// Metric returns the figure of that name.
func (r *Result) Metric(name string) (float64, bool) {
	for _, m := range r.Metrics {
		if m.Name == name {
			return float64(m.Value), true
		}
	}
	return 0, false
}

// MarshalJSON writes {"task", "data", "count", metrics…, "groups", …}.
func (r Result) MarshalJSON() ([]byte, error) {
	o := object{}
	o.add("task", r.Task)
	o.add("data", r.Data)
	o.add("count", r.Count)
	if r.Sampling != nil {
		o.add("sampling", r.Sampling)
	}
	o.metrics(r.Metrics)
	if r.Broken > 0 {
		o.add("broken", r.Broken)
	}
	if r.Truncated > 0 {
		o.add("truncated", r.Truncated)
	}
	if r.Groups != nil {
		o.add("groups", r.Groups)
	}
	if r.Confusion != nil {
		o.add("confusion_matrix", r.Confusion)
	}
	if r.Findings != nil {
		o.add("findings", r.Findings)
	}
	return o.close()
}

// MarshalJSON writes {"name", "count", metrics…}.
func (g Group) MarshalJSON() ([]byte, error) {
	o := object{}
	o.add("name", g.Name)
	o.add("count", g.Count)
	o.metrics(g.Metrics)
	return o.close()
}

// object is a JSON object under way, in the order of its fields.
type object struct {
	b   bytes.Buffer
	err error
}

func (o *object) add(name string, value any) {
	if o.b.Len() == 0 {
		o.b.WriteByte('{')
	} else {
		o.b.WriteByte(',')
	}
	for i, v := range []any{name, value} {
		data, err := json.Marshal(v)
		if err != nil && o.err == nil {
			o.err = err
		}
		if i == 1 {
			o.b.WriteByte(':')
		}
		o.b.Write(data)
	}
}

func (o *object) metrics(list []Metric) {
	for _, m := range list {
		o.add(m.Name, m.Value)
	}
}

func (o *object) close() ([]byte, error) {
	o.b.WriteByte('}')
	return o.b.Bytes(), o.err
}

// accuracy returns the share of items that are right, and its standard error.
func accuracy(name string, items []int, right func(i int) bool) []Metric {
	n, hits := float64(len(items)), 0.0
	for _, i := range items {
		hits += boolean(right(i))
	}
	p := hits / n
	return []Metric{{name, Maybe(p)}, {name + errorSuffix, Maybe(math.Sqrt(p * (1 - p) / (n - 1)))}}
}

// average returns the mean of a figure over items.
func average(name string, items []int, value func(i int) float64) Metric {
	sum := 0.0
	for _, i := range items {
		sum += value(i)
	}
	return Metric{name, Maybe(sum / float64(len(items)))}
}

// errorSuffix marks the standard error of the metric before.
const errorSuffix = "_stderr"

func (m Metric) isError() bool { return strings.HasSuffix(m.Name, errorSuffix) }
