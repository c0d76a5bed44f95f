package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// bleuOrder is the longest n-gram that BLEU counts.
const bleuOrder = 4

// BLEUOptions are sacrebleu's. The zero value gives its default score.
type BLEUOptions struct {
	Tokenize    string   // "13a" (default), "zh", "intl", "char", "none"
	Lowercase   bool     //
	Smooth      string   // "exp" (default), "floor", "add-k", "none"
	SmoothValue *float64 // of floor (default 0.1) and add-k (default 1)

	// EffectiveOrder leaves out the lengths of n-grams that the text is too
	// short for: meant for single sentences.
	EffectiveOrder bool
}

// BLEU is a corpus' score (Papineni et al. 2002) and its parts, in percent.
type BLEU struct {
	Score      float64   `json:"score"`
	Precisions []float64 `json:"precisions"` // of n-grams, n from 1 to 4
	BP         float64   `json:"bp"`         // brevity penalty
	SysLen     int       `json:"sys_len"`    // tokens of the hypotheses
	RefLen     int       `json:"ref_len"`    // of the references nearest in length
	Counts     []float64 `json:"counts"`     // n-grams found in a reference; smoothing by add-k included
	Totals     []float64 `json:"totals"`     // n-grams of the hypotheses
}

// CorpusBLEU scores hypotheses against their references, refs[i] being those of
// hyps[i], and counts as sacrebleu does.
func CorpusBLEU(hyps []string, refs [][]string, opt BLEUOptions) (BLEU, error) {
	if len(hyps) != len(refs) {
		return BLEU{}, fmt.Errorf("%d hypotheses, but references for %d", len(hyps), len(refs))
	}
	tokenize, ok := bleuTokenizers[orElse(opt.Tokenize, "13a")]
	if !ok {
		return BLEU{}, fmt.Errorf("tokenize %q is not one of 13a, zh, intl, char, none", opt.Tokenize)
	}
	words := func(s string) []string {
		if opt.Lowercase {
			s = lower(s)
		}
		return split(tokenize(strings.TrimRightFunc(s, isSpace)))
	}
	b := BLEU{Precisions: make([]float64, bleuOrder), Counts: make([]float64, bleuOrder), Totals: make([]float64, bleuOrder)}
	for i, hyp := range hyps {
		if len(refs[i]) == 0 {
			return BLEU{}, fmt.Errorf("hypothesis %d has no reference", i)
		}
		tokens := words(hyp)
		references := make([][]string, len(refs[i]))
		for j, r := range refs[i] {
			references[j] = words(r)
		}
		b.count(tokens, references)
	}
	return b, b.finish(opt)
}

// count adds the statistics of one hypothesis.
func (b *BLEU) count(hyp []string, refs [][]string) {
	b.SysLen += len(hyp)
	nearest := slices.MinFunc(refs, func(x, y []string) int {
		if d := distance(len(x), len(hyp)) - distance(len(y), len(hyp)); d != 0 {
			return d
		}
		return len(x) - len(y)
	})
	b.RefLen += len(nearest)
	for n := range bleuOrder {
		most := map[string]int{}
		for _, r := range refs {
			for gram, count := range counts(ngrams(r, n+1)) {
				most[gram] = max(most[gram], count)
			}
		}
		grams := ngrams(hyp, n+1)
		b.Counts[n] += float64(common(counts(grams), most))
		b.Totals[n] += float64(len(grams))
	}
}

// ngrams returns the runs of n tokens, which hold no space, joined by spaces.
func ngrams(tokens []string, n int) []string {
	var out []string
	for i := 0; i+n <= len(tokens); i++ {
		out = append(out, strings.Join(tokens[i:i+n], " "))
	}
	return out
}

// finish computes the score from the counts (smoothing: Chen and Cherry 2014).
func (b *BLEU) finish(opt BLEUOptions) error {
	smooth := orElse(opt.Smooth, "exp")
	value, ok := map[string]float64{"none": 0, "exp": 0, "floor": 0.1, "add-k": 1}[smooth]
	if !ok {
		return fmt.Errorf("smoothing %q is not one of exp, floor, add-k, none", smooth)
	}
	if opt.SmoothValue != nil {
		value = *opt.SmoothValue
	}
	b.BP = 1
	if b.SysLen < b.RefLen {
		b.BP = 0
		if b.SysLen > 0 {
			b.BP = math.Exp(1 - float64(b.RefLen)/float64(b.SysLen))
		}
	}
	if !slices.ContainsFunc(b.Counts, func(c float64) bool { return c > 0 }) {
		return nil
	}
	order := bleuOrder
	halving := 1.0
	for n := range bleuOrder {
		if smooth == "add-k" && n > 0 {
			b.Counts[n] += value
			b.Totals[n] += value
		}
		if b.Totals[n] == 0 {
			break
		}
		if opt.EffectiveOrder {
			order = n + 1
		}
		switch {
		case b.Counts[n] > 0:
			b.Precisions[n] = 100 * b.Counts[n] / b.Totals[n]
		case smooth == "exp":
			halving *= 2
			b.Precisions[n] = 100 / (halving * b.Totals[n])
		case smooth == "floor":
			b.Precisions[n] = 100 * value / b.Totals[n]
		}
	}
	sum := 0.0
	for _, p := range b.Precisions[:order] {
		sum += math.Log(p) // of 0: −∞, and the score 0
	}
	b.Score = b.BP * math.Exp(sum/float64(order))
	return nil
}

func distance(a, b int) int { return max(a-b, b-a) }

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
