package eval

import (
	"errors"
	"math"
)

// perplexity is how well a model predicts documents, each a text of its own.
// Those longer than the context are predicted window by window, each token once
// (loglikelihood_rolling of lm-evaluation-harness). Bits are divided by the
// bytes of the raw text.
var perplexity = Task{
	run: func(j *job) (metrics, error) {
		texts, err := parse(j, func(r *Row) (string, error) {
			if r.Text == "" {
				return "", errors.New(`no field "text"`)
			}
			return r.Text, nil
		})
		if err != nil {
			return nil, err
		}
		requests := make([]Request, len(texts))
		for i, t := range texts {
			requests[i].Continuation = t
		}
		found, err := j.likelihoods(requests)
		return func(items []int) []Metric {
			var nats, tokens, bytes float64
			for _, i := range items {
				nats -= found[i].LogProb
				tokens += float64(found[i].Tokens)
				bytes += float64(len(texts[i]))
			}
			return []Metric{
				{"perplexity", Maybe(math.Exp(nats / tokens))}, {"bits_per_byte", Maybe(nats / math.Ln2 / bytes)},
				{"nll", Maybe(nats / tokens)}, {"tokens", Maybe(tokens)}, {"bytes", Maybe(bytes)},
			}
		}, err
	},
}
