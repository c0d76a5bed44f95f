package eval

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// CHRFOptions are sacrebleu's for chrF (Popović 2015, 2017). The zero value is
// not its default: see DefaultCHRF.
type CHRFOptions struct {
	CharOrder  int     `json:"char_order"` // longest n-gram of characters
	WordOrder  int     `json:"word_order"` // and of words: 0 is chrF, 2 is chrF++
	Beta       float64 `json:"beta"`       // weight of recall
	Whitespace bool    `json:"whitespace"` // count spaces as characters
	Lowercase  bool    `json:"lowercase"`

	// EpsSmoothing averages the F of each length, as chrF++.py does, instead of
	// taking the F of the average over the lengths that are there.
	EpsSmoothing bool `json:"eps_smoothing"`
}

// DefaultCHRF are sacrebleu's defaults: chrF2.
func DefaultCHRF() CHRFOptions { return CHRFOptions{CharOrder: 6, Beta: 2} }

// gramCount are the n-grams of one length: of the hypothesis, of the reference,
// and those they share.
type gramCount struct{ hyp, ref, match float64 }

// CorpusCHRF scores hypotheses against their references, refs[i] being those of
// hyps[i], in percent. The best reference of each counts.
func CorpusCHRF(hyps []string, refs [][]string, opt CHRFOptions) (float64, error) {
	if len(hyps) != len(refs) {
		return 0, fmt.Errorf("%d hypotheses, but references for %d", len(hyps), len(refs))
	}
	if opt.CharOrder < 1 || opt.WordOrder < 0 {
		return 0, fmt.Errorf("char order %d and word order %d, want at least 1 and 0", opt.CharOrder, opt.WordOrder)
	}
	total := make([]gramCount, opt.CharOrder+opt.WordOrder)
	for i, hyp := range hyps {
		if len(refs[i]) == 0 {
			return 0, fmt.Errorf("hypothesis %d has no reference", i)
		}
		h := opt.grams(hyp)
		var best []gramCount
		bestScore := -1.0
		for _, ref := range refs[i] {
			c := match(h, opt.grams(ref))
			if s := opt.score(c); s > bestScore {
				best, bestScore = c, s
			}
		}
		for n, c := range best {
			total[n].hyp += c.hyp
			total[n].ref += c.ref
			total[n].match += c.match
		}
	}
	return opt.score(total), nil
}

// grams counts the n-grams of characters, then those of words, by length.
func (opt CHRFOptions) grams(s string) []map[string]int {
	if opt.Lowercase {
		s = lower(s)
	}
	text := s
	if !opt.Whitespace {
		text = strings.Join(split(s), "")
	}
	chars := strings.Split(text, "")
	var out []map[string]int
	for n := 1; n <= opt.CharOrder; n++ {
		var grams []string
		for i := 0; i+n <= len(chars); i++ {
			grams = append(grams, strings.Join(chars[i:i+n], ""))
		}
		out = append(out, counts(grams))
	}
	if opt.WordOrder > 0 {
		words := partPunctuation(split(s))
		for n := 1; n <= opt.WordOrder; n++ {
			out = append(out, counts(ngrams(words, n)))
		}
	}
	return out
}

// partPunctuation parts a sign from the end of a word, or else from its start.
func partPunctuation(words []string) []string {
	var out []string
	for _, w := range words {
		first, size := utf8.DecodeRuneInString(w)
		last, n := utf8.DecodeLastRuneInString(w)
		switch {
		case size == len(w):
			out = append(out, w)
		case isPunct(last):
			out = append(out, w[:len(w)-n], w[len(w)-n:])
		case isPunct(first):
			out = append(out, w[:size], w[size:])
		default:
			out = append(out, w)
		}
	}
	return out
}

func match(hyp, ref []map[string]int) []gramCount {
	out := make([]gramCount, len(hyp))
	for n := range hyp {
		for _, c := range hyp[n] {
			out[n].hyp += float64(c)
		}
		for _, c := range ref[n] {
			out[n].ref += float64(c)
		}
		if out[n].ref == 0 { // no hits can be had
			out[n].hyp = 0
		}
		out[n].match = float64(common(hyp[n], ref[n]))
	}
	return out
}

func (opt CHRFOptions) score(stats []gramCount) float64 {
	const eps = 1e-16
	factor := opt.Beta * opt.Beta
	var smoothed, precision, recall, orders float64
	for _, c := range stats {
		p, r := eps, eps
		if c.hyp > 0 {
			p = c.match / c.hyp
		}
		if c.ref > 0 {
			r = c.match / c.ref
		}
		if d := factor*p + r; d > 0 {
			smoothed += (1 + factor) * p * r / d
		} else {
			smoothed += eps
		}
		if c.hyp > 0 && c.ref > 0 {
			precision += p
			recall += r
			orders++
		}
	}
	if opt.EpsSmoothing {
		return 100 * smoothed / float64(len(stats))
	}
	precision, recall = ratio(precision, orders), ratio(recall, orders)
	return 100 * ratio((1+factor)*precision*recall, factor*precision+recall)
}
