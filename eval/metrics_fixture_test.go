package eval

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// metricsFile is a fixture: besides its reference and its tolerance, lists of
// cases by the name of what is computed.
type metricsFile struct {
	t         *testing.T
	tolerance float64
	parts     map[string]json.RawMessage
}

// TestFixtureMetrics compares every field of every case of a metrics_* file.
func TestFixtureMetrics(t *testing.T) {
	check := map[string]func(f *metricsFile, part string, data json.RawMessage){
		"metrics_bleu_chrf": (*metricsFile).bleu, "metrics_classification": (*metricsFile).classification,
		"metrics_cmrc": (*metricsFile).cmrc, "metrics_rouge": (*metricsFile).rouge, "metrics_squad": (*metricsFile).squad,
	}
	testkit.Fixtures(t, func(t *testing.T, path string) {
		data, err := os.ReadFile(path + ".json")
		if err != nil {
			t.Fatal(err)
		}
		f := &metricsFile{t: t}
		f.decode(data, &f.parts)
		f.decode(f.parts["tolerance"], &f.tolerance)
		if f.tolerance <= 0 || f.tolerance > 1e-3 {
			t.Fatalf("tolerance %v", f.tolerance)
		}
		delete(f.parts, "reference")
		delete(f.parts, "tolerance")
		if len(f.parts) == 0 {
			t.Fatal("no cases")
		}
		for _, family := range slices.Sorted(maps.Keys(check)) {
			if strings.HasPrefix(filepath.Base(path), family) {
				for _, part := range slices.Sorted(maps.Keys(f.parts)) {
					check[family](f, part, f.parts[part])
				}
				return
			}
		}
		t.Fatal("nothing checks this file")
	}, "metrics_")
}

func (f *metricsFile) decode(data []byte, v any) {
	f.t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		f.t.Fatal(err)
	}
}

// record is a case as it stands in the file, whose fields are taken one by one.
type record map[string]json.RawMessage

func take[T any](f *metricsFile, r record, name string) (v T) {
	f.t.Helper()
	data, ok := r[name]
	if !ok {
		f.t.Fatalf("a case has no %s", name)
	}
	f.decode(data, &v)
	delete(r, name)
	return v
}

// equal compares what is left of a case with got, which must have all of it.
func (f *metricsFile) equal(where string, r record, got any) {
	f.t.Helper()
	data, err := json.Marshal(got)
	if err != nil {
		f.t.Fatal(err)
	}
	have := record{}
	f.decode(data, &have)
	for name, want := range r {
		value, ok := have[name]
		if !ok {
			f.t.Errorf("%s: %s is not computed", where, name)
			continue
		}
		var a, b any
		f.decode(want, &a)
		f.decode(value, &b)
		f.same(where+": "+name, a, b)
	}
}

func (f *metricsFile) same(where string, want, got any) {
	f.t.Helper()
	switch w := want.(type) {
	case float64:
		if g, ok := got.(float64); !ok || math.Abs(g-w) > f.tolerance {
			f.t.Errorf("%s: %v, want %v", where, got, want)
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			f.t.Errorf("%s: %v, want %v", where, got, want)
			return
		}
		for i := range w {
			f.same(fmt.Sprintf("%s[%d]", where, i), w[i], g[i])
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		for key := range w {
			if !ok || g[key] == nil {
				f.t.Errorf("%s: %s is not computed", where, key)
				continue
			}
			f.same(where+"."+key, w[key], g[key])
		}
	default:
		if want != got {
			f.t.Errorf("%s: %v, want %v", where, got, want)
		}
	}
}

func (f *metricsFile) classification(part string, data json.RawMessage) {
	var cases []record
	f.decode(data, &cases)
	for i, r := range cases {
		where := fmt.Sprintf("%s %d", part, i)
		if part == "regression" {
			got, err := Regress(take[[]float64](f, r, "labels"), take[[]float64](f, r, "predictions"))
			if err != nil {
				f.t.Fatal(err)
			}
			f.equal(where, r, got)
			continue
		}
		if part != "classification" {
			f.t.Fatalf("nothing checks %s", part)
		}
		got, err := Classify(take[[]int](f, r, "labels"), take[[][]float64](f, r, "logits"))
		if err != nil {
			f.t.Fatal(err)
		}
		for name, want := range r {
			if bins, ok := strings.CutPrefix(name, "calibration_"); ok {
				n, err := strconv.Atoi(bins)
				if err != nil {
					f.t.Fatal(err)
				}
				c, err := got.Calibration(n)
				if err != nil {
					f.t.Fatal(err)
				}
				var fields record
				f.decode(want, &fields)
				f.equal(where+": "+name, fields, c)
				delete(r, name)
			}
		}
		f.equal(where, r, got)
	}
}

func (f *metricsFile) squad(part string, data json.RawMessage) {
	var all []record
	f.decode(f.parts["cases"], &all)
	var questions []SQuADAnswer
	v1 := map[string]float64{}
	for i, r := range all {
		where := fmt.Sprintf("case %d %s", i, take[string](f, r, "id"))
		q := SQuADAnswer{take[[]string](f, r, "answers"), take[string](f, r, "prediction"), take[float64](f, r, "no_answer_prob")}
		questions = append(questions, q)
		got := map[string]any{"normalized_prediction": NormalizeAnswer(q.Prediction)}
		s := SQuAD2(q.Answers, q.Prediction)
		got["v2_exact"], got["v2_f1"] = s.Exact, s.F1
		if len(q.Answers) > 0 {
			s := SQuAD1(q.Answers, q.Prediction)
			got["v1_exact"], got["v1_f1"] = s.Exact, s.F1
			v1["exact_match"] += s.Exact
			v1["f1"] += s.F1
			v1["count"]++
		}
		if part == "cases" {
			f.equal(where, r, got)
		}
	}
	switch part {
	case "cases":
	case "v1_total":
		var want record
		f.decode(data, &want)
		v1["exact_match"] *= 100 / v1["count"]
		v1["f1"] *= 100 / v1["count"]
		f.equal(part, want, v1)
	case "v2_by_no_answer_threshold":
		var want map[string]record
		f.decode(data, &want)
		for name, fields := range want {
			threshold, err := strconv.ParseFloat(name, 64)
			if err != nil {
				f.t.Fatal(err)
			}
			f.equal("threshold "+name, fields, SQuAD2Total(questions, threshold))
		}
	default:
		f.t.Fatalf("nothing checks %s", part)
	}
}

func (f *metricsFile) cmrc(part string, data json.RawMessage) {
	var all []record
	f.decode(f.parts["cases"], &all)
	var total struct {
		EM float64 `json:"em"`
		F1 float64 `json:"f1"`
	}
	for i, r := range all {
		prediction := take[string](f, r, "prediction")
		s := CMRC(take[[]string](f, r, "answers"), prediction)
		total.EM += 100 * s.Exact / float64(len(all))
		total.F1 += 100 * s.F1 / float64(len(all))
		if part == "cases" {
			f.equal(fmt.Sprint("case ", i), r, map[string]any{"em": s.Exact, "f1": s.F1, "segments": CMRCSegments(prediction)})
		}
	}
	switch part {
	case "cases":
	case "total":
		var want record
		f.decode(data, &want)
		f.equal(part, want, total)
	default:
		f.t.Fatalf("nothing checks %s", part)
	}
}

func (f *metricsFile) bleu(part string, data json.RawMessage) {
	var cases []record
	f.decode(data, &cases)
	for i, r := range cases {
		where := fmt.Sprintf("%s %d", part, i)
		switch part {
		case "corpora":
			f.corpus(where, r)
		case "sentences":
			hyp, refs := []string{take[string](f, r, "hyp")}, [][]string{take[[]string](f, r, "refs")}
			b, err := CorpusBLEU(hyp, refs, BLEUOptions{Tokenize: take[string](f, r, "tokenize"), EffectiveOrder: true})
			if err != nil {
				f.t.Fatal(err)
			}
			plus := DefaultCHRF()
			plus.WordOrder = 2
			f.equal(where, r, map[string]float64{
				"bleu_effective_order": b.Score, "chrf": f.chrf(hyp, refs, DefaultCHRF()), "chrf++": f.chrf(hyp, refs, plus),
			})
		case "tokenized":
			text := take[string](f, r, "text")
			got := map[string]string{}
			for name, tokenize := range bleuTokenizers {
				got[name] = tokenize(text)
			}
			f.equal(where, r, got)
		default:
			f.t.Fatalf("nothing checks %s", part)
		}
	}
}

func (f *metricsFile) chrf(hyps []string, refs [][]string, opt CHRFOptions) float64 {
	s, err := CorpusCHRF(hyps, refs, opt)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// corpus checks a corpus, whose references are given stream by stream.
func (f *metricsFile) corpus(where string, r record) {
	hyps := take[[]string](f, r, "hyps")
	refs := make([][]string, len(hyps))
	for _, stream := range take[[][]string](f, r, "refs") {
		for i, s := range stream {
			refs[i] = append(refs[i], s)
		}
	}
	for i, c := range take[[]record](f, r, "bleu") {
		opt := BLEUOptions{
			Tokenize: take[string](f, c, "tokenize"), Lowercase: take[bool](f, c, "lowercase"),
			Smooth: take[string](f, c, "smooth_method"), SmoothValue: take[*float64](f, c, "smooth_value"),
		}
		got, err := CorpusBLEU(hyps, refs, opt)
		if err != nil {
			f.t.Fatal(err)
		}
		f.equal(fmt.Sprintf("%s: bleu %d", where, i), c, got)
	}
	for i, c := range take[[]record](f, r, "chrf") {
		opt := CHRFOptions{
			CharOrder: take[int](f, c, "char_order"), WordOrder: take[int](f, c, "word_order"),
			Beta: take[float64](f, c, "beta"), Whitespace: take[bool](f, c, "whitespace"),
			Lowercase: take[bool](f, c, "lowercase"), EpsSmoothing: take[bool](f, c, "eps_smoothing"),
		}
		f.equal(fmt.Sprintf("%s: chrf %d", where, i), c, map[string]float64{"score": f.chrf(hyps, refs, opt)})
	}
	f.equal(where, r, struct{}{})
}

func (f *metricsFile) rouge(part string, data json.RawMessage) {
	switch part {
	case "stems":
		var stems map[string]string
		f.decode(data, &stems)
		for word, want := range stems {
			if got := PorterStem(word); got != want {
				f.t.Errorf("stem of %s: %s, want %s", word, got, want)
			}
		}
	case "cases":
		var cases []record
		f.decode(data, &cases)
		for i, r := range cases {
			target, prediction := take[string](f, r, "target"), take[string](f, r, "prediction")
			f.equal(fmt.Sprint("case ", i), r, map[string]any{
				"plain": rougeArrays(ScoreROUGE(target, prediction, false)),
				"stem":  rougeArrays(ScoreROUGE(target, prediction, true)),
			})
		}
	default:
		f.t.Fatalf("nothing checks %s", part)
	}
}

func rougeArrays(r ROUGE) map[string][3]float64 {
	values := func(s PRF) [3]float64 { return [3]float64{s.Precision, s.Recall, s.F1} }
	return map[string][3]float64{
		"rouge1": values(r.ROUGE1), "rouge2": values(r.ROUGE2), "rougeL": values(r.ROUGEL), "rougeLsum": values(r.ROUGELsum),
	}
}
