package tokenizer

import (
	"bytes"
	"errors"
	"strings"
)

// spmNormalizer is the normalizer of a SentencePiece model as SentencePiece
// itself runs it (src/normalizer.cc): unlike the precompiled of a
// tokenizer.json it takes the longest rule, and it looks after spaces.
type spmNormalizer struct {
	spec       spmNormalizerSpec
	spaceAfter bool
	charsmap   *precompiled // nil: none
	kept       *byteTrie    // user-defined pieces, which are not normalized
}

func newSPMNormalizer(spec spmNormalizerSpec, f *spmFile) (*spmNormalizer, error) {
	n := &spmNormalizer{spec: spec, spaceAfter: f.spaceAfter, kept: newByteTrie(0)}
	for i, p := range f.pieces {
		if p.kind == spmUserDefined {
			n.kept.add(p.text, int32(i))
		}
	}
	if len(spec.charsmap) > 0 {
		n.charsmap = &precompiled{Charsmap: spec.charsmap}
		if err := n.charsmap.check(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (*spmNormalizer) typeName() string { return "SentencePiece" }

// errNoJSON is why a tokenizer that runs a SentencePiece model as it is has no
// tokenizer.json: the parts of one are not quite those of SentencePiece.
var errNoJSON = errors.New("a SentencePiece model run as it is has no tokenizer.json")

func (*spmNormalizer) MarshalJSON() ([]byte, error) { return nil, errNoJSON }

func (p *spmNormalizer) space() string {
	if p.spec.escapeWhitespace {
		return spmSpace
	}
	return " "
}

func (p *spmNormalizer) normalize(n *normalized) {
	w := n.rewrite()
	if p.spec.removeSpaces {
		for w.pos < len(n.s) {
			text, size := p.prefix(n.s[w.pos:])
			if text != " " {
				break
			}
			w.pos += size
		}
	}
	empty := w.pos == len(n.s)
	if !empty && !p.spaceAfter && p.spec.addDummyPrefix {
		w.writeString(p.space(), w.pos)
	}
	afterSpace := p.spec.removeSpaces
	for w.pos < len(n.s) {
		text, size := p.prefix(n.s[w.pos:])
		if afterSpace {
			text = strings.TrimLeft(text, " ")
		}
		if text != "" {
			afterSpace = p.spec.removeSpaces && strings.HasSuffix(text, " ")
		}
		if p.spec.escapeWhitespace {
			text = strings.ReplaceAll(text, " ", spmSpace)
		}
		w.writeString(text, w.pos)
		w.pos += size
	}
	if p.spec.removeSpaces {
		p.trimRight(&w)
	}
	if !empty && p.spaceAfter && p.spec.addDummyPrefix {
		w.writeString(p.space(), len(n.s)-1)
	}
	w.done()
}

func (p *spmNormalizer) trimRight(w *rewriter) {
	space := []byte(p.space())
	for bytes.HasSuffix(w.out, space) {
		w.out = w.out[:len(w.out)-len(space)]
	}
	if w.n.track {
		w.align = w.align[:len(w.out)]
	}
}

// prefix returns what the beginning of s becomes, and its length.
func (p *spmNormalizer) prefix(s string) (text string, size int) {
	if _, n := p.kept.longest(s); n > 0 {
		return s[:n], n
	}
	if p.charsmap != nil {
		if text, n := p.charsmap.longest(s); n > 0 {
			return text, n
		}
	}
	r, n := decodeRune(s)
	if r >= badByte {
		return "\uFFFD", n
	}
	return s[:n], n
}

// longest returns the replacement of the longest key that s begins with, and
// the key's length; 0 if there is none.
func (p *precompiled) longest(s string) (text string, size int) {
	at := unitOffset(p.unit(0))
	for i := range len(s) {
		at ^= uint32(s[i])
		u := p.unit(at)
		if u&(1<<31|0xff) != uint32(s[i]) {
			break
		}
		at ^= unitOffset(u)
		if u>>8&1 == 1 {
			if t, ok := p.text(p.unit(at) & (1<<31 - 1)); ok {
				text, size = t, i+1
			}
		}
	}
	return text, size
}
