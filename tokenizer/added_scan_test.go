package tokenizer

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestAddedScan compares what the automaton finds with what the trie finds, on
// tokens that overlap and texts longer than a stretch.
func TestAddedScan(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	letters := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString([]string{"a", "b", "文"}[rng.IntN(3)])
		}
		return b.String()
	}
	for round := range 50 {
		var f addedFinder
		for id := range int32(1 + rng.IntN(40)) {
			f.add(letters(1+rng.IntN(12)), &AddedToken{ID: id})
		}
		s := letters(1 + rng.IntN(200))
		if round == 0 {
			s = letters(2 * scanStretch)
		}
		slow, fast := f.scan(s), f.scan(s)
		slow.left, fast.left = 1<<40, rng.IntN(100)
		for from := 0; ; {
			want, start, end := slow.next(from)
			got, gotStart, gotEnd := fast.next(from)
			if got != want || gotStart != start || gotEnd != end {
				t.Fatalf("round %d from %d: %v [%d, %d), want %v [%d, %d)", round, from, got, gotStart, gotEnd, want, start, end)
			}
			if want == nil {
				break
			}
			from = end
		}
	}
}

// TestAddedTokensTakeLinearTime encodes texts that once took the square of
// their length, or their length times that of the longest token.
func TestAddedTokensTakeLinearTime(t *testing.T) {
	var overlapping []AddedToken
	for i := range int32(2500) {
		overlapping = append(overlapping, AddedToken{ID: 2 + i, Content: strings.Repeat("x", int(i)+1) + "y"})
	}
	for name, c := range map[string]struct {
		tokens []AddedToken
		text   string
	}{
		"overlapping": {overlapping, strings.Repeat("x", 500_000)},
		"white space": {[]AddedToken{{ID: 2, Content: " ", RStrip: true}}, strings.Repeat(" ", 300_000)},
	} {
		data, err := json.Marshal(map[string]any{"added_tokens": c.tokens, "model": map[string]any{
			"type": "WordLevel", "unk_token": "[UNK]", "vocab": map[string]int{"[UNK]": 0, "x": 1}}})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := Parse(data, name)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		tok.Encode(c.text, false)
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("%s: %v", name, d)
		}
	}
}
