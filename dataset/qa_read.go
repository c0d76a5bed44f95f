package dataset

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// QAExample is a question about a context.
type QAExample struct {
	ID       string
	Context  string
	Question string
	Answers  []Answer // none: the context does not answer it

	File string
	Line int
}

// Answer is a stretch of the context.
type Answer struct {
	Text  string
	Start int // in bytes of the context; -1: not a stretch of it
}

func (ex *QAExample) errorf(format string, args ...any) error {
	d := Document{File: ex.File, Line: ex.Line}
	if ex.ID != "" {
		return d.errorf("question %s: %w", ex.ID, fmt.Errorf(format, args...))
	}
	return d.errorf(format, args...)
}

// qaRow is a question as the data sets of the field have it.
type qaRow struct {
	ID           json.RawMessage `json:"id"`
	Context      *string         `json:"context"`
	Question     *string         `json:"question"`
	Answers      json.RawMessage `json:"answers"`
	IsImpossible bool            `json:"is_impossible"`
}

// squadArticle is an article of SQuAD's JSON.
type squadArticle struct {
	Paragraphs []struct {
		Context *string `json:"context"`
		QAs     []qaRow `json:"qas"`
	} `json:"paragraphs"`
}

// QAExamples returns the questions of a document: that of a record {"context",
// "question", "answers"}, or all of an article or a whole file in the JSON of
// SQuAD 1.1 or 2.0. Answers are {"text": […], "answer_start": […]}, a list of
// {"text", "answer_start"}, or a list of texts, which are looked for in the
// context. answer_start counts characters (Unicode code points).
func QAExamples(d *Document) ([]QAExample, error) {
	var articles []squadArticle
	if _, err := d.Field("data", &articles); err != nil {
		return nil, err
	}
	if _, ok := d.Fields["paragraphs"]; ok {
		var a squadArticle
		if _, err := d.Field("paragraphs", &a.Paragraphs); err != nil {
			return nil, err
		}
		articles = append(articles, a)
	}
	if articles == nil {
		ex, err := qaRecord(d)
		return []QAExample{ex}, err
	}
	var out []QAExample
	for i, a := range articles {
		for j, p := range a.Paragraphs {
			for _, row := range p.QAs {
				row.Context = p.Context
				ex, err := row.example(d)
				if err != nil {
					return nil, fmt.Errorf("%w (article %d, paragraph %d)", err, i, j)
				}
				out = append(out, ex)
			}
		}
	}
	return out, nil
}

func qaRecord(d *Document) (QAExample, error) {
	row := qaRow{ID: d.Fields["id"], Answers: d.Fields["answers"]}
	for name, v := range map[string]any{"context": &row.Context, "question": &row.Question, "is_impossible": &row.IsImpossible} {
		if _, err := d.Field(name, v); err != nil {
			return QAExample{}, err
		}
	}
	return row.example(d)
}

func (row *qaRow) example(d *Document) (QAExample, error) {
	ex := QAExample{ID: strings.Trim(string(row.ID), `"`), File: d.File, Line: d.Line}
	switch {
	case row.Context == nil:
		return ex, ex.errorf("no context")
	case row.Question == nil:
		return ex, ex.errorf("no question")
	}
	ex.Context, ex.Question = *row.Context, *row.Question
	if row.IsImpossible {
		return ex, nil
	}
	texts, starts, err := answerLists(row.Answers)
	if err != nil {
		return ex, ex.errorf("answers: %w", err)
	}
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			return ex, ex.errorf("answer %d is empty", i)
		}
		at, err := locate(ex.Context, text, starts[i])
		if err != nil {
			return ex, ex.errorf("answer %d: %w", i, err)
		}
		ex.Answers = append(ex.Answers, Answer{text, at})
	}
	return ex, nil
}

// answerLists reads answers in one of their forms; a start of -1 is not given.
func answerLists(raw json.RawMessage) (texts []string, starts []int, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil, nil
	}
	if json.Unmarshal(raw, &texts) == nil {
		for range texts {
			starts = append(starts, -1)
		}
		return texts, starts, nil
	}
	var columns struct {
		Text  []string `json:"text"`
		Start []int    `json:"answer_start"`
	}
	if raw[0] == '{' {
		if err := json.Unmarshal(raw, &columns); err != nil {
			return nil, nil, err
		}
		if len(columns.Text) != len(columns.Start) {
			return nil, nil, fmt.Errorf("%d texts have %d starts", len(columns.Text), len(columns.Start))
		}
		return columns.Text, columns.Start, nil
	}
	var rows []struct {
		Text  string `json:"text"`
		Start *int   `json:"answer_start"`
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		return nil, nil, err
	}
	texts = nil
	for _, r := range rows {
		at := -1
		if r.Start != nil {
			at = *r.Start
		}
		texts, starts = append(texts, r.Text), append(starts, at)
	}
	return texts, starts, nil
}

// locate returns where in bytes an answer stands that begins with character
// start; where it stands first, or -1, if start is not given (-1).
func locate(context, text string, start int) (int, error) {
	if start == -1 {
		return strings.Index(context, text), nil
	}
	at, rest := 0, context
	for n := 0; n < start && rest != ""; n++ {
		_, size := utf8.DecodeRuneInString(rest)
		at, rest = at+size, rest[size:]
	}
	if start < 0 || !strings.HasPrefix(rest, text) {
		return 0, fmt.Errorf("%q is not at character %d of the context (%q)", excerpt(text), start, excerpt(rest))
	}
	return at, nil
}
