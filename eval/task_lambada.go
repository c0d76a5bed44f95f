package eval

import (
	"errors"
	"math"
	"strings"
)

// lambada is LAMBADA (Paperno et al. 2016): the last word of a passage, which
// must be what greedy decoding says. Rows have "context" and "target", or the
// whole in "text".
var lambada = Task{
	Sets: []string{"lambada"},
	run: func(j *job) (metrics, error) {
		requests, err := parse(j, lambadaRow)
		if err != nil {
			return nil, err
		}
		found, err := j.likelihoods(requests)
		return func(items []int) []Metric {
			mean := average("perplexity", items, func(i int) float64 { return found[i].LogProb })
			mean.Value = Maybe(math.Exp(-float64(mean.Value)))
			return append(accuracy("accuracy", items, func(i int) bool { return found[i].Greedy }), mean)
		}, err
	},
}

func lambadaRow(r *Row) (Request, error) {
	if target, err := r.text("target"); err == nil {
		context, err := r.text("context")
		return Request{Context: context, Continuation: " " + target}, err
	}
	text, err := r.text("text")
	if err != nil {
		return Request{}, err
	}
	i := strings.LastIndex(text, " ")
	if i <= 0 {
		return Request{}, errors.New(`field "text" has no last word`)
	}
	return Request{Context: text[:i], Continuation: text[i:]}, nil
}
