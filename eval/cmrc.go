package eval

import (
	"regexp"
	"strings"
)

// CMRC scores a prediction by the rules of CMRC 2018: F1 over the longest run of
// segments (Chinese characters, words of other scripts) that prediction and
// answer have in common, and whether they are equal without punctuation. The
// best over the answers counts.
func CMRC(answers []string, prediction string) ExactF1 {
	var s ExactF1
	got := CMRCSegments(prediction)
	bare := withoutCMRCPunct(prediction)
	for _, a := range answers {
		s.Exact = max(s.Exact, boolean(withoutCMRCPunct(a) == bare))
		want := CMRCSegments(a)
		if n := float64(longestRun(want, got)); n > 0 {
			s.F1 = max(s.F1, harmonic(n/float64(len(got)), n/float64(len(want))))
		}
	}
	return s
}

// cmrcPunct is what the script removes. It lists …… too, two characters, which
// no single one equals.
const cmrcPunct = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"

// CMRCSegments returns the segments of a text, punctuation removed.
func CMRCSegments(s string) []string {
	var out []string
	var words strings.Builder
	flush := func() {
		out = append(out, treebankWords(words.String())...)
		words.Reset()
	}
	for _, r := range trim(lower(s)) {
		switch {
		case strings.ContainsRune(cmrcPunct, r):
		case '\u4e00' <= r && r <= '\u9fa5':
			flush()
			out = append(out, string(r))
		default:
			words.WriteRune(r)
		}
	}
	flush()
	return out
}

func withoutCMRCPunct(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(cmrcPunct, r) {
			return -1
		}
		return r
	}, trim(lower(s)))
}

// longestRun is the length of the longest common run of a and b.
func longestRun(a, b []string) int {
	best := 0
	row := make([]int, len(b)+1) // row[j+1]: the run that ends at a[i] and b[j]
	for i := range a {
		diagonal := 0
		for j := range b {
			above := row[j+1]
			row[j+1] = 0
			if a[i] == b[j] {
				row[j+1] = diagonal + 1
				best = max(best, row[j+1])
			}
			diagonal = above
		}
	}
	return best
}

type rewrite struct {
	re *regexp.Regexp
	to string
}

// treebank are the rules of the Penn Treebank's tokenizer (R. MacIntyre's sed
// script, as NLTK's TreebankWordTokenizer has them), in their order.
var treebank = []rewrite{
	{regexp.MustCompile(`^"`), "``"},
	{regexp.MustCompile("(``)"), " $1 "},
	{regexp.MustCompile(`([ (\[{<])("|'{2})`), "$1 `` "},
	{regexp.MustCompile(`([:,])([^\d])`), " $1 $2"},
	{regexp.MustCompile(`([:,])$`), " $1 "},
	{regexp.MustCompile(`\.\.\.`), " ... "},
	{regexp.MustCompile(`[;@#$%&]`), " $0 "},
	{regexp.MustCompile(`([^.])(\.)([\])}>"']*)\s*$`), "$1 $2$3 "},
	{regexp.MustCompile(`[?!]`), " $0 "},
	{regexp.MustCompile(`([^'])' `), "$1 ' "},
	{regexp.MustCompile(`[\]\[(){}<>]`), " $0 "},
	{regexp.MustCompile(`--`), " -- "},
	{regexp.MustCompile(`^(?s:.*)$`), " $0 "},
	{regexp.MustCompile(`''`), " '' "},
	{regexp.MustCompile(`"`), " '' "},
	{regexp.MustCompile(`([^' ])('[sS]|'[mM]|'[dD]|') `), "$1 $2 "},
	{regexp.MustCompile(`([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) `), "$1 $2 "},
	{regexp.MustCompile(`(?i)\b(can)(not)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(d)('ye)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(gim)(me)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(gon)(na)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(got)(ta)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(lem)(me)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(more)('n)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(wan)(na)(\s)`), " $1 $2 $3"},
	{regexp.MustCompile(`(?i) ('t)(is)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i) ('t)(was)\b`), " $1 $2 "},
}

func treebankWords(s string) []string {
	for _, r := range treebank {
		s = r.re.ReplaceAllString(s, r.to)
	}
	return split(s)
}
