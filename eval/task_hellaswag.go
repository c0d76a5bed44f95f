package eval

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hellaSwag is HellaSwag (Zellers et al. 2019): how a scene goes on. Rows are the
// original's (activity_label, ctx_a, ctx_b, endings, label) or have the
// beginning ready in ctx.
var hellaSwag = chooseTask(Task{Sets: []string{"hellaswag"}}, func(r *Row) (question, error) {
	endings, err := r.texts("endings")
	if err != nil {
		return question{}, err
	}
	answer, err := r.index(len(endings), "label")
	if err != nil {
		return question{}, err
	}
	scene, err := hellaSwagContext(r)
	q := question{context: cleanHellaSwag(scene), answer: answer}
	for _, e := range endings {
		q.choices = append(q.choices, " "+cleanHellaSwag(e))
	}
	return q, err
})

func hellaSwagContext(r *Row) (string, error) {
	activity, ok := r.String("activity_label")
	if !ok {
		return r.text("ctx")
	}
	a, err := r.text("ctx_a")
	if err != nil {
		return "", err
	}
	b, err := r.text("ctx_b")
	return fmt.Sprintf("%s: %s %s", activity, a, capitalize(b)), err
}

// capitalize is Python's: the first letter large, the others small.
func capitalize(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToTitle(first)) + lower(s[n:])
}

var bracketed = regexp.MustCompile(`\[.*?\]`)

// cleanHellaSwag takes the marks of WikiHow's pages out, as the harness does.
func cleanHellaSwag(s string) string {
	s = strings.ReplaceAll(trim(s), " [title]", ". ")
	return strings.ReplaceAll(bracketed.ReplaceAllString(s, ""), "  ", " ")
}
