package eval

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"wenmo/dataset"
)

// tagged is a sentence with the class of each of its words.
type tagged struct{ words, tags []string }

// tokens is the classification of words: parts of speech, or entities tagged B-,
// I- and O, whose F1 is that of conlleval and seqeval. Rows have
// "tokens", "words" or "chars" (a text, each character being one) and "tags",
// "ner_tags", "ner" or "upos" (a list, or a text parted by spaces) of labels, or of
// their numbers.
var tokens = Task{
	run: func(j *job) (metrics, error) {
		if j.model.Tag == nil {
			return nil, fmt.Errorf("%s has no head that classifies words", j.model.Name)
		}
		sentences, err := parse(j, func(r *Row) (tagged, error) { return taggedRow(r, j.model.Labels) })
		if err != nil {
			return nil, err
		}
		words := make([][]string, len(sentences))
		for i, s := range sentences {
			words[i] = s.words
		}
		found, err := j.model.Tag(j.ctx, words, j.done(len(words)))
		for _, t := range found {
			j.count(t.Truncated)
		}
		return func(items []int) []Metric { return tagMetrics(items, sentences, found, j.model.Labels) }, err
	},
}

func taggedRow(r *Row, labels []string) (s tagged, err error) {
	if s.words, err = r.texts("tokens", "words"); err != nil {
		var chars string
		if chars, err = r.text("chars"); err != nil {
			return s, err
		}
		s.words = strings.Split(chars, "")
	}
	known, err := dataset.NewLabels(labels)
	if err != nil {
		return s, err
	}
	if s.tags, err = r.tags("tags", "ner_tags", "ner", "upos"); err != nil {
		return s, err
	}
	if len(s.tags) == 1 && len(s.words) != 1 {
		s.tags = strings.Fields(s.tags[0])
	}
	if len(s.tags) != len(s.words) || len(s.words) == 0 {
		return s, fmt.Errorf("%d tags for %d words", len(s.tags), len(s.words))
	}
	for i, t := range s.tags {
		id, err := known.ID(t)
		if err != nil {
			return s, err
		}
		s.tags[i] = labels[id]
	}
	return s, nil
}

// tags returns a list of tags, numbers in digits.
func (r *Row) tags(fields ...string) ([]string, error) {
	for _, f := range fields {
		var numbers []int
		if json.Unmarshal(r.Fields[f], &numbers) == nil && numbers != nil {
			tags := make([]string, len(numbers))
			for i, n := range numbers {
				tags[i] = strconv.Itoa(n)
			}
			return tags, nil
		}
	}
	return r.texts(fields...)
}

func tagMetrics(items []int, sentences []tagged, found []Tags, labels []string) []Metric {
	var right, words, hits, predicted, relevant float64
	for _, i := range items {
		tags := make([]string, len(found[i].Classes))
		for w, class := range found[i].Classes {
			if class >= 0 {
				tags[w] = labels[class]
			}
			right += boolean(tags[w] == sentences[i].tags[w])
			words++
		}
		want, got := counts(dataset.Entities(sentences[i].tags)), counts(dataset.Entities(tags))
		hits += float64(common(want, got))
		predicted += float64(len(got))
		relevant += float64(len(want))
	}
	m := []Metric{{"accuracy", Maybe(right / words)}}
	if relevant > 0 {
		s := prf(hits, predicted, relevant)
		m = append(m, Metric{"precision", Maybe(s.Precision)}, Metric{"recall", Maybe(s.Recall)}, Metric{"f1", Maybe(s.F1)})
	}
	return m
}
