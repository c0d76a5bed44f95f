package eval

import (
	"fmt"
	"slices"
)

// asked is a question with its reference answers; none: the text has none.
type asked struct {
	Question
	answers []string
}

// askTask is a task that asks a model with a head for answers, and scores them.
func askTask(t Task, score func(j *job, questions []asked, found []Answer) metrics) Task {
	t.run = func(j *job) (metrics, error) {
		if j.model.Answer == nil {
			return nil, fmt.Errorf("%s has no head that answers questions", j.model.Name)
		}
		questions, err := parse(j, func(r *Row) (a asked, err error) {
			if a.Question.Question, err = r.text("question"); err != nil {
				return a, err
			}
			if a.Context, err = r.text("context"); err != nil {
				return a, err
			}
			a.answers, err = r.texts("answers")
			return a, err
		})
		if err != nil {
			return nil, err
		}
		plain := make([]Question, len(questions))
		for i, q := range questions {
			plain[i] = q.Question
		}
		found, err := j.model.Answer(j.ctx, plain, j.done(len(plain)))
		if err != nil {
			return nil, err
		}
		return score(j, questions, found), nil
	}
	return t
}

// squad is extractive question answering scored by SQuAD's scripts: by the rules
// of 2.0 where some questions have no answer, else by those of 1.1.
var squad = askTask(Task{}, func(j *job, questions []asked, found []Answer) metrics {
	threshold := j.opt.NoAnswer
	if threshold == 0 {
		threshold = 0.5
	}
	unanswerable := slices.ContainsFunc(questions, func(q asked) bool { return len(q.answers) == 0 })
	return func(items []int) []Metric {
		if !unanswerable {
			exact, f1 := extractive(items, questions, found, SQuAD1)
			return []Metric{{"exact_match", exact}, {"f1", f1}}
		}
		var all []SQuADAnswer
		for _, i := range items {
			all = append(all, SQuADAnswer{questions[i].answers, found[i].Text, found[i].NoAnswer})
		}
		t := SQuAD2Total(all, threshold)
		return []Metric{
			{"exact_match", Maybe(t.Exact)}, {"f1", Maybe(t.F1)},
			{"has_answer_exact", Maybe(t.HasAnsExact)}, {"has_answer_f1", Maybe(t.HasAnsF1)}, {"no_answer_exact", Maybe(t.NoAnsExact)},
			{"best_exact", Maybe(t.BestExact)}, {"best_exact_threshold", Maybe(t.BestExactThreshold)},
			{"best_f1", Maybe(t.BestF1)}, {"best_f1_threshold", Maybe(t.BestF1Threshold)},
		}
	}
})

// cmrc is extractive question answering scored by the rules of CMRC 2018.
var cmrc = askTask(Task{}, func(j *job, questions []asked, found []Answer) metrics {
	return func(items []int) []Metric {
		exact, f1 := extractive(items, questions, found, CMRC)
		return []Metric{{"exact_match", exact}, {"f1", f1}}
	}
})

// extractive averages a score over items, in percent.
func extractive(items []int, questions []asked, found []Answer, score func(answers []string, prediction string) ExactF1) (exact, f1 Maybe) {
	var sum ExactF1
	for _, i := range items {
		s := score(questions[i].answers, found[i].Text)
		sum.Exact += s.Exact
		sum.F1 += s.F1
	}
	n := float64(len(items))
	return Maybe(100 * sum.Exact / n), Maybe(100 * sum.F1 / n)
}
