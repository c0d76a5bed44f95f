package explain

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"path"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"wenmo/report"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"percent": Percent}).Parse(pageHTML))

// page is what page.html shows.
type page struct {
	Lang, Title, Note string
	Style             template.CSS
	Script            template.JS
	Words             map[string]string
	Facts             []report.Fact
	Chips             []chip
	Surprise          bool // some token has one
	Data              pageData
}

// chip is a token as it is drawn.
type chip struct {
	Token
	Heat   string // surprise, from 0 to 1; "": the model expected nothing
	Joined bool   // part of the same character as the one before it
}

// pageData is what the script works with.
type pageData struct {
	Explanation *Explanation      `json:"explanation"`
	Words       map[string]string `json:"words"`
	Layer       int               `json:"layer"` // shown at first
	Head        int               `json:"head"`
	Heads       []int             `json:"heads"`  // of each layer
	Causal      bool              `json:"causal"` // no token looks ahead
	// Shares are the attention as a byte each, 255 for all of it, [layers][heads]
	// [queries][keys], compressed with gzip; of a causal one without the keys that
	// come after the query.
	Shares []byte `json:"shares"`
}

// HTML writes the explanation as one page that needs nothing else, in English
// ("en") or Chinese ("zh"). It shows a layer and a head, or Mean, at first.
func (e *Explanation) HTML(w io.Writer, lang string, layer, head int) error {
	words, err := wordsOf(lang)
	if err != nil {
		return err
	}
	p := &page{
		Lang: lang, Title: fmt.Sprintf(words["title"], path.Base(filepath.ToSlash(e.Model))), Words: words, Note: e.note(words), Chips: e.chips(),
		Style: template.CSS(report.Style + pageCSS), Script: template.JS(pageJS),
		Data: pageData{Explanation: e, Words: words, Layer: layer, Head: head, Causal: e.causal()},
	}
	for _, heads := range e.Attentions {
		p.Data.Heads = append(p.Data.Heads, len(heads))
	}
	if p.Data.Shares, err = e.packed(p.Data.Causal); err != nil {
		return err
	}
	p.Facts = []report.Fact{
		{Name: words["tokens"], Value: fmt.Sprint(len(e.Tokens))},
		{Name: words["characters"], Value: fmt.Sprint(utf8.RuneCountInString(e.Text))},
		{Name: words["heads"], Value: fmt.Sprintf(words["heads_value"], len(p.Data.Heads), slices.Max(p.Data.Heads))},
	}
	if mean, n := e.Bits(); n > 0 {
		p.Surprise = true
		p.Facts = append(p.Facts, report.Fact{Name: words["surprise"], Value: fmt.Sprintf(words["bits"], mean)})
	}
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("explain %q: %w", e.Model, err)
	}
	return nil
}

// note says why there are no candidates, if there are none.
func (e *Explanation) note(words map[string]string) string {
	switch {
	case e.Expects == Nothing:
		return words["nothing"]
	case e.Expects == MaskedTokens && !slices.ContainsFunc(e.Tokens, func(t Token) bool { return t.Expected != nil }):
		return fmt.Sprintf(words["no_mask"], e.MaskText)
	}
	return ""
}

func (e *Explanation) chips() []chip {
	const most = 12 // bits
	chips := make([]chip, len(e.Tokens))
	for i, t := range e.Tokens {
		chips[i] = chip{Token: t, Joined: i > 0 && t.Of != "" && e.Tokens[i-1].Of != "" && t.Bytes[0] < e.Tokens[i-1].Bytes[1]}
		if t.Likelihood != nil {
			chips[i].Heat = fmt.Sprintf("%.2f", min(1, t.Likelihood.Bits/most))
		}
	}
	return chips
}

// causal says that no token looks at a later one.
func (e *Explanation) causal() bool {
	for _, heads := range e.Attentions {
		for _, head := range heads {
			for q, row := range head {
				if slices.ContainsFunc(row[q+1:], func(share float32) bool { return share != 0 }) {
					return false
				}
			}
		}
	}
	return true
}

// packed returns the attention as pageData.Shares describes it.
func (e *Explanation) packed(causal bool) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	var line []byte
	for _, heads := range e.Attentions {
		for _, head := range heads {
			for q, row := range head {
				if causal {
					row = row[:q+1]
				}
				line = line[:0]
				for _, share := range row {
					line = append(line, byte(math.Round(255*float64(share))))
				}
				_, _ = z.Write(line) // into memory
			}
		}
	}
	err := z.Close()
	return b.Bytes(), err
}

// Percent writes a probability with three figures or, below a thousandth of a
// percent, as less than that.
func Percent(p float32) string {
	switch x := 100 * float64(p); {
	case x >= 99.95:
		return "100%"
	case x >= 10:
		return fmt.Sprintf("%.1f%%", x)
	case x >= 0.1:
		return fmt.Sprintf("%.2f%%", x)
	case x >= 0.001:
		return fmt.Sprintf("%.3f%%", x)
	}
	return "<0.001%"
}
