package tokenizer

// scanner returns the end of the match that begins at byte i of s; every place
// of a text has one.
type scanner func(u *unicodeData, s string, i int) int

// scanners are the split patterns in wide use, by their exact text: written
// out by hand they are ten times as fast as the engine for any pattern, which
// they are tested against.
var scanners = map[string]scanner{
	gpt2Pattern: scanGPT2,
	`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`:         scanGPT2,
	`'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`: scanGPT2,
	// Llama 3, cl100k
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: cl100k{digits: 3}.scan,
	// Qwen 2
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: cl100k{digits: 1}.scan,
	// tiktoken's spelling of cl100k, in which {1,3}+ is a repeat here
	`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`: cl100k{wholeEnd: true}.scan,
	`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`:         cl100k{digits: 3}.scan,
	// GPT-4o, o200k
	`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`: scanO200k,
}

func knownScanner(regex string) scanner { return scanners[regex] }

// Kinds of characters that the patterns tell apart.
const (
	kindOther  uint8 = 0
	kindLetter uint8 = 1
	kindNumber uint8 = 2
	kindSpace  uint8 = 4 // \r and \n among them
)

const kindMask = uint8(isLetter | isNumber | isSpace)

// asciiKinds saves most look-ups.
var asciiKinds = func() (kinds [128]uint8) {
	for c := range kinds {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			kinds[c] = kindLetter
		case '0' <= c && c <= '9':
			kinds[c] = kindNumber
		case c == ' ' || '\t' <= c && c <= '\r':
			kinds[c] = kindSpace
		}
	}
	return kinds
}()

// kindAt returns the kind and the length of the character at byte i of s.
func kindAt(u *unicodeData, s string, i int) (kind uint8, size int) {
	if c := s[i]; c < 128 {
		return asciiKinds[c], 1
	}
	if i+2 < len(s) && s[i]&0xf0 == 0xe0 { // three bytes: Chinese and its neighbours
		if r, ok := rune3(s[i], s[i+1], s[i+2]); ok {
			return uint8(u.class(r)) & kindMask, 3
		}
	}
	r, size := decodeRune(s[i:])
	return uint8(u.class(r)) & kindMask, size
}

// rune3 decodes a character of three bytes, the first of which is 0xe0 to
// 0xef; ok is false for those that need a closer look.
func rune3(a, b, c byte) (r rune, ok bool) {
	r = rune(a&0xf)<<12 | rune(b&0x3f)<<6 | rune(c&0x3f)
	return r, b&0xc0 == 0x80 && c&0xc0 == 0x80 && r >= 0x800 && (r < 0xd800 || r > 0xdfff)
}

// runOf returns the end of the run of characters of one kind from byte i on.
func runOf(u *unicodeData, s string, i int, kind uint8) int {
	for i < len(s) {
		if c := s[i]; c < 128 {
			if asciiKinds[c] != kind {
				return i
			}
			i++
			continue
		}
		k, size := kindAt(u, s, i)
		if k != kind {
			return i
		}
		i += size
	}
	return i
}

// contraction returns the length of 's, 't, 're, 've, 'm, 'll or 'd at byte i,
// 0 if there is none.
func contraction(s string, i int, foldCase bool) int {
	if i+1 >= len(s) || s[i] != '\'' {
		return 0
	}
	fold := func(c byte) byte {
		if foldCase && 'A' <= c && c <= 'Z' {
			return c | 0x20
		}
		return c
	}
	switch a := fold(s[i+1]); a {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v', 'l':
		if i+2 < len(s) {
			if b := fold(s[i+2]); b == 'e' && a != 'l' || b == 'l' && a == 'l' {
				return 3
			}
		}
	case 0xc5: // ſ is another form of s
		if foldCase && i+2 < len(s) && s[i+2] == 0xbf {
			return 3
		}
	}
	return 0
}

// spaces returns the end of a run of white space that begins at byte i: a run
// before something else leaves its last character to that.
func spaces(u *unicodeData, s string, i int) int {
	end := runOf(u, s, i, kindSpace)
	if end == len(s) {
		return end
	}
	if _, size := lastRune(s[:end]); end-size > i {
		return end - size
	}
	return end
}

// spacesOrLines is spaces for patterns that take everything up to the last
// line end of a run first.
func spacesOrLines(u *unicodeData, s string, i int) int {
	end := runOf(u, s, i, kindSpace)
	for j := end - 1; j >= i; j-- {
		if s[j] == '\n' || s[j] == '\r' {
			return j + 1
		}
	}
	return spaces(u, s, i)
}

func scanGPT2(u *unicodeData, s string, i int) int {
	if n := contraction(s, i, false); n > 0 {
		return i + n
	}
	kind, size := kindAt(u, s, i)
	if kind != kindSpace {
		return runOf(u, s, i+size, kind)
	}
	if s[i] == ' ' && i+1 < len(s) {
		if kind, size := kindAt(u, s, i+1); kind != kindSpace {
			return runOf(u, s, i+1+size, kind)
		}
	}
	return spaces(u, s, i)
}

// cl100k is the pattern of cl100k and its relatives.
type cl100k struct {
	digits   int  // how many go together; 0: all
	wholeEnd bool // white space at the end of the text stays together
}

func (p cl100k) scan(u *unicodeData, s string, i int) int {
	if n := contraction(s, i, true); n > 0 {
		return i + n
	}
	kind, size := kindAt(u, s, i)
	switch kind {
	case kindLetter:
		return runOf(u, s, i+size, kindLetter)
	case kindNumber:
		return numbers(u, s, i+size, p.digits)
	}
	if s[i] != '\r' && s[i] != '\n' && i+size < len(s) { // one other character may lead a word
		if k, n := kindAt(u, s, i+size); k == kindLetter {
			return runOf(u, s, i+size+n, kindLetter)
		}
	}
	if end := others(u, s, i, kind, size); end > 0 {
		return lineEnds(s, end, false)
	}
	if p.wholeEnd && runOf(u, s, i, kindSpace) == len(s) {
		return len(s)
	}
	return spacesOrLines(u, s, i)
}

// numbers returns the end of a number of at most most digits whose first ends
// at byte i.
func numbers(u *unicodeData, s string, i, most int) int {
	if most == 0 {
		return runOf(u, s, i, kindNumber)
	}
	for n := 1; n < most && i < len(s); n++ {
		k, size := kindAt(u, s, i)
		if k != kindNumber {
			break
		}
		i += size
	}
	return i
}

// others returns the end of a run of what is neither letter, number nor space,
// with a space before it; 0 if there is none. kind and size are those of the
// character at byte i.
func others(u *unicodeData, s string, i int, kind uint8, size int) int {
	if kind == kindOther {
		return runOf(u, s, i+size, kindOther)
	}
	if s[i] == ' ' && i+1 < len(s) {
		if k, n := kindAt(u, s, i+1); k == kindOther {
			return runOf(u, s, i+1+n, kindOther)
		}
	}
	return 0
}

func lineEnds(s string, i int, slashes bool) int {
	for i < len(s) && (s[i] == '\r' || s[i] == '\n' || slashes && s[i] == '/') {
		i++
	}
	return i
}

func scanO200k(u *unicodeData, s string, i int) int {
	kind, size := kindAt(u, s, i)
	leads := kind&(kindLetter|kindNumber) == 0 && s[i] != '\r' && s[i] != '\n'
	end := 0
	if leads {
		end = lowerWord(u, s, i+size)
	}
	if end == 0 {
		end = lowerWord(u, s, i)
	}
	if end == 0 && leads {
		end = upperWord(u, s, i+size)
	}
	if end == 0 {
		end = upperWord(u, s, i)
	}
	if end > 0 {
		return end + contraction(s, end, true)
	}
	if kind == kindNumber {
		return numbers(u, s, i+size, 3)
	}
	if end := others(u, s, i, kind, size); end > 0 {
		return lineEnds(s, end, true)
	}
	return spacesOrLines(u, s, i)
}

// caseAt tells whether the character at byte i may stand in the part of a word
// that begins with capitals, and in that of small letters; letters without
// case and marks may stand in both.
func caseAt(u *unicodeData, s string, i int) (upper, lower bool, size int) {
	r, size := decodeRune(s[i:])
	c := u.class(r)
	both := c&isMark != 0 || c&isLetter != 0 && c&(isUpper|isLower) == 0
	return both || c&isUpper != 0, both || c&isLower != 0, size
}

// lowerWord returns the end of [upper]*[lower]+ from byte i; 0 if there is no
// match.
func lowerWord(u *unicodeData, s string, i int) int {
	last := 0 // end of the last character that may be either
	for i < len(s) {
		upper, lower, size := caseAt(u, s, i)
		if !upper {
			if lower {
				return lowers(u, s, i+size)
			}
			break
		}
		i += size
		if lower {
			last = i
		}
	}
	return last
}

func lowers(u *unicodeData, s string, i int) int {
	for i < len(s) {
		_, lower, size := caseAt(u, s, i)
		if !lower {
			break
		}
		i += size
	}
	return i
}

// upperWord returns the end of [upper]+ from byte i, where no small letter can
// follow; 0 if there is no match.
func upperWord(u *unicodeData, s string, i int) int {
	from := i
	for i < len(s) {
		upper, _, size := caseAt(u, s, i)
		if !upper {
			break
		}
		i += size
	}
	if i == from {
		return 0
	}
	return i
}
