package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomBPE makes a model over a small alphabet. Its merges are those that a
// trainer could find, or any.
func randomBPE(rng *rand.Rand, wild bool) *bpe {
	m := &bpe{Vocab: vocab{"a", "b", "c", "é", "中", "<unk>"}, UnkToken: "<unk>", FuseUnk: rng.IntN(2) == 0}
	ids := map[string]int32{}
	for i, t := range m.Vocab {
		ids[t] = int32(i)
	}
	parts := []int32{0, 1, 2, 3, 4}
	for range rng.IntN(40) {
		mg := merge{parts[rng.IntN(len(parts))], parts[rng.IntN(len(parts))]}
		name := m.Vocab[mg.left] + m.Vocab[mg.right]
		if len(name) > 20 {
			continue
		}
		if _, ok := ids[name]; !ok {
			ids[name] = int32(len(m.Vocab))
			m.Vocab = append(m.Vocab, name)
			parts = append(parts, ids[name])
		} else if !wild {
			continue
		}
		m.Merges = append(m.Merges, mg)
	}
	if wild {
		rng.Shuffle(len(m.Merges), func(i, j int) { m.Merges[i], m.Merges[j] = m.Merges[j], m.Merges[i] })
	}
	return m
}

func randomText(rng *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString([]string{"a", "a", "a", "b", "b", "c", "é", "中", "x"}[rng.IntN(9)])
	}
	return b.String()
}

// byDefinition merges s as mergeAll does.
func byDefinition(m *bpe, s string, asBytes bool) string {
	var st bpeState
	m.symbolsOf(&st, s, asBytes)
	m.mergeAll(&st)
	var out strings.Builder
	for y := range st.left() {
		fmt.Fprintf(&out, "%d:%d ", y.id, y.size)
	}
	return out.String()
}

func byPairs(p *pairwise, st *pairwiseState, s string) string {
	p.encode(st, s)
	var out strings.Builder
	at := int32(0)
	for i, id := range st.ids {
		fmt.Fprintf(&out, "%d:%d ", id, st.ends[i]-at)
		at = st.ends[i]
	}
	return out.String()
}

func TestPairwiseEqualsMerging(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fast, odd := 0, 0
	var st pairwiseState
	for range 3000 {
		m := randomBPE(rng, rng.IntN(3) == 0)
		x, err := newVocabIndex(m.Vocab, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.prepare(x); err != nil {
			t.Fatal(err)
		}
		p := newPairwise(m, false)
		if p == nil {
			continue
		}
		fast++
		if slices.ContainsFunc(p.made, func(m made) bool { return m.odd }) {
			odd++
		}
		for range 20 {
			s := randomText(rng, rng.IntN(100))
			if got, want := byPairs(p, &st, s), byDefinition(m, s, false); got != want {
				t.Fatalf("%q with merges %v of %q:\ngot  %s\nwant %s", s, m.Merges, m.Vocab, got, want)
			}
		}
	}
	if odd < 100 || fast < 2000 {
		t.Errorf("only %d models were fast, %d of them with odd tokens", fast, odd)
	}
}
