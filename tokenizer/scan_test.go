package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// pieces lists where the matches of a scanner and of an engine end.
func scanEnds(scan scanner, s string) string {
	var out []string
	for at := 0; at < len(s); {
		end := scan(loadUnicode(), s, at)
		if end <= at || end > len(s) {
			return fmt.Sprintf("from %d to %d", at, end)
		}
		out = append(out, fmt.Sprint(end))
		at = end
	}
	return strings.Join(out, " ")
}

func engineEnds(re *regex, s string) string {
	var out []string
	last := 0
	re.eachMatch(s, func(start, end int) {
		if start != last {
			out = append(out, fmt.Sprintf("gap %d", start))
		}
		out = append(out, fmt.Sprint(end))
		last = end
	})
	return strings.Join(out, " ")
}

var scanAlphabet = []string{
	"a", "b", "s", "t", "r", "e", "v", "l", "d", "m", "A", "S", "T", "LL", "'", "'s", "'re", "'LL", "’", "ſ", " ", " ", "  ", "\n", "\r",
	"\r\n", "\t", "\u3000", "\u00a0", "\u0085", "1", "22", "½", "Ⅷ", "中", "文字", "あ", "é", "e\u0301", "\u0301", "ǅ", "ʰ", ".", ",", "!?", "/", "$", "。",
	"👍", "\u200d", "_", "\xff", "\xe4\xb8", "\xc5", "न", "ि", "ﬁ", "𠜎", "\u061c", "\x00",
}

func randomPieces(rng *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(scanAlphabet[rng.IntN(len(scanAlphabet))])
	}
	return b.String()
}

func TestScannersEqualTheEngine(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for pattern, scan := range scanners {
		re, err := compileRegex(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		for range 2000 {
			s := randomPieces(rng, rng.IntN(25))
			if got, want := scanEnds(scan, s), engineEnds(re, s); got != want {
				t.Errorf("%s on %q:\nscanner %s\nengine  %s", pattern, s, got, want)
				break
			}
		}
	}
}

func FuzzScanners(f *testing.F) {
	var res []*regex
	var all []scanner
	for pattern, scan := range scanners {
		re, err := compileRegex(pattern)
		if err != nil {
			f.Fatal(err)
		}
		res, all = append(res, re), append(all, scan)
	}
	f.Add("Don't stop\r\n  12345 你好，世界 e\u0301\xff 'ſ")
	f.Fuzz(func(t *testing.T, s string) {
		for i, scan := range all {
			if got, want := scanEnds(scan, s), engineEnds(res[i], s); got != want {
				t.Errorf("%s on %q:\nscanner %s\nengine  %s", res[i].src, s, got, want)
			}
		}
	})
}

// Any pattern is an error or matches in ascending order, in time that grows
// with the text alone.
func FuzzRegex(f *testing.F) {
	for pattern := range scanners {
		f.Add(pattern, "Don't stop\r\n  12345 你好")
	}
	f.Add(`(a*)*b`, "aaaaaaaaaaaaaaaaaaaa")
	f.Add(`(?<!a|b)\d{1,3}(?=(?:\d{3})*\b)`, "1234567")
	f.Add(`[[:punct:]&&[^a-z]]++|\p{Han}`, "a,b中")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		re, err := compileRegex(pattern)
		if err != nil || len(s) > 1000 {
			return
		}
		last := 0
		re.eachMatch(s, func(start, end int) {
			if start < last || end < start || end > len(s) {
				t.Errorf("%s on %q: match %d to %d after %d", pattern, s, start, end, last)
			}
			last = end
		})
	})
}
