package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"wenmo/tokenizer"
)

// TagOptions are the settings of a Tagger.
type TagOptions struct {
	Words     string // field of the words; "": "tokens", else "words"
	Tags      string // field of their tags; "": "ner_tags", else "tags"
	Labels    *Labels
	MaxLength int      // in tokens; 0: no limit
	Overlong  Overlong // Truncate cuts at the right
}

// Tagger makes sequences with a label for each word. It may be used by many
// goroutines.
type Tagger struct {
	tok *tokenizer.Tokenizer
	opt TagOptions
}

// NewTagger makes a Tagger.
func NewTagger(t *tokenizer.Tokenizer, opt TagOptions) (*Tagger, error) {
	if opt.Labels == nil {
		return nil, errors.New("token classification: no list of labels")
	}
	return &Tagger{t, opt}, nil
}

// Sequences returns the words of a document as one sequence, none if it is
// dropped: the first token of a word has the word's label, others have none
// (transformers' label_all_tokens = false). A token of several words has the
// label of the first.
func (g *Tagger) Sequences(d *Document) ([]Sequence, Cut, error) {
	words, tags, err := g.row(d)
	if err != nil {
		return nil, Cut{}, err
	}
	labels := make([]int32, len(tags))
	for i, tag := range tags {
		id, err := g.opt.Labels.ID(tag)
		if err != nil {
			return nil, Cut{}, d.errorf("word %d (%q): %w", i, excerpt(words[i]), err)
		}
		labels[i] = int32(id)
	}
	text, starts := JoinWords(words)
	e, cut, err := g.encode(text)
	if err != nil || cut.Dropped > 0 {
		return nil, cut, wrap(d, err)
	}
	seq := Sequence{IDs: e.IDs, Labels: make([]int32, len(e.IDs))}
	for i, word := range FirstWords(e, words, starts) {
		seq.Labels[i] = NoLabel
		if word >= 0 {
			seq.Labels[i] = labels[word]
		}
	}
	return []Sequence{seq}, cut, nil
}

func wrap(d *Document, err error) error {
	if err == nil {
		return nil
	}
	return d.errorf("%w", err)
}

func (g *Tagger) encode(text string) (tokenizer.Encoding, Cut, error) {
	e, err := g.tok.EncodeFull(text, tokenizer.EncodeOptions{AddSpecialTokens: true})
	if err != nil || g.opt.MaxLength <= 0 || len(e.IDs) <= g.opt.MaxLength {
		return e, Cut{}, err
	}
	switch g.opt.Overlong {
	case Drop:
		return e, Cut{Dropped: 1}, nil
	case Refuse:
		return e, Cut{}, fmt.Errorf("the words have %d tokens, more than the context of %d", len(e.IDs), g.opt.MaxLength)
	}
	e, err = g.tok.EncodeFull(text, tokenizer.EncodeOptions{
		AddSpecialTokens: true,
		Truncation:       &tokenizer.Truncation{Direction: "Right", MaxLength: g.opt.MaxLength, Strategy: "LongestFirst"},
	})
	return e, Cut{Truncated: 1}, err
}

// row returns the words and tags of a document.
func (g *Tagger) row(d *Document) (words, tags []string, err error) {
	field := firstField(d, g.opt.Words, "tokens", "words")
	words, err = wordList(d, field)
	if err != nil {
		return nil, nil, err
	}
	if tags, err = tagList(d, g.opt.Tags); err != nil {
		return nil, nil, err
	}
	switch {
	case len(words) != len(tags):
		return nil, nil, d.errorf("%d words have %d tags", len(words), len(tags))
	case len(words) == 0:
		return nil, nil, d.errorf("no words")
	}
	return words, tags, nil
}

// tagList reads a list of tags, or a text that has them parted by spaces.
func tagList(d *Document, field string) ([]string, error) {
	field = firstField(d, field, "ner_tags", "tags")
	if s := (*string)(nil); json.Unmarshal(d.Fields[field], &s) == nil && s != nil {
		return strings.Fields(*s), nil
	}
	return rowLabels(d, field)
}

// AddTags counts the tags of a document's words as a Tagger reads them; field is
// TagOptions.Tags.
func (c *LabelCounts) AddTags(d *Document, field string) error {
	tags, err := tagList(d, field)
	c.add(tags)
	return err
}

// firstField returns the field asked for, else the first of known that the
// document has.
func firstField(d *Document, asked string, known ...string) string {
	if asked != "" {
		return asked
	}
	for _, name := range known {
		if _, ok := d.Fields[name]; ok {
			return name
		}
	}
	return known[0]
}

// wordList reads a list of words, or a text whose characters are the words.
func wordList(d *Document, field string) ([]string, error) {
	raw, ok := d.Fields[field]
	if !ok || string(raw) == "null" {
		return nil, d.lacks("no words", field)
	}
	var words []string
	if json.Unmarshal(raw, &words) == nil {
		return words, nil
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil, d.errorf("field %q is no list of words", field)
	}
	for _, r := range text {
		words = append(words, string(r))
	}
	return words, nil
}

// JoinWords puts words together to a text and returns where each begins in it:
// with a space between two, but none beside a Chinese or Japanese character, so
// that the text reads as it is written.
func JoinWords(words []string) (text string, starts []int) {
	var b strings.Builder
	starts = make([]int, len(words))
	last := rune(' ') // of the text so far
	for i, word := range words {
		first, _ := utf8.DecodeRuneInString(word)
		if word != "" && b.Len() > 0 && !writtenClose(last) && !writtenClose(first) {
			b.WriteByte(' ')
		}
		starts[i] = b.Len()
		b.WriteString(word)
		if word != "" {
			last, _ = utf8.DecodeLastRuneInString(word)
		}
	}
	return b.String(), starts
}

// writtenClose reports whether a character stands without spaces: Chinese,
// Japanese and their marks (CJK symbols, full-width forms).
func writtenClose(r rune) bool {
	return classOf(r) == classHan || r >= 0x3000 && r <= 0x303F || r >= 0xFF00 && r <= 0xFFEF && !unicode.IsLetter(r)
}

// FirstWords tells of each token of an encoding of JoinWords' text which word it
// is the first token of, -1 for others.
func FirstWords(e tokenizer.Encoding, words []string, starts []int) []int {
	out := make([]int, len(e.IDs))
	next := 0
	for i := range e.IDs {
		out[i] = -1
		start, end := e.Offsets[i][0], e.Offsets[i][1]
		if e.SequenceIDs[i] != 0 || start == end {
			continue
		}
		for next < len(words) && (words[next] == "" || starts[next] < start) {
			next++ // a word without tokens
		}
		if next < len(words) && starts[next] < end {
			out[i] = next
		}
		for next < len(words) && starts[next] < end {
			next++
		}
	}
	return out
}

// Entity is a stretch of words with a type.
type Entity struct {
	Type       string
	Start, End int // words [Start, End)
}

// Entities reads tags of the BIO scheme as conlleval and seqeval (not strict)
// do: an I- that does not go on with an entity of its type begins one. A tag
// without prefix other than O is an entity of its own word.
func Entities(tags []string) []Entity {
	var out []Entity
	open := false // the last entity may go on
	for i, tag := range tags {
		prefix, kind, scheme := strings.Cut(tag, "-")
		switch {
		case tag == "O" || tag == "":
			open = false
			continue
		case !scheme || prefix != "B" && prefix != "I":
			out = append(out, Entity{tag, i, i + 1})
			open = false
			continue
		}
		if open && prefix == "I" && out[len(out)-1].Type == kind {
			out[len(out)-1].End = i + 1
			continue
		}
		out = append(out, Entity{kind, i, i + 1})
		open = true
	}
	return out
}
