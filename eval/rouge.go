package eval

import "strings"

// ROUGE are the scores of a summary (Lin 2004), as google-research/rouge_score
// computes them.
type ROUGE struct {
	ROUGE1    PRF // of words
	ROUGE2    PRF // of pairs of words
	ROUGEL    PRF // of the longest common subsequence
	ROUGELsum PRF // of the union of those of each line
}

// ScoreROUGE compares a prediction with its target, the words stemmed or as they
// are. Words are runs of a to z and digits: text of other scripts has none.
func ScoreROUGE(target, prediction string, stem bool) ROUGE {
	want, got := rougeWords(target, stem), rougeWords(prediction, stem)
	var r ROUGE
	r.ROUGE1, r.ROUGE2 = rougeN(want, got, 1), rougeN(want, got, 2)
	r.ROUGEL = prf(float64(len(subsequence(want, got))), float64(len(got)), float64(len(want)))
	r.ROUGELsum = rougeLsum(rougeLines(target, stem), rougeLines(prediction, stem))
	return r
}

func rougeWords(s string, stem bool) []string {
	words := strings.FieldsFunc(lower(s), func(r rune) bool { return !('a' <= r && r <= 'z' || '0' <= r && r <= '9') })
	for i, w := range words {
		if stem && len(w) > 3 {
			words[i] = PorterStem(w)
		}
	}
	return words
}

func rougeLines(s string, stem bool) [][]string {
	var lines [][]string
	for line := range strings.SplitSeq(s, "\n") {
		lines = append(lines, rougeWords(line, stem))
	}
	return lines
}

func rougeN(want, got []string, n int) PRF {
	w, g := ngrams(want, n), ngrams(got, n)
	return prf(float64(common(counts(w), counts(g))), float64(len(g)), float64(len(w)))
}

// rougeLsum takes from each line of the target the words that are in its longest
// common subsequence with any line of the prediction, none more often than both
// sides have it.
func rougeLsum(want, got [][]string) PRF {
	left, right := map[string]int{}, map[string]int{}
	var hits, n, m float64
	for _, line := range want {
		for _, w := range line {
			left[w]++
			m++
		}
	}
	for _, line := range got {
		for _, w := range line {
			right[w]++
			n++
		}
	}
	for _, line := range want {
		in := make([]bool, len(line))
		for _, other := range got {
			for _, i := range subsequence(line, other) {
				in[i] = true
			}
		}
		for i, w := range line {
			if in[i] && left[w] > 0 && right[w] > 0 {
				left[w]--
				right[w]--
				hits++
			}
		}
	}
	return prf(hits, n, m)
}

// subsequence returns the places in a of one of the longest common subsequences
// of a and b, last first; of several the one that rouge_score finds.
func subsequence(a, b []string) []int {
	width := len(b) + 1
	t := make([]int32, (len(a)+1)*width) // t[i·width+j]: the length for a[:i], b[:j]
	for i := range a {
		for j := range b {
			if a[i] == b[j] {
				t[(i+1)*width+j+1] = t[i*width+j] + 1
			} else {
				t[(i+1)*width+j+1] = max(t[i*width+j+1], t[(i+1)*width+j])
			}
		}
	}
	var out []int
	for i, j := len(a), len(b); i > 0 && j > 0; {
		switch {
		case a[i-1] == b[j-1]:
			i, j = i-1, j-1
			out = append(out, i)
		case t[i*width+j-1] > t[(i-1)*width+j]:
			j--
		default:
			i--
		}
	}
	return out
}
