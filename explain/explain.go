// Package explain shows what a model makes of a text: the tokens that it reads,
// what it expected at each place, and where its heads look. Text computes that,
// HTML puts it on a page for people.
package explain

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"wenmo"
	"wenmo/task"
	"wenmo/tokenizer"
)

// Explanation is what a model makes of a text.
type Explanation struct {
	Model    string  `json:"model"` // its name
	Text     string  `json:"text"`
	Expects  Expects `json:"expects"`
	MaskText string  `json:"mask,omitempty"` // what stands for a missing token, where the model expects those
	Tokens   []Token `json:"tokens"`
	// Next is what the model expects after the last token, the likeliest first;
	// nil unless it expects the next token.
	Next []Candidate `json:"next"`
	// Attentions are the shares of each layer and head, [layers][heads][queries]
	// [keys]: every row of keys sums to one.
	Attentions [][][][]float32 `json:"-"`
}

// Expects is which tokens a model predicts.
type Expects string

// What a model may expect: the token after those that it has read, the tokens
// behind masks, or no tokens at all.
const (
	NextToken    Expects = "next"
	MaskedTokens Expects = "masked"
	Nothing      Expects = "nothing"
)

// Token is a token of the text.
type Token struct {
	ID    int32  `json:"id"`
	Token string `json:"token"` // as the vocabulary writes it
	Text  string `json:"text"`  // what it stands for, as Legible writes it
	// Of is the whole of the characters of which the token has parts; "" if it
	// has whole ones alone.
	Of         string `json:"of,omitempty"`
	Special    bool   `json:"special,omitempty"`
	Bytes      [2]int `json:"bytes"` // [from, to) of the text; [0, 0] for a token that the tokenizer adds
	Characters [2]int `json:"characters"`
	// Expected are the tokens that the model expected here, the likeliest first:
	// from the tokens before it, or in place of the mask. nil: it expected none.
	Expected []Candidate `json:"expected"`
	// Likelihood is how likely the model found this token; nil where it expected
	// none, and at a mask.
	Likelihood *Likelihood `json:"likelihood"`
}

// Candidate is a token that might stand at a place.
type Candidate struct {
	ID          int32   `json:"id"`
	Token       string  `json:"token"`
	Text        string  `json:"text"`
	Probability float32 `json:"probability"`
}

// Likelihood is how likely a model found a token.
type Likelihood struct {
	Probability float32 `json:"probability"`
	Bits        float32 `json:"bits"` // surprise: −log₂ of the probability
	Rank        int     `json:"rank"` // among all tokens; 1: the likeliest
}

// MaxCandidates is the greatest number of candidates for a place.
const MaxCandidates = 100

const (
	maxTokens = 512
	maxShares = 64 << 20 // of attention: 256 MB
)

// Limit returns how many tokens of a text are explained at most: the shares of
// attention are a square of them for each head.
func Limit(m *wenmo.Model) int {
	info := m.Info()
	return min(maxTokens, int(math.Sqrt(maxShares/float64(info.Layers*info.Heads))))
}

// Text explains a text, which is taken as it stands, with topK candidates for
// each place; name is what the model is called. A text of no tokens, or of more than Limit or the model's context,
// is an error.
func Text(ctx context.Context, m *wenmo.Model, name, text string, topK int) (*Explanation, error) {
	if topK < 1 || topK > MaxCandidates {
		return nil, fmt.Errorf("%d candidates, wanted 1 to %d", topK, MaxCandidates)
	}
	enc, err := m.EncodeFull(text, tokenizer.EncodeOptions{AddSpecialTokens: true})
	if err != nil {
		return nil, err
	}
	if n, most := len(enc.IDs), Limit(m); n == 0 {
		return nil, errors.New("the text has no tokens")
	} else if n > most {
		return nil, fmt.Errorf("the text has %d tokens, wanted at most %d: attention is a square of them for each head", n, most)
	}
	e := &Explanation{Model: name, Text: text, Expects: Nothing}
	e.Tokens = tokensOf(m.Tokenizer(), text, &enc)
	switch m.Task() {
	case wenmo.TextGeneration:
		e.Expects = NextToken
		err = e.expectNext(ctx, m, enc.IDs, topK)
	case wenmo.FillMask:
		e.Expects = MaskedTokens
		err = e.expectMasked(ctx, m, &enc, topK)
	}
	if err != nil {
		return nil, err
	}
	e.Attentions, err = m.Attentions(ctx, enc.IDs, enc.TypeIDs)
	return e, err
}

func tokensOf(tok *tokenizer.Tokenizer, text string, enc *tokenizer.Encoding) []Token {
	characters := tokenizer.CharOffsets(text, enc.Offsets)
	tokens := make([]Token, len(enc.IDs))
	for i, id := range enc.IDs {
		c := candidate(tok, id, 0)
		tokens[i] = Token{
			ID: id, Token: c.Token, Text: c.Text, Bytes: enc.Offsets[i], Characters: characters[i],
			Special: enc.SpecialMask[i] == 1 || tok.IsSpecial(id),
		}
		if b, _ := tok.TokenBytes(id); !utf8.Valid(b) {
			tokens[i].Of = text[enc.Offsets[i][0]:enc.Offsets[i][1]]
		}
	}
	return tokens
}

func candidate(tok *tokenizer.Tokenizer, id int32, p float64) Candidate {
	token, ok := tok.Token(id)
	if !ok { // vocabularies are padded
		return Candidate{ID: id, Text: fmt.Sprintf("#%d", id), Probability: float32(p)}
	}
	bytes, _ := tok.TokenBytes(id)
	return Candidate{ID: id, Token: token, Text: Legible(bytes), Probability: float32(p)}
}

func (e *Explanation) expectNext(ctx context.Context, m *wenmo.Model, ids []int32, topK int) error {
	return m.Logits(ctx, ids, nil, func(pos int, logits []float32) error {
		d, err := distributionOf(logits, pos)
		if err != nil {
			return err
		}
		if pos == len(ids)-1 {
			e.Next = d.candidates(m.Tokenizer(), topK)
			return nil
		}
		next := &e.Tokens[pos+1]
		next.Expected, next.Likelihood = d.candidates(m.Tokenizer(), topK), d.likelihood(next.ID)
		return nil
	})
}

func (e *Explanation) expectMasked(ctx context.Context, m *wenmo.Model, enc *tokenizer.Encoding, topK int) error {
	mask, err := task.MaskToken(m)
	if err != nil {
		return err
	}
	e.MaskText = mask
	id, _ := m.Tokenizer().ID(mask)
	return m.Logits(ctx, enc.IDs, enc.TypeIDs, func(pos int, logits []float32) error {
		if enc.IDs[pos] != id {
			return nil
		}
		d, err := distributionOf(logits, pos)
		if err == nil {
			e.Tokens[pos].Expected = d.candidates(m.Tokenizer(), topK)
		}
		return err
	})
}

// distribution is how likely each token is.
type distribution struct {
	logits  []float32
	logNorm float64 // log of the sum of the logits' exponentials
}

func distributionOf(logits []float32, pos int) (distribution, error) {
	top := float64(slices.Max(logits))
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	d := distribution{logits, top + math.Log(sum)}
	if math.IsNaN(d.logNorm) || math.IsInf(d.logNorm, 0) {
		return d, fmt.Errorf("the logits at position %d are not numbers: the weights are damaged", pos)
	}
	return d, nil
}

func (d *distribution) logProb(id int32) float64 { return float64(d.logits[id]) - d.logNorm }

func (d *distribution) likelihood(id int32) *Likelihood {
	rank := 1
	for other, x := range d.logits {
		if x > d.logits[id] || x == d.logits[id] && int32(other) < id {
			rank++
		}
	}
	l := d.logProb(id)
	bits := max(0, -l/math.Ln2) // no −0
	return &Likelihood{Probability: float32(math.Exp(l)), Bits: float32(min(bits, math.MaxFloat32)), Rank: rank}
}

func (d *distribution) candidates(tok *tokenizer.Tokenizer, k int) []Candidate {
	ids := Greatest(d.logits, k)
	out := make([]Candidate, len(ids))
	for i, id := range ids {
		out[i] = candidate(tok, id, math.Exp(d.logProb(id)))
	}
	return out
}

// Greatest returns where the k greatest values are, the greatest first; of equals
// the first one.
func Greatest(values []float32, k int) []int32 {
	var best []int32
	for i, x := range values {
		if len(best) == k && x <= values[best[k-1]] {
			continue
		}
		at := sort.Search(len(best), func(j int) bool { return values[best[j]] < x })
		best = slices.Insert(best, at, int32(i))
		best = best[:min(k, len(best))]
	}
	return best
}

// Legible writes the bytes of a token so that each can be seen: what is no
// character as <0xE4>, what cannot be seen as Go escapes it, \n.
func Legible(token []byte) string {
	var b strings.Builder
	for len(token) > 0 {
		r, n := utf8.DecodeRune(token)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "<0x%02X>", token[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		token = token[n:]
	}
	return b.String()
}

// Shares returns the attention of a head, [queries][keys], or with Mean the mean
// over the heads of the layer.
func (e *Explanation) Shares(layer, head int) [][]float32 {
	heads := e.Attentions[layer]
	if head != Mean {
		return heads[head]
	}
	mean := make([][]float32, len(e.Tokens))
	for q := range mean {
		mean[q] = make([]float32, len(e.Tokens))
		for _, h := range heads {
			for k, share := range h[q] {
				mean[q][k] += share / float32(len(heads))
			}
		}
	}
	return mean
}

// Mean stands for the mean over the heads of a layer.
const Mean = -1

// Bits returns the mean surprise of the tokens in bits, and of how many tokens
// it is the mean.
func (e *Explanation) Bits() (mean float64, tokens int) {
	for _, t := range e.Tokens {
		if t.Likelihood != nil {
			mean += float64(t.Likelihood.Bits)
			tokens++
		}
	}
	return mean / float64(max(tokens, 1)), tokens
}
