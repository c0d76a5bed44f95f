package dataset

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"wenmo/tokenizer"
)

// maxWordLine bounds a line of a word list, in bytes.
const maxWordLine = 1 << 20

// Words is a list of Chinese words.
type Words struct {
	set     map[string]struct{}
	longest int // in bytes
}

// ReadWords reads a word list: a word a line, at its beginning, up to white
// space; the next field too if it is a word (CC-CEDICT has traditional and
// simplified, of equal length). Lines beginning with # and words that are not two or more
// Chinese characters are passed over. Errors begin with name.
func ReadWords(r io.Reader, name string) (*Words, error) {
	w := &Words{set: map[string]struct{}{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxWordLine)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		first, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		second, _, _ := strings.Cut(rest, " ")
		w.add(first)
		if utf8.RuneCountInString(first) == utf8.RuneCountInString(second) {
			w.add(second)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(w.set) == 0 {
		return nil, fmt.Errorf("%s: no Chinese word of two characters or more", name)
	}
	return w, nil
}

func (w *Words) add(word string) {
	if utf8.RuneCountInString(word) < 2 {
		return
	}
	for _, r := range word {
		if classOf(r) != classHan {
			return
		}
	}
	w.set[strings.Clone(word)] = struct{}{}
	w.longest = max(w.longest, len(word))
}

// wordTable tells which tokens belong to one word.
type wordTable struct {
	text      []string // of each id, a space for the marker of a word's beginning; "" of special tokens
	special   []bool
	wordPiece bool
	continues []bool // WordPiece: ids that do not begin a word
	words     *Words
}

const (
	wordPiecePrefix = "##"
	byteLevelSpace  = 'Ġ'
	metaspace       = '▁'
)

func newWordTable(t *tokenizer.Tokenizer, special []bool, words *Words) *wordTable {
	w := &wordTable{
		text: make([]string, len(special)), special: special,
		continues: make([]bool, len(special)), words: words,
	}
	for id := range special {
		w.text[id], _ = t.Token(int32(id))
	}
	decode := w.markers()
	for id, token := range w.text {
		switch {
		case special[id]:
			w.text[id] = ""
		case w.wordPiece:
			w.text[id], w.continues[id] = strings.CutPrefix(token, wordPiecePrefix)
		default:
			w.text[id] = decode(token)
		}
	}
	return w
}

// markers finds how the vocabulary marks words, by which marker most tokens
// have, and returns how the text of a token is read.
func (w *wordTable) markers() func(string) string {
	var piece, byteLevel, meta int
	for _, token := range w.text {
		switch r, _ := utf8.DecodeRuneInString(token); {
		case strings.HasPrefix(token, wordPiecePrefix):
			piece++
		case r == byteLevelSpace:
			byteLevel++
		case r == metaspace:
			meta++
		}
	}
	switch {
	case piece > byteLevel && piece > meta:
		w.wordPiece = true
		return nil
	case meta > byteLevel:
		return metaspaceText
	}
	return byteLevelText()
}

func metaspaceText(token string) string {
	if len(token) == len("<0x00>") && token[:3] == "<0x" && token[5] == '>' { // byte fallback
		if b, err := strconv.ParseUint(token[3:5], 16, 8); err == nil {
			return string([]byte{byte(b)})
		}
	}
	return strings.ReplaceAll(token, string(metaspace), " ")
}

func byteLevelText() func(string) string {
	bytes := map[rune]byte{}
	for b, r := range tokenizer.ByteLevelAlphabet() {
		bytes[r] = byte(b)
	}
	return func(token string) string {
		out := make([]byte, 0, len(token))
		for _, r := range token {
			b, ok := bytes[r]
			if !ok {
				return token // an added token
			}
			out = append(out, b)
		}
		return string(out)
	}
}

// joined tells of each token whether it belongs to the word of the one before.
func (w *wordTable) joined(ids []int32) []bool {
	text := make([]byte, 0, 8*len(ids))
	at := make([]int, len(ids)+1) // where tokens begin in text
	for i, id := range ids {
		if w.known(id) {
			text = append(text, w.text[id]...)
		}
		at[i+1] = len(text)
	}
	out := make([]bool, len(ids))
	for i := 1; i < len(ids); i++ {
		switch {
		case !w.known(ids[i-1]) || !w.known(ids[i]):
		case w.wordPiece:
			out[i] = w.continues[ids[i]]
		default:
			out[i] = sameWord(text[:at[i]], text[at[i]:])
		}
	}
	if w.words != nil {
		w.joinHan(text, at, out)
	}
	return out
}

func (w *wordTable) known(id int32) bool {
	return id >= 0 && int(id) < len(w.text) && !w.special[id]
}

// sameWord reports whether no word begins between two stretches of a text.
func sameWord(before, after []byte) bool {
	if len(before) == 0 || len(after) == 0 {
		return false
	}
	if !utf8.RuneStart(after[0]) {
		return true // inside a character
	}
	last, _ := utf8.DecodeLastRune(before)
	first, _ := utf8.DecodeRune(after)
	class := classOf(first)
	return class == classOf(last) && class != classHan && class != classSpace
}

// joinHan puts tokens together that form a word of the list, the longest at
// each place.
func (w *wordTable) joinHan(text []byte, at []int, joined []bool) {
	for i := 0; i < len(joined); i++ {
		if joined[i] || !beginsHan(text[at[i]:at[i+1]:at[len(at)-1]]) {
			continue
		}
		for j := w.longestWord(text, at, joined, i) - 1; j > i; j-- {
			joined[j] = true
		}
	}
}

func beginsHan(token []byte) bool {
	if len(token) == 0 {
		return false
	}
	r, _ := utf8.DecodeRune(token[:cap(token)]) // the character may go on in the next token
	return classOf(r) == classHan
}

// longestWord returns the end of the longest word that begins with token i; i
// if there is none.
func (w *wordTable) longestWord(text []byte, at []int, joined []bool, i int) int {
	best := i
	for j := i + 1; j <= len(joined) && at[j]-at[i] <= w.words.longest; j++ {
		if at[j] == at[j-1] {
			break // a special token
		}
		if j < len(joined) && joined[j] {
			continue // inside a character
		}
		if _, ok := w.words.set[string(text[at[i]:at[j]])]; ok {
			best = j
		}
	}
	return best
}

// runeClass is a kind of character: a word of whole-word masking has one.
type runeClass uint8

const (
	classOther runeClass = iota
	classLetter
	classDigit
	classSpace
	classHan // written without spaces: Chinese and Japanese
)

func classOf(r rune) runeClass {
	switch {
	case unicode.IsSpace(r):
		return classSpace
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
		return classHan
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return classLetter
	case unicode.IsNumber(r):
		return classDigit
	}
	return classOther
}
