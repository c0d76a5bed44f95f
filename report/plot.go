package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/go-analyze/charts/chartdraw"
	"github.com/go-analyze/charts/chartdraw/drawing"
)

// Plot is a figure with one or more curves over the steps.
type Plot struct {
	Title  string
	Series []Series
	// Log draws values that are all above zero on a logarithmic axis where they
	// span more than logSpan.
	Log bool
}

// Series is a curve with its name.
type Series struct {
	Name  string
	Curve Curve
	// Noisy curves are drawn pale, with their moving average on top.
	Noisy bool
}

const (
	plotWidth, wideWidth = 520, 1060 // units of the picture, which scales to its place
	plotHeight           = 270
	logSpan              = 20 // highest by lowest value
	maxSeries            = 6  // colours of a plot
)

// The colours in which a plot is drawn stand for the variables of the page's
// style, so that one picture serves light and dark.
var (
	gridColour = drawing.Color{R: 1, A: 255}
	textColour = drawing.Color{R: 2, A: 255}
)

func lineColour(series int, pale bool) drawing.Color {
	c := drawing.Color{R: 3, G: uint8(series % maxSeries), A: 255}
	if pale {
		c.R = 4
	}
	return c
}

// colours replaces them.
var colours = func() *strings.Replacer {
	pairs := []string{
		gridColour.String(), "var(--grid,#ddd)", textColour.String(), "var(--muted,#666)",
		"font-family:'Roboto Medium',sans-serif", "font-family:inherit",
	}
	for i := range maxSeries {
		pairs = append(pairs,
			lineColour(i, false).String(), fmt.Sprintf("var(--line%d,#36c)", i),
			lineColour(i, true).String(), fmt.Sprintf("var(--pale%d,#9be)", i))
	}
	return strings.NewReplacer(pairs...)
}()

// draw returns the plot as an svg element for the page: it takes its font from
// the place where it stands and its colours from the page's variables. A long
// curve is thinned. A plot without a finite value is the empty string.
func (d *plotDrawing) draw(title string, width int) (template.HTML, error) {
	if len(d.lines) == 0 {
		return "", nil
	}
	var b strings.Builder
	if err := d.chart(width).Render(chartdraw.SVG, &b); err != nil {
		return "", fmt.Errorf("report: plot %q: %w", title, err)
	}
	label := fmt.Sprintf(`<svg role="img" aria-label="%s"`, template.HTMLEscapeString(title))
	return template.HTML(strings.Replace(colours.Replace(b.String()), "<svg", label, 1)), nil
}

// drawnLine is a stretch of a curve without gaps, ready to be drawn.
type drawnLine struct {
	points []point
	colour drawing.Color
	width  float64
}

type plotDrawing struct {
	lines     []drawnLine
	low, high point // of all points
	log       bool
}

func newDrawing(p *Plot) *plotDrawing {
	d := &plotDrawing{low: point{math.Inf(1), math.Inf(1)}, high: point{math.Inf(-1), math.Inf(-1)}}
	var smoothed []drawnLine
	for i, s := range p.Series {
		for _, run := range s.Curve.points() {
			for _, q := range run {
				d.low = point{min(d.low.x, q.x), min(d.low.y, q.y)}
				d.high = point{max(d.high.x, q.x), max(d.high.y, q.y)}
			}
			var over []point
			if s.Noisy {
				over = smooth(run)
			}
			d.lines = append(d.lines, drawnLine{run, lineColour(i, over != nil), 2})
			if over != nil {
				d.lines[len(d.lines)-1].width = 1
				smoothed = append(smoothed, drawnLine{over, lineColour(i, false), 2})
			}
		}
	}
	d.lines = append(d.lines, smoothed...)
	if p.Log && d.low.y > 0 && d.high.y > logSpan*d.low.y {
		d.makeLog()
	}
	return d
}

// makeLog turns values into their decimal logarithms.
func (d *plotDrawing) makeLog() {
	d.log = true
	d.low.y, d.high.y = math.Log10(d.low.y), math.Log10(d.high.y)
	for _, l := range d.lines {
		for i, p := range l.points {
			l.points[i].y = math.Log10(p.y)
		}
	}
}

func (d *plotDrawing) chart(width int) *chartdraw.Chart {
	clear := chartdraw.Style{FillColor: drawing.ColorTransparent, StrokeColor: drawing.ColorTransparent}
	clear.Padding = chartdraw.Box{Top: 6, Left: 8, Right: 12, Bottom: 6, IsSet: true}
	axis := chartdraw.Style{
		FontStyle:   chartdraw.FontStyle{FontSize: 10, FontColor: textColour},
		StrokeColor: gridColour, StrokeWidth: 1,
	}
	grid := chartdraw.Style{StrokeColor: gridColour, StrokeWidth: 1}
	values := linearTicks(d.low.y, d.high.y, 5)
	if d.log {
		values = logTicks(d.low.y, d.high.y)
	}
	c := &chartdraw.Chart{
		Width: width, Height: plotHeight, Background: clear, Canvas: clear,
		XAxis: chartdraw.XAxis{Style: axis, Ticks: chartTicks(stepTicks(d.low.x, d.high.x, width/100)), GridMajorStyle: chartdraw.Hidden(), GridMinorStyle: chartdraw.Hidden()},
		YAxis: chartdraw.YAxis{Style: chartdraw.Hidden(), Range: &chartdraw.ContinuousRange{Max: 1}},
		// The library draws the first axis on the right.
		YAxisSecondary: chartdraw.YAxis{Style: axis, Ticks: chartTicks(values), GridLines: gridLines(values), GridMajorStyle: grid, GridMinorStyle: grid, Zero: chartdraw.GridLine{Style: chartdraw.Hidden()}},
	}
	for _, l := range d.lines {
		c.Series = append(c.Series, l.series(width/2))
	}
	return c
}

func chartTicks(ticks []tick) []chartdraw.Tick {
	out := make([]chartdraw.Tick, len(ticks))
	for i, t := range ticks {
		out[i] = chartdraw.Tick{Value: t.at, Label: t.label}
	}
	return out
}

func gridLines(ticks []tick) []chartdraw.GridLine {
	out := make([]chartdraw.GridLine, len(ticks))
	for i, t := range ticks {
		out[i] = chartdraw.GridLine{Value: t.at}
	}
	return out
}

func (l *drawnLine) series(stretches int) chartdraw.Series {
	s := chartdraw.ContinuousSeries{YAxis: chartdraw.YAxisSecondary, Style: chartdraw.Style{StrokeColor: l.colour, StrokeWidth: l.width}}
	if len(l.points) <= 30 { // few enough to be told apart
		s.Style.DotColor, s.Style.DotWidth = l.colour, l.width
	}
	for _, p := range thin(l.points, stretches) {
		s.XValues = append(s.XValues, p.x)
		s.YValues = append(s.YValues, p.y)
	}
	return s
}
