package eval

import (
	"errors"
	"strings"
)

// gap is where ChID's texts have the idiom left out.
const gap = "#idiom#"

// cloze is ChID (Zheng et al. 2019): which idiom belongs into the gap of a text.
// The rest of the text counts too.
var cloze = chooseTask(Task{Sets: []string{"chid"}}, func(r *Row) (question, error) {
	text, err := r.text("content")
	if err != nil {
		return question{}, err
	}
	candidates, err := r.texts("candidates")
	if err != nil {
		return question{}, err
	}
	answer, err := r.index(len(candidates), "answer")
	if err != nil {
		return question{}, err
	}
	before, after, ok := strings.Cut(text, gap)
	if !ok {
		return question{}, errors.New(`field "content" has no gap ` + gap)
	}
	q := question{context: before, answer: answer}
	for _, c := range candidates {
		q.choices = append(q.choices, c+after)
	}
	return q, nil
})
