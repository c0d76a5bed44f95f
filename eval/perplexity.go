// Package eval measures how good a model is, one file a measure.
package eval

import (
	"context"
	"errors"
	"math"
)

// Logits calls f with the logits of each position of ids, in order.
type Logits func(ctx context.Context, ids []int32, f func(pos int, logits []float32) error) error

// PerplexityOptions say how a text is cut.
type PerplexityOptions struct {
	Window   int // tokens of a window
	Stride   int // new tokens of every window but the first; 0: half a window
	Bytes    int // of the raw text
	Progress func(done, total int)
}

// PerplexityResult is how well a model predicts a text.
type PerplexityResult struct {
	Perplexity  float64 `json:"perplexity"`
	BitsPerByte float64 `json:"bits_per_byte"` // over the bytes of the raw text
	NLL         float64 `json:"nll"`           // mean negative log-likelihood of a token, in nats
	Tokens      int     `json:"tokens"`        // predicted
	Bytes       int     `json:"bytes"`
	Window      int     `json:"window"`
	Stride      int     `json:"stride"`
}

// Perplexity computes exp of the mean negative log-likelihood of ids, each
// token being predicted once, from at least Window − Stride tokens before it
// where there are so many (the sliding window of Hugging Face's guide).
func Perplexity(ctx context.Context, logits Logits, ids []int32, opt PerplexityOptions) (PerplexityResult, error) {
	if len(ids) < 2 {
		return PerplexityResult{}, errors.New("perplexity needs a text of at least two tokens")
	}
	if opt.Stride <= 0 || opt.Stride > opt.Window {
		opt.Stride = max(1, opt.Window/2)
	}
	r := PerplexityResult{Bytes: opt.Bytes, Window: opt.Window, Stride: opt.Stride}
	sum := 0.0
	scored := 1 // ids below have been predicted; the first never is
	for start := 0; scored < len(ids); start += opt.Stride {
		end := min(start+opt.Window, len(ids))
		part := ids[start:end]
		err := logits(ctx, part, func(pos int, row []float32) error {
			if next := start + pos + 1; next >= scored && next < end {
				sum -= LogProb(row, ids[next])
				r.Tokens++
			}
			return nil
		})
		if err != nil {
			return r, err
		}
		scored = end
		if opt.Progress != nil {
			opt.Progress(end, len(ids))
		}
	}
	r.NLL = sum / float64(r.Tokens)
	r.Perplexity = math.Exp(r.NLL)
	if opt.Bytes > 0 {
		r.BitsPerByte = sum / math.Ln2 / float64(opt.Bytes)
	}
	return r, nil
}

// LogProb is the log-softmax of logits at id, computed in float64.
func LogProb(logits []float32, id int32) float64 {
	top := math.Inf(-1)
	for _, l := range logits {
		top = max(top, float64(l))
	}
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	return float64(logits[id]) - top - math.Log(sum)
}
