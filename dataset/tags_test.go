package dataset

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// tagged returns the tokens of a sequence, each with its label if it has one.
func tagged(t testing.TB, tokName string, l *Labels, s Sequence) string {
	t.Helper()
	tok, _ := fixtureTokenizer(t, tokName)
	var out []string
	for i, id := range s.IDs {
		text, _ := tok.Token(id)
		if s.Labels[i] != NoLabel {
			text += "/" + l.names[s.Labels[i]]
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func TestTags(t *testing.T) {
	bio := mustLabels(t, "O", "B-PER", "I-PER", "B-LOC")
	for _, c := range []struct {
		tok, row string
		opt      TagOptions
		want     string
		cut      Cut
	}{
		{"tok_bert_uncased", `{"tokens":["Wolfgang","lives","in","Photosynthesis"],"ner_tags":[1,"O",0,"B-LOC"]}`, TagOptions{},
			"[CLS] wolfgang/B-PER lives/O in/O photos/B-LOC ##yn ##thesis [SEP]", Cut{}},
		{"tok_bert_uncased", `{"words":["","a","\u0000","b"],"tags":[0,1,2,3]}`, TagOptions{}, "[CLS] a/B-PER b/B-LOC [SEP]", Cut{}},
		{"tok_bert_uncased", `{"w":["don't"],"p":["O"]}`, TagOptions{Words: "w", Tags: "p"}, "[CLS] don/O ' t [SEP]", Cut{}},
		{"tok_bert_chinese", `{"chars":"在北京abc","tags":"O B-LOC O O O O"}`, TagOptions{Words: "chars"}, "[CLS] 在/O 北/B-LOC 京/O a/O b/O c/O [SEP]", Cut{}},
		{"tok_bert_chinese", `{"words":["在","北京","abc"],"tags":[0,"B-LOC",0]}`, TagOptions{}, "[CLS] 在/O 北/B-LOC 京 abc/O [SEP]", Cut{}},
		{"tok_bert_uncased", `{"tokens":["a","b","c"],"tags":[0,0,0]}`, TagOptions{MaxLength: 4}, "[CLS] a/O b/O [SEP]", Cut{Truncated: 1}},
		{"tok_bert_uncased", `{"tokens":["a","b","c"],"tags":[0,0,0]}`, TagOptions{MaxLength: 4, Overlong: Drop}, "", Cut{Dropped: 1}},
		{"tok_bert_uncased", `{"tokens":["a","b","c"],"tags":[0,0,0]}`, TagOptions{MaxLength: 4, Overlong: Refuse}, "rows.jsonl:5: the words have 5 tokens, more than the context of 4", Cut{}},
		{"tok_bert_uncased", `{"tokens":["a"],"tags":[0,0]}`, TagOptions{}, "rows.jsonl:5: 1 words have 2 tags", Cut{}},
		{"tok_bert_uncased", `{"tokens":["a"],"tags":[7]}`, TagOptions{}, `rows.jsonl:5: word 0 ("a"): label 7 is out of range: there are 4 labels, 0 to 3 (O, B-PER, I-PER, B-LOC)`, Cut{}},
		{"tok_bert_uncased", `{"tokens":[],"tags":[]}`, TagOptions{}, "rows.jsonl:5: no words", Cut{}},
		{"tok_bert_uncased", `{"tags":[0]}`, TagOptions{}, `rows.jsonl:5: no words: the record has no field "tokens", but "tags"`, Cut{}},
		{"tok_bert_uncased", `{"tokens":["a"]}`, TagOptions{}, `rows.jsonl:5: no label: the record has no field "ner_tags", but "tokens"`, Cut{}},
		{"tok_bert_uncased", `{"tokens":3,"tags":[0]}`, TagOptions{}, `rows.jsonl:5: field "tokens" is no list of words`, Cut{}},
	} {
		tok, _ := fixtureTokenizer(t, c.tok)
		c.opt.Labels = bio
		g, err := NewTagger(tok, c.opt)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		seqs, cut, err := g.Sequences(row(t, c.row))
		if err != nil {
			got = err.Error()
		} else if len(seqs) == 1 {
			got = tagged(t, c.tok, bio, seqs[0])
		}
		if got != c.want || err == nil && cut != c.cut {
			t.Errorf("%s: %s %v, want %s %v", c.row, got, cut, c.want, c.cut)
		}
	}
}

// TestTagsData: of real sentences each word has its label once, in order, with
// a byte-level vocabulary too, save where a token holds several words.
func TestTagsData(t *testing.T) {
	for _, c := range []struct {
		file, tok, set, words, tags string
		all                         bool
	}{
		{"en/eval-tokens", "tok_bert_uncased", "wnut17-dev", "", "ner", false}, // its odd characters may have no token
		{"en/eval-tokens", "tok_bert_uncased", "ud-ewt-dev", "", "upos", true},
		{"en/eval-tokens", "tok_qwen2", "ud-ewt-dev", "", "upos", true},
		{"zh/zh_pos_ud", "tok_bert_chinese", "", "", "upos", true},
		{"zh/zh_pos_ud", "tok_minimind", "", "", "upos", false},
		{"zh/zh_evalD_ner", "tok_bert_chinese", "msra-test", "chars", "tags", false},
	} {
		path := testkit.SharedFile(t, "data", c.file+".jsonl.zst")
		tok, _ := fixtureTokenizer(t, c.tok)
		var docs []Document
		var counts LabelCounts
		for doc, err := range Read(t.Context(), path, ReadOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if set, _ := doc.String("set"); set != c.set {
				continue
			}
			if err := counts.AddTags(&doc, c.tags); err != nil {
				t.Fatal(err)
			}
			if docs = append(docs, doc); len(docs) == 300 {
				break
			}
		}
		l, err := counts.Labels()
		if err != nil {
			t.Fatal(err)
		}
		g, err := NewTagger(tok, TagOptions{Words: c.words, Tags: c.tags, Labels: l})
		if err != nil {
			t.Fatal(err)
		}
		kept, wordsIn := 0, 0
		for _, doc := range docs {
			seqs, _, err := g.Sequences(&doc)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			want, err := tagList(&doc, c.tags)
			if err != nil {
				t.Fatal(err)
			}
			for _, label := range seqs[0].Labels {
				if label != NoLabel {
					got = append(got, l.names[label])
				}
			}
			if c.all && !slices.Equal(got, want) {
				t.Fatalf("%s:%d: labels %v, want %v", doc.File, doc.Line, got, want)
			}
			kept += len(got)
			wordsIn += len(want)
		}
		if len(docs) == 0 || kept*100 < wordsIn*90 {
			t.Errorf("%s with %s: %d of %d words have a label", c.file, c.tok, kept, wordsIn)
		}
		t.Logf("%s with %s: %d of %d words have a label", c.file, c.tok, kept, wordsIn)
	}
}

func TestEntities(t *testing.T) {
	for tags, want := range map[string]string{
		"O B-PER I-PER O":               "[{PER 1 3}]",
		"B-PER B-PER I-LOC I-LOC":       "[{PER 0 1} {PER 1 2} {LOC 2 4}]",
		"I-PER O I-PER":                 "[{PER 0 1} {PER 2 3}]",
		"B-PER.NAM I-PER.NAM I-PER.NOM": "[{PER.NAM 0 2} {PER.NOM 2 3}]",
		"NOUN NOUN O":                   "[{NOUN 0 1} {NOUN 1 2}]",
		"B-PER NOUN I-PER":              "[{PER 0 1} {NOUN 1 2} {PER 2 3}]",
		"":                              "[]",
	} {
		if got := fmt.Sprint(Entities(strings.Fields(tags))); got != want {
			t.Errorf("%s: %s, want %s", tags, got, want)
		}
	}
}

// FuzzTags: a word has at most one token with its label, in order.
func FuzzTags(f *testing.F) {
	f.Add("a b\u0301 中 文x \x00 ,")
	f.Add("齉齾 é\u00ad don't")
	var taggers []*Tagger
	for _, name := range []string{"tok_bert_chinese", "tok_qwen2"} {
		tok, _ := fixtureTokenizer(f, name)
		var names []string
		for i := range 64 {
			names = append(names, fmt.Sprint(i))
		}
		g, err := NewTagger(tok, TagOptions{Labels: mustLabels(f, names...), MaxLength: 48})
		if err != nil {
			f.Fatal(err)
		}
		taggers = append(taggers, g)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, " ")
		words = words[:min(len(words), 64)]
		tags := make([]int, len(words))
		for i := range tags {
			tags[i] = i
		}
		raw, _ := json.Marshal(map[string]any{"tokens": words, "tags": tags})
		for _, g := range taggers {
			seqs, _, err := g.Sequences(row(t, string(raw)))
			if err != nil || len(seqs) != 1 || len(seqs[0].IDs) > 48 || len(seqs[0].Labels) != len(seqs[0].IDs) {
				t.Fatalf("%v, %v", seqs, err)
			}
			last := int32(-1)
			for _, l := range seqs[0].Labels {
				if l == NoLabel {
					continue
				}
				if l <= last || int(l) >= len(words) {
					t.Fatalf("labels %v of %d words", seqs[0].Labels, len(words))
				}
				last = l
			}
		}
	})
}
