package eval

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Repetition is how a text repeats itself.
type Repetition struct {
	// Share is the part of its runs of four words that stand before in it:
	// seq-rep-4 of Welleck et al. 2020, "Neural Text Generation with Unlikelihood
	// Training".
	Share float64
	// Tail says that it ends with the same two or more words three times in a row
	// (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration").
	Tail bool
	// Sentences is how often the most frequent sentence of at least four words
	// stands in it.
	Sentences int
}

const (
	repeatedRun      = 4   // words
	mostRepeated     = 0.2 // share of runs; of 13,000 TinyStories none has more
	tailTimes        = 3
	shortestSentence = 4 // words
	mostSentences    = 2
)

// FindRepetition looks for repetition in a text, whose words are those of letters
// and digits, in lower case, and single Chinese characters.
func FindRepetition(text string) Repetition {
	words := wordsOf(text)
	r := Repetition{Share: repeatedShare(words, repeatedRun), Tail: repeatsAtEnd(words)}
	times := map[string]int{}
	for sentence := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || strings.ContainsRune(sentenceEnds, r) }) {
		if words := wordsOf(sentence); len(words) >= shortestSentence {
			key := strings.Join(words, " ")
			times[key]++
			r.Sentences = max(r.Sentences, times[key])
		}
	}
	return r
}

// Looped says that a text goes round in a circle: it ends so, a sentence stands
// three times in it, or more than a fifth of it stands there before. That is so of
// one in 500 TinyStories (Eldan and Li 2023).
func (r Repetition) Looped() bool {
	return r.Tail || r.Sentences > mostSentences || r.Share > mostRepeated
}

// wordsOf returns the words of a text, each Chinese character being one.
func wordsOf(text string) []string {
	var words []string
	begin := -1
	end := func(i int) {
		if begin >= 0 {
			words = append(words, strings.ToLower(strings.TrimRight(text[begin:i], "'’")))
		}
		begin = -1
	}
	for i, r := range text {
		switch {
		case unicode.Is(unicode.Han, r):
			end(i)
			words = append(words, string(r))
		case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) || begin >= 0 && (r == '\'' || r == '’'):
			if begin < 0 {
				begin = i
			}
		default:
			end(i)
		}
	}
	end(len(text))
	return words
}

// repeatedShare is the part of the runs of n words that stand before in a text.
func repeatedShare(words []string, n int) float64 {
	different, all := runs([][]string{words}, n)
	return ratio(float64(all-different), float64(all))
}

// distinct is the part of all runs of n words of some texts that are different
// (distinct-n of Li et al. 2016). The more text, the smaller it is.
func distinct(texts [][]string, n int) float64 {
	different, all := runs(texts, n)
	return ratio(float64(different), float64(all))
}

// runs counts the runs of n words of some texts.
func runs(texts [][]string, n int) (different, all int) {
	seen := map[string]bool{}
	for _, words := range texts {
		for i := 0; i+n <= len(words); i++ {
			seen[strings.Join(words[i:i+n], " ")] = true
			all++
		}
	}
	return len(seen), all
}

// repeatsAtEnd says that a text ends with the same two or more words three times
// in a row.
func repeatsAtEnd(words []string) bool {
	for n := 2; tailTimes*n <= len(words); n++ {
		tail := words[len(words)-tailTimes*n:]
		if slices.Equal(tail[:2*n], tail[n:]) {
			return true
		}
	}
	return false
}

// sentenceEnds are the marks that end a sentence, sentenceCloses those that may
// follow them.
const (
	sentenceEnds   = ".!?…。！？"
	sentenceCloses = `"'”’」』)）】》`
)

// endsSentence says that a text ends with the end of a sentence.
func endsSentence(text string) bool {
	text = strings.TrimRightFunc(text, func(r rune) bool { return isSpace(r) || strings.ContainsRune(sentenceCloses, r) })
	last, _ := utf8.DecodeLastRuneInString(text)
	return strings.ContainsRune(sentenceEnds, last)
}
