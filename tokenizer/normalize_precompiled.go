package tokenizer

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// precompiled is SentencePiece's charsmap: a double array over bytes whose
// values point into a text of replacements that end in NUL.
type precompiled struct {
	Charsmap []byte `json:"precompiled_charsmap"`

	units  []uint32
	texts  string
	quiet  [128]bool // ASCII characters that begin no key
	others map[rune]graphemeClass
}

func (*precompiled) typeName() string { return "Precompiled" }

func (p *precompiled) check() error {
	if len(p.Charsmap) < 4 {
		return errors.New("precompiled_charsmap is cut short")
	}
	size := binary.LittleEndian.Uint32(p.Charsmap)
	rest := p.Charsmap[4:]
	if uint64(size) > uint64(len(rest)) || size%4 != 0 || size == 0 {
		return errors.New("precompiled_charsmap: its table is longer than the map")
	}
	p.units = make([]uint32, size/4)
	for i := range p.units {
		p.units[i] = binary.LittleEndian.Uint32(rest[4*i:])
	}
	p.texts = string(rest[size:])
	if !utf8.ValidString(p.texts) {
		return errors.New("precompiled_charsmap: its replacements are not UTF-8")
	}
	for c := range p.quiet {
		_, found := p.lookup(string(rune(c)))
		p.quiet[c] = !found
	}
	p.others = loadGraphemes()
	return nil
}

func (p *precompiled) unit(at uint32) uint32 {
	if at < uint32(len(p.units)) {
		return p.units[at]
	}
	return 0
}

func unitOffset(u uint32) uint32 { return u >> 10 << (u & (1 << 9) >> 6) }

// lookup returns the replacement of the shortest key that s begins with. That
// it is not the longest is the reference's way.
func (p *precompiled) lookup(s string) (string, bool) {
	at := unitOffset(p.unit(0))
	for i := 0; i < len(s) && s[i] != 0; i++ {
		at ^= uint32(s[i])
		u := p.unit(at)
		if u&(1<<31|0xff) != uint32(s[i]) {
			return "", false
		}
		at ^= unitOffset(u)
		if u>>8&1 == 1 {
			return p.text(p.unit(at) & (1<<31 - 1))
		}
	}
	return "", false
}

func (p *precompiled) text(from uint32) (string, bool) {
	if uint64(from) > uint64(len(p.texts)) || from < uint32(len(p.texts)) && !utf8.RuneStart(p.texts[from]) {
		return "", false
	}
	for to := int(from); to < len(p.texts); to++ {
		if p.texts[to] == 0 {
			return p.texts[from:to], true
		}
	}
	return p.texts[from:], true
}

// normalize replaces grapheme clusters of less than six bytes as a whole,
// else character by character.
func (p *precompiled) normalize(n *normalized) {
	var w *lagging
	change := func(at, end int, text string) {
		if w == nil {
			w = &lagging{rewriter: n.rewrite()}
		}
		w.unchanged(at)
		w.replaceWith(text, utf8.RuneCountInString(n.s[at:end]))
		w.read = end
	}
	for i := 0; i < len(n.s); {
		if c := n.s[i]; c < 128 && p.quiet[c] && (i+1 == len(n.s) || n.s[i+1] < 128 && n.s[i+1] != '\n') {
			i++
			continue
		}
		end := i + graphemeLen(p.others, n.s[i:])
		if end-i < 6 {
			if text, ok := p.lookup(n.s[i:end]); ok {
				change(i, end, text)
				i = end
				continue
			}
		}
		for i < end {
			_, size := decodeRune(n.s[i:])
			if text, ok := p.lookup(n.s[i : i+size]); ok {
				change(i, i+size, text)
			}
			i += size
		}
	}
	if w != nil {
		w.unchanged(len(n.s))
		w.flush()
		w.done()
	}
}

// lagging is a rewriter that writes each character when the next one comes: a
// removal is a matter of the character before it, whatever that one's own
// change was. A removal at the very beginning is nobody's matter, and moves
// the offsets of what follows. Offsets depend on both.
type lagging struct {
	rewriter
	read   int // so far n.s[:read] has been seen
	last   rune
	change int
	held   bool
}

func (w *lagging) push(r rune, change int) {
	w.flush()
	w.last, w.change, w.held = r, change, true
}

func (w *lagging) flush() {
	if w.held {
		w.emit(w.last, w.change)
		w.held = false
	}
}

// unchanged takes the text from read to end as it is.
func (w *lagging) unchanged(end int) {
	for w.read < end {
		r, size := decodeRune(w.n.s[w.read:])
		w.push(r, 0)
		w.read += size
	}
}

// replaceWith writes text in the place of the next old characters: one for
// one as far as both go, what is more in text as new ones.
func (w *lagging) replaceWith(text string, old int) {
	count := utf8.RuneCountInString(text)
	i := 0
	for _, r := range text {
		change := 0
		if i >= old {
			change = 1
		}
		w.push(r, change)
		i++
	}
	if count < old && w.held {
		w.change -= old - count
	}
}
