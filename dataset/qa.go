package dataset

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"wenmo/tokenizer"
)

// Window sizes of transformers' run_qa.py.
const (
	DefaultQALength = 384
	DefaultQAStride = 128
)

// QAOptions are the settings of a QA.
type QAOptions struct {
	MaxLength int // of a window in tokens; 0: DefaultQALength
	Stride    int // tokens that neighbouring windows share; 0: DefaultQAStride, or a third of shorter ones
	// Overlong is for questions that leave no room in a window: Refuse is an
	// error, else they are dropped. Contexts of any length fit.
	Overlong Overlong
}

// QA makes windows of a question and a context. It may be used by many
// goroutines.
type QA struct {
	tok      *tokenizer.Tokenizer
	opt      QAOptions
	specials int     // tokens that the post-processor adds
	marks    []int32 // ids of CLS and BOS, if there are
}

// NewQA makes a QA.
func NewQA(t *tokenizer.Tokenizer, c tokenizer.Config, opt QAOptions) (*QA, error) {
	if opt.MaxLength == 0 {
		opt.MaxLength = DefaultQALength
	}
	if opt.Stride == 0 {
		opt.Stride = min(DefaultQAStride, opt.MaxLength/3) // or a short window would hardly move on
	}
	if opt.MaxLength < 0 || opt.Stride < 0 {
		return nil, fmt.Errorf("question answering: length %d or stride %d is negative", opt.MaxLength, opt.Stride)
	}
	none := ""
	e, err := t.EncodeFull("", tokenizer.EncodeOptions{AddSpecialTokens: true, Pair: &none})
	if err != nil {
		return nil, fmt.Errorf("question answering: %w", err)
	}
	q := &QA{tok: t, opt: opt, specials: len(e.IDs)}
	for _, name := range []string{c.CLS, c.BOS} {
		if id, ok := t.ID(name); ok && name != "" {
			q.marks = append(q.marks, id)
		}
	}
	return q, nil
}

// Feature is a window of a question and its context.
type Feature struct {
	Sequence // Targets, if set: the tokens that an answer begins and ends with
	// Offsets holds [start, end) in bytes of the context of each token, [-1, -1]
	// for tokens that are not of the context.
	Offsets [][2]int
	CLS     int // the token that stands for no answer
}

// Features returns the windows of an example; none of one that is dropped.
func (q *QA) Features(ex *QAExample) ([]Feature, Cut, error) {
	question := strings.TrimLeftFunc(ex.Question, unicode.IsSpace) // as run_qa.py; some sets begin them with spaces
	taken := len(q.tok.Encode(question, false)) + q.specials
	room := q.opt.MaxLength - taken
	if room < 1 {
		if q.opt.Overlong != Refuse {
			return nil, Cut{Dropped: 1}, nil
		}
		return nil, Cut{}, ex.errorf("the question takes %d of %d tokens and leaves no room for the context", taken, q.opt.MaxLength)
	}
	e, err := q.tok.EncodeFull(question, tokenizer.EncodeOptions{
		AddSpecialTokens: true, Pair: &ex.Context,
		Truncation: &tokenizer.Truncation{
			Direction: "Right", MaxLength: q.opt.MaxLength, Strategy: "OnlySecond", Stride: min(q.opt.Stride, room-1),
		},
	})
	if err != nil {
		return nil, Cut{}, ex.errorf("%w", err)
	}
	features := []Feature{q.feature(e)}
	for _, w := range e.Overflow {
		features = append(features, q.feature(w))
	}
	return features, Cut{}, nil
}

func (q *QA) feature(e tokenizer.Encoding) Feature {
	f := Feature{Sequence: Sequence{IDs: e.IDs, TypeIDs: segments(e.TypeIDs)}, Offsets: e.Offsets}
	for i, seq := range e.SequenceIDs {
		if seq != 1 {
			f.Offsets[i] = [2]int{-1, -1}
		}
	}
	for _, mark := range q.marks {
		for i, id := range e.IDs {
			if id == mark {
				f.CLS = i
				return f
			}
		}
	}
	return f
}

// Sequences returns the windows of each question of a document, with the tokens
// that the first answer begins and ends with as Targets; both CLS in windows that
// do not hold all of it.
func (q *QA) Sequences(d *Document) ([][]Sequence, Cut, error) {
	examples, err := QAExamples(d)
	if err != nil {
		return nil, Cut{}, err
	}
	var out [][]Sequence
	var cut Cut
	for i := range examples {
		some, missed, err := q.train(&examples[i])
		cut.Add(missed)
		if err != nil {
			return nil, cut, err
		}
		if len(some) > 0 {
			out = append(out, some)
		}
	}
	return out, cut, nil
}

func (q *QA) train(ex *QAExample) ([]Sequence, Cut, error) {
	answer, err := ex.firstAnswer()
	if err != nil {
		return nil, Cut{}, ex.errorf("%w", err)
	}
	features, cut, err := q.Features(ex)
	var out []Sequence
	for _, f := range features {
		start, end := f.CLS, f.CLS
		if answer != nil {
			start, end = f.Tokens(answer.Start, answer.Start+len(answer.Text))
		}
		f.Targets = []float32{float32(start), float32(end)}
		out = append(out, f.Sequence)
	}
	return out, cut, err
}

// firstAnswer returns the first answer whose place is known, nil if there is no
// answer.
func (ex *QAExample) firstAnswer() (*Answer, error) {
	if len(ex.Answers) == 0 {
		return nil, nil
	}
	for i := range ex.Answers {
		if ex.Answers[i].Start >= 0 {
			return &ex.Answers[i], nil
		}
	}
	return nil, errors.New("no answer of the question is a stretch of the context")
}

// Tokens returns the first and last token of the stretch [start, end) of the
// context, CLS twice if the window does not hold all of it. At an end that lies
// inside a token the token belongs to the stretch. It gives what run_qa.py does,
// save where that begins a stretch behind its end: at the last token of the
// context, and in a character of several tokens.
func (f *Feature) Tokens(start, end int) (first, last int) {
	from, to := 0, len(f.Offsets)-1
	for from <= to && f.Offsets[from][0] < 0 {
		from++
	}
	for to >= from && f.Offsets[to][0] < 0 {
		to--
	}
	if from > to || f.Offsets[from][0] > start || f.Offsets[to][1] < end {
		return f.CLS, f.CLS
	}
	first, last = from, to
	for first < to && f.Offsets[first][1] <= start {
		first++
	}
	for last > from && f.Offsets[last][0] >= end {
		last--
	}
	if first > last { // nothing of it has a token
		return f.CLS, f.CLS
	}
	return first, last
}
