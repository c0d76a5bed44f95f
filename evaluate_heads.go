package wenmo

import (
	"context"
	"math"
	"slices"

	"wenmo/dataset"
	"wenmo/engine"
	"wenmo/eval"
	"wenmo/tokenizer"
)

// headInputs is how many texts an evaluation encodes and computes at a time.
const headInputs = 256

// chunks calls f with runs of at most headInputs of n inputs, and done after each.
func chunks(n int, done func(n int), f func(from, to int) error) error {
	for from := 0; from < n; from += headInputs {
		to := min(from+headInputs, n)
		if err := f(from, to); err != nil {
			return err
		}
		done(to)
	}
	return nil
}

// longest is how many tokens of a text the model takes.
func (m *Model) longest() int { return min(m.m.Context, m.m.MaxLength) }

// encodeHead encodes a text, or two, for a head. What does not fit is cut off at
// the end, of two texts at that of the longer one.
func (m *Model) encodeHead(text string, pair *string) (e tokenizer.Encoding, truncated bool, err error) {
	opt := tokenizer.EncodeOptions{AddSpecialTokens: true, Pair: pair}
	e, err = m.tok.EncodeFull(text, opt)
	if err != nil || len(e.IDs) <= m.longest() {
		return e, false, err
	}
	opt.Truncation = &tokenizer.Truncation{Direction: "Right", MaxLength: m.longest(), Strategy: "LongestFirst"}
	e, err = m.tok.EncodeFull(text, opt)
	return e, true, err
}

// scoreTexts implements eval.Model.Classify.
func (m *Model) scoreTexts(ctx context.Context, texts []eval.TextPair, done func(n int)) ([]eval.Scores, error) {
	out := make([]eval.Scores, len(texts))
	return out, chunks(len(texts), done, func(from, to int) error {
		inputs := make([]engine.Input, to-from)
		for i, t := range texts[from:to] {
			var pair *string
			if t.Pair != "" {
				pair = &t.Pair
			}
			e, truncated, err := m.encodeHead(t.Text, pair)
			if err != nil {
				return err
			}
			inputs[i] = engine.Input{IDs: e.IDs, TypeIDs: e.TypeIDs}
			out[from+i].Truncated = truncated
		}
		return m.BatchLogits(ctx, inputs, func(i int, rows [][]float32) error {
			out[from+i].Logits = slices.Clone(rows[0])
			return nil
		})
	})
}

// tagWords implements eval.Model.Tag: a word has the class of its first token.
func (m *Model) tagWords(ctx context.Context, sentences [][]string, done func(n int)) ([]eval.Tags, error) {
	out := make([]eval.Tags, len(sentences))
	return out, chunks(len(sentences), done, func(from, to int) error {
		inputs := make([]engine.Input, to-from)
		first := make([][]int, to-from)
		for i, words := range sentences[from:to] {
			text, starts := dataset.JoinWords(words)
			e, truncated, err := m.encodeHead(text, nil)
			if err != nil {
				return err
			}
			inputs[i] = engine.Input{IDs: e.IDs, TypeIDs: e.TypeIDs}
			first[i] = dataset.FirstWords(e, words, starts)
			out[from+i] = eval.Tags{Classes: slices.Repeat([]int{-1}, len(words)), Truncated: truncated}
		}
		return m.BatchLogits(ctx, inputs, func(i int, rows [][]float32) error {
			for r, word := range first[i] {
				if word >= 0 {
					out[from+i].Classes[word] = largest(rows[r])
				}
			}
			return nil
		})
	})
}

// answerQuestions implements eval.Model.Answer, in windows as transformers'
// run_qa.py.
func (m *Model) answerQuestions(ctx context.Context, questions []eval.Question, done func(n int)) ([]eval.Answer, error) {
	qa, err := dataset.NewQA(m.tok, m.tokens, dataset.QAOptions{MaxLength: min(m.longest(), dataset.DefaultQALength)})
	if err != nil {
		return nil, err
	}
	out := make([]eval.Answer, len(questions))
	return out, chunks(len(questions), done, func(from, to int) error {
		var inputs []engine.Input
		examples := make([]dataset.QAExample, to-from)
		features := make([][]dataset.Feature, to-from)
		for i, q := range questions[from:to] {
			examples[i] = dataset.QAExample{Question: q.Question, Context: q.Context}
			if features[i], _, err = qa.Features(&examples[i]); err != nil {
				return err
			}
			for _, f := range features[i] {
				inputs = append(inputs, engine.Input{IDs: f.IDs, TypeIDs: f.TypeIDs})
			}
		}
		var starts, ends [][]float32 // of each window
		err := m.BatchLogits(ctx, inputs, func(_ int, rows [][]float32) error {
			start, end := make([]float32, len(rows)), make([]float32, len(rows))
			for r, row := range rows {
				start[r], end[r] = row[0], row[1]
			}
			starts, ends = append(starts, start), append(ends, end)
			return nil
		})
		if err != nil {
			return err
		}
		for i := range examples {
			n := len(features[i])
			best, _, nullDiff, err := dataset.BestAnswers(&examples[i], features[i], starts[:n], ends[:n], dataset.AnswerOptions{})
			if err != nil {
				return err
			}
			starts, ends = starts[n:], ends[n:]
			out[from+i] = eval.Answer{Text: best.Text, NoAnswer: 1 / (1 + math.Exp(-nullDiff))}
		}
		return nil
	})
}

// largest returns the first of the greatest logits.
func largest(logits []float32) int {
	best := 0
	for i, l := range logits {
		if l > logits[best] {
			best = i
		}
	}
	return best
}
