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
func byDefinition(m *bpe, s string, asBytes bool) []sized {
	var st bpeState
	m.symbolsOf(&st, s, asBytes)
	m.mergeAll(&st)
	var out []sized
	for y := range st.left() {
		out = append(out, sized{y.id, y.size})
	}
	return out
}

func TestQuickMergingEqualsMerging(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	cut := 0
	var st bpeState
	for range 3000 {
		m := randomBPE(rng, rng.IntN(3) == 0)
		x, err := newVocabIndex(m.Vocab, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.prepare(x); err != nil {
			t.Fatal(err)
		}
		m.ready(false)
		for range 20 {
			s := randomText(rng, rng.IntN(3*maxShort))
			st.out = st.out[:0]
			m.encode(&st, s, false)
			if want := byDefinition(m, s, false); !slices.Equal(st.out, want) {
				t.Fatalf("%q with merges %v of %q:\ngot  %v\nwant %v", s, m.Merges, m.Vocab, st.out, want)
			}
			for i := 1; i < len(s); i++ {
				if m.seams != nil && s[i] >= 0xc0 && m.seams.at(s, i) {
					cut++
				}
			}
		}
	}
	if cut < 1000 {
		t.Errorf("only %d seams", cut)
	}
}

// TestSuffixAsBytes encodes a word whose suffix, which is no part of the text,
// becomes bytes: they have no stretch of it.
func TestSuffixAsBytes(t *testing.T) {
	var vocab strings.Builder
	for b := range 256 {
		fmt.Fprintf(&vocab, `"<0x%02X>":%d,`, b, b)
	}
	tok, err := Parse([]byte(tinyFile(map[string]string{"model": `{"type":"BPE","vocab":{` + vocab.String() + `"a":256},"merges":[],` +
		`"end_of_word_suffix":"</w>","byte_fallback":true}`})), "f")
	if err != nil {
		t.Fatal(err)
	}
	text := "aé"
	e, err := tok.EncodeFull(text, EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.IDs) != 1+len("é</w>") {
		t.Errorf("%d tokens: %v", len(e.IDs), e.IDs)
	}
	for i, o := range e.Offsets {
		if o[0] < 0 || o[0] > o[1] || o[1] > len(text) {
			t.Errorf("token %d stands for %v of %d bytes", i, o, len(text))
		}
	}
}
