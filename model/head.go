package model

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"wenmo/nn"
)

// Head says what the logits of a model are for.
type Head uint8

// The heads. Those of an encoder and of classifiers have their labels at the
// place itself, a causal one's are those of the next token.
const (
	NoHead       Head = iota // there are only hidden states
	CausalHead               // the next token
	MaskedHead               // the token at the place itself
	SequenceHead             // the sequence as a whole: classes, labels or values
	TokenHead                // a class of each token
	SpanHead                 // of each token, whether an answer begins there and ends there
)

// Problem says what a sequence head's logits are: problem_type of config.json.
type Problem string

// The problems that transformers knows.
const (
	SingleLabel Problem = "single_label_classification"
	MultiLabel  Problem = "multi_label_classification"
	Regression  Problem = "regression"
)

// headArchitectures are the architectures that a body of a model_type can have,
// besides that of its pretraining.
var headArchitectures = map[string]map[Head]string{
	"bert": {
		MaskedHead:   "BertForMaskedLM",
		SequenceHead: "BertForSequenceClassification",
		TokenHead:    "BertForTokenClassification",
		SpanHead:     "BertForQuestionAnswering",
	},
	"gpt2":  {SequenceHead: "GPT2ForSequenceClassification"},
	"llama": {SequenceHead: "LlamaForSequenceClassification"},
	"qwen2": {SequenceHead: "Qwen2ForSequenceClassification"},
	"qwen3": {SequenceHead: "Qwen3ForSequenceClassification"},
}

// withLabels gives a model the labels of its config.
func withLabels(head Head, build builder) builder {
	return func(m *Model, c *Config, l *Loader) {
		m.Head = head
		m.Labels = c.labels()
		m.Problem = c.problem(len(m.Labels))
		if pad, ok := number(c.raw["pad_token_id"]); ok {
			m.pad = int32(pad)
		}
		build(m, c, l)
	}
}

// maxUnnamed bounds the labels that a config only counts.
const maxUnnamed = 1 << 16

// labels reads id2label: the name of each class. Without it there are
// num_labels of them, or two, as in transformers.
func (c *Config) labels() []string {
	names := c.Object("id2label")
	if names == nil {
		n := c.IntOr("num_labels", 2)
		if n > maxUnnamed {
			c.fail("num_labels", "is %d without names in id2label, want at most %d", n, maxUnnamed)
			n = 1
		}
		labels := make([]string, n)
		for i := range labels {
			labels[i] = fmt.Sprintf("LABEL_%d", i)
		}
		return labels
	}
	labels := make([]string, len(names.raw))
	for i := range labels {
		key := strconv.Itoa(i)
		if !names.Has(key) {
			c.fail("id2label", "has %d labels but none for %s", len(labels), key)
			return labels
		}
		labels[i] = names.StringOr(key, "")
	}
	c.adopt(names)
	if len(labels) == 0 {
		c.fail("id2label", "is empty")
	}
	return labels
}

// problem reads problem_type. Without it one output is a value and more are
// classes, one of which is right.
func (c *Config) problem(labels int) Problem {
	def := SingleLabel
	if labels == 1 {
		def = Regression
	}
	p := Problem(c.StringOr("problem_type", string(def)))
	if p != SingleLabel && p != MultiLabel && p != Regression {
		c.fail("problem_type", "%q is not one of %s, %s, %s", p, SingleLabel, MultiLabel, Regression)
	}
	return p
}

// WithHead returns the config of the same body under another head, with the
// keys that transformers writes: architectures, id2label, label2id and
// problem_type. labels are the names of the classes, of a SpanHead or
// MaskedHead nil; problem is of a SequenceHead, else "".
func (c *Config) WithHead(head Head, labels []string, problem Problem) (*Config, error) {
	typ := c.StringOr("model_type", "")
	arch, ok := headArchitectures[typ][head]
	if !ok {
		known := slices.Sorted(maps.Keys(headArchitectures))
		return nil, fmt.Errorf("%s: model_type %q has no such head (known: %s)", c.file, typ, strings.Join(known, ", "))
	}
	raw := maps.Clone(c.raw)
	for _, key := range []string{"id2label", "label2id", "problem_type", "num_labels"} {
		delete(raw, key)
	}
	raw["architectures"] = []any{arch}
	if labels != nil {
		names, ids := map[string]any{}, map[string]any{}
		for i, label := range labels {
			names[strconv.Itoa(i)], ids[label] = label, float64(i)
		}
		if len(ids) != len(labels) {
			return nil, fmt.Errorf("%s: a label is there twice among %q", c.file, labels)
		}
		raw["id2label"], raw["label2id"] = names, ids
	}
	if problem != "" {
		raw["problem_type"] = string(problem)
	}
	// Where the last token is read, transformers must know padding to skip it.
	if _, eos := number(raw["eos_token_id"]); typ != "bert" && raw["pad_token_id"] == nil && eos {
		raw["pad_token_id"] = raw["eos_token_id"]
	}
	return NewConfig(raw, c.file), c.err
}

// HeadRows appends the rows of a batch that a SequenceHead reads to dst, one a
// span (see HeadRow). They are for Batch.Out.
func (m *Model) HeadRows(dst []int32, b *nn.Batch) []int32 {
	for _, s := range b.Spans {
		dst = append(dst, int32(s.Start+m.HeadRow(b.IDs[s.Start:s.Start+s.Len])))
	}
	return dst
}

// HeadRow returns the token of a sequence that a SequenceHead reads: an
// encoder's is the first, a decoder's the last that is not pad_token_id.
func (m *Model) HeadRow(ids []int32) int {
	if m.Bidirectional {
		return 0
	}
	for i := len(ids) - 1; i > 0; i-- {
		if ids[i] != m.pad {
			return i
		}
	}
	return 0
}
