package eval

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// question is a multiple choice: which continuation of the context is right.
type question struct {
	context string
	choices []string // continuations, the space before them included
	answer  int
}

// chooseTask is a task whose rows are questions. The likeliest choice is the
// model's (accuracy), or the likeliest by the byte of its text
// (accuracy_norm), as in lm-evaluation-harness.
func chooseTask(t Task, read func(r *Row) (question, error)) Task {
	t.run = func(j *job) (metrics, error) {
		questions, err := parse(j, func(r *Row) (question, error) {
			q, err := read(r)
			if err == nil && len(q.choices) < 2 {
				err = fmt.Errorf("%d choices, want at least 2", len(q.choices))
			}
			if err == nil && slices.ContainsFunc(q.choices, func(c string) bool { return strings.TrimSpace(c) == "" }) {
				err = errors.New("a choice without text")
			}
			return q, err
		})
		if err != nil {
			return nil, err
		}
		right, rightNorm, err := choose(j, questions)
		return func(items []int) []Metric {
			m := accuracy("accuracy", items, func(i int) bool { return right[i] })
			return append(m, accuracy("accuracy_norm", items, func(i int) bool { return rightNorm[i] })...)
		}, err
	}
	return t
}

func choose(j *job, questions []question) (right, rightNorm []bool, err error) {
	var requests []Request
	for _, q := range questions {
		for _, c := range q.choices {
			requests = append(requests, Request{Context: q.context, Continuation: c})
		}
	}
	found, err := j.likelihoods(requests)
	if err != nil {
		return nil, nil, err
	}
	for _, q := range questions {
		plain, norm := make([]float64, len(q.choices)), make([]float64, len(q.choices))
		for i, c := range q.choices {
			plain[i] = found[i].LogProb
			norm[i] = plain[i] / float64(max(1, len(strings.TrimPrefix(c, " "))))
		}
		found = found[len(q.choices):]
		right = append(right, argmax(plain) == q.answer)
		rightNorm = append(rightNorm, argmax(norm) == q.answer)
	}
	return right, rightNorm, nil
}

// choice is a multiple choice of any origin: {"question", "options" or
// "choices", "answer" or "label"}, with a "context" or without; options may
// also stand as ans0, ans1, …, or, as letters, in the question itself.
var choice = chooseTask(Task{Groups: []string{"kind", "subject", "category"}}, func(r *Row) (question, error) {
	text, err := r.text("question")
	if err != nil {
		return question{}, err
	}
	options, err := choiceOptions(r)
	if err != nil {
		return question{}, err
	}
	answer, err := r.index(len(options), "answer", "label")
	if err != nil {
		return question{}, err
	}
	context, _ := r.String("context")
	return newQuestion(context, text, options, answer), nil
})

func choiceOptions(r *Row) ([]string, error) {
	if options, err := r.texts("options", "choices"); err == nil {
		return options, nil
	}
	var options []string
	for i := 0; ; i++ {
		s, ok := r.String(fmt.Sprintf("ans%d", i))
		if !ok {
			break
		}
		options = append(options, s)
	}
	if letter, ok := r.String("answer"); options == nil && ok && len(letter) == 1 && letter[0] >= 'A' && letter[0] <= 'D' {
		return []string{"A", "B", "C", "D"}, nil
	}
	if options == nil {
		return nil, errors.New(`no field "options" or "choices"`)
	}
	return options, nil
}

// newQuestion puts a question as harness's tasks do: Question: …, Answer:; in
// Chinese with its words and without spaces.
func newQuestion(context, text string, options []string, answer int) question {
	q := question{answer: answer}
	ask, reply, space := "Question: ", "\nAnswer:", " "
	if isChineseText(text) {
		ask, reply, space = "问题：", "\n答案：", ""
	}
	if context != "" {
		context += "\n"
	}
	q.context = context + ask + text + reply
	for _, o := range options {
		q.choices = append(q.choices, space+o)
	}
	return q
}

// isChineseText says that a text has more Chinese characters than Latin letters.
func isChineseText(s string) bool {
	han, latin := 0, 0
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Han, r):
			han++
		case unicode.Is(unicode.Latin, r):
			latin++
		}
	}
	return han > 0 && 3*han > latin // a word of five letters is two characters
}
