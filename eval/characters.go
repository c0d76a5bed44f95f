package eval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"wenmo/dataset"
)

// Characters are the tones and rhymes of Chinese characters.
type Characters map[rune]character

// character is how a character may be read.
type character struct {
	level, oblique bool     // its classical tone 平, 仄; both where it depends on the sense
	classical      []string // its level rhyme groups of 平水韵, such as 上平一东
	modern         []string // its rhyme classes of 中华新韵, of readings in the first or second tone
}

// ReadCharacters reads a table of characters (.tsv, also .gz and .zst, or JSON
// lines) with the columns char, pinyin (kàn/kān), tone (4/1), pingze (平, 仄, 多 for
// both, or nothing) and pingshui (上平十四寒/去十五翰).
func ReadCharacters(ctx context.Context, path string) (Characters, error) {
	table := Characters{}
	for doc, err := range dataset.Read(ctx, path, dataset.ReadOptions{}) {
		if err != nil {
			return nil, err
		}
		char, c, err := readCharacter(&Row{doc})
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", doc.File, doc.Line, err)
		}
		table[char] = c
	}
	return table, nil
}

func readCharacter(r *Row) (char rune, c character, err error) {
	values := map[string]string{}
	for _, column := range []string{"char", "pinyin", "tone", "pingze", "pingshui"} {
		if values[column], err = r.text(column); err != nil {
			return 0, c, err
		}
	}
	char, n := utf8.DecodeRuneInString(values["char"])
	if n == 0 || n < len(values["char"]) {
		return 0, c, fmt.Errorf("field %q: %q is not one character", "char", values["char"])
	}
	switch values["pingze"] {
	case "平":
		c.level = true
	case "仄":
		c.oblique = true
	case "多":
		c.level, c.oblique = true, true
	case "":
	default:
		return 0, c, fmt.Errorf("field %q: %q is none of 平, 仄, 多", "pingze", values["pingze"])
	}
	for group := range strings.SplitSeq(values["pingshui"], "/") {
		if strings.HasPrefix(group, "上平") || strings.HasPrefix(group, "下平") {
			c.classical = append(c.classical, group)
		}
	}
	readings, tones := strings.Split(values["pinyin"], "/"), strings.Split(values["tone"], "/")
	if len(readings) != len(tones) {
		return 0, c, errors.New(`the fields "pinyin" and "tone" are not as many readings`)
	}
	for i, tone := range tones {
		if class := rhymeClass(readings[i]); class != "" && (tone == "1" || tone == "2") {
			c.modern = append(c.modern, class)
		}
	}
	return char, c, nil
}

// rhymeClasses are the fourteen of 中华新韵 (中华诗词学会 2005), by the final of a
// syllable as pinyin writes it, from its first vowel on.
var rhymeClasses = map[string]string{
	"a": "麻", "ia": "麻", "ua": "麻",
	"o": "波", "e": "波", "uo": "波",
	"ie": "皆", "ue": "皆", "üe": "皆",
	"ai": "开", "uai": "开",
	"ei": "微", "ui": "微",
	"ao": "豪", "iao": "豪",
	"ou": "尤", "iu": "尤",
	"an": "寒", "ian": "寒", "uan": "寒",
	"en": "文", "in": "文", "un": "文",
	"ang": "唐", "iang": "唐", "uang": "唐",
	"eng": "庚", "ing": "庚", "ong": "庚", "iong": "庚",
	"i": "齐", "ü": "齐", "er": "齐",
	"u": "姑",
}

// rhymeClass returns the rhyme class of a syllable with its tone mark, "" of what
// is none.
func rhymeClass(pinyin string) string {
	bare := norm.NFC.String(strings.Map(func(r rune) rune {
		if slices.Contains([]rune{'\u0300', '\u0301', '\u0304', '\u030c'}, r) { // tones
			return -1
		}
		return r
	}, norm.NFD.String(pinyin)))
	vowel := strings.IndexAny(bare, "aeiouü")
	if vowel < 0 {
		return ""
	}
	initial, final := bare[:vowel], bare[vowel:]
	switch {
	case final == "i" && slices.Contains([]string{"zh", "ch", "sh", "r", "z", "c", "s"}, initial):
		return "支"
	case final == "e" && initial == "y":
		return "皆"
	case final == "u" && slices.Contains([]string{"j", "q", "x", "y"}, initial):
		return "齐"
	}
	return rhymeClasses[final]
}
