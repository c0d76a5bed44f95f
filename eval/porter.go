package eval

import "strings"

// stemRule replaces an ending where the stem before it fulfils a condition.
type stemRule struct {
	suffix, to string
	holds      func(stem string) bool
}

func always(string) bool       { return true }
func hasMeasure(s string) bool { return measure(s) > 0 }
func longStem(s string) bool   { return measure(s) > 1 }

// irregular are the words that are not stemmed by rule.
var irregular = map[string]string{
	"sky": "sky", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news",
	"innings": "inning", "inning": "inning", "outings": "outing", "outing": "outing",
	"cannings": "canning", "canning": "canning", "howe": "howe",
	"proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}

// PorterStem returns the stem of a lower-case English word: M. F. Porter, An
// algorithm for suffix stripping, 1980, with the changes of NLTK's
// PorterStemmer in its own mode, NLTK_EXTENSIONS.
func PorterStem(w string) string {
	if s, ok := irregular[w]; ok {
		return s
	}
	if len(w) <= 2 {
		return w
	}
	w = stepPlural(w)
	w = stepPast(w)
	w = stemBy(w, []stemRule{{"y", "i", func(s string) bool { return len(s) > 1 && consonant(s, len(s)-1) }}})
	w = stepDouble(w)
	w = stemBy(w, step3)
	w = stemBy(w, step4)
	if s, ok := strings.CutSuffix(w, "e"); ok && (measure(s) > 1 || measure(s) == 1 && !endsCVC(s)) {
		w = s
	}
	if strings.HasSuffix(w, "ll") && measure(w[:len(w)-1]) > 1 {
		w = w[:len(w)-1]
	}
	return w
}

// stepPlural is step 1a.
func stepPlural(w string) string {
	if len(w) == 4 && strings.HasSuffix(w, "ies") { // dies, but not flies
		return w[:3]
	}
	return stemBy(w, []stemRule{{"sses", "ss", always}, {"ies", "i", always}, {"ss", "ss", always}, {"s", "", always}})
}

// stepPast is step 1b.
func stepPast(w string) string {
	if s, ok := strings.CutSuffix(w, "ied"); ok {
		if len(w) == 4 { // died, but not spied
			return s + "ie"
		}
		return s + "i"
	}
	if s, ok := strings.CutSuffix(w, "eed"); ok {
		if hasMeasure(s) {
			return s + "ee"
		}
		return w
	}
	for _, suffix := range []string{"ed", "ing"} {
		if s, ok := strings.CutSuffix(w, suffix); ok && hasVowel(s) {
			return mendStem(s)
		}
	}
	return w
}

// mendStem gives a stem that lost -ed or -ing its e back, or one of two equal
// consonants up.
func mendStem(s string) string {
	for _, end := range []string{"at", "bl", "iz"} {
		if strings.HasSuffix(s, end) {
			return s + "e"
		}
	}
	switch n := len(s); {
	case n >= 2 && s[n-1] == s[n-2] && consonant(s, n-1):
		if strings.ContainsRune("lsz", rune(s[n-1])) {
			return s
		}
		return s[:n-1]
	case measure(s) == 1 && endsCVC(s):
		return s + "e"
	}
	return s
}

// stepDouble is step 2; -alli comes first and may leave an ending for it.
func stepDouble(w string) string {
	if s, ok := strings.CutSuffix(w, "alli"); ok && hasMeasure(s) {
		return stepDouble(s + "al")
	}
	if s, ok := strings.CutSuffix(w, "logi"); ok { // the l counts for the stem
		if hasMeasure(s + "l") {
			return s + "log"
		}
		return w
	}
	return stemBy(w, step2)
}

var step2 = []stemRule{
	{"ational", "ate", hasMeasure}, {"tional", "tion", hasMeasure}, {"enci", "ence", hasMeasure},
	{"anci", "ance", hasMeasure}, {"izer", "ize", hasMeasure}, {"bli", "ble", hasMeasure},
	{"alli", "al", hasMeasure}, {"entli", "ent", hasMeasure}, {"eli", "e", hasMeasure},
	{"ousli", "ous", hasMeasure}, {"ization", "ize", hasMeasure}, {"ation", "ate", hasMeasure},
	{"ator", "ate", hasMeasure}, {"alism", "al", hasMeasure}, {"iveness", "ive", hasMeasure},
	{"fulness", "ful", hasMeasure}, {"ousness", "ous", hasMeasure}, {"aliti", "al", hasMeasure},
	{"iviti", "ive", hasMeasure}, {"biliti", "ble", hasMeasure}, {"fulli", "ful", hasMeasure},
}

var step3 = []stemRule{
	{"icate", "ic", hasMeasure}, {"ative", "", hasMeasure}, {"alize", "al", hasMeasure},
	{"iciti", "ic", hasMeasure}, {"ical", "ic", hasMeasure}, {"ful", "", hasMeasure}, {"ness", "", hasMeasure},
}

var step4 = []stemRule{
	{"al", "", longStem}, {"ance", "", longStem}, {"ence", "", longStem}, {"er", "", longStem},
	{"ic", "", longStem}, {"able", "", longStem}, {"ible", "", longStem}, {"ant", "", longStem},
	{"ement", "", longStem}, {"ment", "", longStem}, {"ent", "", longStem},
	{"ion", "", func(s string) bool {
		return longStem(s) && (strings.HasSuffix(s, "s") || strings.HasSuffix(s, "t"))
	}},
	{"ou", "", longStem}, {"ism", "", longStem}, {"ate", "", longStem}, {"iti", "", longStem},
	{"ous", "", longStem}, {"ive", "", longStem}, {"ize", "", longStem},
}

// stemBy applies the first rule whose ending the word has, if its condition holds.
func stemBy(w string, rules []stemRule) string {
	for _, r := range rules {
		if s, ok := strings.CutSuffix(w, r.suffix); ok {
			if r.holds(s) {
				return s + r.to
			}
			return w
		}
	}
	return w
}

// consonant says whether w[i] is one. y is one at the start and behind a vowel.
func consonant(w string, i int) bool {
	start := i
	for start > 0 && w[start] == 'y' {
		start--
	}
	is := !isVowel(w[start])
	for range i - start {
		is = !is
	}
	return is
}

func isVowel(c byte) bool { return strings.IndexByte("aeiou", c) >= 0 }

// measure is how often vowels are followed by consonants.
func measure(s string) int {
	n := 0
	before := true
	for i := range len(s) {
		is := !isVowel(s[i])
		if s[i] == 'y' && i > 0 {
			is = !before
		}
		if is && !before {
			n++
		}
		before = is
	}
	return n
}

func hasVowel(s string) bool {
	for i := range len(s) {
		if isVowel(s[i]) || s[i] == 'y' && i > 0 && consonant(s, i-1) {
			return true
		}
	}
	return false
}

// endsCVC says that s ends with consonant, vowel, consonant, the last not w, x
// or y; of two letters, that they are vowel and consonant.
func endsCVC(s string) bool {
	n := len(s)
	if n == 2 {
		return !consonant(s, 0) && consonant(s, 1)
	}
	return n > 2 && consonant(s, n-3) && !consonant(s, n-2) && consonant(s, n-1) &&
		!strings.ContainsRune("wxy", rune(s[n-1]))
}
