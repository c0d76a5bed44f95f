package task

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"wenmo"
	"wenmo/tokenizer"
)

// Aggregation says how the classes of tokens become entities.
type Aggregation string

// The ways to aggregate. None leaves tokens alone; Simple joins neighbours of
// one class; the others first give each word one class: that of its first token,
// of the mean of its tokens' probabilities, or of the surest token.
const (
	None    Aggregation = "none"
	Simple  Aggregation = "simple"
	First   Aggregation = "first"
	Average Aggregation = "average"
	Max     Aggregation = "max"
)

// Entity is a token or a run of tokens with a class: the bytes [Start, End) of
// the text.
type Entity struct {
	Label string  `json:"label"` // with None the class itself, B-PER; else what B- and I- mark, PER
	Score float32 `json:"score"`
	Start int     `json:"start"`
	End   int     `json:"end"`
	Text  string  `json:"text"`
	Word  string  `json:"word"` // as the tokenizer has it: in lower case, perhaps
	Token int     `json:"-"`    // with None its index in its window
}

// TokenOptions say what Tokens returns.
type TokenOptions struct {
	Aggregation Aggregation // "": Simple
	Ignore      []string    // classes to leave out; nil: "O"
	Stride      int         // tokens that windows share where a text is longer than the context; 0: 128
}

// Tokens returns the entities of each text, in order. A text that is longer
// than the model's context is looked at window by window; of entities that
// overlap then the longer stays, or the surer.
func Tokens(ctx context.Context, m *wenmo.Model, texts []string, opt TokenOptions) ([][]Entity, error) {
	if err := need(m, wenmo.TokenClassification); err != nil {
		return nil, err
	}
	if opt.Aggregation == "" {
		opt.Aggregation = Simple
	}
	if !slices.Contains([]Aggregation{None, Simple, First, Average, Max}, opt.Aggregation) {
		return nil, fmt.Errorf("aggregation %q is not one of none, simple, first, average, max", opt.Aggregation)
	}
	if opt.Ignore == nil {
		opt.Ignore = []string{"O"}
	}
	t := tagger{tok: m.Tokenizer(), labels: m.Labels(), opt: opt, unk: -1}
	context := m.Info().Context
	cut := &tokenizer.Truncation{Direction: "Right", MaxLength: context, Strategy: "LongestFirst", Stride: strideOf(opt.Stride, context)}
	var inputs []wenmo.Input
	var of []int // each input's text
	var parts []tokenizer.Encoding
	for i, text := range texts {
		e, err := encode(m, Text{Text: text}, cut)
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", i+1, err)
		}
		for _, e := range windows(e) {
			parts, inputs, of = append(parts, e), append(inputs, inputOf(&e)), append(of, i)
		}
	}
	if id, ok := t.tok.ID(m.SpecialTokens().UNK); ok {
		t.unk = id
	}
	out, count := make([][]Entity, len(texts)), make([]int, len(texts))
	err := m.BatchLogits(ctx, inputs, func(i int, rows [][]float32) error {
		text := of[i]
		out[text] = append(out[text], t.entities(texts[text], &parts[i], rows)...)
		count[text]++
		return nil
	})
	for i := range out {
		if count[i] > 1 {
			out[i] = withoutOverlap(out[i])
		}
	}
	return out, err
}

// tagger turns the logits of tokens into entities.
type tagger struct {
	tok    *tokenizer.Tokenizer
	labels []string
	unk    int32 // −1: none
	opt    TokenOptions
}

// piece is a token, or a word, with what its classes score.
type piece struct {
	word       string
	scores     []float32
	class      int
	score      float32
	start, end int
	index      int
	subword    bool
}

// entities returns those of a window of a text.
func (t *tagger) entities(text string, e *tokenizer.Encoding, logits [][]float32) []Entity {
	pieces := t.pieces(text, e, logits)
	if t.opt.Aggregation != None && t.opt.Aggregation != Simple {
		pieces = t.words(pieces)
	}
	var out []Entity
	for _, run := range t.runs(pieces) {
		entity := t.entity(text, run)
		if !slices.Contains(t.opt.Ignore, entity.Label) {
			out = append(out, entity)
		}
	}
	return out
}

// pieces returns the tokens of the text with their classes.
func (t *tagger) pieces(text string, e *tokenizer.Encoding, logits [][]float32) []piece {
	marked := t.tok.SubwordPrefix() != ""
	var out []piece
	for i, id := range e.IDs {
		if e.SpecialMask[i] != 0 {
			continue
		}
		word, _ := t.tok.Token(id)
		start, end := e.Offsets[i][0], e.Offsets[i][1]
		p := piece{word: word, scores: softmax(logits[i]), start: start, end: end, index: i}
		p.class = argmax(p.scores)
		p.score = p.scores[p.class]
		if marked {
			p.subword = utf8.RuneCountInString(word) != utf8.RuneCountInString(text[start:end])
		} else {
			p.subword = start > 0 && !strings.Contains(text[start-1:min(start+1, len(text))], " ")
		}
		if id == t.unk {
			p.word, p.subword = text[start:end], false
		}
		out = append(out, p)
	}
	return out
}

// words joins the tokens of each word.
func (t *tagger) words(pieces []piece) []piece {
	var out []piece
	for i := 0; i < len(pieces); {
		j := i + 1
		for j < len(pieces) && pieces[j].subword {
			j++
		}
		out = append(out, t.joined(pieces[i:j]))
		i = j
	}
	return out
}

// joined returns the tokens of a word as one piece.
func (t *tagger) joined(tokens []piece) piece {
	out := tokens[0]
	switch t.opt.Aggregation {
	case Max:
		for _, p := range tokens[1:] {
			if p.score > out.score {
				out = p
			}
		}
	case Average:
		mean := make([]float32, len(t.labels))
		for i := range mean {
			sum := 0.0
			for _, p := range tokens {
				sum += float64(p.scores[i])
			}
			mean[i] = float32(sum / float64(len(tokens)))
		}
		out.class = argmax(mean)
		out.score = mean[out.class]
	}
	out.word = t.join(tokens)
	out.start, out.end = tokens[0].start, tokens[len(tokens)-1].end
	return out
}

func (t *tagger) join(pieces []piece) string {
	words := make([]string, len(pieces))
	for i, p := range pieces {
		words[i] = p.word
	}
	return t.tok.JoinTokens(words)
}

// runs cuts pieces where the class changes or one begins anew.
func (t *tagger) runs(pieces []piece) [][]piece {
	var out [][]piece
	for i := range pieces {
		if i > 0 && t.opt.Aggregation != None {
			begins, tag := tagOf(t.labels[pieces[i].class])
			if _, last := tagOf(t.labels[pieces[i-1].class]); tag == last && !begins {
				run := &out[len(out)-1]
				*run = pieces[i-len(*run) : i+1]
				continue
			}
		}
		out = append(out, pieces[i:i+1])
	}
	return out
}

// tagOf splits B-PER: a class without B- or I- goes on.
func tagOf(label string) (begins bool, tag string) {
	if rest, ok := strings.CutPrefix(label, "B-"); ok {
		return true, rest
	}
	return false, strings.TrimPrefix(label, "I-")
}

// entity returns a run of pieces of one class.
func (t *tagger) entity(text string, run []piece) Entity {
	first := run[0]
	e := Entity{
		Label: t.labels[first.class], Score: first.score, Start: first.start, End: run[len(run)-1].end,
		Word: first.word, Token: first.index,
	}
	e.Text = text[e.Start:max(e.Start, e.End)]
	if t.opt.Aggregation == None {
		return e
	}
	if _, tag, ok := strings.Cut(e.Label, "-"); ok {
		e.Label = tag
	}
	sum := 0.0
	for _, p := range run {
		sum += float64(p.score)
	}
	e.Score = float32(sum / float64(len(run)))
	e.Word = t.join(run)
	return e
}

// withoutOverlap keeps, of entities that overlap, the longer or else the surer.
func withoutOverlap(all []Entity) []Entity {
	slices.SortStableFunc(all, func(a, b Entity) int { return cmp.Compare(a.Start, b.Start) })
	var out []Entity
	for i, e := range all {
		if i == 0 || e.Start >= out[len(out)-1].End {
			out = append(out, e)
			continue
		}
		last := &out[len(out)-1]
		longer := cmp.Compare(utf8.RuneCountInString(e.Text), utf8.RuneCountInString(last.Text))
		if longer > 0 || longer == 0 && e.Score > last.Score {
			*last = e
		}
	}
	return out
}
