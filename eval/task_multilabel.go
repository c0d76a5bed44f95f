package eval

import (
	"fmt"
	"math"
)

// multiLabel is the classification of texts, or of pairs of them, with any number
// of labels each. A row has a list of their names; a label is predicted where its
// logit is above 0. The figures are those of scikit-learn: accuracy is the share
// of texts whose labels are all right, hamming_loss that of single labels which
// are wrong, and F1 is 0 where nothing is there to find. Where labels are few,
// each has figures of its own; ece, its calibration error, is the mean distance of
// its probability and how often it is there.
var multiLabel = Task{
	run: func(j *job) (metrics, error) {
		if j.model.Classify == nil || !j.model.MultiLabel {
			return nil, fmt.Errorf("%s has no head that gives a text any number of labels", j.model.Name)
		}
		want, found, err := scores(j, func(r *Row) ([]bool, error) { return labelsOf(r, j.model.Labels) })
		if err != nil {
			return nil, err
		}
		return func(items []int) []Metric { return multiLabelMetrics(items, j.model.Labels, want, found) }, nil
	},
}

// labelsOf says which of the model's labels a row has.
func labelsOf(r *Row, labels []string) ([]bool, error) {
	names, err := r.texts("labels", "label")
	if err != nil {
		return nil, err
	}
	has := make([]bool, len(labels))
	for _, name := range names {
		i := indexOfLabel(labels, name)
		if i < 0 {
			return nil, fmt.Errorf("%q is none of the model's %d labels", name, len(labels))
		}
		has[i] = true
	}
	return has, nil
}

// fewLabels is up to how many labels each has figures of its own.
const fewLabels = 20

// hits count the predictions of a label.
type hits struct{ right, predicted, there, wrong float64 }

func (h hits) precision() float64 { return ratio(h.right, h.predicted) }
func (h hits) recall() float64    { return ratio(h.right, h.there) }
func (h hits) f1() float64        { return harmonic(h.precision(), h.recall()) }

func multiLabelMetrics(items []int, names []string, want [][]bool, found []Scores) []Metric {
	labels := make([]hits, len(names))
	var all hits
	exact := 0
	for _, i := range items {
		before := all.wrong
		for l := range labels {
			is, there := found[i].Logits[l] > 0, want[i][l]
			for _, h := range []*hits{&labels[l], &all} {
				h.right += boolean(is && there)
				h.predicted += boolean(is)
				h.there += boolean(there)
				h.wrong += boolean(is != there)
			}
		}
		if all.wrong == before {
			exact++
		}
	}
	macro := 0.0
	for _, h := range labels {
		macro += h.f1() / float64(len(labels))
	}
	n := float64(len(items))
	m := []Metric{
		{"accuracy", Maybe(float64(exact) / n)},
		{"f1_micro", Maybe(all.f1())},
		{"f1_macro", Maybe(macro)},
		{"precision_micro", Maybe(all.precision())},
		{"recall_micro", Maybe(all.recall())},
		{"hamming_loss", Maybe(all.wrong / (n * float64(len(labels))))},
	}
	if len(labels) <= fewLabels {
		for l, h := range labels {
			probs, is := make([]float64, len(items)), make([]bool, len(items))
			for k, i := range items {
				probs[k], is[k] = 1/(1+math.Exp(-float64(found[i].Logits[l]))), want[i][l]
			}
			m = append(m, Metric{"accuracy_" + names[l], Maybe(1 - h.wrong/n)}, Metric{"f1_" + names[l], Maybe(h.f1())},
				Metric{"ece_" + names[l], Maybe(calibrate(probs, is, calibrationBins).ECE)})
		}
	}
	return m
}
