package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Card is a model card: the README.md of a model as Hugging Face's Hub reads
// it. Whatever is empty is left out.
type Card struct {
	Name        string
	Summary     string   // Markdown: what the model is
	Languages   []string // ISO 639 codes: zh, en
	Licence     string   // identifier of the Hub: apache-2.0, other
	Datasets    []string // identifiers of the Hub
	BaseModel   string   // what it was trained from: an identifier of the Hub
	Tags        []string
	PipelineTag string // text-generation, fill-mask, text-classification …
	Use         string // Markdown: how to run it
	Data        []DataFile
	Settings    []Fact // of the training
	Evaluation  []Table
	Limits      []string // a sentence or paragraph each
}

// DataFile is a file that a model was trained on.
type DataFile struct {
	Name, Source, Licence string
	SHA256                string  // in hexadecimal digits
	Tokens                int64   // that it holds
	Passes                float64 // how often they were seen
}

// Markdown returns the card, front matter and text, in English ("en") or
// Chinese ("zh").
func (c *Card) Markdown(lang string) ([]byte, error) {
	words, err := wordsOf(lang)
	if err != nil {
		return nil, err
	}
	if c.Name == "" {
		return nil, errors.New("report: a model card without a name")
	}
	var b strings.Builder
	b.WriteString(c.frontMatter())
	fmt.Fprintf(&b, "\n# %s\n\n", oneLine(c.Name))
	paragraph := func(s string) {
		if s = trimLines(s); s != "" {
			b.WriteString(s + "\n\n")
		}
	}
	section := func(title, body string) {
		if body = trimLines(body); body != "" {
			fmt.Fprintf(&b, "## %s\n\n%s\n\n", words[title], body)
		}
	}
	paragraph(c.Summary)
	section("card_use", c.Use)
	section("card_data", c.dataTable(words))
	section("card_training", c.training(words))
	var evaluation strings.Builder
	for _, t := range c.Evaluation {
		evaluation.WriteString(t.markdown() + "\n")
	}
	section("card_evaluation", evaluation.String())
	section("card_limits", c.limits(words))
	return []byte(strings.TrimRight(b.String(), "\n") + "\n"), nil
}

// frontMatter is the metadata that the Hub reads
// (huggingface/hub-docs, modelcard.md).
func (c *Card) frontMatter() string {
	var b strings.Builder
	b.WriteString("---\n")
	list := func(key string, values []string) {
		if len(values) > 0 {
			b.WriteString(key + ":\n")
			for _, v := range values {
				b.WriteString("- " + yamlString(v) + "\n")
			}
		}
	}
	single := func(key, value string) {
		if value != "" {
			b.WriteString(key + ": " + yamlString(value) + "\n")
		}
	}
	list("language", c.Languages)
	single("license", c.Licence)
	single("library_name", "transformers")
	single("pipeline_tag", c.PipelineTag)
	single("base_model", c.BaseModel)
	list("datasets", c.Datasets)
	list("tags", c.Tags)
	b.WriteString("---\n")
	return b.String()
}

var yamlPlain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_/.-]*$`)

// yamlWords are what YAML 1.1 reads as something else than text: the language
// code of Norwegian among them.
var yamlWords = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

// yamlString writes a text as YAML: plain where that is safe, else as a JSON
// string, which is YAML too.
func yamlString(s string) string {
	if yamlPlain.MatchString(s) && !slices.Contains(yamlWords, strings.ToLower(s)) {
		return s
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

func (c *Card) dataTable(words map[string]string) string {
	if len(c.Data) == 0 {
		return ""
	}
	t := Table{}
	for _, key := range []string{"file", "source", "licence", "sha256", "tokens", "passes"} {
		t.Header = append(t.Header, words[key])
	}
	known := func(s string) string {
		if s == "" {
			return words["unknown"]
		}
		return s
	}
	tokens, seen := int64(0), 0.0
	for _, d := range c.Data {
		sum := "–"
		if d.SHA256 != "" {
			sum = "`" + d.SHA256 + "`"
		}
		t.Rows = append(t.Rows, []string{d.Name, known(d.Source), known(d.Licence), sum, strconv.FormatInt(d.Tokens, 10), passes(d.Passes)})
		tokens += d.Tokens
		seen += float64(d.Tokens) * d.Passes
	}
	if len(c.Data) > 1 && tokens > 0 {
		t.Rows = append(t.Rows, []string{words["total"], "", "", "", strconv.FormatInt(tokens, 10), passes(seen / float64(tokens))})
	}
	return t.markdown()
}

func passes(p float64) string { return trimZeros(strconv.FormatFloat(p, 'f', 2, 64)) }

func (c *Card) training(words map[string]string) string {
	from := words["trained_from_scratch"]
	if c.BaseModel != "" {
		from = fmt.Sprintf(words["trained_from"], c.BaseModel)
	}
	if len(c.Settings) == 0 {
		return from
	}
	t := Table{Header: []string{words["setting"], words["value"]}}
	for _, f := range c.Settings {
		t.Rows = append(t.Rows, []string{f.Name, f.Value})
	}
	return from + "\n\n" + t.markdown()
}

func (c *Card) limits(words map[string]string) string {
	if len(c.Limits) == 0 {
		return words["no_limits"]
	}
	var b strings.Builder
	for _, l := range c.Limits {
		b.WriteString("- " + oneLine(l) + "\n")
	}
	return b.String()
}

// markdown writes the table with pipes; columns of figures are set right.
func (t *Table) markdown() string {
	var b strings.Builder
	if t.Title != "" {
		b.WriteString("### " + oneLine(t.Title) + "\n\n")
	}
	right := numbers(*t)
	row := func(cells []string) {
		b.WriteString("|")
		for i := range right {
			cell := ""
			if i < len(cells) {
				cell = strings.ReplaceAll(oneLine(cells[i]), "|", `\|`)
			}
			b.WriteString(" " + cell + " |")
		}
		b.WriteString("\n")
	}
	row(t.Header)
	b.WriteString("|")
	for _, r := range right {
		if r {
			b.WriteString(" ---: |")
		} else {
			b.WriteString(" --- |")
		}
	}
	b.WriteString("\n")
	for _, cells := range t.Rows {
		row(cells)
	}
	return b.String()
}

// trimLines takes away empty lines at both ends, and white space at the last.
func trimLines(s string) string {
	return strings.Trim(strings.TrimRightFunc(s, unicode.IsSpace), "\r\n")
}

// oneLine makes every run of white space a space.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
