package dataset

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// row makes a document of a JSON object.
func row(t testing.TB, text string) *Document {
	t.Helper()
	d := &Document{File: "rows.jsonl", Line: 5}
	if err := json.Unmarshal([]byte(text), &d.Fields); err != nil {
		t.Fatal(err)
	}
	d.Text, _ = d.String("text")
	return d
}

func mustLabels(t testing.TB, names ...string) *Labels {
	t.Helper()
	l, err := NewLabels(names)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestClassifyTargets(t *testing.T) {
	tok, _ := fixtureTokenizer(t, "tok_bert_uncased")
	sentiment, stars := mustLabels(t, "neg", "pos"), mustLabels(t, "1", "2", "3")
	for _, c := range []struct {
		kind   ClassifyKind
		labels *Labels
		label  string // JSON; "": none
		want   string // targets, or how the error goes on after file, line and field
	}{
		{SingleLabel, sentiment, `"pos"`, "[1]"},
		{SingleLabel, sentiment, `0`, "[0]"},
		{SingleLabel, sentiment, `"1"`, "[1]"}, // as a table has it
		{SingleLabel, sentiment, `1.0`, "[1]"},
		{SingleLabel, sentiment, `["neg"]`, "[0]"},
		{SingleLabel, stars, `3`, "[2]"},
		{SingleLabel, stars, `0`, `label "0" is not one of the 3 known (1, 2, 3)`},
		{SingleLabel, sentiment, `2`, "label 2 is out of range: there are 2 labels, 0 to 1 (neg, pos)"},
		{SingleLabel, sentiment, `-1`, "label -1 is out of range"},
		{SingleLabel, sentiment, `"好"`, `label "好" is not one of the 2 known (neg, pos)`},
		{SingleLabel, sentiment, `0.5`, "a label is a text, a whole number or a truth value, not 0.5"},
		{SingleLabel, sentiment, `1e300`, "a label is"},
		{SingleLabel, sentiment, `{"a":1}`, "a label is"},
		{SingleLabel, sentiment, `["neg","pos"]`, "2 labels, and one is wanted"},
		{SingleLabel, sentiment, `null`, "no label"},
		{SingleLabel, sentiment, ``, "no label"},
		{MultiLabel, stars, `["3","1"]`, "[1 0 1]"},
		{MultiLabel, stars, `[]`, "[0 0 0]"},
		{MultiLabel, stars, `[0,1,1.0]`, "[0 1 1]"},
		{MultiLabel, stars, `"2"`, "[0 1 0]"},
		{MultiLabel, stars, `[0,1]`, "2 numbers, a 0 or 1 for each of 3 labels is wanted"},
		{MultiLabel, stars, `[0,1,2]`, "number 2 is 2, not 0 or 1"},
		{MultiLabel, stars, `["4"]`, `label "4" is not one`},
		{Regression, nil, `2.5`, "[2.5]"},
		{Regression, nil, `" -1e-3"`, "[-0.001]"},
		{Regression, nil, `[1,2]`, "[1 2]"},
		{Regression, nil, `"NaN"`, "NaN is not a finite float32"},
		{Regression, nil, `1e300`, "1e+300 is not a finite float32"},
		{Regression, nil, `"good"`, `"good" is no number`},
		{Regression, nil, `[]`, "no number"},
		{Regression, nil, ``, "no value"},
	} {
		cl, err := NewClassifier(tok, ClassifyOptions{Kind: c.kind, Labels: c.labels})
		if err != nil {
			t.Fatal(err)
		}
		text := `{"text":"a b"}`
		if c.label != "" {
			text = `{"text":"a b","label":` + c.label + `}`
		}
		seqs, _, err := cl.Sequences(row(t, text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "rows.jsonl:5: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want %s", c.label, err, c.want)
			}
			continue
		}
		if got := fmt.Sprint(seqs[0].Targets); got != c.want {
			t.Errorf("%s: targets %s, want %s", c.label, got, c.want)
		}
	}
	cl, err := NewClassifier(tok, ClassifyOptions{Labels: sentiment})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cl.Sequences(row(t, `{"body":"a","label":0}`)); err == nil || err.Error() != `rows.jsonl:5: no text: the record has no field "text", but "body", "label"` {
		t.Errorf("no text: error %v", err)
	}
	if _, err := NewClassifier(tok, ClassifyOptions{}); err == nil {
		t.Error("no labels pass")
	}
}

func TestClassifyTexts(t *testing.T) {
	tok, _ := fixtureTokenizer(t, "tok_bert_uncased")
	doc := row(t, `{"text":"hello world","other":"how are you today","label":1}`)
	all := len("[CLS] hello world [SEP] how are you today [SEP]") // more than tokens
	for _, c := range []struct {
		opt  ClassifyOptions
		want string
		cut  Cut
	}{
		{ClassifyOptions{}, "[CLS] hello world [SEP]", Cut{}},
		{ClassifyOptions{Text: "other"}, "[CLS] how are you today [SEP]", Cut{}},
		{ClassifyOptions{Pair: "other", MaxLength: all}, "[CLS] hello world [SEP] how are you today [SEP]", Cut{}},
		{ClassifyOptions{Pair: "other", MaxLength: 7}, "[CLS] hello world [SEP] how are [SEP]", Cut{Truncated: 1}},
		{ClassifyOptions{MaxLength: 3}, "[CLS] hello [SEP]", Cut{Truncated: 1}},
		{ClassifyOptions{MaxLength: 3, Overlong: Drop}, "", Cut{Dropped: 1}},
		{ClassifyOptions{MaxLength: 3, Overlong: Refuse}, "rows.jsonl:5: the text has 4 tokens, more than the context of 3", Cut{}},
		{ClassifyOptions{MaxLength: 1}, "rows.jsonl:5: truncation: max_length 1 is less than the special tokens take", Cut{}},
		{ClassifyOptions{Text: "body"}, `rows.jsonl:5: no text: the record has no field "body", but "label", "other", "text"`, Cut{}},
		{ClassifyOptions{Pair: "body"}, `rows.jsonl:5: no second text: the record has no field "body", but "label", "other", "text"`, Cut{}},
	} {
		c.opt.Labels = mustLabels(t, "a", "b")
		cl, err := NewClassifier(tok, c.opt)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		seqs, cut, err := cl.Sequences(doc)
		if err != nil {
			got = err.Error()
		} else if len(seqs) == 1 {
			got = tok.Decode(seqs[0].IDs, false)
			if pair := c.opt.Pair != ""; pair != (len(seqs[0].TypeIDs) == len(seqs[0].IDs)) {
				t.Errorf("%q: segments %v", got, seqs[0].TypeIDs)
			}
		}
		if got != c.want || cut != c.cut && err == nil {
			t.Errorf("%+v: %q %v, want %q %v", c.opt, got, cut, c.want, c.cut)
		}
	}
}

func TestLabels(t *testing.T) {
	for _, c := range []struct {
		rows []string
		want string
	}{
		{[]string{`"pos"`, `"neg"`, `"pos"`}, "neg:1 pos:2"},
		{[]string{`10`, `2`, `10`, `"1"`}, "1:1 2:1 10:2"},
		{[]string{`["b","a"]`, `["b"]`, `[]`}, "a:1 b:2"},
		{[]string{`true`, `false`}, "false:1 true:1"},
	} {
		var counts LabelCounts
		for _, r := range c.rows {
			if err := counts.Add(row(t, `{"label":`+r+`}`), "label"); err != nil {
				t.Fatal(err)
			}
		}
		l, err := counts.Labels()
		if err != nil {
			t.Fatal(err)
		}
		n, err := counts.Of(l)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, name := range l.Names() {
			got = append(got, fmt.Sprint(name, ":", n[i]))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: %v, want %s", c.rows, got, c.want)
		}
	}
	var none LabelCounts
	if _, err := none.Labels(); err == nil {
		t.Error("no labels pass")
	}
	if _, err := NewLabels([]string{"a", "b", "a"}); err == nil {
		t.Error("a label twice passes")
	}
	if w := ClassWeights([]int64{30, 10, 0}); !slices.Equal(w, []float32{40. / 60, 2, 0}) {
		t.Errorf("class weights %v", w)
	}
}

// TestClassifyData reads the classification sets.
func TestClassifyData(t *testing.T) {
	for _, c := range []struct {
		file, tok, set string // only rows of that set
		opt            ClassifyOptions
	}{
		{"en/cls-intents", "tok_bert_uncased", "nlu-home-test", ClassifyOptions{}},
		{"en/cls-safety", "tok_bert_uncased", "openai-moderation", ClassifyOptions{Kind: MultiLabel}},
		{"en/eval-qa-gen-sts", "tok_bert_uncased", "stsb-en-dev", ClassifyOptions{Kind: Regression, Text: "sentence1", Pair: "sentence2", Label: "score"}},
		{"zh/zh_cls_cold", "tok_bert_chinese", "", ClassifyOptions{}},
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
			if c.opt.Kind != Regression {
				if err := counts.Add(&doc, "label"); err != nil {
					t.Fatal(err)
				}
			}
			if docs = append(docs, doc); len(docs) == 500 {
				break
			}
		}
		if c.opt.Kind != Regression {
			l, err := counts.Labels()
			if err != nil {
				t.Fatalf("%s: %v", c.file, err)
			}
			c.opt.Labels = l
		}
		c.opt.MaxLength = 64
		cl, err := NewClassifier(tok, c.opt)
		if err != nil {
			t.Fatal(err)
		}
		var cut Cut
		for _, doc := range docs {
			seqs, missed, err := cl.Sequences(&doc)
			if err != nil {
				t.Fatal(err)
			}
			if cut.Add(missed); len(seqs) != 1 || len(seqs[0].IDs) > 64 || len(seqs[0].Targets) == 0 {
				t.Fatalf("%s:%d: %v", doc.File, doc.Line, seqs)
			}
		}
		if len(docs) == 0 {
			t.Errorf("%s: no rows", c.file)
		}
		t.Logf("%s: %d rows, %v", c.file, len(docs), cut)
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(`{"text":"a","label":[0,1]}`)
	f.Add(`{"text":"中文","label":"pos"}`)
	tok, _ := fixtureTokenizer(f, "tok_bert_uncased")
	labels := mustLabels(f, "neg", "pos")
	f.Fuzz(func(t *testing.T, text string) {
		d := &Document{}
		if json.Unmarshal([]byte(text), &d.Fields) != nil {
			return
		}
		d.Text, _ = d.String("text")
		for kind := SingleLabel; kind <= Regression; kind++ {
			cl, err := NewClassifier(tok, ClassifyOptions{Kind: kind, Labels: labels, MaxLength: 8})
			if err != nil {
				t.Fatal(err)
			}
			seqs, _, err := cl.Sequences(d)
			if err == nil && (len(seqs) != 1 || len(seqs[0].IDs) > 8) {
				t.Fatalf("%v", seqs)
			}
			if err == nil && kind == SingleLabel && seqs[0].Targets[0] != 0 && seqs[0].Targets[0] != 1 {
				t.Fatalf("targets %v", seqs[0].Targets)
			}
		}
		var counts LabelCounts
		if counts.Add(d, "label") == nil && len(counts.counts) > 0 {
			if _, err := counts.Labels(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
