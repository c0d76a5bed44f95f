package dataset

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Settings of transformers' run_qa.py.
const (
	DefaultNBest     = 20
	DefaultMaxAnswer = 30
)

// AnswerOptions say how answers are chosen.
type AnswerOptions struct {
	NBest     int // 0: DefaultNBest
	MaxAnswer int // tokens of an answer; 0: DefaultMaxAnswer
	// NoAnswer lets a question have no answer: if its score exceeds that of the
	// best answer by more than Threshold (null_score_diff_threshold).
	NoAnswer  bool
	Threshold float64
}

// Prediction is a stretch of the context, or no answer: Text is "".
type Prediction struct {
	Text        string
	Start, End  int     // in bytes of the context
	Score       float64 // sum of the logits of its ends
	Probability float64 // among the predictions given
}

// BestAnswers reads the answer off the logits for the first and last token of
// each of an example's windows, as postprocess_qa_predictions of transformers'
// utils_qa.py does. It returns the answer, the best of all by score, and how far
// the score of no answer is above that of the best stretch.
func BestAnswers(ex *QAExample, features []Feature, starts, ends [][]float32, opt AnswerOptions) (best Prediction, all []Prediction, nullDiff float64, err error) {
	if len(starts) != len(features) || len(ends) != len(features) {
		return best, nil, 0, fmt.Errorf("%d windows have logits of %d and %d", len(features), len(starts), len(ends))
	}
	n, longest := cmp.Or(opt.NBest, DefaultNBest), cmp.Or(opt.MaxAnswer, DefaultMaxAnswer)
	null := Prediction{Score: math.Inf(1)}
	for i, f := range features {
		if len(starts[i]) != len(f.IDs) || len(ends[i]) != len(f.IDs) {
			return best, nil, 0, fmt.Errorf("window %d: %d tokens have %d and %d logits", i, len(f.IDs), len(starts[i]), len(ends[i]))
		}
		null.Score = min(null.Score, float64(starts[i][f.CLS])+float64(ends[i][f.CLS]))
		all = f.stretches(all, ex.Context, starts[i], ends[i], n, longest)
	}
	slices.SortStableFunc(all, func(a, b Prediction) int { return cmp.Compare(b.Score, a.Score) })
	if len(all) == 0 { // no window holds a stretch: logits are NaN, or the context is empty
		null.Probability = 1
		return null, []Prediction{null}, math.Inf(1), nil
	}
	best, nullDiff = all[0], null.Score-all[0].Score
	if opt.NoAnswer {
		all = withNull(all, null, n)
	} else {
		all = all[:min(n, len(all))]
	}
	setProbabilities(all)
	if opt.NoAnswer && nullDiff > opt.Threshold {
		best = null
	}
	if i := slices.IndexFunc(all, func(p Prediction) bool { return p.Start == best.Start && p.End == best.End }); i >= 0 {
		best = all[i]
	}
	return best, all, nullDiff, nil
}

// withNull puts no answer among the n best, behind those that score alike; where
// it is not one of them, it follows as one more.
func withNull(all []Prediction, null Prediction, n int) []Prediction {
	at := slices.IndexFunc(all, func(p Prediction) bool { return p.Score < null.Score })
	if at < 0 {
		at = len(all)
	}
	at = min(at, n)
	all = slices.Insert(all, at, null)
	return all[:min(len(all), max(n, at+1))]
}

// stretches appends the stretches between the n best first and the n best last
// tokens.
func (f *Feature) stretches(out []Prediction, context string, starts, ends []float32, n, longest int) []Prediction {
	lasts := bestOf(ends, n)
	for _, s := range bestOf(starts, n) {
		for _, e := range lasts {
			if f.Offsets[s][0] < 0 || f.Offsets[e][0] < 0 || e < s || e-s+1 > longest {
				continue
			}
			from, to := f.Offsets[s][0], f.Offsets[e][1]
			if from >= to || to > len(context) {
				continue
			}
			// Tokens of byte-level vocabularies hold the space before a word.
			text := strings.TrimLeftFunc(context[from:to], unicode.IsSpace)
			from = to - len(text)
			if text = strings.TrimRightFunc(text, unicode.IsSpace); text != "" {
				out = append(out, Prediction{text, from, from + len(text), float64(starts[s]) + float64(ends[e]), 0})
			}
		}
	}
	return out
}

// bestOf returns the places of the n largest values, the first of equal ones
// first. NaN is none.
func bestOf(values []float32, n int) []int {
	var at []int
	for i, v := range values {
		if v == v {
			at = append(at, i)
		}
	}
	slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(values[b], values[a]) })
	return at[:min(n, len(at))]
}

// setProbabilities makes a softmax of the scores.
func setProbabilities(all []Prediction) {
	top := math.Inf(-1)
	for _, p := range all {
		top = max(top, p.Score)
	}
	var sum float64
	for i := range all {
		all[i].Probability = math.Exp(all[i].Score - top)
		sum += all[i].Probability
	}
	for i := range all {
		all[i].Probability /= sum
	}
}
