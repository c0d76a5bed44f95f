// Package task has what models with a head are used for: filling in masked
// tokens, classifying texts and tokens, and answering questions from a text. It
// gives what the pipelines of Hugging Face's transformers give (version 4.57),
// with spans in bytes, and cuts nothing off unless it is told to.
package task

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"wenmo"
	"wenmo/tokenizer"
)

// need fails unless the model is for a task.
func need(m *wenmo.Model, want wenmo.Task) error {
	if have := m.Task(); have != want {
		return fmt.Errorf("%s is for %s, not for %s", m.Info().Architecture, have, want)
	}
	return nil
}

// Text is a text, or a pair of texts that are looked at together.
type Text struct {
	Text string
	Pair string // "": none
}

// encode returns the ids of a text, with special tokens.
func encode(m *wenmo.Model, t Text, cut *tokenizer.Truncation) (tokenizer.Encoding, error) {
	opt := tokenizer.EncodeOptions{AddSpecialTokens: true, Truncation: cut}
	if t.Pair != "" {
		opt.Pair = &t.Pair
	}
	return m.EncodeFull(t.Text, opt)
}

func inputOf(e *tokenizer.Encoding) wenmo.Input {
	return wenmo.Input{IDs: e.IDs, TypeIDs: e.TypeIDs}
}

// windows returns an encoding and those that truncation cut off.
func windows(e tokenizer.Encoding) []tokenizer.Encoding {
	return append([]tokenizer.Encoding{e}, e.Overflow...)
}

// strideOf returns how many tokens neighbouring windows share: what was asked
// for or transformers' default for questions, and less than a window has.
func strideOf(asked, length int) int {
	if asked <= 0 {
		asked = 128
	}
	return min(asked, length/2)
}

// softmax returns the probabilities of a row of logits.
func softmax(x []float32) []float32 {
	m := slices.Max(x)
	out := make([]float32, len(x))
	sum := 0.0
	for i, v := range x {
		e := math.Exp(float64(v - m))
		out[i] = float32(e)
		sum += e
	}
	for i := range out {
		out[i] = float32(float64(out[i]) / sum)
	}
	return out
}

// sigmoid returns the probability of each label. The sum is one of float32s, so
// that labels which are sure are equally sure, as in transformers.
func sigmoid(x []float32) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = 1 / (1 + float32(math.Exp(-float64(v))))
	}
	return out
}

// argmax returns the index of the first of the largest.
func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// order returns the indices of x by falling value; equal ones stay in order.
func order(x []float32) []int {
	out := make([]int, len(x))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(x[b], x[a]) })
	return out
}
