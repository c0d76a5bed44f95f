package explain

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wenmo"
	"wenmo/report"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestTinyModel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := wenmo.Create(t.Context(), dir, wenmo.CreateOptions{Shape: "tiny-llama", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	m, err := wenmo.Open(t.Context(), dir, wenmo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	t.Run("text", func(t *testing.T) { checkText(t, m) })
	t.Run("parts of characters", func(t *testing.T) { checkParts(t, m) })
	t.Run("bad input", func(t *testing.T) { checkBadInput(t, m) })
}

// What is told of a text is what the model itself says of it.
func checkText(t *testing.T, m *wenmo.Model) {
	for _, text := range []string{"a", "Hello world", "春眠不觉晓", "\x1b[31m\t\u202e", "👩‍👩‍👧 é", strings.Repeat("word ", 80)} {
		e, err := Text(t.Context(), m, "tiny", text, 3)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := m.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		score, err := m.Score(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		if e.Tokens[0].Likelihood != nil || len(e.Tokens) != len(ids) || len(e.Next) != 3 {
			t.Fatalf("%q: %d tokens, first %+v, next %+v", text, len(e.Tokens), e.Tokens[0], e.Next)
		}
		for i, token := range e.Tokens {
			if token.ID != ids[i] {
				t.Errorf("%q: token %d has id %d, want %d", text, i, token.ID, ids[i])
			}
			if i > 0 {
				checkLikelihood(t, token, score.LogProbs[i-1])
			}
		}
		checkAttentions(t, e)
	}
}

func checkLikelihood(t *testing.T, token Token, logProb float32) {
	t.Helper()
	l, ps := token.Likelihood, token.Expected
	if math.Abs(float64(l.Probability)-math.Exp(float64(logProb))) > 1e-6 || math.Abs(float64(l.Bits)+float64(logProb)/math.Ln2) > 1e-5 {
		t.Errorf("%q: %+v, want a log-probability of %v", token.Text, l, logProb)
	}
	for i, p := range ps {
		if i > 0 && p.Probability > ps[i-1].Probability {
			t.Errorf("%q: candidates %+v are out of order", token.Text, ps)
		}
		if (p.ID == token.ID) != (l.Rank == i+1) {
			t.Errorf("%q: rank %d, candidates %+v", token.Text, l.Rank, ps)
		}
	}
}

func checkAttentions(t *testing.T, e *Explanation) {
	t.Helper()
	for layer := range e.Attentions {
		for q, row := range e.Shares(layer, Mean) {
			sum, ahead := float32(0), float32(0)
			for k, share := range row {
				sum += share
				if k > q {
					ahead += share
				}
			}
			if math.Abs(float64(sum)-1) > 1e-5 || ahead != 0 {
				t.Errorf("%q, layer %d, token %d: shares sum to %v, of later tokens to %v", e.Text, layer, q, sum, ahead)
			}
		}
	}
	if got := e.Shares(0, 1); &got[0] != &e.Attentions[0][1][0] {
		t.Error("head 1 is another one")
	}
}

// A character of several tokens is told with each of them.
func checkParts(t *testing.T, m *wenmo.Model) {
	e, err := Text(t.Context(), m, "tiny", "a龘", 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, token := range e.Tokens {
		got = append(got, fmt.Sprint(token.Text, " ", token.Of, " ", token.Bytes, token.Characters))
	}
	want := []string{"a  [0 1] [0 1]", "<0xE9> 龘 [1 4] [1 2]", "<0xBE> 龘 [1 4] [1 2]", "<0x98> 龘 [1 4] [1 2]"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	joined := []bool{false, false, true, true}
	for i, c := range e.chips() {
		if c.Joined != joined[i] {
			t.Errorf("chip %d is joined: %v", i, c.Joined)
		}
	}
}

func checkBadInput(t *testing.T, m *wenmo.Model) {
	for _, c := range []struct {
		text string
		topK int
		want string
	}{
		{"", 1, "no tokens"},
		{strings.Repeat("春", 200), 1, "wanted at most 512"},
		{"a", 0, "0 candidates"},
		{"a", MaxCandidates + 1, "wanted 1 to 100"},
	} {
		if _, err := Text(t.Context(), m, "tiny", c.text, c.topK); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.10q, %d: %v, want %s", c.text, c.topK, err, c.want)
		}
	}
	nan := float32(math.NaN())
	if _, err := distributionOf([]float32{1, nan}, 7); err == nil || !strings.Contains(err.Error(), "position 7") {
		t.Errorf("NaN: %v", err)
	}
}

func TestGreatest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		values := make([]float32, 1+random.IntN(50))
		order := make([]int32, len(values))
		for i := range values {
			values[i], order[i] = float32(random.IntN(9)), int32(i)
		}
		slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(values[b], values[a]) })
		k := 1 + random.IntN(60)
		if got, want := Greatest(values, k), order[:min(k, len(order))]; !slices.Equal(got, want) {
			t.Errorf("%d of %v: %v, want %v", k, values, got, want)
		}
		d := distribution{logits: values}
		if at := random.IntN(len(order)); d.likelihood(order[at]).Rank != at+1 {
			t.Errorf("the rank of %d in %v is %d, want %d", order[at], values, d.likelihood(order[at]).Rank, at+1)
		}
	}
}

func TestLegible(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " the": " the", "春": "春", "\xe9\xbe": "<0xE9><0xBE>", "\x98a": "<0x98>a", "\n\t\x1b": `\n\t\x1b`,
		"\u202e": `\u202e`, `'"\`: `'"\`, "\ufffd": "\ufffd", "\u3000": `\u3000`,
	} {
		if got := Legible([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for p, want := range map[float32]string{1: "100%", 0.9994: "99.9%", 0.5: "50.0%", 0.0123: "1.23%", 0.00012: "0.012%", 1e-9: "<0.001%", 0: "<0.001%"} {
		if got := Percent(p); got != want {
			t.Errorf("%v: %q, want %q", p, got, want)
		}
	}
}

// fox is a small explanation, made by hand, with everything that may be in one.
func fox() *Explanation {
	likely := func(p float32, rank int) *Likelihood {
		return &Likelihood{Probability: p, Bits: float32(-math.Log2(float64(p))), Rank: rank}
	}
	expected := []Candidate{{7, "Ġfox", " fox", 0.5}, {8, "<b>", "<b>", 0.25}}
	tokens := []Token{
		{ID: 1, Token: "<s>", Text: "<s>", Special: true},
		{ID: 7, Token: "Ġfox", Text: " fox", Bytes: [2]int{0, 4}, Characters: [2]int{0, 4}, Expected: expected, Likelihood: likely(0.5, 1)},
		{ID: 9, Token: "é¾", Text: "<0xE9><0xBE>", Of: "龘", Bytes: [2]int{4, 7}, Characters: [2]int{4, 5}, Expected: expected, Likelihood: likely(1e-6, 99)},
		{ID: 3, Token: "ĺ", Text: "<0x98>", Of: "龘", Bytes: [2]int{4, 7}, Characters: [2]int{4, 5}, Expected: expected, Likelihood: likely(0.01, 5)},
	}
	head := func(first float32) [][]float32 {
		return [][]float32{{1, 0, 0, 0}, {first, 1 - first, 0, 0}, {first, 0, 1 - first, 0}, {first, 0, 0, 1 - first}}
	}
	return &Explanation{
		Model: "models/<fox>", Text: " fox龘", Expects: NextToken, Tokens: tokens, Next: expected,
		Attentions: [][][][]float32{{head(0.25), head(0.75)}, {head(0.5)}},
	}
}

// masked is fox as a masked model has it, or with Nothing one of another task.
func masked(expects Expects) *Explanation {
	e := fox()
	e.Expects, e.Next, e.MaskText = expects, nil, "[MASK]"
	for i := range e.Tokens {
		e.Tokens[i].Expected, e.Tokens[i].Likelihood = nil, nil
	}
	e.Attentions[1][0][0] = []float32{0, 0, 0, 1}
	return e
}

// TestPage compares pages with golden files, but for what they share with all.
func TestPage(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		var b strings.Builder
		if err := fox().HTML(&b, lang, 1, Mean); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		checkSelfContained(t, got)
		for part, text := range map[string]string{"STYLE": report.Style + pageCSS, "SCRIPT": pageJS} {
			if !strings.Contains(got, text) {
				t.Errorf("%s: no %s", lang, part)
			}
			got = strings.Replace(got, text, part, 1)
		}
		got = regexp.MustCompile(`"shares":"[^"]+"`).ReplaceAllString(got, `"shares":"SHARES"`)
		file := filepath.Join("testdata", "page."+lang+".html")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("the page differs from %s; go test ./explain -update rewrites it:\n%s", file, got)
		}
	}
	if err := fox().HTML(io.Discard, "fr", 0, 0); err == nil {
		t.Error("a page in French")
	}
}

func checkSelfContained(t *testing.T, html string) {
	t.Helper()
	for _, s := range []string{"<script src", "<link", "<img", "src=", "@import", "url(", "http:", "https:", "fetch(", "ZgotmplZ", "<b>"} {
		if strings.Contains(html, s) {
			t.Errorf("the page has %q", s)
		}
	}
}

// A page says why nothing was expected, and has no colours of surprise then.
func TestPageWithoutCandidates(t *testing.T) {
	for expects, want := range map[Expects]string{MaskedTokens: "write [MASK] where", Nothing: "gives no words"} {
		var b strings.Builder
		if err := masked(expects).HTML(&b, "en", 0, 0); err != nil {
			t.Fatal(err)
		}
		if html := b.String(); !strings.Contains(html, want) || strings.Contains(html, `id="expected"`) || strings.Contains(html, `class="ramp"`) {
			t.Errorf("%s: %s", expects, html[strings.Index(html, "<body"):])
		}
	}
}

// What the page unpacks is the attention, to half of a 255th.
func TestPacked(t *testing.T) {
	for _, e := range []*Explanation{fox(), masked(Nothing)} {
		causal := e.causal()
		if causal != (e.Expects == NextToken) {
			t.Fatalf("%s is causal: %v", e.Expects, causal)
		}
		data, err := e.packed(causal)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		for _, heads := range e.Attentions {
			for _, head := range heads {
				for q, row := range head {
					if causal {
						row = row[:q+1]
					}
					for _, share := range row {
						if math.Abs(float64(got[0])/255-float64(share)) > 0.5/255+1e-6 {
							t.Fatalf("%d stands for %v", got[0], share)
						}
						got = got[1:]
					}
				}
			}
		}
		if len(got) != 0 {
			t.Errorf("%d bytes too many", len(got))
		}
	}
}

func TestWords(t *testing.T) {
	for key := range words["en"] {
		if words["zh"][key] == "" {
			t.Errorf("%q has no Chinese", key)
		}
	}
	if len(words["en"]) != len(words["zh"]) {
		t.Error("Chinese has more words")
	}
}
