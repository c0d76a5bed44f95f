package model

import (
	"slices"
	"strings"
	"testing"
)

func TestLabels(t *testing.T) {
	for _, test := range []struct {
		config  string
		labels  []string
		problem Problem
		err     string
	}{
		{`{}`, []string{"LABEL_0", "LABEL_1"}, SingleLabel, ""},
		{`{"num_labels": 1}`, []string{"LABEL_0"}, Regression, ""},
		{`{"id2label": {"1": "负面", "0": "good"}}`, []string{"good", "负面"}, SingleLabel, ""},
		{`{"id2label": {"0": "a"}, "problem_type": "multi_label_classification"}`, []string{"a"}, MultiLabel, ""},
		{`{"id2label": {"0": "a", "2": "b"}}`, nil, "", "id2label has 2 labels but none for 1"},
		{`{"id2label": {"0": 3}}`, nil, "", "id2label: 0 is 3, want a string"},
		{`{"id2label": {}}`, nil, "", "id2label is empty"},
		{`{"id2label": ["a"]}`, nil, "", "id2label is [a], want an object"},
		{`{"num_labels": 1e9}`, nil, "", "num_labels is 1e+09"},
		{`{"problem_type": "ranking"}`, nil, "", `problem_type "ranking" is not one of`},
	} {
		c, err := ParseConfig([]byte(test.config), "config.json")
		if err != nil {
			t.Fatal(err)
		}
		labels := c.labels()
		problem := c.problem(len(labels))
		switch err := c.Err(); {
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %q", test.config, err, test.err)
			}
		case err != nil:
			t.Errorf("%s: %v", test.config, err)
		case !slices.Equal(labels, test.labels) || problem != test.problem:
			t.Errorf("%s: %v %v, want %v %v", test.config, labels, problem, test.labels, test.problem)
		}
	}
}

// TestTargets demands a clear error of targets that do not fit.
func TestTargets(t *testing.T) {
	single := &Model{Architecture: "A", Head: SequenceHead, Labels: []string{"a", "b"}, Problem: SingleLabel}
	multi := &Model{Architecture: "A", Head: SequenceHead, Labels: []string{"a", "b"}, Problem: MultiLabel}
	value := &Model{Architecture: "A", Head: SequenceHead, Labels: []string{"a"}, Problem: Regression}
	span := &Model{Architecture: "A", Head: SpanHead}
	nan := float32(0)
	nan /= nan
	for _, test := range []struct {
		m      *Model
		target []float32
		err    string
	}{
		{single, []float32{1}, ""},
		{single, []float32{2}, "2 is no class, want 0 to 1"},
		{single, []float32{0.5}, "0.5 is no class"},
		{single, []float32{-1}, "-1 is no class"},
		{single, nil, "wants 1 numbers"},
		{multi, []float32{0, 1}, ""},
		{multi, []float32{0, 2}, "2 is no target of a label"},
		{multi, []float32{1}, "wants 2 numbers"},
		{value, []float32{-3.5}, ""},
		{value, []float32{nan}, "NaN is no value"},
		{span, []float32{0, 4}, ""},
		{span, []float32{-1, -1}, ""},
		{span, []float32{0, 5}, "5 is no token of a sequence of 5"},
		{&Model{Architecture: "A", Head: CausalHead}, []float32{0}, "A takes no target"},
	} {
		var targets Targets
		err := targets.Add(test.m, test.target, 5)
		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%v: error %v, want %q", test.target, err, test.err)
		}
	}
}

// TestWithHeadRefuses demands an error of heads that cannot be.
func TestWithHeadRefuses(t *testing.T) {
	for _, test := range []struct {
		config string
		head   Head
		labels []string
		err    string
	}{
		{`{"model_type": "gpt2"}`, SpanHead, nil, `model_type "gpt2" has no such head`},
		{`{"model_type": "t5"}`, SequenceHead, []string{"a"}, `known: bert, gpt2, llama, qwen2, qwen3`},
		{`{"model_type": "bert"}`, SequenceHead, []string{"a", "a"}, "a label is there twice"},
	} {
		c, err := ParseConfig([]byte(test.config), "config.json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.WithHead(test.head, test.labels, SingleLabel); err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: error %v, want %q", test.config, err, test.err)
		}
	}
}
