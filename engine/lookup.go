package engine

import "slices"

// Lookup appends to dst up to numTokens ids that may follow ids: what followed
// the last maxNgram of them where they stood before, or the last fewer, down
// to one (prompt lookup decoding, A. Saxena). Of several places the latest with
// numTokens ids after it counts, else the one with most. It appends nothing
// where even the last id is new.
func Lookup(dst, ids []int32, maxNgram, numTokens int) []int32 {
	for n := min(maxNgram, len(ids)-1); n > 0 && numTokens > 0; n-- {
		end := ids[len(ids)-n:]
		from := -1
		for i := len(ids) - 1 - n; i >= 0; i-- { // ids[i+n] exists
			if !slices.Equal(ids[i:i+n], end) {
				continue
			}
			from = i + n
			if len(ids)-from >= numTokens {
				break
			}
		}
		if from >= 0 {
			return append(dst, ids[from:min(from+numTokens, len(ids))]...)
		}
	}
	return dst
}

// Verify draws the tokens after ids with the help of a draft of what they may
// be: row(i) are the model's logits after ids and the first i of draft, for i
// from 0 to len(draft). Each is drawn as Next would draw it, and the draft
// holds as long as it is the same token; so the tokens are those of decoding
// one by one, for any sampler. emit takes each token and says whether to go on.
// accepted is how many tokens of the draft held. The spare capacity of ids is
// written to.
func (s *Sampler) Verify(w *Scratch, ids, draft []int32, row func(i int) []float32, emit func(Token) bool) (accepted int, err error) {
	known := append(ids, draft...)
	for i := 0; ; i++ {
		t, err := s.Next(w, known[:len(ids)+i], row(i))
		if err != nil {
			return i, err
		}
		holds := i < len(draft) && t.ID == draft[i]
		if !emit(t) || !holds {
			if holds {
				i++
			}
			return i, nil
		}
	}
}
