package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
)

//go:embed page.html
var pageHTML string

// Style is the style sheet of the pages, for others that are to look like them.
//
//go:embed page.css
var Style string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"numbers": numbers}).Parse(pageHTML))

// Fact is a figure told at the head of a page.
type Fact struct{ Name, Value string }

// Table is a table of texts; numbers stand right.
type Table struct {
	Title  string
	Header []string
	Rows   [][]string
}

// Matrix is a confusion matrix: Counts[i][j] items of class i were taken for
// class j, which Labels name.
type Matrix struct {
	Title  string
	Labels []string
	Counts [][]int64
}

// Sample is what the model wrote at a step of its training.
type Sample struct {
	Step         int64
	Prompt, Text string
}

// Results is an evaluation as a page.
type Results struct {
	Title, Subtitle string
	Facts           []Fact
	Tables          []Table
	Matrices        []Matrix
}

// page is what page.html shows.
type page struct {
	Lang, Kind, Title, Subtitle string
	Style                       template.CSS
	Words                       map[string]string
	Facts                       []Fact
	Figures                     []figure
	Tables                      []Table
	Matrices                    []heatMap
	Samples                     []Sample
	SamplesLeftOut              string
	Config                      string
}

type figure struct {
	Title     string
	Legend    []string
	SVG, Wide template.HTML // Wide: for screens that have room; may be empty
	Log       bool
}

func (p *page) write(w io.Writer) error {
	p.Style = template.CSS(Style)
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("report %q: %w", p.Title, err)
	}
	return nil
}

// HTML writes the results as one page that needs nothing else, in English
// ("en") or Chinese ("zh").
func (r *Results) HTML(w io.Writer, lang string) error {
	words, err := wordsOf(lang)
	if err != nil {
		return err
	}
	p := &page{Lang: lang, Kind: words["results"], Title: r.Title, Subtitle: r.Subtitle, Words: words, Facts: r.Facts, Tables: r.Tables}
	for _, m := range r.Matrices {
		if err := m.check(); err != nil {
			return err
		}
		if len(m.Labels) > maxClasses {
			p.Tables = append(slices.Clip(p.Tables), m.confusions(words))
		} else {
			p.Matrices = append(p.Matrices, m.heatMap())
		}
	}
	return p.write(w)
}

// numbers tells which columns of a table hold figures alone.
func numbers(t Table) []bool {
	var out []bool
	for _, row := range t.Rows {
		for len(out) < len(row) {
			out = append(out, true)
		}
		for i, cell := range row {
			out[i] = out[i] && isNumber(cell)
		}
	}
	for len(out) < len(t.Header) {
		out = append(out, false)
	}
	return out
}

// isNumber says that a cell is a figure, with a unit or without.
func isNumber(cell string) bool {
	s := strings.NewReplacer(",", "", "%", "", "±", "", "\u00a0", "").Replace(strings.TrimSpace(cell))
	s, _, _ = strings.Cut(s, " ")
	_, err := strconv.ParseFloat(s, 64)
	return err == nil || cell == "–" || cell == ""
}

const (
	maxClasses    = 40 // of a matrix that is drawn as one
	maxConfusions = 50 // rows of the table for a larger one
)

type heatMap struct {
	Title  string
	Labels []string
	Rows   []heatRow
}

type heatRow struct {
	Label, Recall string
	Cells         []heatCell
}

type heatCell struct {
	Count        int64
	Heat         string // percent of the row
	Class, Title string
}

func (m *Matrix) check() error {
	for i, row := range m.Counts {
		if len(row) != len(m.Labels) {
			return fmt.Errorf("report: confusion matrix %q: row %d has %d counts for %d classes", m.Title, i, len(row), len(m.Labels))
		}
	}
	if len(m.Counts) != len(m.Labels) {
		return fmt.Errorf("report: confusion matrix %q: %d rows for %d classes", m.Title, len(m.Counts), len(m.Labels))
	}
	return nil
}

func (m *Matrix) heatMap() heatMap {
	h := heatMap{Title: m.Title, Labels: m.Labels}
	for i, counts := range m.Counts {
		sum := int64(0)
		for _, n := range counts {
			sum += n
		}
		row := heatRow{Label: m.Labels[i], Recall: "–"}
		if sum > 0 {
			row.Recall = percent(counts[i], sum)
		}
		for j, n := range counts {
			c := heatCell{Count: n, Heat: strconv.FormatFloat(100*float64(n)/float64(max(sum, 1)), 'f', 1, 64), Class: "miss"}
			c.Title = fmt.Sprintf("%s → %s: %d (%s)", m.Labels[i], m.Labels[j], n, percent(n, max(sum, 1)))
			switch {
			case n == 0:
				c.Class = "zero"
			case i == j:
				c.Class = "hit"
			}
			row.Cells = append(row.Cells, c)
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

func percent(n, of int64) string {
	return strconv.FormatFloat(100*float64(n)/float64(of), 'f', 1, 64) + "%"
}

// confusions lists the largest counts beside the diagonal.
func (m *Matrix) confusions(words map[string]string) Table {
	type pair struct {
		i, j int
		n    int64
	}
	var pairs []pair
	for i, row := range m.Counts {
		for j, n := range row {
			if i != j && n > 0 {
				pairs = append(pairs, pair{i, j, n})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.n, a.n) })
	t := Table{Title: m.Title + " — " + words["confusions"], Header: []string{words["true_class"], words["predicted"], words["count"]}}
	for _, p := range pairs[:min(len(pairs), maxConfusions)] {
		t.Rows = append(t.Rows, []string{m.Labels[p.i], m.Labels[p.j], strconv.FormatInt(p.n, 10)})
	}
	return t
}
