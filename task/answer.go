package task

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"wenmo"
	"wenmo/tokenizer"
)

// Question is a question about a text that holds the answer.
type Question struct {
	Question string `json:"question"`
	Context  string `json:"context"`
}

// Found is an answer: the bytes [Start, End) of the context.
type Found struct {
	Score float32 `json:"score"` // probability
	Start int     `json:"start"`
	End   int     `json:"end"`
	Text  string  `json:"answer"` // "": the context has no answer
}

// AnswerOptions say how Answer looks for answers. Zero values are the defaults
// of transformers.
type AnswerOptions struct {
	TopK      int     // 0: 1
	MaxTokens int     // of an answer; 0: 15
	Window    int     // tokens of question and context that are looked at together; 0: 384
	Stride    int     // tokens of the context that neighbouring windows share; 0: 128
	NoAnswer  bool    // that there is no answer is an answer, too
	Threshold float32 // with NoAnswer: by how much the score of an answer must be above that of none
	Tokens    bool    // answers may begin and end inside a word
}

// Answer returns the best answers to each question, the best first. A context
// that is longer than the model's context is looked at window by window.
func Answer(ctx context.Context, m *wenmo.Model, questions []Question, opt AnswerOptions) ([][]Found, error) {
	if err := need(m, wenmo.QuestionAnswering); err != nil {
		return nil, err
	}
	if opt.TopK <= 0 {
		opt.TopK = 1
	}
	if opt.MaxTokens <= 0 {
		opt.MaxTokens = 15
	}
	length := min(384, m.Info().Context)
	if opt.Window > 0 {
		length = min(opt.Window, m.Info().Context)
	}
	cls := int32(-1)
	if id, ok := m.Tokenizer().ID(m.SpecialTokens().CLS); ok {
		cls = id
	}
	var inputs []wenmo.Input
	finders := make([]*finder, len(questions))
	var of []*finder // each input's
	for i, q := range questions {
		parts, err := split(m, q, length, opt.Stride)
		if err != nil {
			return nil, fmt.Errorf("question %d: %w", i+1, err)
		}
		finders[i] = newFinder(q.Context, opt)
		for _, e := range parts {
			inputs, of = append(inputs, inputOf(&e)), append(of, finders[i])
			finders[i].windows = append(finders[i].windows, newWindow(e, cls))
		}
	}
	err := m.BatchLogits(ctx, inputs, func(i int, rows [][]float32) error {
		start, end := make([]float32, len(rows)), make([]float32, len(rows))
		for r, row := range rows {
			start[r], end[r] = row[0], row[1]
		}
		of[i].look(start, end)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([][]Found, len(questions))
	for i, f := range finders {
		out[i] = slices.DeleteFunc(f.best(), func(a Found) bool { return a.Score == 0 && a.Text == "" && !opt.NoAnswer })
	}
	return out, nil
}

// split encodes a question with its context in windows of length tokens.
func split(m *wenmo.Model, q Question, length, stride int) ([]tokenizer.Encoding, error) {
	if q.Question == "" || q.Context == "" {
		return nil, fmt.Errorf("question and context are wanted, found %q and %q", q.Question, q.Context)
	}
	question, err := encode(m, Text{Text: q.Question}, nil)
	if err != nil {
		return nil, err
	}
	room := length - len(question.IDs) - 1 // a separator ends the context
	if room < 1 {
		return nil, fmt.Errorf("the question has %d tokens, which leaves no room for its context in %d", len(question.IDs), length)
	}
	cut := &tokenizer.Truncation{Direction: "Right", MaxLength: length, Strategy: "OnlySecond", Stride: min(strideOf(stride, length), room-1)}
	e, err := encode(m, Text{Text: q.Question, Pair: q.Context}, cut)
	if err != nil {
		return nil, err
	}
	return windows(e), nil
}

// window is a part of a context with its question.
type window struct {
	tokenizer.Encoding
	allowed []bool // the tokens of the context, and those that stand for no answer
}

func newWindow(e tokenizer.Encoding, cls int32) window {
	w := window{Encoding: e, allowed: make([]bool, len(e.IDs))}
	for i, id := range e.IDs {
		w.allowed[i] = e.SequenceIDs[i] == 1 || id == cls
	}
	return w
}

// finder collects the answers to a question from window after window.
type finder struct {
	opt     AnswerOptions
	context string
	windows []window // that have not been looked at
	none    float32  // the least probability of no answer
	found   []Found
}

func newFinder(context string, opt AnswerOptions) *finder {
	return &finder{opt: opt, context: context, none: math.MaxFloat32}
}

// look adds the answers of the next window.
func (f *finder) look(start, end []float32) {
	w := &f.windows[0]
	f.windows = f.windows[1:]
	start, end = w.probabilities(start), w.probabilities(end)
	if f.opt.NoAnswer {
		f.none = min(f.none, start[0]*end[0])
	}
	start[0], end[0] = 0, 0
	keep := f.opt.TopK
	if !f.opt.Tokens {
		keep = 2*keep + 10 // some become one when they grow to whole words
	}
	for _, s := range spans(start, end, keep, f.opt.MaxTokens) {
		if w.allowed[s.start] && w.allowed[s.end] {
			f.add(w.bytes(s, f.opt.Tokens), s.score)
		}
	}
}

// probabilities is the softmax over the tokens that are allowed.
func (w *window) probabilities(logits []float32) []float32 {
	x := slices.Clone(logits)
	for i := range x {
		if !w.allowed[i] {
			x[i] = -10000 // as transformers
		}
	}
	return softmax(x)
}

// span is a run of tokens, the last included.
type span struct {
	score      float32
	start, end int
}

// spans returns the keep best runs of at most longest tokens. As in
// transformers runs that are too long or end before they start count as 0.
func spans(start, end []float32, keep, longest int) []span {
	var best []span
	for s := range start {
		for e := range end {
			x := span{start: s, end: e}
			if e >= s && e-s < longest {
				x.score = start[s] * end[e]
			}
			if len(best) == keep && x.score <= best[keep-1].score {
				continue
			}
			at := len(best)
			for at > 0 && best[at-1].score < x.score {
				at--
			}
			best = slices.Insert(best, at, x)
			best = best[:min(keep, len(best))]
		}
	}
	return best
}

// bytes returns the part of the context that a run of tokens covers, grown to
// whole words unless exact.
func (w *window) bytes(s span, exact bool) [2]int {
	first, last := w.Offsets[s.start], w.Offsets[s.end]
	a, b := w.WordIDs[s.start], w.WordIDs[s.end]
	if !exact && a >= 0 && b >= 0 {
		for i, word := range w.WordIDs {
			if w.SequenceIDs[i] == 1 && word == a {
				first = w.Offsets[i]
				break
			}
		}
		for i, word := range w.WordIDs {
			if w.SequenceIDs[i] == 1 && word == b {
				last = w.Offsets[i]
			}
		}
	}
	return [2]int{first[0], last[1]}
}

// add adds an answer; the scores of answers with one text add up.
func (f *finder) add(at [2]int, score float32) {
	text := ""
	if at[0] < at[1] {
		text = f.context[at[0]:at[1]]
	}
	for i := range f.found {
		if strings.EqualFold(f.found[i].Text, text) {
			f.found[i].Score += score
			return
		}
	}
	f.found = append(f.found, Found{Score: score, Start: at[0], End: at[1], Text: text})
}

// best returns the best answers.
func (f *finder) best() []Found {
	all := slices.Clone(f.found)
	if f.opt.NoAnswer {
		all = append(all, Found{Score: f.none})
	}
	worth := func(a Found) float32 {
		if a.Text == "" {
			return a.Score + f.opt.Threshold
		}
		return a.Score
	}
	slices.SortStableFunc(all, func(a, b Found) int { return cmp.Compare(worth(b), worth(a)) })
	return all[:min(f.opt.TopK, len(all))]
}
