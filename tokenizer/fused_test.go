package tokenizer

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// slow returns the same tokenizer as Parse, but one that merges by definition.
func slow(t testing.TB, data []byte) *Tokenizer {
	t.Helper()
	tok, err := Parse(data, "slow")
	if err != nil {
		t.Fatal(err)
	}
	tok.fused = nil
	if m, ok := tok.spec.Model.(*bpe); ok {
		tok.spec.Model = definedBPE{m}
	}
	return tok
}

// definedBPE merges by definition.
type definedBPE struct{ *bpe }

func (m definedBPE) tokenize(w *work, p piece) {
	s := w.text[p.start:p.end]
	if id := m.wholeID(s, w.bytes); id >= 0 {
		w.tokens = append(w.tokens, token{id: id, start: p.start, end: p.end})
		return
	}
	at := p.start
	for _, o := range byDefinition(m.bpe, s, w.bytes) {
		w.tokens = append(w.tokens, token{id: o.id, start: at, end: at + int(o.size)})
		at += int(o.size)
	}
}

// Every quick way gives what the definitions give, for long texts too.
func TestFixtureTokenizerQuickWays(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		file := filepath.Join(dir, "tokenizer.json")
		if !exists(file) {
			t.SkipNow()
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		quick, err := Parse(data, file)
		if err != nil {
			t.Fatal(err)
		}
		bySteps := slow(t, data)
		var texts []string
		for _, c := range jsonLines[tokenizerCase](t, filepath.Join(dir, "cases.jsonl")) {
			texts = append(texts, c.Text)
		}
		rng := rand.New(rand.NewPCG(3, 4))
		for range 20 {
			rng.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
			text := strings.Join(texts[:100], []string{"", " ", "\n", "，"}[rng.IntN(4)])
			want := bySteps.Encode(text, true)
			if got := quick.Encode(text, true); !slices.Equal(got, want) {
				t.Fatalf("%q: the quick way gives other ids", text)
			}
			e, err := quick.EncodeFull(text, EncodeOptions{AddSpecialTokens: true})
			if err != nil || !slices.Equal(e.IDs, want) {
				t.Fatalf("%q: EncodeFull gives other ids (%v)", text, err)
			}
		}
	}, "tok_")
}

// Works that goroutines share must not mix their texts up.
func TestFixtureTokenizerGoroutines(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		tok, err := LoadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		cases := jsonLines[tokenizerCase](t, filepath.Join(dir, "cases.jsonl"))
		done := make(chan bool)
		for g := range 4 {
			go func() {
				ok := true
				for i := range cases {
					c := &cases[(i*(2*g+1)+g)%len(cases)]
					ok = ok && (c.Pair != nil || slices.Equal(tok.Encode(c.Text, c.AddSpecialTokens), c.IDs))
				}
				done <- ok
			}()
		}
		for range 4 {
			if !<-done {
				t.Error("goroutines give other ids than one alone")
			}
		}
	}, "tok_qwen2", "tok_llama2_legacy", "tok_xlmr", "tok_bert_cased")
}
