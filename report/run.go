// Package report shows what a training or an evaluation came to: pages of HTML
// that need nothing else, model cards, TensorBoard's event files. It takes plain
// data and writes bytes.
package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
)

// Run is a training run as a page. Whatever is empty is left out.
type Run struct {
	Title, Subtitle string
	Facts           []Fact // beside those that the curves tell
	Loss            Curve  // training loss of a step, nats a token
	ValidationLoss  Curve
	BitsPerByte     Curve // on the validation split
	GradientNorm    Curve // before clipping
	LearningRate    Curve
	TokensPerSecond Curve
	More            []Plot // of whatever else was measured
	Tables          []Table
	Samples         []Sample // in the order of their steps
	Config          string   // the run's TOML
}

const maxSamples = 60 // shown

// HTML writes the run as one page that needs nothing else, in English ("en") or
// Chinese ("zh").
func (r *Run) HTML(w io.Writer, lang string) error {
	words, err := wordsOf(lang)
	if err != nil {
		return err
	}
	p := &page{
		Lang: lang, Kind: words["run"], Title: r.Title, Subtitle: r.Subtitle, Words: words,
		Facts: append(r.measuredFacts(words), r.Facts...), Tables: r.Tables, Config: r.Config,
	}
	p.Samples = spaced(r.Samples, maxSamples)
	if len(p.Samples) < len(r.Samples) {
		p.SamplesLeftOut = fmt.Sprintf(words["samples_left_out"], len(p.Samples), len(r.Samples))
	}
	for _, plot := range r.plots(words) {
		f, err := plot.figure(len(p.Figures) == 0)
		if err != nil {
			return err
		}
		if f.SVG != "" {
			p.Figures = append(p.Figures, f)
		}
	}
	return p.write(w)
}

func (r *Run) plots(words map[string]string) []Plot {
	single := func(title string, c Curve, noisy, log bool) Plot {
		return Plot{Title: words[title], Log: log, Series: []Series{{Curve: c, Noisy: noisy}}}
	}
	loss := Plot{Title: words["loss"], Series: []Series{
		{words["training"], r.Loss, true}, {words["validation"], r.ValidationLoss, false},
	}}
	return append([]Plot{
		loss,
		single("bits_per_byte", r.BitsPerByte, false, false),
		single("gradient_norm", r.GradientNorm, true, true),
		single("learning_rate", r.LearningRate, false, false),
		single("throughput", r.TokensPerSecond, true, false),
	}, r.More...)
}

func (p *Plot) figure(wide bool) (f figure, err error) {
	d := newDrawing(p)
	f = figure{Title: p.Title, Log: d.log}
	for _, s := range p.Series {
		if s.Name != "" {
			f.Legend = append(f.Legend, s.Name)
		}
	}
	if f.SVG, err = d.draw(p.Title, plotWidth); err == nil && wide {
		f.Wide, err = d.draw(p.Title, wideWidth)
	}
	return f, err
}

// measuredFacts are the figures that the curves tell.
func (r *Run) measuredFacts(words map[string]string) (facts []Fact) {
	add := func(name string, value float64, format string) {
		if !math.IsInf(value, 0) && !math.IsNaN(value) {
			facts = append(facts, Fact{words[name], fmt.Sprintf(format, value)})
		}
	}
	if n := len(r.Loss.Steps); n > 0 {
		facts = append(facts, Fact{words["steps"], strconv.FormatInt(r.Loss.Steps[n-1], 10)})
	}
	add("last_loss", r.Loss.last(), "%.4f")
	add("best_validation", r.ValidationLoss.least(), "%.4f")
	add("best_bits", r.BitsPerByte.least(), "%.4f")
	add("mean_throughput", r.TokensPerSecond.mean(), "%.0f")
	return facts
}

// last returns the last finite value of a curve, NaN if it has none.
func (c *Curve) last() float64 {
	v := math.NaN()
	for _, run := range c.points() {
		v = run[len(run)-1].y
	}
	return v
}

// least returns the lowest finite value of a curve, +Inf if it has none.
func (c *Curve) least() float64 {
	v := math.Inf(1)
	for _, run := range c.points() {
		for _, p := range run {
			v = min(v, p.y)
		}
	}
	return v
}

// mean returns the mean of the finite values of a curve, NaN if it has none.
func (c *Curve) mean() float64 {
	sum, n := 0.0, 0.0
	for _, run := range c.points() {
		for _, p := range run {
			sum, n = sum+p.y, n+1
		}
	}
	return sum / n
}

// spaced returns at most n of the samples, evenly spaced, the first and the
// last among them.
func spaced(s []Sample, n int) []Sample {
	if len(s) <= n {
		return s
	}
	out := make([]Sample, n)
	for i := range out {
		out[i] = s[i*(len(s)-1)/(n-1)]
	}
	return out
}
