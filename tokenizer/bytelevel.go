package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// byteLevel is a pre-tokenizer, a post-processor and a decoder: GPT-2's letters
// for bytes, so that any text is made of 256 visible letters
// (openai/gpt-2, src/encoder.py).
type byteLevel struct {
	AddPrefixSpace bool `json:"add_prefix_space"`
	TrimOffsets    bool `json:"trim_offsets"`
	UseRegex       bool `json:"use_regex"`
}

func (byteLevel) typeName() string { return "ByteLevel" }

// gpt2Pattern is the split that byteLevel brings along.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// byteLetters holds the letter of each byte, letterBytes the byte of each
// letter, -1 for other characters.
var byteLetters, letterBytes = func() (letters [256]rune, bytes [256 + 68]int16) {
	for r := range bytes {
		bytes[r] = -1
	}
	next := rune(256)
	for b := range 256 {
		letters[b] = rune(b)
		if b < '!' || '~' < b && b < 0xa1 || b == 0xad {
			letters[b] = next
			next++
		}
		bytes[letters[b]] = int16(b)
	}
	return letters, bytes
}()

// letterByte returns the byte that the letter r stands for; ok is false for
// other characters.
func letterByte(r rune) (b byte, ok bool) {
	if r >= rune(len(letterBytes)) || letterBytes[r] < 0 {
		return 0, false
	}
	return byte(letterBytes[r]), true
}

// bytesOf returns the bytes that a byte-level token stands for; ok is false
// if it has other letters.
func bytesOf(token string) (bytes []byte, ok bool) {
	bytes = make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := letterByte(r)
		if !ok {
			return nil, false
		}
		bytes = append(bytes, b)
	}
	return bytes, true
}

// lettersOf returns the byte-level letters of s.
func lettersOf(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(byteLetters[s[i]])
	}
	return b.String()
}

// byteLevel writes the bytes of each character as letters that stand for it.
func (n *normalized) byteLevel() {
	w := n.rewrite()
	for i := range len(n.s) {
		w.write(byteLetters[n.s[i]], i)
	}
	w.done()
}

func (p byteLevel) preTokenize(w *work) {
	p.splitOnly(w)
	w.rewrite((*normalized).byteLevel)
}

// splitOnly leaves the bytes as they are.
func (p byteLevel) splitOnly(w *work) {
	if p.AddPrefixSpace {
		w.rewrite(func(n *normalized) {
			if !strings.HasPrefix(n.s, " ") {
				n.prefix(" ")
			}
		})
	}
	if p.UseRegex {
		w.splitAll(scanGPT2)
	}
}

// decode puts the bytes of all tokens together; a token with other letters
// stands for itself.
func (byteLevel) decode(tokens []string) []string {
	var all []byte
	for _, t := range tokens {
		all = appendBytesOf(all, t)
	}
	return []string{lossy(all)}
}

func appendBytesOf(to []byte, token string) []byte {
	mark := len(to)
	for _, r := range token {
		b, ok := letterByte(r)
		if !ok {
			return append(to[:mark], token...)
		}
		to = append(to, b)
	}
	return to
}

// lossy makes a string of b, with U+FFFD for each stretch that begins like a
// character and does not go on like one (as Rust's from_utf8_lossy).
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			size = brokenLen(b)
			out.WriteString("\uFFFD")
		} else {
			out.Write(b[:size])
		}
		b = b[size:]
	}
	return out.String()
}

// brokenLen returns the length of the longest beginning of a character that b,
// which is none, starts with; at least 1.
func brokenLen(b []byte) int {
	lo, hi, n := byte(0x80), byte(0xbf), 0
	switch c := b[0]; {
	case 0xc2 <= c && c <= 0xdf:
		n = 1
	case 0xe0 <= c && c <= 0xef:
		n = 2
		if c == 0xe0 {
			lo = 0xa0
		} else if c == 0xed {
			hi = 0x9f
		}
	case 0xf0 <= c && c <= 0xf4:
		n = 3
		if c == 0xf0 {
			lo = 0x90
		} else if c == 0xf4 {
			hi = 0x8f
		}
	}
	for i := 1; i <= n; i++ {
		if i >= len(b) || b[i] < lo || b[i] > hi {
			return i
		}
		lo, hi = 0x80, 0xbf
	}
	return 1
}

// added and process: the post-processor trims the white space off the offsets.
func (byteLevel) added(pair bool) int { return 0 }

func (p byteLevel) process(parts []Encoding, addSpecial bool) []Encoding {
	if p.TrimOffsets {
		for i := range parts {
			trimOffsets(&parts[i], p.AddPrefixSpace)
		}
	}
	return parts
}

// trimOffsets takes the white space at the ends of the tokens off their
// offsets, but not the space that add_prefix_space has put there.
func trimOffsets(e *Encoding, addPrefixSpace bool) {
	for i, token := range e.Tokens {
		o := &e.Offsets[i]
		before, after := countSpaces(token)
		if before == 1 && addPrefixSpace && (i == 0 || o[0] == 0) {
			before = 0
		}
		for ; before > 0 && o[0] < o[1]; before-- {
			_, size := decodeRune(e.text[o[0]:])
			o[0] += size
		}
		for ; after > 0 && o[1] > o[0]; after-- {
			_, size := lastRune(e.text[:o[1]])
			o[1] -= size
		}
	}
	for i := range e.Overflow {
		trimOffsets(&e.Overflow[i], addPrefixSpace)
	}
}

// countSpaces counts the spaces, byte-level letters of a space among them, at
// both ends of a token.
func countSpaces(token string) (before, after int) {
	u := loadUnicode()
	isBlank := func(r rune) bool { return r == byteLetters[' '] || u.class(r)&isSpace != 0 }
	for i := 0; i < len(token); {
		r, size := decodeRune(token[i:])
		if !isBlank(r) {
			break
		}
		before++
		i += size
	}
	for i := len(token); i > 0; {
		r, size := lastRune(token[:i])
		if !isBlank(r) {
			break
		}
		after++
		i -= size
	}
	return before, after
}
