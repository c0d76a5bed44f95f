package eval

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"wenmo/report"
)

// pageWords are the words of a page, by language.
var pageWords = map[string]struct{ task, rows, metric, value, subset, sampling, place, found, text string }{
	"en": {"task", "rows", "figure", "value", "subset", "sampling", "place", "finding", "text"},
	"zh": {"任务", "条数", "指标", "数值", "子集", "采样", "位置", "发现", "文本"},
}

// WritePage writes results as a page of HTML, in English ("en") or Chinese ("zh").
func WritePage(w io.Writer, title string, results []*Result, lang string) error {
	words, ok := pageWords[lang]
	if !ok {
		return fmt.Errorf("language %q is not en or zh", lang)
	}
	page := report.Results{Title: title}
	for _, r := range results {
		t := report.Table{Title: r.Task, Header: []string{words.metric, words.value}}
		t.Rows = append(t.Rows, []string{words.rows, strconv.Itoa(r.Count)})
		if r.Sampling != nil {
			t.Rows = append(t.Rows, []string{words.sampling, r.Sampling.String()})
		}
		for _, m := range r.Metrics {
			t.Rows = append(t.Rows, []string{m.Name, m.Value.String()})
		}
		page.Tables = append(page.Tables, t)
		if header, rows := r.GroupTable(); len(rows) > 0 {
			header[0], header[1] = words.subset, words.rows
			page.Tables = append(page.Tables, report.Table{Title: r.Task, Header: header, Rows: rows})
		}
		if len(r.Findings) > 0 {
			t := report.Table{Title: r.Task, Header: []string{words.place, words.found, words.text}}
			for _, f := range r.Findings {
				t.Rows = append(t.Rows, []string{f.Place(), strings.Join(f.What, ", "), f.Text})
			}
			page.Tables = append(page.Tables, t)
		}
		if c := r.Confusion; c != nil {
			m := report.Matrix{Title: r.Task, Labels: c.Labels, Counts: make([][]int64, len(c.Counts))}
			for i, row := range c.Counts {
				for _, n := range row {
					m.Counts[i] = append(m.Counts[i], int64(n))
				}
			}
			page.Matrices = append(page.Matrices, m)
		}
	}
	return page.HTML(w, lang)
}

// GroupTable returns a row for each subset: its name, its rows, its figures, under
// their names; without standard errors. The first two headers are empty.
func (r *Result) GroupTable() (header []string, rows [][]string) {
	header = []string{"", ""}
	for _, g := range r.Groups {
		row := []string{g.Name, strconv.Itoa(g.Count)}
		for _, m := range g.Metrics {
			if !m.isError() {
				row = append(row, m.Value.String())
			}
		}
		rows = append(rows, row)
	}
	if len(r.Groups) > 0 {
		for _, m := range r.Groups[0].Metrics {
			if !m.isError() {
				header = append(header, m.Name)
			}
		}
	}
	return header, rows
}

// String writes four digits behind the point, whole numbers without them.
func (m Maybe) String() string {
	switch f := float64(m); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "–"
	case f == math.Trunc(f) && math.Abs(f) >= 2:
		return strconv.FormatFloat(f, 'f', 0, 64)
	default:
		return strconv.FormatFloat(f, 'f', 4, 64)
	}
}
