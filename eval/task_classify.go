package eval

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// calibrationBins is the customary number (Guo et al. 2017).
const calibrationBins = 15

// classify is the classification of texts, or of pairs of them, by a model with
// such a head. A label is the name of one of its classes or its number.
var classify = Task{
	run: func(j *job) (metrics, error) {
		if j.model.Classify == nil || j.model.Regression {
			return nil, fmt.Errorf("%s has no head that classifies texts", j.model.Name)
		}
		if j.model.MultiLabel {
			return nil, fmt.Errorf("%s gives a text any number of labels: evaluate it by multilabel", j.model.Name)
		}
		labels, found, err := scores(j, func(r *Row) (int, error) { return labelOf(r, j.model.Labels) })
		if err != nil {
			return nil, err
		}
		logits := make([][]float64, len(found))
		for i, s := range found {
			for _, x := range s.Logits {
				logits[i] = append(logits[i], float64(x))
			}
		}
		all, err := Classify(labels, logits)
		if err != nil {
			return nil, err
		}
		j.confusion = &Confusion{Labels: j.model.Labels, Counts: all.ConfusionMatrix}
		return func(items []int) []Metric { return classifyMetrics(items, labels, logits) }, nil
	},
}

// scores reads the text or pair of each row with what label makes of the row, and
// lets the model score the texts.
func scores[T any](j *job, label func(r *Row) (T, error)) (labels []T, found []Scores, err error) {
	texts, err := parse(j, func(r *Row) (TextPair, error) {
		t, err := textPair(r)
		if err != nil {
			return t, err
		}
		l, err := label(r)
		if err == nil {
			labels = append(labels, l)
		}
		return t, err
	})
	if err != nil {
		return nil, nil, err
	}
	found, err = j.model.Classify(j.ctx, texts, j.done(len(texts)))
	for _, s := range found {
		j.count(s.Truncated)
	}
	return labels, found, err
}

func classifyMetrics(items, labels []int, logits [][]float64) []Metric {
	var someLabels []int
	var someLogits [][]float64
	for _, i := range items {
		someLabels = append(someLabels, labels[i])
		someLogits = append(someLogits, logits[i])
	}
	c, err := Classify(someLabels, someLogits)
	if err != nil { // a part of what was measured before
		panic(err)
	}
	calibration, err := c.Calibration(calibrationBins)
	if err != nil {
		panic(err)
	}
	m := accuracy("accuracy", items, func(i int) bool { return argmax(logits[i]) == labels[i] })
	m = append(m,
		Metric{"f1_macro", Maybe(c.Macro.F1)}, Metric{"f1_weighted", Maybe(c.Weighted.F1)},
		Metric{"precision_macro", Maybe(c.Macro.Precision)}, Metric{"recall_macro", Maybe(c.Macro.Recall)},
		Metric{"mcc", Maybe(c.MCC)}, Metric{"cohen_kappa", c.Kappa}, Metric{"log_loss", Maybe(c.LogLoss)},
		Metric{"ece", Maybe(calibration.ECE)}, Metric{"mce", Maybe(calibration.MCE)})
	if c.ROCAUC != nil {
		m = append(m, Metric{"f1", Maybe(*c.BinaryF1)}, Metric{"roc_auc", Maybe(*c.ROCAUC)}, Metric{"average_precision", Maybe(*c.AveragePrecision)})
	}
	return m
}

func textPair(r *Row) (t TextPair, err error) {
	if t.Text, err = r.text("text", "sentence", "sentence1", "premise"); err != nil {
		return t, err
	}
	for _, f := range []string{"pair", "text_pair", "sentence2", "hypothesis"} {
		if s, _ := r.String(f); s != "" {
			t.Pair = s
			break
		}
	}
	return t, nil
}

// labelOf finds the class that a row's label names: by its name, else by its
// number.
func labelOf(r *Row, labels []string) (int, error) {
	for _, field := range []string{"label_desc", "label", "intent", "class"} {
		s, ok := r.String(field)
		if list, err := r.texts(field); err == nil && len(list) == 1 {
			s, ok = list[0], true
		}
		if !ok {
			continue
		}
		if i := indexOfLabel(labels, s); i >= 0 {
			return i, nil
		}
		if i, err := strconv.Atoi(s); err == nil && i >= 0 && i < len(labels) {
			return i, nil
		}
		if field != "label_desc" {
			return 0, fmt.Errorf("field %q: %q is none of the model's %d labels", field, s, len(labels))
		}
	}
	return 0, fmt.Errorf("no field %q", "label")
}

// indexOfLabel returns the number of the label of that name, -1 if there is none.
func indexOfLabel(labels []string, name string) int {
	return slices.IndexFunc(labels, func(l string) bool { return strings.EqualFold(l, name) })
}

// regression is a number for a text or a pair of them, such as how similar they
// are (STS-B).
var regression = Task{
	run: func(j *job) (metrics, error) {
		if j.model.Classify == nil || !j.model.Regression {
			return nil, fmt.Errorf("%s has no head that gives a number for a text", j.model.Name)
		}
		labels, found, err := scores(j, valueOf)
		return func(items []int) []Metric {
			var want, got []float64
			for _, i := range items {
				want = append(want, labels[i])
				got = append(got, float64(found[i].Logits[0]))
			}
			s, err := Regress(want, got)
			if err != nil { // as many of the one as of the other
				panic(err)
			}
			return []Metric{{"pearson", s.Pearson}, {"spearman", s.Spearman}, {"mse", Maybe(s.MSE)}, {"mae", Maybe(s.MAE)}}
		}, err
	},
}

// valueOf returns the number that a row has.
func valueOf(r *Row) (float64, error) {
	fields := []string{"score", "label"}
	for _, f := range fields {
		s, ok := r.String(f)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("field %q: %q is no number", f, s)
		}
		return v, nil
	}
	return 0, fmt.Errorf("no field %s", quoted(fields))
}
