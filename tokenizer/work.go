package tokenizer

import (
	"runtime"
	"slices"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// work is one text on its way through the stages.
type work struct {
	input string
	track bool // somebody asks for offsets
	// text is what the pieces lie in; align says for each of its bytes which
	// stretch of the input it stands for. align nil: text is the input, or
	// nobody asks.
	text   string
	align  []span
	pieces []piece
	// bytes: the bytes of the pieces stand for byte-level letters, into which
	// the last pre-tokenizer did not put them.
	bytes  bool
	tokens []token

	spare []piece
	cuts  []cut
	model modelState
	words *wordCache // of fused; nil: none yet
}

// piece is a stretch of work.text: an added token, or text for the model.
type piece struct {
	start, end int
	added      int32 // id of the added token; -1: none
}

// token is a stretch of work.text that has got its id.
type token struct {
	id         int32
	start, end int
	word       int32 // number of the piece
	asText     bool  // its name is its text, not that of the vocabulary
}

// cut is a stretch of a piece that a pattern has matched, or one between.
type cut struct {
	start, end int
	match      bool
}

// modelState is what the models keep from piece to piece.
type modelState struct {
	bpe     bpeState
	unigram unigramState
	spm     spmState
}

func (w *work) start(text string, track bool) {
	w.input, w.text, w.track, w.align, w.bytes = text, text, track, nil, false
	w.pieces, w.tokens = w.pieces[:0], w.tokens[:0]
}

// workPool keeps works for reuse: what they have learnt goes on serving.
type workPool struct {
	mu   sync.Mutex
	idle []*work
}

func (p *workPool) get() *work {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return w
	}
	return &work{}
}

func (p *workPool) put(w *work) {
	w.input, w.text, w.align = "", "", nil
	if cap(w.tokens) > 1<<16 || cap(w.pieces) > 1<<16 {
		return // a long text is rare; its memory goes with it
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) < runtime.GOMAXPROCS(0) { // each holds a few megabytes
		p.idle = append(p.idle, w)
	}
}

// eachText replaces every piece of text by those that f appends.
func (w *work) eachText(f func(p piece, to []piece) []piece) {
	to := slices.Grow(w.spare[:0], 2*len(w.pieces))
	for _, p := range w.pieces {
		if p.added >= 0 {
			to = append(to, p)
		} else {
			to = f(p, to)
		}
	}
	w.pieces, w.spare = to, w.pieces
}

// split cuts the pieces at the matches of find.
func (w *work) split(find func(s string, f func(start, end int)), behavior string, invert bool) {
	w.eachText(func(p piece, to []piece) []piece {
		s := w.text[p.start:p.end]
		w.cuts = w.cuts[:0]
		last := 0
		find(s, func(start, end int) {
			if last < start {
				w.cuts = append(w.cuts, cut{last, start, invert})
			}
			w.cuts = append(w.cuts, cut{start, end, !invert})
			last = end
		})
		if last < len(s) {
			w.cuts = append(w.cuts, cut{last, len(s), invert})
		}
		return appendCuts(to, p.start, w.cuts, behavior)
	})
}

// appendCuts makes pieces of cuts: what becomes of a match depends on the
// behavior. Empty pieces are left out.
func appendCuts(to []piece, base int, cuts []cut, behavior string) []piece {
	first := len(to)
	push := func(c cut) { to = append(to, piece{base + c.start, base + c.end, -1}) }
	before := false
	switch behavior {
	case "Removed", "Isolated":
		for _, c := range cuts {
			if !c.match || behavior == "Isolated" {
				push(c)
			}
		}
	case "Contiguous", "MergedWithPrevious":
		for _, c := range cuts {
			joins := c.match && !before
			if behavior == "Contiguous" {
				joins = c.match == before
			}
			if joins && len(to) > first {
				to[len(to)-1].end = base + c.end
			} else {
				push(c)
			}
			before = c.match
		}
	case "MergedWithNext":
		for _, c := range slices.Backward(cuts) {
			if c.match && !before && len(to) > first {
				to[len(to)-1].start = base + c.start
			} else {
				push(c)
			}
			before = c.match
		}
		slices.Reverse(to[first:])
	}
	return append(to[:first], slices.DeleteFunc(to[first:], func(p piece) bool { return p.start >= p.end })...)
}

// splitAll makes a piece of every match of scan, which has one everywhere.
func (w *work) splitAll(scan scanner) {
	u := loadUnicode()
	w.eachText(func(p piece, to []piece) []piece {
		s := w.text[p.start:p.end]
		for at := 0; at < len(s); {
			end := scan(u, s, at)
			to = append(to, piece{p.start + at, p.start + end, -1})
			at = end
		}
		return to
	})
}

// eachRune finds the characters that is holds for, each a match of its own.
func eachRune(is func(r rune) bool) func(s string, f func(start, end int)) {
	return func(s string, f func(start, end int)) {
		for i := 0; i < len(s); {
			r, size := decodeRune(s[i:])
			if is(r) {
				f(i, i+size)
			}
			i += size
		}
	}
}

// rewrite passes every piece of text through f.
func (w *work) rewrite(f func(n *normalized)) {
	changed := false
	all := make([]normalized, len(w.pieces))
	for i, p := range w.pieces {
		before := w.normalized(p)
		all[i] = before
		if p.added < 0 {
			f(&all[i])
		}
		changed = changed || !sameString(all[i].s, before.s) || len(all[i].align) != len(before.align)
	}
	if !changed {
		return
	}
	var text []byte
	var align []span
	next := w.spare[:0]
	for i, p := range w.pieces {
		n := &all[i]
		if w.track {
			align = append(align, n.spans()...)
		}
		p.start = len(text)
		text = append(text, n.s...)
		p.end = len(text)
		if p.start < p.end {
			next = append(next, p)
		}
	}
	w.pieces, w.spare = next, w.pieces
	w.text, w.align = string(text), align
}

// sameString reports whether a and b are the same bytes in memory.
func sameString(a, b string) bool {
	return len(a) == len(b) && unsafe.StringData(a) == unsafe.StringData(b)
}

func (w *work) normalized(p piece) normalized {
	n := normalized{s: w.text[p.start:p.end], base: p.start, track: w.track}
	if w.align != nil {
		n.align = w.align[p.start:p.end]
	}
	return n
}

// span returns the stretch of the input that the bytes from start to end of
// the text stand for; for a part of a character that of the whole one.
func (w *work) span(start, end int) span {
	// A word's suffix, which is not in the text, may have become bytes.
	start, end = min(start, len(w.text)), min(end, len(w.text))
	if start >= end {
		return span{start, start}
	}
	if w.align != nil {
		return span{w.align[start].start, w.align[end-1].end}
	}
	return span{w.charStart(start), w.charEnd(end)}
}

// charStart returns where the character that holds byte i of the input begins.
func (w *work) charStart(i int) int {
	for j := i; j >= 0 && j > i-utf8.UTFMax; j-- {
		if _, size := decodeRune(w.input[j:]); utf8.RuneStart(w.input[j]) {
			if j+size > i {
				return j
			}
			return i
		}
	}
	return i
}

// charEnd returns where the character that holds byte i-1 of the input ends.
func (w *work) charEnd(i int) int {
	start := w.charStart(i - 1)
	_, size := decodeRune(w.input[start:])
	return max(start+size, i)
}
