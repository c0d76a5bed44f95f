package engine

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestStopFinder(t *testing.T) {
	for _, c := range []struct {
		stops  []string
		pieces []string
		want   []string // what each piece lets go
		found  string
	}{
		{nil, []string{"a", "", "bc"}, []string{"a", "", "bc"}, ""},
		{[]string{"END"}, []string{"ab", "cE", "N", "x"}, []string{"ab", "c", "", "ENx"}, ""},
		{[]string{"END"}, []string{"abE", "ND tail", "more"}, []string{"ab", "", ""}, "END"},
		{[]string{"\n\n"}, []string{"a\n", "b\n", "\n"}, []string{"a", "\nb", ""}, "\n\n"},
		{[]string{"aab"}, []string{"a", "a", "a", "b"}, []string{"", "", "a", ""}, "aab"},
		{[]string{"b", "abc"}, []string{"xabc"}, []string{"xa"}, "b"},
		{[]string{"bc", "abc"}, []string{"xabc"}, []string{"x"}, "abc"},
		{[]string{"用户："}, []string{"好的。", "用", "户", "外", "用户：你"}, []string{"好的。", "", "", "用户外", ""}, "用户："},
		{[]string{"è"}, []string{"caf", "é"}, []string{"caf", "é"}, ""},
		{[]string{"", "x"}, []string{"ax"}, []string{"a"}, "x"},
	} {
		f := NewStopFinder(c.stops)
		for i, piece := range c.pieces {
			text, stopped := f.Push(piece)
			if i < len(c.want) && text != c.want[i] {
				t.Errorf("%q: piece %d of %q gives %q, want %q", c.stops, i, c.pieces, text, c.want[i])
			}
			if stopped != (f.Found() != "") {
				t.Errorf("%q: stopped %v, found %q", c.stops, stopped, f.Found())
			}
		}
		if f.Found() != c.found {
			t.Errorf("%q in %q: found %q, want %q", c.stops, c.pieces, f.Found(), c.found)
		}
	}
}

// However the text is cut, the same comes out, and it is what a search in the
// whole text gives.
func TestStopFinderPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	letters := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "ab"[rng.IntN(2)]
		}
		return string(b)
	}
	for range 5000 {
		var stops []string
		for range 1 + rng.IntN(3) {
			stops = append(stops, letters(1+rng.IntN(5)))
		}
		text := letters(rng.IntN(30))
		want, wantFound := naiveStop(text, stops)
		f := NewStopFinder(stops)
		var out strings.Builder
		for rest := text; rest != ""; {
			n := 1 + rng.IntN(len(rest))
			piece, _ := f.Push(rest[:n])
			out.WriteString(piece)
			rest = rest[n:]
			if !strings.HasPrefix(want, out.String()) {
				t.Fatalf("%q in %q: let go %q, want %q", stops, text, out.String(), want)
			}
		}
		out.WriteString(f.Flush())
		if out.String() != want || f.Found() != wantFound {
			t.Fatalf("%q in %q: %q and %q, want %q and %q", stops, text, out.String(), f.Found(), want, wantFound)
		}
	}
}

func naiveStop(text string, stops []string) (before, found string) {
	for end := range len(text) + 1 {
		for _, s := range stops {
			if strings.HasSuffix(text[:end], s) && len(s) > len(found) {
				found = s
			}
		}
		if found != "" {
			return text[:end-len(found)], found
		}
	}
	return text, ""
}

func FuzzStopFinder(f *testing.F) {
	f.Add("hello wor", "ld", "world", "o")
	f.Add("\xff\xfe", "\x80", "\xfe\x80", "")
	f.Fuzz(func(t *testing.T, a, b, stop1, stop2 string) {
		s := NewStopFinder([]string{stop1, stop2})
		x, _ := s.Push(a)
		y, _ := s.Push(b)
		got := x + y + s.Flush()
		var stops []string
		for _, s := range []string{stop1, stop2} {
			if s != "" {
				stops = append(stops, s)
			}
		}
		if want, found := naiveStop(a+b, stops); got != want || s.Found() != found {
			t.Fatalf("%q and %q, want %q and %q", got, s.Found(), want, found)
		}
	})
}

func TestFinish(t *testing.T) {
	p := DefaultParams()
	p.EOSTokenID, p.StopTokenIDs = []int32{2, 3}, []int32{5}
	for _, c := range []struct {
		id     int32
		length int
		want   Finish
	}{{3, 9, FinishEOS}, {2, 10, FinishEOS}, {5, 10, FinishStop}, {4, 10, FinishLength}, {4, 9, ""}} {
		if got := p.Finish(c.id, c.length, 10); got != c.want {
			t.Errorf("id %d at %d: %q, want %q", c.id, c.length, got, c.want)
		}
	}
}
