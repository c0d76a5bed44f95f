package dataset

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
	"wenmo/tokenizer"
)

func newQA(t testing.TB, tokName string, opt QAOptions) *QA {
	t.Helper()
	tok, c := fixtureTokenizer(t, tokName)
	q, err := NewQA(tok, c, opt)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestQAWindows compares windows with those of transformers' pipeline.
func TestQAWindows(t *testing.T) {
	data, err := os.ReadFile(testkit.SharedFile(t, "fixtures", "pipeline_question_answering.json"))
	if err != nil {
		t.Fatal(err)
	}
	var fixture struct {
		Cases []struct {
			Tokenizer, Question, Context string
			Length                       int `json:"max_seq_len"`
			Stride                       int `json:"doc_stride"`
			Windows                      []struct {
				IDs     []int32  `json:"ids"`
				Offsets [][2]int `json:"offsets"`
				Seq     []*int   `json:"seq"`
			}
		}
	}
	if err := json.Unmarshal(data, &fixture); err != nil {
		t.Fatal(err)
	}
	for i, c := range fixture.Cases {
		q := newQA(t, c.Tokenizer, QAOptions{MaxLength: c.Length, Stride: c.Stride})
		features, _, err := q.Features(&QAExample{Question: c.Question, Context: c.Context})
		if err != nil || len(features) != len(c.Windows) {
			t.Errorf("case %d: %d windows, want %d (%v)", i, len(features), len(c.Windows), err)
			continue
		}
		for j, f := range features {
			want := c.Windows[j]
			offsets := slices.Clone(want.Offsets)
			for k, seq := range want.Seq {
				if seq == nil || *seq != 1 {
					offsets[k] = [2]int{-1, -1}
				}
			}
			got := slices.Clone(f.Offsets)
			for k, o := range got {
				if o[0] >= 0 {
					got[k] = tokenizer.CharOffsets(c.Context, got[k:k+1])[0]
				}
			}
			if !slices.Equal(f.IDs, want.IDs) || !slices.Equal(got, offsets) || f.CLS != 0 {
				t.Errorf("case %d, window %d: %v %v, want %v %v", i, j, f.IDs, got, want.IDs, offsets)
			}
		}
	}
}

func TestQATargets(t *testing.T) {
	context := "The café 文墨 was opened in Berlin by Ada."
	for _, c := range []struct {
		opt  QAOptions
		ans  string // fields of the row
		want string // the text of the targets of each window
	}{
		{QAOptions{}, `"answers":{"text":["Berlin","Ada"],"answer_start":[26,36]}`, "berlin"},
		{QAOptions{}, `"answers":[{"text":"文","answer_start":9}]`, "文"},
		{QAOptions{}, `"answers":["not there","Ada"]`, "ada"},
		{QAOptions{}, `"answers":{"text":["erli"],"answer_start":[27]}`, "berlin"},
		{QAOptions{}, `"answers":{"text":[],"answer_start":[]}`, "[CLS]"},
		{QAOptions{}, `"answers":{"text":["x"],"answer_start":[3]},"is_impossible":true`, "[CLS]"},
		{QAOptions{MaxLength: 12, Stride: 2}, `"answers":["Berlin"]`, "[CLS]|berlin|berlin"},
		{QAOptions{MaxLength: 9, Stride: 100}, `"answers":["Ada"]`, "[CLS]|[CLS]|[CLS]|[CLS]|[CLS]|[CLS]|[CLS]|[CLS]|ada|ada"},
		{QAOptions{}, `"answers":["nowhere"]`, "error: no answer of the question is a stretch of the context"},
		{QAOptions{}, `"answers":{"text":["Berlin"],"answer_start":[25]}`, `error: answer 0: "Berlin" is not at character 25 of the context (" Berlin by Ada.")`},
		{QAOptions{}, `"answers":{"text":["Berlin"],"answer_start":[9000]}`, `error: answer 0: "Berlin" is not at character 9000 of the context ("")`},
		{QAOptions{}, `"answers":{"text":["Berlin"],"answer_start":[-2]}`, `error: answer 0: "Berlin" is not at character -2`},
		{QAOptions{}, `"answers":{"text":["Berlin"],"answer_start":[]}`, "error: answers: 1 texts have 0 starts"},
		{QAOptions{}, `"answers":[" "]`, "error: answer 0 is empty"},
		{QAOptions{}, `"answers":7`, "error: answers: "},
		{QAOptions{MaxLength: 6, Overlong: Refuse}, `"answers":["Ada"]`, "error: the question takes 7 of 6 tokens"},
		{QAOptions{MaxLength: 7}, `"answers":["Ada"]`, "dropped"},
	} {
		q := newQA(t, "tok_bert_uncased", c.opt)
		d := row(t, fmt.Sprintf(`{"id":"q7","question":"  where is it?","context":%q,%s}`, context, c.ans))
		questions, cut, err := q.Sequences(d)
		if err == nil && cut.Dropped == 0 && len(questions) != 1 {
			t.Errorf("%s: the windows are of %d questions", c.ans, len(questions))
		}
		got, prefix := "", "rows.jsonl:5: question q7: "
		switch {
		case err != nil:
			if !strings.HasPrefix(err.Error(), prefix) {
				t.Errorf("%s: error %v", c.ans, err)
			}
			got = "error: " + strings.TrimPrefix(err.Error(), prefix)
		case cut.Dropped == 1:
			got = "dropped"
		}
		for i, s := range slices.Concat(questions...) {
			if i > 0 {
				got += "|"
			}
			got += q.tok.Decode(s.IDs[int(s.Targets[0]):int(s.Targets[1])+1], false)
		}
		if got != c.want && !(strings.HasPrefix(c.want, "error") && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s %+v: %s, want %s", c.ans, c.opt, got, c.want)
		}
	}
}

const squad = `{"version":"v2.0","data":[{"title":"t","paragraphs":[{"context":"Ada wrote it in 1843.","qas":[
 {"id":"a","question":"Who?","answers":[{"text":"Ada","answer_start":0}],"is_impossible":false},
 {"id":"b","question":"Where?","answers":[],"is_impossible":true,"plausible_answers":[{"text":"1843","answer_start":16}]}]}]},
 {"title":"u","paragraphs":[{"context":"文墨是模型。","qas":[{"id":3,"question":"什么？","answers":[{"text":"模型","answer_start":3}]}]}]}]}`

func TestQAReadSQuAD(t *testing.T) {
	got, err := QAExamples(row(t, squad))
	want := []QAExample{
		{"a", "Ada wrote it in 1843.", "Who?", []Answer{{"Ada", 0}}, "rows.jsonl", 5},
		{"b", "Ada wrote it in 1843.", "Where?", nil, "rows.jsonl", 5},
		{"3", "文墨是模型。", "什么？", []Answer{{"模型", 9}}, "rows.jsonl", 5},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
	one, err := QAExamples(row(t, `{"title":"t","paragraphs":[{"context":"c","qas":[{"id":"x","question":"q","answers":[]}]}]}`))
	if err != nil || len(one) != 1 || one[0].ID != "x" {
		t.Errorf("an article alone: %+v (%v)", one, err)
	}
	for text, want := range map[string]string{
		strings.Replace(squad, `"answer_start":3`, `"answer_start":4`, 1): "rows.jsonl:5: question 3: answer 0: \"模型\" is not at character 4 of the context (\"型。\") (article 1, paragraph 0)",
		`{"question":"q"}`:                         "rows.jsonl:5: no context",
		`{"context":"c"}`:                          "rows.jsonl:5: no question",
		`{"data":[{"paragraphs":[{"qas":[{}]}]}]}`: "rows.jsonl:5: no context (article 0, paragraph 0)",
		`{"data":5}`:                               `rows.jsonl:5: field "data": `,
		`{"context":5,"question":"q"}`:             `rows.jsonl:5: field "context": `,
	} {
		if _, err := QAExamples(row(t, text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
}

// TestQAData: of real rows, the answer that windows hold is read back from
// logits that point at the targets.
func TestQAData(t *testing.T) {
	for _, c := range []struct{ file, tok, set string }{
		{"en/eval-qa-gen-sts", "tok_bert_uncased", "xquad-en"},
		{"en/eval-qa-gen-sts", "tok_bert_chinese", "xquad-zh"},
		{"en/eval-qa-gen-sts", "tok_qwen2", "xquad-en"},
		{"zh/zh_eval_mrc", "tok_bert_chinese", ""},
	} {
		path := testkit.SharedFile(t, "data", c.file+".jsonl.zst")
		q := newQA(t, c.tok, QAOptions{MaxLength: 160, Stride: 64})
		rows, same, windows := 0, 0, 0
		for doc, err := range Read(t.Context(), path, ReadOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if set, _ := doc.String("set"); set != c.set {
				continue
			}
			examples, err := QAExamples(&doc)
			if err != nil {
				t.Fatal(err)
			}
			features, _, err := q.Features(&examples[0])
			if err != nil {
				t.Fatal(err)
			}
			questions, _, err := q.Sequences(&doc)
			if err != nil {
				t.Fatal(err)
			}
			best := readBack(t, &examples[0], features, questions[0])
			want, _ := examples[0].firstAnswer()
			if best.Start == want.Start && best.Text == want.Text {
				same++
			} else if !strings.Contains(best.Text, want.Text) || best.Start > want.Start {
				t.Errorf("%s:%d: answer %q at %d came back as %q at %d", doc.File, doc.Line, want.Text, want.Start, best.Text, best.Start)
			}
			windows += len(features)
			if rows++; rows == 150 {
				break
			}
		}
		t.Logf("%s %s with %s: %d of %d answers came back exactly, the others within their tokens; %d windows", c.file, c.set, c.tok, same, rows, windows)
		if rows == 0 || same*100 < rows*80 {
			t.Errorf("%d of %d", same, rows)
		}
	}
}

// readBack returns the best answer for logits that are 5 at the targets of
// windows with an answer, and 0 elsewhere.
func readBack(t *testing.T, ex *QAExample, features []Feature, seqs []Sequence) Prediction {
	t.Helper()
	var starts, ends [][]float32
	for i, f := range features {
		if !slices.Equal(f.IDs, seqs[i].IDs) {
			t.Fatal("windows differ")
		}
		s, e := make([]float32, len(f.IDs)), make([]float32, len(f.IDs))
		if from := int(seqs[i].Targets[0]); from != f.CLS {
			s[from], e[int(seqs[i].Targets[1])] = 5, 5
		}
		starts, ends = append(starts, s), append(ends, e)
	}
	best, _, _, err := BestAnswers(ex, features, starts, ends, AnswerOptions{MaxAnswer: 200})
	if err != nil {
		t.Fatal(err)
	}
	return best
}

func TestBestAnswers(t *testing.T) {
	ex := &QAExample{Context: "a bc d"}
	f := Feature{Sequence: Sequence{IDs: make([]int32, 5)}, Offsets: [][2]int{{-1, -1}, {0, 1}, {2, 4}, {5, 6}, {-1, -1}}}
	starts := [][]float32{{1, 0, 3, 2, 9}}
	ends := [][]float32{{2, 4, 1, 3, 9}}
	for _, c := range []struct {
		opt  AnswerOptions
		best string
		all  string
	}{
		{AnswerOptions{}, "bc d", "bc d=6 d=5 bc=4 a=4 a bc d=3 a bc=1"},
		{AnswerOptions{MaxAnswer: 1}, "d", "d=5 bc=4 a=4"},
		{AnswerOptions{NBest: 3}, "bc d", "bc d=6 d=5"}, // two of the three best first tokens are of the context
		{AnswerOptions{NoAnswer: true}, "bc d", "bc d=6 d=5 bc=4 a=4 a bc d=3 =3 a bc=1"},
		{AnswerOptions{NoAnswer: true, Threshold: -3}, "bc d", "bc d=6 d=5 bc=4 a=4 a bc d=3 =3 a bc=1"},
		{AnswerOptions{NoAnswer: true, Threshold: -3.5}, "", "bc d=6 d=5 bc=4 a=4 a bc d=3 =3 a bc=1"},
		{AnswerOptions{NoAnswer: true, NBest: 3}, "bc d", "bc d=6 d=5 =3"},
		{AnswerOptions{NoAnswer: true, NBest: 5}, "bc d", "bc d=6 d=5 bc=4 a=4 a bc d=3 =3"},
	} {
		best, all, diff, err := BestAnswers(ex, []Feature{f}, starts, ends, c.opt)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		var sum float64
		for _, p := range all {
			got = append(got, fmt.Sprintf("%s=%v", p.Text, p.Score))
			sum += p.Probability
		}
		if best.Text != c.best || strings.Join(got, " ") != c.all || math.Abs(sum-1) > 1e-12 || diff != 3-all[0].Score {
			t.Errorf("%+v: %q of %s, want %q of %s; sum %v, diff %v", c.opt, best.Text, strings.Join(got, " "), c.best, c.all, sum, diff)
		}
	}
	nan := float32(math.NaN())
	best, all, _, err := BestAnswers(ex, []Feature{f}, [][]float32{{nan, nan, nan, nan, nan}}, ends, AnswerOptions{})
	if err != nil || best.Text != "" || len(all) != 1 {
		t.Errorf("NaN: %v %v %v", best, all, err)
	}
	if _, _, _, err := BestAnswers(ex, []Feature{f}, starts, [][]float32{{1}}, AnswerOptions{}); err == nil {
		t.Error("too few logits pass")
	}
	if best, _, _, err := BestAnswers(ex, nil, nil, nil, AnswerOptions{}); err != nil || best.Text != "" {
		t.Errorf("no windows: %v %v", best, err)
	}
}

// TestQATokensUnlikeRunQA holds what differs from run_qa.py: there the first
// token of an answer at the end of the context is the last of the window, and of
// a character of several tokens the first is its last.
func TestQATokensUnlikeRunQA(t *testing.T) {
	for _, c := range []struct{ tok, context, answer, want string }{
		{"tok_bert_uncased", "by Ada", "Ada", "ada"},
		{"tok_qwen2", "京都", "京", "京"}, // two tokens
		{"tok_qwen2", "in Kyoto", "Kyoto", " Kyoto"},
	} {
		q := newQA(t, c.tok, QAOptions{})
		features, _, err := q.Features(&QAExample{Question: "q", Context: c.context})
		if err != nil {
			t.Fatal(err)
		}
		at := strings.Index(c.context, c.answer)
		first, last := features[0].Tokens(at, at+len(c.answer))
		if got := q.tok.Decode(features[0].IDs[first:last+1], false); got != c.want {
			t.Errorf("%s in %s: tokens of %q", c.answer, c.context, got)
		}
	}
}

// FuzzQA: wherever an answer stands, the tokens of it hold it, and offsets lead
// back to it.
func FuzzQA(f *testing.F) {
	f.Add("Who?", "Ada wrote it in 1843.", uint(0), uint(3))
	f.Add("什么？", "文墨是模型，京都。", uint(4), uint(3))
	f.Add("", "é\u0301 a\x00\u00adb", uint(1), uint(9))
	var all []*QA
	for _, name := range []string{"tok_bert_uncased", "tok_qwen2"} {
		all = append(all, newQA(f, name, QAOptions{MaxLength: 12, Stride: 4}))
	}
	f.Fuzz(func(t *testing.T, question, context string, start, length uint) {
		chars := []rune(context)
		if start >= uint(len(chars)) || length == 0 || length > uint(len(chars))-start {
			return
		}
		answer := string(chars[start : start+length])
		raw, _ := json.Marshal(map[string]any{"context": string(chars), "question": question,
			"answers": map[string]any{"text": []string{answer}, "answer_start": []uint{start}}})
		d := &Document{}
		if err := json.Unmarshal(raw, &d.Fields); err != nil {
			t.Fatal(err)
		}
		examples, err := QAExamples(d)
		if err != nil {
			if strings.TrimSpace(answer) == "" {
				return
			}
			t.Fatal(err)
		}
		at := len(string(chars[:start]))
		if got := examples[0].Answers[0]; got.Start != at {
			t.Fatalf("answer at %d, want %d", got.Start, at)
		}
		for _, q := range all {
			features, cut, err := q.Features(&examples[0])
			if err != nil || cut.Dropped == 0 && len(features) == 0 {
				t.Fatalf("%d windows, %v", len(features), err)
			}
			for _, w := range features {
				first, last := w.Tokens(at, at+len(answer))
				if len(w.IDs) > 12 || first > last || last >= len(w.IDs) {
					t.Fatalf("tokens %d to %d of %d", first, last, len(w.IDs))
				}
				if first == w.CLS {
					continue
				}
				if first > w.CLS+1 && w.Offsets[first][0] > at && w.Offsets[first-1][1] > at {
					t.Fatalf("tokens %d to %d of %v begin behind byte %d", first, last, w.Offsets, at)
				}
			}
		}
	})
}

func FuzzQAExamples(f *testing.F) {
	f.Add(squad)
	f.Add(`{"context":"中文 text","question":"q","answers":{"text":["文"],"answer_start":[1]}}`)
	f.Add(`{"context":"c","question":"q","answers":[{"text":"c"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		d := &Document{}
		if json.Unmarshal([]byte(text), &d.Fields) != nil {
			return
		}
		examples, err := QAExamples(d)
		if err != nil {
			return
		}
		for _, ex := range examples {
			for _, a := range ex.Answers {
				if a.Start >= 0 && !strings.HasPrefix(ex.Context[a.Start:], a.Text) {
					t.Fatalf("%q is not at byte %d", a.Text, a.Start)
				}
			}
		}
	})
}

// TestQAStride demands that short windows move on by most of their length.
func TestQAStride(t *testing.T) {
	qa := newQA(t, "tok_bert_uncased", QAOptions{MaxLength: 64})
	features, _, err := qa.Features(&QAExample{Question: "who?", Context: strings.Repeat("a cat sat on the mat. ", 100)})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(features); n > 30 {
		t.Errorf("%d windows for 700 tokens", n)
	}
}
