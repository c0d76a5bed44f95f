package tokenizer

import "unicode/utf8"

// span is a stretch of the input in bytes.
type span struct{ start, end int }

// normalized is a stretch of the input under way to the model, with the
// stretch of the input that each byte of it stands for.
type normalized struct {
	s     string
	base  int    // where s stood in the input, before any change
	align []span // per byte; nil: s is unchanged, or nobody asks
	track bool   // whether somebody asks
}

// spans returns align, filled in if s is unchanged so far.
func (n *normalized) spans() []span {
	if n.align == nil {
		n.align = appendSpans(make([]span, 0, len(n.s)), n.s, n.base)
	}
	return n.align
}

// appendSpans appends for each byte of s, which stands at base in the input,
// the stretch of its character.
func appendSpans(to []span, s string, base int) []span {
	for i := 0; i < len(s); {
		_, size := decodeRune(s[i:])
		for range size {
			to = append(to, span{base + i, base + i + size})
		}
		i += size
	}
	return to
}

// rewriter replaces a normalized text from left to right. Its rules are those
// of transform_range in the reference's normalizer.rs, because offsets depend
// on them.
type rewriter struct {
	n     *normalized
	pos   int // so far n.s[:pos] has been replaced
	out   []byte
	align []span
}

func (n *normalized) rewrite() rewriter {
	w := rewriter{n: n, out: make([]byte, 0, len(n.s)+len(n.s)/8)}
	if n.track {
		n.spans()
		w.align = make([]span, 0, cap(w.out))
	}
	return w
}

// emit writes r. If change is 0, r replaces the next character; if it is
// negative, that and -change more; if it is positive, r is new and stands for
// what the byte before stood for.
func (w *rewriter) emit(r rune, change int) {
	at := w.pos
	if change > 0 {
		at--
	} else {
		w.skip(1 - change)
	}
	w.write(r, at)
}

// skip leaves out the next n characters.
func (w *rewriter) skip(n int) {
	for ; n > 0 && w.pos < len(w.n.s); n-- {
		_, size := decodeRune(w.n.s[w.pos:])
		w.pos += size
	}
}

// write appends r, which stands for what byte at of the text stands for.
func (w *rewriter) write(r rune, at int) {
	w.out = appendRune(w.out, r)
	if !w.n.track {
		return
	}
	var sp span
	if at = min(at, len(w.n.align)-1); at >= 0 {
		sp = w.n.align[at]
	}
	for range len(w.out) - len(w.align) {
		w.align = append(w.align, sp)
	}
}

// writeString appends s, which stands for what byte at of the text stands for.
func (w *rewriter) writeString(s string, at int) {
	for i := 0; i < len(s); {
		r, size := decodeRune(s[i:])
		w.write(r, at)
		i += size
	}
}

// keep copies the text up to byte end.
func (w *rewriter) keep(end int) {
	w.out = append(w.out, w.n.s[w.pos:end]...)
	if w.n.track {
		w.align = append(w.align, w.n.align[w.pos:end]...)
	}
	w.pos = end
}

// done puts the new text in the place of the old.
func (w *rewriter) done() {
	w.n.s = string(w.out)
	w.n.align = w.align
}

// mapRunes rewrites each character alone: f writes what stands for it, or
// nothing.
func (n *normalized) mapRunes(f func(r rune, write func(rune))) {
	w := n.rewrite()
	at := 0
	write := func(r rune) {
		if r < utf8.RuneSelf && !n.track {
			w.out = append(w.out, byte(r))
			return
		}
		w.write(r, at)
	}
	for at < len(n.s) {
		r, size := decodeRune(n.s[at:])
		f(r, write)
		at += size
	}
	w.done()
}

// prefix puts s before the text, standing for its first character. It does
// nothing to an empty text.
func (n *normalized) prefix(s string) {
	if n.s == "" {
		return
	}
	w := n.rewrite()
	w.writeString(s, 0)
	w.keep(len(n.s))
	w.done()
}

// validUTF8 puts U+FFFD in the place of bytes that are no part of a character.
func (n *normalized) validUTF8() {
	if utf8.ValidString(n.s) {
		return
	}
	n.mapRunes(func(r rune, write func(rune)) {
		if r >= badByte {
			r = utf8.RuneError
		}
		write(r)
	})
}

// slice keeps the bytes from start to end alone.
func (n *normalized) slice(start, end int) {
	if start == 0 && end == len(n.s) {
		return
	}
	n.s = n.s[start:end]
	n.base += start
	if n.align != nil {
		n.align = n.align[start:end]
	}
}

// origin returns where in the input the text begins.
func (n *normalized) origin() int {
	if len(n.align) > 0 {
		return n.align[0].start
	}
	return n.base
}
