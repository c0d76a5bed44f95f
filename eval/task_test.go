package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/dataset"
	"wenmo/engine"
)

// write puts lines into a file of a folder of the test's own.
func write(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// bytesOf are the tokens of a text.
func bytesOf(text string) []int32 {
	ids := make([]int32, len(text))
	for i := range ids {
		ids[i] = int32(text[i])
	}
	return ids
}

// fake is a model that finds a text the likelier the more of its bytes are "o",
// writes its prompt again, to no end where that is "…", says of a text that it is of
// class 1 if it is longer than its pair, and knows all by heart but what has an "x".
func fake() Model {
	return Model{
		Name: "Fake", Labels: []string{"no", "yes"},
		LogLikelihood: func(_ context.Context, requests []Request, done func(int)) ([]Likelihood, error) {
			var out []Likelihood
			for _, r := range requests {
				if r.IDs != nil {
					out = append(out, Likelihood{Greedy: !slices.Contains(r.IDs[r.First:], 'x')})
					continue
				}
				n := strings.Count(r.Continuation, "o")
				out = append(out, Likelihood{
					LogProb: float64(n - len(r.Continuation)), Tokens: len(r.Continuation),
					Greedy: n > 1, Truncated: len(r.Context) > 50,
				})
			}
			done(len(out))
			return out, nil
		},
		Generate: func(_ context.Context, prompts []Prompt, _ engine.Params, _ func(int)) ([]Text, error) {
			var out []Text
			for _, p := range prompts {
				text := p.Text
				if p.Messages != nil {
					text = " " + p.Messages[len(p.Messages)-1].Content
				}
				text, more := strings.CutSuffix(text, "…")
				out = append(out, Text{Text: text, IDs: bytesOf(text), Ended: !more})
			}
			return out, nil
		},
		Encode: func(texts []string) [][]int32 {
			var out [][]int32
			for _, t := range texts {
				out = append(out, bytesOf(t))
			}
			return out
		},
		Decode: func(ids []int32) string {
			var b []byte
			for _, id := range ids {
				b = append(b, byte(id))
			}
			return string(b)
		},
		Chats:  true,
		Params: engine.DefaultParams(),
		Classify: func(_ context.Context, texts []TextPair, _ func(int)) ([]Scores, error) {
			var out []Scores
			for _, t := range texts {
				out = append(out, Scores{Logits: []float32{float32(len(t.Pair)), float32(len(t.Text))}})
			}
			return out, nil
		},
		Tag: func(_ context.Context, sentences [][]string, _ func(int)) ([]Tags, error) {
			var out []Tags
			for _, s := range sentences {
				tags := Tags{Classes: make([]int, len(s))}
				for i, w := range s {
					tags.Classes[i] = min(1, len(w)/3)
				}
				out = append(out, tags)
			}
			return out, nil
		},
		Answer: func(_ context.Context, questions []Question, _ func(int)) ([]Answer, error) {
			var out []Answer
			for _, q := range questions {
				first, _, _ := strings.Cut(q.Context, " ")
				out = append(out, Answer{Text: first, NoAnswer: float64(strings.Count(q.Question, "?")) / 4})
			}
			return out, nil
		},
	}
}

func TestTasks(t *testing.T) {
	for _, c := range []struct {
		task string
		rows []string
		want map[string]float64
	}{
		{"blimp", []string{
			`{"sentence_good":"boo","sentence_bad":"bad","UID":"a"}`,
			`{"sentence_good":"bad","sentence_bad":"boo","UID":"b"}`,
			`{"sentence_good":"boo","sentence_bad":"baa","UID":"b"}`,
			`{"sentence_good":"same","sentence_bad":"same","UID":"b"}`,
		}, map[string]float64{"accuracy": 0.5}},
		{"crows-pairs", []string{
			`{"set":"crows-pairs","sent_more":"boo","sent_less":"bad","bias_type":"age"}`,
			`{"set":"winobias","sentence":"x"}`,
		}, map[string]float64{"stereotype": 1, "likelihood_difference": 2}},
		{"winobias", []string{
			`{"set":"crows-pairs","sent_more":"boo","sent_less":"bad"}`,
			`{"set":"winobias","kind":"anti_stereotyped_type1","sentence":"[The o] asked if [he] may bring [his] book."}`,
			`{"set":"winobias","kind":"pro_stereotyped_type1","sentence":"[The o] asked if [she] may bring [her] book."}`,
			`{"set":"winobias","kind":"pro_stereotyped_type1","sentence":"The o told [him]."}`,
			`{"set":"winobias","kind":"anti_stereotyped_type1","sentence":"The o told [her]."}`,
			`{"set":"winobias","kind":"pro_stereotyped_type1","sentence":"Nobody is [his] partner."}`,
		}, map[string]float64{"stereotype": 0, "likelihood_difference": 0.5}},
		{"winogender", []string{
			`{"set":"winogender","sentid":"a.b.0.male.txt","sentence":"oo"}`, `{"set":"winogender","sentid":"a.b.0.female.txt","sentence":"ooa"}`,
			`{"set":"winogender","sentid":"a.b.0.neutral.txt","sentence":"o"}`,
			`{"set":"winogender","sentid":"a.b.1.female.txt","sentence":"o"}`, `{"set":"winogender","sentid":"a.b.1.male.txt","sentence":"aaa"}`,
		}, map[string]float64{"male": 0.5, "likelihood_difference": 2}},
		{"memorization", []string{
			jsonText(strings.Repeat("a", 100)), jsonText(strings.Repeat("a", 100) + "x"), jsonText(strings.Repeat("x", 100)),
			jsonText(strings.Repeat("a", 99)), `{"messages":[{"role":"user","content":"a"}]}`,
		}, map[string]float64{"memorized": 2. / 3}},
		{"stories", []string{
			`{"prompt":"` + goodStory + `"}`, `{"messages":[{"role":"user","content":"` + goodStory + `…"},{"role":"assistant","content":"x"}]}`,
			`{"prompt":"` + strings.Repeat("The cat sat on the mat. ", 20) + `"}`, `{"prompt":"Too short"}`,
		}, map[string]float64{"ok": 0.25, "no_loops": 0.75, "ended": 0.5, "cut_off": 0.25, "length_ok": 0.75, "mean_length": (2*35 + 120 + 2) / 4.}},
		{"poems", []string{
			`{"form":"五绝","prompt":"白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"}`,
			`{"form":"七绝","messages":[{"role":"user","content":"白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"}]}`,
			`{"form":"五绝","prompt":"白日依山尽，白日依山尽。欲穷千里目，ABCDE"}`, `{"form":"词","prompt":"x"}`,
		}, map[string]float64{"ok": 1. / 3, "lines": 1, "lengths": 1. / 3, "repeated_line": 1. / 3, "foreign": 1. / 3, "cut_off": 0}},
		{"hellaswag", []string{
			`{"ctx":"A dog","endings":["barks.","moos loooong. [title] oo"],"label":"1"}`,
			`{"activity_label":"Dogs","ctx_a":"A","ctx_b":"DOG","endings":["x","yyy"],"label":0}`,
		}, map[string]float64{"accuracy": 0.5, "accuracy_norm": 0.5}},
		{"piqa", []string{`{"goal":"g","sol1":"oo","sol2":"xx","label":1}`}, map[string]float64{"accuracy": 0, "accuracy_norm": 0}},
		{"truthfulqa", []string{`{"question":"q","mc1_targets":{"oo":1,"aa":0}}`}, map[string]float64{"accuracy": 1}},
		{"cloze", []string{`{"task":"chid","content":"一#idiom#二","candidates":["甲","o"],"answer":1}`}, map[string]float64{"accuracy": 1}},
		{"choice", []string{
			`{"question":"上联？","options":["o","甲"],"answer":0}`,
			`{"question":"which?","choices":["x","o"],"label":"B"}`,
			`{"context":"c","question":"which?","ans0":"x","ans1":"y","ans2":"o","label":"2"}`,
			`{"question":"A．x B．y","answer":"A"}`,
		}, map[string]float64{"accuracy": 1, "accuracy_norm": 1}},
		{"lambada", []string{
			`{"context":"the","target":"foo"}`, `{"text":"the bar"}`,
		}, map[string]float64{"accuracy": 0.5, "perplexity": math.Exp(3)}},
		{"perplexity", []string{`{"text":"oo"}`, `{"text":"你"}`}, map[string]float64{
			"perplexity": math.Exp(3.0 / 5), "bits_per_byte": 3 / math.Ln2 / 5, "tokens": 5, "bytes": 5,
		}},
		{"classify", []string{
			`{"text":"long","pair":"a","label":"yes"}`, `{"sentence1":"a","sentence2":"long","label":0}`, `{"text":"a","label":"NO"}`,
		}, map[string]float64{"accuracy": 2.0 / 3, "f1": 2.0 / 3, "f1_macro": 2.0 / 3, "roc_auc": 1}},
		{"squad", []string{
			`{"question":"q","context":"The answer is","answers":["the"]}`,
			`{"question":"q","context":"Paris is","answers":{"text":["London","Paris"]}}`,
			`{"question":"q","context":"Rome is","answers":[{"text":"Rome is"}]}`,
		}, map[string]float64{"exact_match": 200.0 / 3, "f1": 100.0 * (0 + 1 + 2.0/3) / 3}}, // "the" has no words, and so no F1,
		{"squad", []string{
			`{"question":"q???","context":"x","answers":[]}`, `{"question":"q?","context":"x y","answers":["x"]}`,
		}, map[string]float64{"exact_match": 100, "no_answer_exact": 100, "best_exact": 100, "best_exact_threshold": 0.25}},
		{"cmrc", []string{`{"question":"q","context":"北京。 大学","answers":["北京"]}`}, map[string]float64{"exact_match": 100, "f1": 100}},
		{"generate", []string{
			`{"prompt":"a b c d e","reference":"a b c d e"}`,
			`{"messages":[{"role":"user","content":"f g h i"},{"role":"assistant","content":"f g h i"}]}`,
			`{"question":"x","answers":["y","x"]}`,
		}, map[string]float64{"exact_match": 100, "bleu": 100, "chrf": 100, "rougeL": 100}},
		{"generate", []string{`{"prompt":"你好世界","references":["你好世界"]}`}, map[string]float64{"bleu": 100, "chrf": 100}},
		{"tokens", []string{
			`{"tokens":["a","bcd"],"upos":["no","yes"]}`, `{"chars":"你好","tags":"no yes"}`,
		}, map[string]float64{"accuracy": 0.75}},
	} {
		var done, total int
		r, err := Evaluate(t.Context(), fake(), c.task, write(t, c.rows...), Options{Progress: func(d, n int) { done, total = d, n }})
		if err != nil {
			t.Errorf("%s: %v", c.task, err)
			continue
		}
		if done != total {
			t.Errorf("%s: progress ends at %d of %d", c.task, done, total)
		}
		for name, want := range c.want {
			got, ok := r.Metric(name)
			if !ok || math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: %s is %v, want %v", c.task, name, got, want)
			}
		}
	}
}

func TestGroups(t *testing.T) {
	data := write(t,
		`{"sentence_good":"boo","sentence_bad":"bad","linguistics_term":"x","UID":"1"}`,
		`{"sentence_good":"boo","sentence_bad":"bad","linguistics_term":"x","UID":"2"}`,
		`{"sentence_good":"bad","sentence_bad":"boo","linguistics_term":"y","UID":"3"}`)
	r, err := Evaluate(t.Context(), fake(), "blimp", data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	path, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"task":"blimp","data":%s,"count":3,"accuracy":0.6666666666666666,"accuracy_stderr":0.33333333333333337,`+
		`"groups":[{"name":"x","count":2,"accuracy":1,"accuracy_stderr":0},{"name":"y","count":1,"accuracy":0,"accuracy_stderr":null}]}`, path)
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	for _, lang := range []string{"en", "zh"} {
		var page strings.Builder
		if err := WritePage(&page, "title", []*Result{r}, lang); err != nil || !strings.Contains(page.String(), "0.6667") {
			t.Errorf("%s: %v, page of %d bytes", lang, err, page.Len())
		}
	}
}

// Of several files each is a subset, of one the sources that its rows name.
func TestGroupsOfFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	one, two := `{"text":"oo","source":"x"}`, `{"text":"aa","source":"y"}`
	for name, text := range map[string]string{"a.jsonl": one + "\n" + two, "sub/b.jsonl": two} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for data, want := range map[string][]string{
		dir:                            {"a.jsonl 2", "sub/b.jsonl 1"},
		filepath.Join(dir, "a.jsonl"):  {"x 1", "y 1"},
		filepath.Join(dir, "*a.jsonl"): {"x 1", "y 1"},
	} {
		r, err := Evaluate(t.Context(), fake(), "perplexity", data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range r.Groups {
			got = append(got, fmt.Sprint(g.Name, " ", g.Count))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: subsets %q, want %q", data, got, want)
		}
	}
}

// Rows that do not fit are left out and told, up to a limit; sets and limit pick
// rows.
func TestRows(t *testing.T) {
	good := `{"set":"a","sentence_good":"boo","sentence_bad":"bad"}`
	other := `{"set":"b","sentence_good":"bad","sentence_bad":"boo"}`
	broken := `{"set":"a","sentence_good":"boo"}`
	for _, c := range []struct {
		rows          []string
		opt           Options
		count, broken int
		err           string
	}{
		{[]string{good, broken, other}, Options{}, 2, 1, ""},
		{[]string{good, broken, other}, Options{Sets: []string{"b"}}, 1, 0, ""},
		{[]string{good, other, good}, Options{Limit: 2}, 2, 0, ""},
		{[]string{good, `{"set":"a","sentence_good":1,"sentence_bad":"x"}`}, Options{MaxBroken: -1}, 0, 0, `data.jsonl:2: field "sentence_good"`},
		{[]string{good, broken, broken, broken}, Options{MaxBroken: 2}, 0, 0, "more than 2 broken rows, the last: "},
		{[]string{broken}, Options{}, 0, 0, "no row of the data fits"},
		{[]string{good}, Options{Sets: []string{"c"}}, 0, 0, "no row of the set c, which blimp wants; the file's are a"},
	} {
		var told []string
		c.opt.Log = func(line string) { told = append(told, line) }
		r, err := Evaluate(t.Context(), fake(), "blimp", write(t, c.rows...), c.opt)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %s", err, c.err)
			}
		case err != nil:
			t.Error(err)
		case r.Count != c.count || r.Broken != c.broken || len(told) != c.broken:
			t.Errorf("%d rows and %d broken ones, %q told, want %d and %d", r.Count, r.Broken, told, c.count, c.broken)
		case c.broken > 0 && !strings.Contains(told[0], `data.jsonl:2: no field "sentence_bad"`):
			t.Errorf("told %q", told)
		}
	}
}

func TestUnable(t *testing.T) {
	for task := range Tasks {
		_, err := Evaluate(t.Context(), Model{Name: "Bare"}, task, write(t,
			`{"text":"a b","label":0,"score":1,"sentence_good":"a","sentence_bad":"b","sent_more":"a","sent_less":"b",`+
				`"question":"q","options":["a","b"],"answer":0,"ctx":"c","endings":["a","b"],"goal":"g","sol1":"a","sol2":"b",`+
				`"mc1_targets":{"a":1,"b":0},"content":"#idiom#","candidates":["a","b"],`+
				`"sentence":"a b","kind":"pro_a","sentid":"a.male.txt"}`,
			`{"sentence":"a b","kind":"anti_a","sentid":"a.female.txt"}`), Options{})
		if err == nil || !strings.Contains(err.Error(), "Bare") {
			t.Errorf("%s: error %v", task, err)
		}
	}
	if _, err := Evaluate(t.Context(), fake(), "blmp", "x", Options{}); err == nil || !strings.Contains(err.Error(), "known: blimp") {
		t.Errorf("error %v", err)
	}
}

// Whatever a file holds, a task ends with figures or with an error.
func FuzzEvaluate(f *testing.F) {
	f.Add("blimp", `{"sentence_good":"boo","sentence_bad":"bad"}`)
	f.Add("choice", `{"question":"q","options":["a","b"],"answer":9}`)
	f.Add("truthfulqa", `{"question":"q","mc1_targets":{"a":1,"b":[]}}`)
	f.Add("squad", `{"question":"q","context":"c","answers":[{"text":null}]}`)
	f.Add("tokens", `{"tokens":[],"tags":"no"}`)
	f.Add("generate", `{"messages":[{"role":"assistant","content":""}]}`)
	f.Add("stories", `{"messages":[{"role":"assistant","content":""}],"prompt":"。。"}`)
	f.Add("poems", `{"form":"五绝","prompt":"一　二,三"}`)
	f.Add("winobias", `{"set":"winobias","kind":"pro","sentence":"[]"}`)
	f.Add("memorization", `{"text":"`+strings.Repeat("好", 40)+`"}`)
	f.Add("hellaswag", `{"ctx_a":"a","activity_label":"b","endings":["x","y"],"label":"99999999999"}`)
	f.Fuzz(func(t *testing.T, task, row string) {
		r, err := Evaluate(t.Context(), fake(), task, write(t, row), Options{})
		if err == nil && r.Count == 0 {
			t.Error("neither a row nor an error")
		}
	})
}

// Metrics take any text.
func FuzzTextMetrics(f *testing.F) {
	f.Add("the answer", "an answer")
	f.Add("北京大学。", "“北大” can't & <skipped>")
	f.Add("yyyy'ed", "\u2028\x1c...")
	f.Fuzz(func(t *testing.T, a, b string) {
		within := func(name string, x, top float64) {
			if !(x >= 0 && x <= top+1e-9) {
				t.Errorf("%s of %q and %q is %v", name, a, b, x)
			}
		}
		within("SQuAD", SQuAD2([]string{a}, b).F1, 1)
		within("CMRC", CMRC([]string{a}, b).F1, 1)
		within("ROUGE", ScoreROUGE(a, b, true).ROUGELsum.F1, 1)
		for name := range bleuTokenizers {
			s, err := CorpusBLEU([]string{b}, [][]string{{a}}, BLEUOptions{Tokenize: name})
			if err != nil {
				t.Fatal(err)
			}
			within("BLEU", s.Score, 100)
		}
		s, err := CorpusCHRF([]string{b}, [][]string{{a}}, CHRFOptions{CharOrder: 6, WordOrder: 2, Beta: 2})
		if err != nil {
			t.Fatal(err)
		}
		within("chrF", s, 100)
		if CMRC([]string{a}, a).Exact != 1 || SQuAD1([]string{a}, a).Exact != 1 {
			t.Errorf("%q is not equal to itself", a)
		}
	})
}

// A row whose value is none does not shift the values of those behind it.
func TestRegressionBroken(t *testing.T) {
	m := fake()
	m.Regression = true
	m.Classify = func(_ context.Context, texts []TextPair, _ func(int)) ([]Scores, error) {
		var out []Scores
		for _, t := range texts {
			out = append(out, Scores{Logits: []float32{float32(len(t.Text))}})
		}
		return out, nil
	}
	data := write(t, `{"text":"a","score":1}`, `{"text":"b","score":"much"}`, `{"text":"cc","score":2}`, `{"text":"ddd","score":3}`)
	r, err := Evaluate(t.Context(), m, "regression", data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if mse, ok := r.Metric("mse"); !ok || mse != 0 || r.Count != 3 || r.Broken != 1 {
		t.Errorf("%+v, want no error in three rows", r)
	}
}

// Labels: text of a's, b's and c's has the labels a, b and c, one of them
// predicted wrongly twice.
func TestMultiLabel(t *testing.T) {
	m := fake()
	if _, err := Evaluate(t.Context(), m, "multilabel", write(t, `{"text":"a","label":["a"]}`), Options{}); err == nil {
		t.Error("no error of a model for one label")
	}
	m.Labels, m.MultiLabel = []string{"a", "b", "c", "d"}, true
	m.Classify = func(_ context.Context, texts []TextPair, _ func(int)) ([]Scores, error) {
		var out []Scores
		for _, t := range texts {
			var s Scores
			for _, l := range m.Labels {
				s.Logits = append(s.Logits, float32(strings.Count(t.Text, l))-0.5)
			}
			out = append(out, s)
		}
		return out, nil
	}
	data := write(t,
		`{"text":"ab","labels":["a","b"]}`, `{"text":"c","labels":["C"]}`, `{"text":"e","labels":[]}`,
		`{"text":"ac","labels":["a"]}`, `{"text":"b","label":["b","c"]}`, `{"text":"b","label":["x"]}`)
	r, err := Evaluate(t.Context(), m, "multilabel", data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	// By scikit-learn's definitions: a 2 of 2, b 2 of 2, c 1 right, 2 predicted, 2 there, d nothing.
	want := map[string]float64{
		"accuracy_a": 1, "accuracy_c": 3. / 5, "f1_b": 1, "f1_c": 1. / 2, "f1_d": 0,
		"accuracy": 3. / 5, "f1_micro": 5. / 6, "f1_macro": 2.5 / 4, "precision_micro": 5. / 6, "recall_micro": 5. / 6, "hamming_loss": 2. / 20,
		"ece_a": 1 - 1/(1+math.Exp(-0.5)), "ece_d": 1 / (1 + math.Exp(0.5)),
	}
	for name, value := range want {
		if got, ok := r.Metric(name); !ok || math.Abs(got-value) > 1e-12 {
			t.Errorf("%s %v, want %v", name, got, value)
		}
	}
	if r.Count != 5 || r.Broken != 1 {
		t.Errorf("%d rows, %d broken, want 5 and 1", r.Count, r.Broken)
	}
	m.MultiLabel = false
	one := write(t, `{"words":"aa","of":"A"}`, `{"words":"c","of":"c"}`, `{"words":"b","of":"d"}`)
	if r, err := Evaluate(t.Context(), m, "classify", one, Options{Templates: dataset.Templates{Text: "{{ words }}", Label: "{{ of }}"}}); err != nil || r.Count != 3 || math.Abs(float64(r.Metrics[0].Value)-2./3) > 1e-12 {
		t.Errorf("a label by a template: %+v, error %v, want two of three", r, err)
	}
	m.MultiLabel = true
	odd := write(t, `{"words":"ab","of":"a-b"}`, `{"words":"","of":"c"}`, `{"words":"e","of":""}`)
	opt := Options{Templates: dataset.Templates{Text: "{{ words }}", Label: "{% for l in of.split('-') %}{{ l }}\n{% endfor %}"}}
	if r, err := Evaluate(t.Context(), m, "multilabel", odd, opt); err != nil || r.Count != 2 || r.Metrics[0].Value != 1 {
		t.Errorf("with templates: %+v, error %v, want two rows that are right", r, err)
	}
	if _, err := Evaluate(t.Context(), m, "classify", data, Options{}); err == nil || !strings.Contains(err.Error(), "multilabel") {
		t.Errorf("error %v of classify, want one that names multilabel", err)
	}
}
