package report

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func curveOf(values ...float64) (c Curve) {
	for i, v := range values {
		c.Add(int64(i+1), v)
	}
	return c
}

func TestCurveAdd(t *testing.T) {
	c := curveOf(5, 4, 3, 2)
	c.Add(3, 9)
	c.Add(4, 8)
	if !slices.Equal(c.Steps, []int64{1, 2, 3, 4}) || !slices.Equal(c.Values, []float64{5, 4, 9, 8}) {
		t.Errorf("after going back: %+v", c)
	}
}

// TestThin: what is left has the ends and every peak.
func TestThin(t *testing.T) {
	var run []point
	for i := range 100_000 {
		run = append(run, point{float64(i), math.Sin(float64(i) / 5000)})
	}
	run[777].y, run[90_001].y = 50, -50
	got := thin(run, 300)
	if len(got) > 1300 || got[0] != run[0] || got[len(got)-1] != run[len(run)-1] {
		t.Errorf("%d points, from %v to %v", len(got), got[0], got[len(got)-1])
	}
	if !slices.Contains(got, run[777]) || !slices.Contains(got, run[90_001]) {
		t.Error("a peak is lost")
	}
	if !slices.IsSortedFunc(got, func(a, b point) int { return int(a.x - b.x) }) {
		t.Error("out of order")
	}
}

func TestSmooth(t *testing.T) {
	if smooth(make([]point, smoothFrom-1)) != nil {
		t.Error("few points are smoothed")
	}
	run := make([]point, 1000)
	for i := range run {
		run[i] = point{float64(i), 3 + float64(i%2)}
	}
	for _, p := range smooth(run)[:990] {
		if math.Abs(p.y-3.5) > 0.05 {
			t.Fatalf("%v", p)
		}
	}
}

func labels(ticks []tick) string {
	var out []string
	for _, t := range ticks {
		out = append(out, t.label)
	}
	return strings.Join(out, " ")
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		got  []tick
		want string
	}{
		{linearTicks(0, 10, 5), "0 2 4 6 8 10"},
		{linearTicks(2.13, 2.31, 5), "2.10 2.15 2.20 2.25 2.30 2.35"},
		{linearTicks(-3, 1, 4), "-3 -2 -1 0 1"},
		{linearTicks(7, 7, 5), "2 4 6 8 10 12"},
		{linearTicks(0, 6e-4, 3), "0 0.0002 0.0004 0.0006"},
		{linearTicks(0, 3e-5, 3), "0 1e-5 2e-5 3e-5"},
		{linearTicks(0, 20_000, 4), "0 5k 10k 15k 20k"},
		{linearTicks(0, 3_000_000, 6), "0 0.5M 1M 1.5M 2M 2.5M 3M"},
		{stepTicks(1, 20037, 5), " 5k 10k 15k 20k "},
		{stepTicks(5, 5, 4), "4.0 4.5 5.0 5.5 6.0"},
		{logTicks(math.Log10(0.3), math.Log10(7)), "0.2 0.5 1 2 5 10"},
		{logTicks(-3, 2), "0.001 0.01 0.1 1 10 100"},
		{logTicks(-20, 4), "1e-20 1e-17 1e-14 1e-11 1e-08 1e-05 0.01 10 1e+04"},
	} {
		if got := labels(c.got); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestPlot: no curve breaks the drawing, and no coordinate is absurd.
func TestPlot(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	long := Curve{}
	for i := range int64(200_000) {
		long.Add(i, float64(i%17))
	}
	for name, c := range map[string]Curve{
		"empty": {}, "NaN alone": curveOf(nan, inf, -inf), "one": curveOf(3), "zero": curveOf(0), "same": curveOf(2, 2, 2),
		"gaps": curveOf(1, nan, 2, inf, 3, 4), "huge": curveOf(-1e300, 1e300), "least": curveOf(5e-324, 1), "long": long,
		"log": curveOf(1e-9, 1, 1e9), "uneven": {Steps: []int64{1, 2}, Values: []float64{1}},
	} {
		for _, log := range []bool{false, true} {
			p := Plot{Title: `a "plot" <b>`, Log: log, Series: []Series{{"x", c, true}, {"y", curveOf(), false}}}
			f, err := p.figure(true)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			svg := string(f.SVG)
			if empty := len(c.points()) == 0; empty != (svg == "") {
				t.Errorf("%s: picture of %d bytes", name, len(svg))
			}
			if len(svg) > 60_000 {
				t.Errorf("%s: picture of %d bytes", name, len(svg))
			}
			if strings.Contains(svg, "rgb") || strings.Contains(svg, "NaN") || strings.Contains(svg, "<b>") || strings.Contains(svg, "Roboto") {
				t.Errorf("%s: %.300s", name, svg)
			}
			if far := regexp.MustCompile(`[ "]-?\d{4,}`).FindString(svg); far != "" {
				t.Errorf("%s: coordinate %s", name, far)
			}
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
	if _, err := wordsOf("fr"); err == nil {
		t.Error("fr is known")
	}
}

func aRun() *Run {
	r := &Run{Title: "唐诗 <GPT>", Subtitle: "a & b", Config: "size = \"mini\"", Facts: []Fact{{"Tokens", "82 M"}}}
	for s := int64(1); s <= 2000; s++ {
		r.Loss.Add(s, 2+5/float64(s))
		r.GradientNorm.Add(s, 1/float64(s))
		r.Samples = append(r.Samples, Sample{s, "床前", "明月光\n<script>alert(1)</script>"})
	}
	r.ValidationLoss = curveOf(3, 2.25, 2.5)
	r.BitsPerByte = curveOf(math.NaN(), 1.125)
	r.Tables = []Table{{"T", []string{"task", "accuracy"}, [][]string{{"blimp", "78.2%"}, {"x"}}}}
	return r
}

func TestRunHTML(t *testing.T) {
	for lang, want := range map[string][]string{
		"en": {`lang="en"`, "Training report", "Gradient norm", "logarithmic", "60 of 2000 samples", "validation"},
		"zh": {`lang="zh"`, "训练报告", "梯度范数", "对数坐标", "共 2000 条样例", "验证"},
	} {
		var b strings.Builder
		if err := aRun().HTML(&b, lang); err != nil {
			t.Fatal(err)
		}
		html := b.String()
		want = append(want, "唐诗 &lt;GPT&gt;", "2.2500", "1.1250", "step 2000", "&lt;script&gt;", "size = &#34;mini&#34;", `<td class="number">78.2%</td>`)
		if lang == "zh" {
			want[slices.Index(want, "step 2000")] = "步 2000"
		}
		for _, s := range want {
			if !strings.Contains(html, s) {
				t.Errorf("%s: no %q", lang, s)
			}
		}
		checkSelfContained(t, html)
	}
	if err := aRun().HTML(&strings.Builder{}, "fr"); err == nil {
		t.Error("a page in French")
	}
	var b strings.Builder
	if err := (&Run{Title: "nothing"}).HTML(&b, "en"); err != nil || strings.Contains(b.String(), "<section") {
		t.Errorf("an empty run: %v", err)
	}
}

func checkSelfContained(t *testing.T, html string) {
	t.Helper()
	for _, s := range []string{"<script", "<link", "<img", "src=", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(html, s) {
			t.Errorf("the page has %q", s)
		}
	}
	for _, link := range regexp.MustCompile(`https?://[^"]*`).FindAllString(html, -1) {
		if !strings.HasPrefix(link, "http://www.w3.org/") { // names of XML
			t.Errorf("the page names %s", link)
		}
	}
}

func TestResultsHTML(t *testing.T) {
	m := Matrix{"Emotion", []string{"joy", "愤怒"}, [][]int64{{3, 1}, {0, 0}}}
	var b strings.Builder
	if err := (&Results{Title: "eval", Matrices: []Matrix{m}}).HTML(&b, "zh"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"愤怒", "75.0%", "joy → 愤怒: 1 (25.0%)", "--heat:25.0%"} {
		if !strings.Contains(b.String(), s) {
			t.Errorf("no %q in\n%s", s, b.String())
		}
	}
	checkSelfContained(t, b.String())
	for _, bad := range []Matrix{{"", []string{"a"}, nil}, {"", []string{"a"}, [][]int64{{1, 2}}}} {
		if err := (&Results{Matrices: []Matrix{bad}}).HTML(&b, "en"); err == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}

// TestLargeMatrix: of many classes only the confusions are shown.
func TestLargeMatrix(t *testing.T) {
	m := Matrix{Title: "Large"}
	for i := range maxClasses + 1 {
		m.Labels = append(m.Labels, fmt.Sprint("class", i))
		m.Counts = append(m.Counts, make([]int64, maxClasses+1))
		m.Counts[i][i] = 1000
	}
	m.Counts[7][5], m.Counts[1][2] = 2, 3
	var b strings.Builder
	if err := (&Results{Matrices: []Matrix{m}}).HTML(&b, "en"); err != nil {
		t.Fatal(err)
	}
	if html := b.String(); strings.Index(html, "class1<") > strings.Index(html, "class7<") || strings.Contains(html, "class9") {
		t.Error("not the confusions in their order")
	}
}
