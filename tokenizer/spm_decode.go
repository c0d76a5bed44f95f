package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// spmDecoder joins pieces as SentencePiece does (Decode of
// src/sentencepiece_processor.cc).
type spmDecoder struct {
	file        *spmFile
	kinds       map[string]spmKind // of pieces that are not normal
	denormalize *spmNormalizer     // nil: none
	index       *vocabIndex        // of the pieces; nil: all tokens are pieces
}

func newSPMDecoder(f *spmFile) (*spmDecoder, error) {
	d := &spmDecoder{file: f, kinds: map[string]spmKind{}}
	for _, p := range f.pieces {
		if p.kind != spmNormal {
			d.kinds[p.text] = p.kind
		}
	}
	if len(f.denormalizer.charsmap) > 0 {
		var err error
		d.denormalize, err = newSPMNormalizer(f.denormalizer, &spmFile{})
		return d, err
	}
	return d, nil
}

func (*spmDecoder) typeName() string { return "SentencePiece" }

func (*spmDecoder) MarshalJSON() ([]byte, error) { return nil, errNoJSON }

func (d *spmDecoder) decode(tokens []string) []string { return []string{d.join(tokens)} }

func (d *spmDecoder) join(tokens []string) string {
	var out strings.Builder
	var run []byte
	begins := true // the space of add_dummy_prefix is still to come
	tookSpace := false
	for _, t := range tokens {
		kind := d.kinds[t]
		if kind == spmByte {
			b, _ := byteToken(t)
			run = append(run, b)
			continue
		}
		writeCharacters(&out, run)
		run = run[:0]
		begins = begins && !tookSpace && out.Len() == 0
		tookSpace = false
		switch {
		case kind == spmControl:
			continue
		case kind == spmUnknown:
			out.WriteString(d.file.unkSurface)
			continue
		case d.index != nil && d.index.id(t) < 0:
			out.WriteString(t)
			continue
		}
		if n := &d.file.normalizer; begins && (n.addDummyPrefix || n.removeSpaces) {
			rest, cut := strings.CutPrefix(t, spmSpace)
			t, tookSpace = rest, cut && !n.removeSpaces
		}
		out.WriteString(strings.ReplaceAll(t, spmSpace, " "))
	}
	writeCharacters(&out, run)
	text := out.String()
	if d.denormalize != nil {
		n := normalized{s: text}
		d.denormalize.normalize(&n)
		text = n.s
	}
	return text
}

// writeCharacters writes bytes, with U+FFFD for each that is part of no
// character.
func writeCharacters(out *strings.Builder, b []byte) {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		out.WriteRune(r)
		b = b[n:]
	}
}
