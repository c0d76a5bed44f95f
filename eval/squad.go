package eval

import (
	"slices"
	"strings"
)

// NormalizeAnswer lower-cases, removes ASCII punctuation and the articles a, an
// and the, and makes one space of several, as SQuAD's evaluation scripts do.
func NormalizeAnswer(s string) string {
	s = strings.Map(func(r rune) rune {
		if isPunct(r) {
			return -1
		}
		return r
	}, lower(s))
	var words []string
	for _, field := range split(s) {
		words = append(words, split(withoutArticles(field))...)
	}
	return strings.Join(words, " ")
}

// withoutArticles replaces the articles between word boundaries by spaces.
func withoutArticles(s string) string {
	var b strings.Builder
	word := func(w string) {
		if w == "a" || w == "an" || w == "the" {
			w = " "
		}
		b.WriteString(w)
	}
	start := -1
	for i, r := range s {
		switch {
		case isWord(r) && start < 0:
			start = i
		case !isWord(r) && start >= 0:
			word(s[start:i])
			start = -1
		}
		if start < 0 {
			b.WriteRune(r)
		}
	}
	if start >= 0 {
		word(s[start:])
	}
	return b.String()
}

// ExactF1 are the two scores of an answer, from 0 to 1.
type ExactF1 struct {
	Exact, F1 float64
}

// SQuAD1 scores a prediction by the rules of SQuAD 1.1: the best over the
// reference answers.
func SQuAD1(answers []string, prediction string) ExactF1 {
	return bestAnswer(answers, prediction, func(want, got []string) float64 { return tokenF1(want, got) })
}

// SQuAD2 scores a prediction by the rules of SQuAD 2.0, where a question
// without answers wants an empty prediction.
func SQuAD2(answers []string, prediction string) ExactF1 {
	answers = slices.DeleteFunc(slices.Clone(answers), func(a string) bool { return NormalizeAnswer(a) == "" })
	if len(answers) == 0 {
		answers = []string{""}
	}
	return bestAnswer(answers, prediction, func(want, got []string) float64 {
		if len(want) == 0 || len(got) == 0 {
			return boolean(len(want) == len(got))
		}
		return tokenF1(want, got)
	})
}

func bestAnswer(answers []string, prediction string, f1 func(want, got []string) float64) (s ExactF1) {
	prediction = NormalizeAnswer(prediction)
	got := split(prediction)
	for _, a := range answers {
		a = NormalizeAnswer(a)
		s.Exact = max(s.Exact, boolean(a == prediction))
		s.F1 = max(s.F1, f1(split(a), got))
	}
	return s
}

// tokenF1 is the F1 of the words that two answers share.
func tokenF1(want, got []string) float64 {
	same := float64(common(counts(want), counts(got)))
	if same == 0 {
		return 0
	}
	return harmonic(same/float64(len(got)), same/float64(len(want)))
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// SQuADAnswer is a question's reference answers, and what a model says.
type SQuADAnswer struct {
	Answers    []string // none: the text does not answer the question
	Prediction string
	NoAnswer   float64 // how probable it is that there is no answer
}

// SQuADTotal are SQuAD 2.0's figures, in percent, of a threshold: where
// NoAnswer is above it, the prediction counts as empty.
type SQuADTotal struct {
	Exact float64 `json:"exact"`
	F1    float64 `json:"f1"`
	Total int     `json:"total"`

	HasAnsExact float64 `json:"HasAns_exact"`
	HasAnsF1    float64 `json:"HasAns_f1"`
	HasAnsTotal int     `json:"HasAns_total"`
	NoAnsExact  float64 `json:"NoAns_exact"`
	NoAnsF1     float64 `json:"NoAns_f1"`
	NoAnsTotal  int     `json:"NoAns_total"`

	// The best that a threshold could reach, and the lowest that does.
	BestExact          float64 `json:"best_exact"`
	BestExactThreshold float64 `json:"best_exact_thresh"`
	BestF1             float64 `json:"best_f1"`
	BestF1Threshold    float64 `json:"best_f1_thresh"`
}

// SQuAD2Total sums up the answers to a set of questions.
func SQuAD2Total(questions []SQuADAnswer, threshold float64) SQuADTotal {
	var t SQuADTotal
	raw := make([]ExactF1, len(questions))
	for i, q := range questions {
		raw[i] = SQuAD2(q.Answers, q.Prediction)
		s := raw[i]
		if q.NoAnswer > threshold {
			s = ExactF1{boolean(len(q.Answers) == 0), boolean(len(q.Answers) == 0)}
		}
		t.Exact += s.Exact
		t.F1 += s.F1
		t.Total++
		if len(q.Answers) > 0 {
			t.HasAnsExact += s.Exact
			t.HasAnsF1 += s.F1
			t.HasAnsTotal++
		} else {
			t.NoAnsExact += s.Exact
			t.NoAnsF1 += s.F1
			t.NoAnsTotal++
		}
	}
	percent(t.Total, &t.Exact, &t.F1)
	percent(t.HasAnsTotal, &t.HasAnsExact, &t.HasAnsF1)
	percent(t.NoAnsTotal, &t.NoAnsExact, &t.NoAnsF1)
	t.BestExact, t.BestExactThreshold = bestThreshold(questions, func(i int) float64 { return raw[i].Exact })
	t.BestF1, t.BestF1Threshold = bestThreshold(questions, func(i int) float64 { return raw[i].F1 })
	return t
}

func percent(n int, sums ...*float64) {
	for _, s := range sums {
		*s = ratio(100**s, float64(n))
	}
}

// bestThreshold starts with no answer at all and lets the questions in by their
// probability of having none, lowest first.
func bestThreshold(questions []SQuADAnswer, score func(i int) float64) (best, threshold float64) {
	order := make([]int, len(questions))
	current := 0.0
	for i, q := range questions {
		order[i] = i
		current += boolean(len(q.Answers) == 0)
	}
	slices.SortStableFunc(order, func(a, b int) int { return compare(questions[a].NoAnswer, questions[b].NoAnswer) })
	best = current
	for _, i := range order {
		switch q := questions[i]; {
		case len(q.Answers) > 0:
			current += score(i)
		case q.Prediction != "":
			current--
		}
		if current > best {
			best, threshold = current, questions[i].NoAnswer
		}
	}
	return ratio(100*best, float64(len(questions))), threshold
}
