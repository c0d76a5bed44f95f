package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLookup(t *testing.T) {
	for _, c := range []struct {
		ids      []int32
		ngram, n int
		want     []int32
	}{
		{[]int32{1, 2, 3, 4, 1, 2}, 2, 2, []int32{3, 4}},
		{[]int32{1, 2, 3, 4, 1, 2}, 2, 9, []int32{3, 4, 1, 2}},
		{[]int32{9, 2, 3, 4, 1, 2}, 2, 2, []int32{3, 4}},             // one token matches
		{[]int32{1, 2, 7, 7, 1, 2, 8, 8, 1, 2}, 2, 2, []int32{8, 8}}, // the latest
		{[]int32{5, 5, 5, 5}, 2, 1, []int32{5}},
		{[]int32{5, 5, 5, 5}, 3, 3, []int32{5}},
		{[]int32{5, 5, 5, 5, 5, 5}, 2, 3, []int32{5, 5, 5}}, // not the latest, which has fewer
		{[]int32{1, 2, 3}, 3, 5, nil},
		{[]int32{1, 1}, 0, 5, nil},
		{[]int32{1, 1}, 2, 0, nil},
		{[]int32{1, 1}, 2, -1, nil},
		{[]int32{1}, 2, 5, nil},
		{nil, 2, 5, nil},
	} {
		if got := Lookup(nil, c.ids, c.ngram, c.n); !slices.Equal(got, c.want) {
			t.Errorf("Lookup(%v, %d, %d) = %v, want %v", c.ids, c.ngram, c.n, got, c.want)
		}
	}
}

// Generating with drafts gives the tokens of generating without, for any
// sampler and whatever the drafts say.
func TestVerifyGivesTheSameTokens(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	for n := range 60 {
		p := DefaultParams()
		p.Seed, p.DoSample, p.TopP, p.Temperature = uint64(n), n%2 == 1, 0.9, 0.3+rng.Float64()
		p.RepetitionPenalty, p.XTCProbability, p.EOSTokenID = 1.1, 0.3, []int32{11}
		const vocab, steps = 12, 60
		model := func(ids []int32) []float32 { // repeats itself
			return fakeLogits([]int32{ids[len(ids)-1] % 4}, vocab)
		}
		prompt := []int32{1, 2, 3}
		want := slices.Clone(prompt)
		w := NewScratch(vocab)
		s := NewSampler(&p, len(prompt), math.MaxInt, 0)
		for len(want) < steps && want[len(want)-1] != 11 {
			tok, err := s.Next(w, want, model(want))
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, tok.ID)
		}
		got := slices.Clone(prompt)
		held, over := 0, false
		for !over {
			draft := Lookup(nil, got, 2, 1+rng.IntN(5))
			if rng.IntN(4) == 0 {
				draft = []int32{int32(rng.IntN(vocab)), int32(rng.IntN(vocab))}
			}
			before := slices.Clone(got)
			row := func(i int) []float32 { return model(append(slices.Clone(before), draft[:i]...)) }
			accepted, err := s.Verify(w, got, draft, row, func(tok Token) bool {
				got = append(got, tok.ID)
				over = tok.ID == 11 || len(got) == steps
				return !over
			})
			if err != nil {
				t.Fatal(err)
			}
			if accepted > len(draft) || !slices.Equal(got[len(before):len(before)+accepted], draft[:accepted]) {
				t.Fatalf("%d of draft %v accepted, tokens %v", accepted, draft, got[len(before):])
			}
			held += accepted
		}
		if !slices.Equal(got, want) {
			t.Fatalf("case %d: %v with drafts, %v without", n, got, want)
		}
		if n == 0 && held == 0 {
			t.Error("no draft ever held")
		}
	}
}

func FuzzLookup(f *testing.F) {
	f.Add([]byte{1, 2, 3, 1, 2}, 2, 3)
	f.Fuzz(func(t *testing.T, data []byte, ngram, n int) {
		ids := make([]int32, len(data))
		for i, b := range data {
			ids[i] = int32(b % 5)
		}
		got := Lookup([]int32{-7}, ids, ngram, n)
		if got[0] != -7 || len(got)-1 > max(n, 0) || len(got) > len(ids)+1 {
			t.Fatalf("Lookup(%v, %d, %d) = %v", ids, ngram, n, got)
		}
	})
}
