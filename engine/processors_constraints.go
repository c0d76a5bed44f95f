package engine

import (
	"encoding/binary"
	"math"
	"slices"
)

// noRepeatNgram excludes tokens that would end an n-gram which the sequence
// already holds.
type noRepeatNgram int

func (n noRepeatNgram) Process(c *Context, logits []float32) {
	banNgrams(c.IDs, c.IDs, int(n), logits)
}

// encoderNoRepeatNgram does it for the n-grams of the encoder's input.
type encoderNoRepeatNgram int

func (n encoderNoRepeatNgram) Process(c *Context, logits []float32) {
	banNgrams(c.source(), c.IDs, int(n), logits)
}

// banNgrams excludes what follows in text where the last n-1 of ids stand.
func banNgrams(text, ids []int32, n int, logits []float32) {
	if len(ids) < n-1 {
		return
	}
	prefix := ids[len(ids)-(n-1):]
	for i := 0; i+n <= len(text); i++ {
		if slices.Equal(text[i:i+n-1], prefix) {
			exclude(logits, text[i+n-1:i+n])
		}
	}
}

// sequenceBias adds a number to the logit of a token that would complete one of
// its sequences.
type sequenceBias []SequenceBias

// newSequenceBias lets the last of equal sequences win, as transformers does.
func newSequenceBias(biases []SequenceBias) sequenceBias {
	at := map[string]int{}
	var out sequenceBias
	for _, b := range biases {
		key := sequenceKey(b.IDs)
		if i, ok := at[key]; ok {
			out[i] = b
			continue
		}
		at[key] = len(out)
		out = append(out, b)
	}
	return out
}

func sequenceKey(ids []int32) string {
	var key []byte
	for _, id := range ids {
		key = binary.LittleEndian.AppendUint32(key, uint32(id))
	}
	return string(key)
}

func (p sequenceBias) Process(c *Context, logits []float32) {
	for _, b := range p {
		if completes(c.IDs, b.IDs, logits) {
			logits[b.IDs[len(b.IDs)-1]] += float32(b.Bias)
		}
	}
}

// completes reports whether the last token of seq would complete it after ids.
// As in transformers, a sequence longer than ids is passed over, even where all
// but its last token stand there.
func completes(ids, seq []int32, logits []float32) bool {
	n := len(seq) - 1
	if n < 0 || !inVocab(seq[n], logits) || n > 0 && n+1 > len(ids) {
		return false
	}
	return slices.Equal(ids[len(ids)-n:], seq[:n])
}

// badWords excludes tokens that would complete one of its sequences.
type badWords [][]int32

// newBadWords leaves out sequences that are just an end token.
func newBadWords(words [][]int32, eos []int32) badWords {
	var out badWords
	for _, w := range words {
		if len(w) != 1 || !slices.Contains(eos, w[0]) {
			out = append(out, w)
		}
	}
	return out
}

func (p badWords) Process(c *Context, logits []float32) {
	for _, w := range p {
		if completes(c.IDs, w, logits) {
			logits[w[len(w)-1]] = negInf
		}
	}
}

// minLength excludes the end tokens while the sequence is shorter.
type minLength struct {
	length int
	ends   []int32
}

func (p *minLength) Process(c *Context, logits []float32) {
	if len(c.IDs) < p.length {
		exclude(logits, p.ends)
	}
}

// forced allows nothing but its tokens after length tokens: the first token
// with length 1, the last with the greatest length less 1.
type forced struct {
	length int
	ids    []int32
}

func (p *forced) Process(c *Context, logits []float32) {
	if len(c.IDs) != p.length {
		return
	}
	for i := range logits {
		logits[i] = negInf
	}
	for _, id := range p.ids {
		if inVocab(id, logits) {
			logits[id] = 0
		}
	}
}

// removeInvalid makes NaN 0 and the infinities the greatest finite numbers.
type removeInvalid struct{}

func (removeInvalid) Process(_ *Context, logits []float32) {
	for i, l := range logits {
		switch {
		case l != l:
			logits[i] = 0
		case l > math.MaxFloat32:
			logits[i] = math.MaxFloat32
		case l < -math.MaxFloat32:
			logits[i] = -math.MaxFloat32
		}
	}
}

// suppress excludes its tokens always.
type suppress []int32

func (p suppress) Process(_ *Context, logits []float32) { exclude(logits, p) }

// beginSuppress excludes its tokens when the sequence has just that length.
type beginSuppress struct {
	length int
	ids    []int32
}

func (p *beginSuppress) Process(c *Context, logits []float32) {
	if len(c.IDs) == p.length {
		exclude(logits, p.ids)
	}
}
