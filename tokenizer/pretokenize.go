package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// preTokenizer splits the text into the pieces that the model sees.
type preTokenizer interface {
	typeName() string
	preTokenize(w *work)
}

type preTokenizerSequence struct {
	PreTokenizers []preTokenizer `json:"pretokenizers"`
}

func (preTokenizerSequence) typeName() string { return "Sequence" }

func (q preTokenizerSequence) preTokenize(w *work) {
	for _, p := range q.PreTokenizers {
		p.preTokenize(w)
	}
}

// behaviors are what may become of the match of a split: left out, a piece of
// its own, part of the piece before or after, or one piece with its
// neighbours that match too.
var behaviors = []string{"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"}

func checkBehavior(b string) error {
	if !slices.Contains(behaviors, b) {
		return fmt.Errorf("behavior %q is not one of %s", b, strings.Join(behaviors, ", "))
	}
	return nil
}

type split struct {
	Pattern  *pattern `json:"pattern"`
	Behavior string   `json:"behavior"`
	Invert   bool     `json:"invert"`
}

func (split) typeName() string { return "Split" }

func (p split) check() error {
	if err := checkBehavior(p.Behavior); err != nil {
		return err
	}
	return p.Pattern.compile()
}

func (p split) preTokenize(w *work) { w.split(p.Pattern.eachMatch, p.Behavior, p.Invert) }

type punctuation struct {
	Behavior string `json:"behavior"`
}

func (punctuation) typeName() string { return "Punctuation" }

func (p punctuation) check() error { return checkBehavior(p.Behavior) }

func (p punctuation) preTokenize(w *work) { w.split(classRunes(isBertPunct), p.Behavior, false) }

func classRunes(bits uint16) func(s string, f func(start, end int)) {
	u := loadUnicode()
	return eachRune(func(r rune) bool { return u.class(r)&bits != 0 })
}

type digits struct {
	Individual bool `json:"individual_digits"`
}

func (digits) typeName() string { return "Digits" }

func (p digits) preTokenize(w *work) {
	if p.Individual {
		w.split(classRunes(isNumeric), "Isolated", false)
	} else {
		w.split(classRunes(isNumeric), "Contiguous", false)
	}
}

type charDelimiterSplit struct {
	Delimiter string `json:"delimiter"`
}

func (charDelimiterSplit) typeName() string { return "CharDelimiterSplit" }

func (p charDelimiterSplit) check() error { return checkRune("delimiter", p.Delimiter) }

func (p charDelimiterSplit) preTokenize(w *work) {
	w.split(literalPattern(p.Delimiter).eachMatch, "Removed", false)
}

func checkRune(field, s string) error {
	if utf8.RuneCountInString(s) != 1 {
		return fmt.Errorf("%s %q is not one character", field, s)
	}
	return nil
}

// whitespace takes words and runs of what is neither word nor space.
type whitespace struct{}

func (whitespace) typeName() string { return "Whitespace" }

func (whitespace) preTokenize(w *work) {
	u := loadUnicode()
	kind := func(r rune) uint16 { return u.class(r) & (isWord | isSpace) }
	w.eachText(func(p piece, to []piece) []piece {
		last := isSpace
		for i := p.start; i < p.end; {
			r, size := decodeRune(w.text[i:p.end])
			k := kind(r)
			switch {
			case k == isSpace:
			case k == last:
				to[len(to)-1].end = i + size
			default:
				to = append(to, piece{i, i + size, -1})
			}
			last = k
			i += size
		}
		return to
	})
}

type whitespaceSplit struct{}

func (whitespaceSplit) typeName() string { return "WhitespaceSplit" }

func (whitespaceSplit) preTokenize(w *work) { w.split(classRunes(isSpace), "Removed", false) }

// bertPreTokenizer takes words and single punctuation marks.
type bertPreTokenizer struct{}

func (bertPreTokenizer) typeName() string { return "BertPreTokenizer" }

func (bertPreTokenizer) preTokenize(w *work) {
	u := loadUnicode()
	w.eachText(func(p piece, to []piece) []piece {
		inWord := false
		for i := p.start; i < p.end; {
			r, size := decodeRune(w.text[i:p.end])
			switch c := u.class(r); {
			case c&isSpace != 0:
				inWord = false
			case c&isBertPunct != 0:
				to = append(to, piece{i, i + size, -1})
				inWord = false
			case inWord:
				to[len(to)-1].end = i + size
			default:
				to = append(to, piece{i, i + size, -1})
				inWord = true
			}
			i += size
		}
		return to
	})
}

type fixedLength struct {
	Length int `json:"length"` // in characters
}

func (fixedLength) typeName() string { return "FixedLength" }

func (p fixedLength) check() error {
	if p.Length <= 0 {
		return errors.New("length is not positive")
	}
	return nil
}

func (p fixedLength) preTokenize(w *work) {
	w.eachText(func(whole piece, to []piece) []piece {
		for start := whole.start; start < whole.end; {
			end := start
			for n := 0; n < p.Length && end < whole.end; n++ {
				_, size := decodeRune(w.text[end:whole.end])
				end += size
			}
			to = append(to, piece{start, end, -1})
			start = end
		}
		return to
	})
}

// unicodeScripts cuts where the script changes, as SentencePiece sees scripts:
// kana count as Han, and a space or what has no script goes with anything.
type unicodeScripts struct{}

func (unicodeScripts) typeName() string { return "UnicodeScripts" }

func (unicodeScripts) preTokenize(w *work) {
	scripts := loadPieceScripts()
	script := func(r rune) int {
		if r == ' ' {
			return 0
		}
		return scripts.of(r)
	}
	w.eachText(func(p piece, to []piece) []piece {
		const none = -1
		last, first := none, true
		for i := p.start; i < p.end; {
			r, size := decodeRune(w.text[i:p.end])
			s := script(r)
			if s != 0 && s != last {
				to = append(to, piece{i, i + size, -1})
				first = false
			} else if !first {
				to[len(to)-1].end = i + size
			}
			if s != 0 {
				last = s
			}
			i += size
		}
		return to
	})
}

// pieceScripts are scripts as SentencePiece sees them.
type pieceScripts struct {
	unicode                 *unicodeData
	han, hiragana, katakana int
}

func loadPieceScripts() pieceScripts {
	u := loadUnicode()
	return pieceScripts{u, u.script('中'), u.script('あ'), u.script('ア')}
}

// of returns a number for the script of r, 0 if it has none.
func (p *pieceScripts) of(r rune) int {
	s := p.unicode.script(r)
	if r == 0x30fc || s == p.hiragana || s == p.katakana {
		return p.han
	}
	return s
}
