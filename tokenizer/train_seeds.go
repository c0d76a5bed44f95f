package tokenizer

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// seed returns the pieces to start from: all characters, and the substrings of
// words that are seen twice at least and followed by different characters (the
// inner nodes of the suffix tree), those that cover most of the text.
func (t *unigramTrainer) seed() []unigramPiece {
	buckets, starts := t.suffixes()
	next := make(chan int)
	workers := make([]seedWorker, t.opt.Threads)
	var wg sync.WaitGroup
	for i := range workers {
		workers[i].unigramTrainer = t
		wg.Go(func() {
			for b := range next {
				workers[i].bucket(buckets[starts[b]:starts[b+1]])
			}
		})
	}
	for b := range len(starts) - 1 {
		if starts[b+1]-starts[b] > 1 {
			next <- b
		}
	}
	close(next)
	wg.Wait()
	var found []seed
	for i := range workers {
		found = append(found, workers[i].found...)
	}
	found = t.best(found)
	pieces := slices.Clone(t.chars)
	for _, s := range found {
		pieces = append(pieces, unigramPiece{t.text[s.start : s.start+s.size], s.score})
	}
	sum := 0.0
	for _, p := range pieces {
		sum += p.score
	}
	for i := range pieces {
		pieces[i].score = math.Log(pieces[i].score) - math.Log(sum)
	}
	return pieces
}

// seed is a substring of the text; the score is how many characters of the
// text it covers.
type seed struct {
	start, size int32
	score       float64
}

// best keeps the seeds with the highest scores, as many as there may be.
func (t *unigramTrainer) best(found []seed) []seed {
	slices.SortFunc(found, func(a, b seed) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(t.text[a.start:a.start+a.size], t.text[b.start:b.start+b.size]))
	})
	return found[:min(len(found), seedPieces)]
}

// suffixes returns where the characters of the text begin, in buckets by their
// first two bytes, and where the buckets start.
func (t *unigramTrainer) suffixes() (buckets []int32, starts []int) {
	key := func(i int) int { return int(t.text[i])<<8 | int(t.text[i+1]) }
	starts = make([]int, 1<<16+1)
	begins := func(i int) bool { return t.text[i] < rareChar && utf8.RuneStart(t.text[i]) }
	for i := range len(t.text) {
		if begins(i) {
			starts[key(i)+1]++
		}
	}
	for b := range 1 << 16 {
		starts[b+1] += starts[b]
	}
	buckets = make([]int32, starts[1<<16])
	fill := slices.Clone(starts)
	for i := range len(t.text) {
		if begins(i) {
			k := key(i)
			buckets[fill[k]] = int32(i)
			fill[k]++
		}
	}
	return buckets, starts
}

// seedWorker finds the seeds of some buckets.
type seedWorker struct {
	*unigramTrainer
	found  []seed
	sorted []suffix
	open   []seedNode
}

// suffix is a place in the text with the bytes there.
type suffix struct {
	head  uint64
	start int32
}

// seedNode is a substring that the suffixes from the first on begin with.
type seedNode struct {
	first int32
	size  int32   // bytes
	count float64 // of the suffixes so far
}

// bucket finds the seeds among suffixes that begin alike: it sorts them and
// walks their tree (Abouelhoda et al. 2004, "Replacing suffix trees with
// enhanced suffix arrays", algorithm 4.4).
func (w *seedWorker) bucket(starts []int32) {
	w.sort(starts)
	w.open = append(w.open[:0], seedNode{})
	for i, s := range w.sorted {
		common := int32(0) // with the next
		if i+1 < len(w.sorted) {
			common = w.common(s.start, w.sorted[i+1].start)
		}
		w.descend(s.start, common)
		w.top().count += w.weight(s.start)
		for w.top().size > common {
			n := *w.top()
			w.open = w.open[:len(w.open)-1]
			w.take(n)
			w.descend(n.first, common)
			w.top().count += n.count
		}
	}
	if len(w.found) > 2*seedPieces {
		w.found = w.best(w.found)
	}
}

func (w *seedWorker) top() *seedNode { return &w.open[len(w.open)-1] }

// descend opens the node of the first size bytes at first unless one as deep
// is open.
func (w *seedWorker) descend(first, size int32) {
	if w.top().size < size {
		w.open = append(w.open, seedNode{first: first, size: size})
	}
}

// sort puts the suffixes in order, those that agree in more characters than a
// piece may have as they stand in the text.
func (w *seedWorker) sort(starts []int32) {
	w.sorted = w.sorted[:0]
	for _, at := range starts {
		w.sorted = append(w.sorted, suffix{w.head(at), at})
	}
	reach := utf8.UTFMax * (w.opt.MaxPieceLength + 1)
	rest := func(at int32) string {
		from := min(int(at)+8, len(w.text))
		return w.text[from:min(from+reach, len(w.text))]
	}
	slices.SortFunc(w.sorted, func(a, b suffix) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return cmp.Or(strings.Compare(rest(a.start), rest(b.start)), cmp.Compare(a.start, b.start))
	})
}

// head returns the first eight bytes of a suffix, the first in the highest place.
func (t *unigramTrainer) head(at int32) (head uint64) {
	s := t.text[at:min(int(at)+8, len(t.text))]
	for i := range len(s) {
		head |= uint64(s[i]) << (56 - 8*i)
	}
	return head
}

// common returns how many bytes two suffixes have in common: whole characters,
// one more than a piece may have at most, and nothing behind the end of a word.
func (t *unigramTrainer) common(a, b int32) int32 {
	chars, n := 0, int32(0)
	for chars <= t.opt.MaxPieceLength {
		size := int32(1)
		if c := t.text[a+n]; c < rareChar {
			_, s := utf8.DecodeRuneInString(t.text[a+n:])
			size = int32(s)
		}
		if int(max(a, b)+n+size) > len(t.text) || t.text[a+n:a+n+size] != t.text[b+n:b+n+size] {
			return n
		}
		end := t.text[a+n] == wordEnd
		n += size
		if end {
			return n
		}
		chars++
	}
	return n
}

// weight is how often a suffix counts: as often as its word.
func (t *unigramTrainer) weight(at int32) float64 {
	if t.opt.AsHuggingFace {
		return 1
	}
	word, found := slices.BinarySearch(t.starts, at)
	if !found {
		word--
	}
	return float64(t.counts[word])
}

// take notes a node that may be a piece.
func (w *seedWorker) take(n seedNode) {
	s := w.text[n.first : n.first+n.size]
	if chars := w.mayBePiece(s); chars > 1 && n.count >= 2 {
		w.found = append(w.found, seed{n.first, n.size, n.count * float64(chars)})
	}
}

// mayBePiece returns the number of characters of s if it may be a piece, else
// 0 (SentencePiece's IsValidSentencePiece): not too long, without rare
// characters, of one script.
func (t *unigramTrainer) mayBePiece(s string) (chars int) {
	const none = -1
	last := none
	for i, r := range s {
		if s[i] >= rareChar {
			return 0
		}
		if chars++; chars > t.opt.MaxPieceLength {
			return 0
		}
		if t.opt.AsHuggingFace || r == '▁' {
			continue
		}
		script := t.scripts.of(r)
		if last != none && script != last {
			return 0
		}
		last = script
	}
	return chars
}
