package dataset

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
	"wenmo/tokenizer"
)

// fixtureTokenizer opens the tokenizer of a fixture folder, or what testdata has
// of it; where neither has it, nor is part of the project, the test is skipped.
func fixtureTokenizer(t testing.TB, name string) (*tokenizer.Tokenizer, tokenizer.Config) {
	t.Helper()
	dir := tokenizerDir(name)
	if dir == "" {
		dir = testkit.SharedFile(t, "fixtures", name)
	}
	tok, err := tokenizer.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tokenizer.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok, c
}

func tokenizerDir(name string) string {
	fixtures, _ := testkit.Dir()
	for _, dir := range []string{fixtures, filepath.Join("testdata", "tokenizers")} {
		dir = filepath.Join(dir, name)
		for _, file := range []string{"tokenizer.json", "vocab.txt", "vocab.json"} {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
				return dir
			}
		}
	}
	return ""
}

// have reports whether a tokenizer is here; a row of a table that needs another
// is left out.
func have(t testing.TB, name string) bool {
	t.Helper()
	if tokenizerDir(name) == "" {
		t.Logf("left out: no tokenizer %s here", name)
		return false
	}
	return true
}

const (
	english = "The unbelievable photosynthesizer, quietly misunderstanding everything, answered 12345 questions."
	chinese = "大多数的加长型礼车则是租车公司的财产，春天来了，我们都在北京大学学习。"
)

func TestMaskRates(t *testing.T) {
	for _, name := range []string{"tok_bert_uncased", "tok_bert_chinese"} {
		for _, whole := range []bool{false, true} {
			tok, c := fixtureTokenizer(t, name)
			m, err := NewMasker(tok, c, MaskOptions{Seed: 7, WholeWord: whole})
			if err != nil {
				t.Fatal(err)
			}
			ids := tok.Encode(strings.Repeat(english+chinese, 20), true)
			var chosen, masked, random, total int
			for epoch := range uint32(20) {
				s := m.Mask(Sequence{IDs: ids}, MaskPlace{Epoch: epoch, Document: 3})
				for i, id := range ids {
					if tok.IsSpecial(id) {
						if s.Labels[i] != NoLabel || s.IDs[i] != id {
							t.Fatalf("special token %d at %d became %d, label %d", id, i, s.IDs[i], s.Labels[i])
						}
						continue
					}
					total++
					switch {
					case s.Labels[i] == NoLabel:
						if s.IDs[i] != id {
							t.Fatalf("token %d changed without a label", i)
						}
						continue
					case s.Labels[i] != id:
						t.Fatalf("label %d of token %d", s.Labels[i], id)
					case s.IDs[i] == m.mask:
						masked++
					case s.IDs[i] != id:
						random++
						if tok.IsSpecial(s.IDs[i]) {
							t.Fatalf("special token %d put in at random", s.IDs[i])
						}
					}
					chosen++
				}
			}
			// A whole word counts as one draw: the deviation is that of words.
			slack := 1.0
			if whole {
				slack = 2.5
			}
			near(t, name+" chosen", chosen, total, 0.15, slack)
			near(t, name+" masked", masked, chosen, 0.8, slack)
			near(t, name+" random", random, chosen, 0.1, slack)
		}
	}
}

// near fails if hits of n draws are more than five deviations off.
func near(t *testing.T, what string, hits, n int, p, slack float64) {
	t.Helper()
	rate := float64(hits) / float64(n)
	if d := 5 * slack * math.Sqrt(p*(1-p)/float64(n)); math.Abs(rate-p) > d {
		t.Errorf("%s: rate %.4f of %d, want %.2f ± %.4f", what, rate, n, p, d)
	}
}

func TestMaskIsAFunctionOfThePlace(t *testing.T) {
	tok, c := fixtureTokenizer(t, "tok_bert_uncased")
	ids := tok.Encode(strings.Repeat(english, 8), false)
	m, err := NewMasker(tok, c, MaskOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	given := slices.Clone(ids)
	whole := m.Mask(Sequence{IDs: ids}, MaskPlace{Epoch: 1, Document: 1 << 40})
	if !slices.Equal(ids, given) {
		t.Error("the sequence given was changed")
	}
	head := m.Mask(Sequence{IDs: ids[:50]}, MaskPlace{Epoch: 1, Document: 1 << 40})
	tail := m.Mask(Sequence{IDs: ids[50:]}, MaskPlace{Epoch: 1, Document: 1 << 40, First: 50})
	if !slices.Equal(whole.IDs, slices.Concat(head.IDs, tail.IDs)) {
		t.Error("a document masks differently in two pieces")
	}
	for _, at := range []MaskPlace{{Epoch: 2, Document: 1 << 40}, {Epoch: 1}, {Epoch: 1, Document: 1 << 40, First: 1}} {
		if other := m.Mask(Sequence{IDs: ids}, at); slices.Equal(whole.Labels, other.Labels) {
			t.Errorf("%+v masks as another place", at)
		}
	}
	other, _ := NewMasker(tok, c, MaskOptions{Seed: 2})
	if s := other.Mask(Sequence{IDs: ids}, MaskPlace{Epoch: 1, Document: 1 << 40}); slices.Equal(whole.Labels, s.Labels) {
		t.Error("another seed masks alike")
	}
}

// wordsOf returns the words that whole-word masking sees, parted by |.
func wordsOf(t *testing.T, name, text string, words *Words) string {
	t.Helper()
	tok, c := fixtureTokenizer(t, name)
	w := newWordTable(tok, specialIDs(tok, c), words)
	ids := tok.Encode(text, false)
	joined := w.joined(ids)
	var b strings.Builder
	for i, id := range ids {
		if i > 0 && !joined[i] {
			b.WriteByte('|')
		}
		b.WriteString(w.text[id])
	}
	return b.String()
}

func TestWholeWords(t *testing.T) {
	words, err := ReadWords(strings.NewReader("# list\nsimplified\ttraditional\n大多数\t大多數\tda4\n公司 gong1\n北京\n北京大学\n学习\n我们都\n的\nabc\n"), "words")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tok, text string
		words     *Words
		want      string
	}{
		{"tok_bert_uncased", "unbelievable photosynthesizer!", nil, "unbelievable|photosynthesizer|!"},
		{"tok_bert_chinese", "大多数公司ok", nil, "大|多|数|公|司|ok"},
		{"tok_bert_chinese", "大多数的公司，我们在北京大学学习", words, "大多数|的|公司|，|我|们|在|北京大学|学习"},
		{"tok_qwen2", "unbelievable photosynthesizers, 1234", nil, "unbelievable| photosynthesizers|,| |1234"},
		{"tok_qwen2", "大多数的公司的北京大学", words, "大多数|的|公司|的|北京大学"},
		{"tok_qwen2", "公司，北京大学", words, "公司|，北|京|大|学"}, // a token holds the mark and a part of 北
		{"tok_llama2_metaspace", "unbelievable photosynthesizers, 12 ok", nil, " unbelievable| photosynthesizers|,| |12| ok"},
		{"tok_llama2_metaspace", "大多数的齉齾公司", words, " |大多数|的|齉|齾|公司"},
		{"tok_minimind", "大多数的公司 in 北京大学ok", words, "大多|数的|公司| in| |北京大学|ok"}, // a token crosses the word's end
	} {
		if !have(t, c.tok) {
			continue
		}
		got := wordsOf(t, c.tok, c.text, c.words)
		if got != c.want {
			t.Errorf("%s: %s: got %s, want %s", c.tok, c.text, got, c.want)
		}
	}
}

func TestReadWordsEmpty(t *testing.T) {
	if _, err := ReadWords(strings.NewReader("a\nb\n中\n"), "list.txt"); err == nil || !strings.HasPrefix(err.Error(), "list.txt: ") {
		t.Errorf("error %v", err)
	}
}

func TestMaskerErrors(t *testing.T) {
	tok, c := fixtureTokenizer(t, "tok_bert_uncased")
	for _, p := range []float64{-1, 1.5, math.NaN()} {
		if _, err := NewMasker(tok, c, MaskOptions{Probability: p}); err == nil {
			t.Errorf("probability %v passes", p)
		}
	}
	if _, err := NewMasker(tok, tokenizer.Config{}, MaskOptions{}); err == nil {
		t.Error("no mask token passes")
	}
	m, err := NewMasker(tok, c, MaskOptions{Probability: 1, WholeWord: true})
	if err != nil {
		t.Fatal(err)
	}
	odd := []int32{-1, 1 << 30, 0, 5000}
	if s := m.Mask(Sequence{IDs: odd}, MaskPlace{}); fmt.Sprint(s.Labels[:3]) != "[-100 -100 -100]" {
		t.Errorf("ids outside the vocabulary got labels %v", s.Labels)
	}
}

func FuzzWholeWords(f *testing.F) {
	f.Add("中文 words\n北京大学", english+chinese)
	tok, c := fixtureTokenizer(f, "tok_qwen2")
	special := specialIDs(tok, c)
	f.Fuzz(func(t *testing.T, list, text string) {
		words, err := ReadWords(strings.NewReader(list), "list")
		if err != nil {
			words = nil
		}
		w := newWordTable(tok, special, words)
		ids := tok.Encode(text, true)
		joined := w.joined(ids)
		if len(joined) != len(ids) || len(joined) > 0 && joined[0] {
			t.Fatalf("%d tokens, joined %v", len(ids), joined)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	tok, c := fixtureTokenizer(b, "tok_bert_uncased")
	ids := tok.Encode(strings.Repeat(english, 100), false)[:512]
	for _, whole := range []bool{false, true} {
		m, err := NewMasker(tok, c, MaskOptions{WholeWord: whole})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint("whole=", whole), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				m.Mask(Sequence{IDs: ids}, MaskPlace{Document: uint64(i)})
			}
		})
	}
}
