package dataset

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"unicode"
)

// A text is contaminated when it has a stretch in common with an evaluation set
// that is as long as 13 words (as GPT-3 counted them: Brown et al. 2020,
// appendix C), or as 20 Han characters, or a mixture of both. 13 English words
// are some 65 letters, at a little over one bit each; Chinese has four to five
// bits a character, so 20 of them say as much, while 13 are often no more than
// the name of an institution. Case, white space and punctuation do not count.
const (
	evaluationWords = 13
	wordWeight      = 20
	hanWeight       = 13
)

// hashBase is the base of the rolling hash, an odd number of no special form.
const hashBase = 0x9e3779b97f4a7c15

// isIdeograph says whether a character counts on its own: its script puts no
// spaces between words.
func isIdeograph(r rune) bool {
	return r >= 0x4e00 && r <= 0x9fff || // most Han characters, found at once
		r >= 0x2e80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
}

// units gives the hash and weight of each word or Han character of a text.
func units(text string) iter.Seq2[uint64, int] {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	return func(yield func(uint64, int) bool) {
		word := uint64(0) // 0: none
		for _, r := range text {
			ideograph := isIdeograph(r)
			if !ideograph && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)) {
				if word == 0 {
					word = offset
				}
				word = (word ^ uint64(unicode.ToLower(r))) * prime
				continue
			}
			if word != 0 && !yield(mix(word), wordWeight) {
				return
			}
			word = 0
			if ideograph && !yield(mix((offset^uint64(r))*prime), hanWeight) {
				return
			}
		}
		if word != 0 {
			yield(mix(word), wordWeight)
		}
	}
}

// mix is the finaliser of splitmix64.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// windows gives the hash of the shortest stretch of at least that weight that
// begins at each unit of a text.
func windows(text string, weight int) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		type prefix struct {
			hash   uint64
			weight int
		}
		// Unit i is between prefixes i and i+1.
		prefixes := []prefix{{}}
		powers := []uint64{1}
		first := 0
		for hash, w := range units(text) {
			last := prefixes[len(prefixes)-1]
			prefixes = append(prefixes, prefix{last.hash*hashBase + hash, last.weight + w})
			powers = append(powers, powers[len(powers)-1]*hashBase)
			end := prefixes[len(prefixes)-1]
			for ; end.weight-prefixes[first].weight >= weight; first++ {
				n := len(prefixes) - 1 - first
				if !yield(mix(end.hash - prefixes[first].hash*powers[n])) {
					return
				}
			}
		}
	}
}

// evaluation is the stretches of evaluation sets.
type evaluation struct {
	weight int // of each
	hashes *hashSet
}

// contaminates says whether a document has a stretch in common with the sets.
func (e *evaluation) contaminates(d *Document) bool {
	for text := range documentTexts(d) {
		for h := range windows(text, e.weight) {
			if e.hashes.has(h) {
				return true
			}
		}
	}
	return false
}

// documentTexts gives what a document teaches: its text, or its messages.
func documentTexts(d *Document) iter.Seq[string] {
	return func(yield func(string) bool) {
		if d.Text != "" && !yield(d.Text) {
			return
		}
		for i := range d.Messages {
			if !yield(d.Messages[i].Text()) {
				return
			}
		}
	}
}

// readEvaluation returns the stretches of all texts in evaluation sets, whatever
// fields they stand in.
func readEvaluation(ctx context.Context, paths []string, words int, opt ReadOptions) (*evaluation, error) {
	e := &evaluation{weight: words * wordWeight, hashes: newHashSet(0)}
	for _, path := range paths {
		for doc, err := range Read(ctx, path, opt) {
			if err != nil {
				return nil, err
			}
			texts := []string{doc.Text}
			for _, name := range slices.Sorted(maps.Keys(doc.Fields)) {
				var value any
				if err := json.Unmarshal(doc.Fields[name], &value); err != nil {
					return nil, err
				}
				texts = appendStrings(texts, value)
			}
			for _, text := range texts {
				for h := range windows(text, e.weight) {
					e.hashes.add(h)
				}
			}
		}
	}
	return e, nil
}

// appendStrings appends all strings inside a JSON value.
func appendStrings(texts []string, value any) []string {
	switch v := value.(type) {
	case string:
		return append(texts, v)
	case []any:
		for _, x := range v {
			texts = appendStrings(texts, x)
		}
	case map[string]any:
		for _, x := range v {
			texts = appendStrings(texts, x)
		}
	}
	return texts
}
