package tokenizer

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// lattice is the ways to cut a word into pieces.
type lattice struct {
	arcs    []arc     // by where they begin
	forward []float64 // by place: logarithm of the sum over all ways to it
	after   []float64 // by place: the same over all ways on from it
	part    []float64 // by place: the sum so far, relative to forward
	way     []int32   // by place: the last arc of the best way to it
}

// arc is a piece at a place in a word, or an unknown character.
type arc struct {
	from, to, id int32
	score        float64
}

// cut finds the arcs of a word.
func (l *lattice) cut(t *unigramTrainer, word string) {
	l.arcs = l.arcs[:0]
	for at := 0; at < len(word); {
		size := 1
		if word[at] != rareChar {
			_, size = decodeRune(word[at:])
		}
		single := false
		node := int32(0)
		for i := at; i < len(word); i++ {
			if node = t.trie.next(node, word[i]); node == 0 {
				break
			}
			if id := t.trie.ids[node]; id >= 0 {
				l.arcs = append(l.arcs, arc{int32(at), int32(i + 1), id, t.pieces[id].score})
				single = single || i+1 == at+size
			}
		}
		if !single {
			l.arcs = append(l.arcs, arc{int32(at), int32(at + size), t.unknown, t.least - unkPenalty})
		}
		at += size
	}
}

// resize makes room for a word of n bytes and sets part to 0.
func (l *lattice) resize(n int) {
	if cap(l.part) <= n {
		room := n + 1 + n/4
		l.forward, l.after, l.part, l.way = make([]float64, room), make([]float64, room), make([]float64, room), make([]int32, room)
	}
	l.forward, l.after, l.part, l.way = l.forward[:n+1], l.after[:n+1], l.part[:n+1], l.way[:n+1]
	clear(l.part)
}

// marginals calls f with the share of each arc that is a piece in all ways to
// cut the word of n bytes whose arcs were found.
func (l *lattice) marginals(n int, f func(id int32, share float64)) {
	l.resize(n)
	l.forward[0], l.part[0] = 0, 1
	reached := int32(-1) // the last place whose sum is whole
	for _, a := range l.arcs {
		if a.from != reached {
			reached = a.from
			l.forward[reached] += math.Log(l.part[reached])
		}
		score := l.forward[a.from] + a.score
		if l.part[a.to] == 0 {
			l.forward[a.to], l.part[a.to] = score, 1
		} else {
			l.part[a.to] += math.Exp(score - l.forward[a.to])
		}
	}
	all := l.forward[n] + math.Log(l.part[n])
	clear(l.part)
	l.after[n], reached = 0, int32(n)
	for i := len(l.arcs) - 1; i >= 0; i-- {
		a := &l.arcs[i]
		if a.from != reached { // all arcs from reached are done
			l.finish(reached, all)
			reached = a.from
		}
		share := math.Exp(l.forward[a.from] + a.score + l.after[a.to] - all)
		l.part[a.from] += share
		if a.id >= 0 {
			f(a.id, share)
		}
	}
}

// finish computes after from the share of the ways that go through a place.
func (l *lattice) finish(at int32, all float64) {
	if int(at) < len(l.part)-1 {
		l.after[at] = all + math.Log(l.part[at]) - l.forward[at]
	}
}

// viterbi calls f with the pieces of the best way, from the last on; skip is an
// arc that does not count. Unknown characters have id -1.
func (l *lattice) viterbi(n int, skip func(a *arc) bool, f func(id int32)) (score float64) {
	l.resize(n)
	for i := range l.forward {
		l.forward[i] = math.Inf(-1)
	}
	l.forward[0] = 0
	for i := range l.arcs {
		a := &l.arcs[i]
		if s := l.forward[a.from] + a.score; s > l.forward[a.to] && (skip == nil || !skip(a)) {
			l.forward[a.to], l.way[a.to] = s, int32(i)
		}
	}
	if math.IsInf(l.forward[n], -1) {
		return l.forward[n]
	}
	for at := int32(n); at > 0; {
		a := &l.arcs[l.way[at]]
		f(a.id)
		at = a.from
	}
	return l.forward[n]
}

// wordsAtOnce is how many words a thread takes at a time.
const wordsAtOnce = 1 << 10

// eachWord calls f for every word, on all threads; n is the thread.
func (t *unigramTrainer) eachWord(f func(n int, word string, count int64)) {
	t.parallel(len(t.starts), func(n, i int) {
		end := int32(len(t.text))
		if i+1 < len(t.starts) {
			end = t.starts[i+1]
		}
		word, _, _ := strings.Cut(t.text[t.starts[i]:end-1], string([]byte{lineEnd}))
		f(n, word, t.counts[i])
	})
}

// parallel calls f for 0 … count-1, on all threads.
func (t *unigramTrainer) parallel(count int, f func(n, i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for n := range t.opt.Threads {
		wg.Go(func() {
			for {
				end := int(next.Add(wordsAtOnce))
				for i := end - wordsAtOnce; i < min(end, count); i++ {
					f(n, i)
				}
				if end >= count {
					return
				}
			}
		})
	}
	wg.Wait()
}

// sums returns the sums of what the threads counted.
func sums(parts [][]int64) []int64 {
	for _, p := range parts[1:] {
		for i, v := range p {
			parts[0][i] += v
		}
	}
	return parts[0]
}

func (t *unigramTrainer) countsByThread() [][]int64 {
	parts := make([][]int64, t.opt.Threads)
	for i := range parts {
		parts[i] = make([]int64, len(t.pieces))
	}
	return parts
}

// expected returns how often each piece is expected in the text. Sums of
// integers are the same for any order of the words.
func (t *unigramTrainer) expected() []float64 {
	parts := t.countsByThread()
	lattices := make([]lattice, t.opt.Threads)
	t.eachWord(func(n int, word string, count int64) {
		l := &lattices[n]
		l.cut(t, word)
		l.marginals(len(word), func(id int32, share float64) {
			parts[n][id] += int64(float64(count)*share*t.scale + 0.5)
		})
	})
	out := make([]float64, len(t.pieces))
	for i, v := range sums(parts) {
		out[i] = float64(v) / t.scale
	}
	return out
}

// maximise gives the pieces new scores and drops those that are not expected
// (leastExpected). The digamma function in place of the logarithm favours few
// pieces (Liang and Klein 2007, "Structured Bayesian nonparametric models with
// variational inference").
func (t *unigramTrainer) maximise(expected []float64) {
	const leastExpected = 0.5
	kept, sum := t.pieces[:0], 0.0
	for i, n := range expected {
		if n >= leastExpected {
			kept = append(kept, unigramPiece{t.pieces[i].text, n})
			sum += n
		}
	}
	for i := range kept {
		kept[i].score = digamma(kept[i].score) - digamma(sum)
	}
	t.pieces = kept
}

// digamma is the derivative of the logarithm of the gamma function: by
// recurrence from x ≥ 7, where the asymptotic series in 1/(x-½) holds.
func digamma(x float64) float64 {
	r := 0.0
	for ; x < 7; x++ {
		r -= 1 / x
	}
	y := 1 / (x - 0.5)
	y2 := y * y
	return r + math.Log(x-0.5) + y2*(1.0/24-y2*(7.0/960-y2*(31.0/8064-y2*127.0/30720)))
}

// prune leaves about size pieces: those that have no other way to be cut, and
// those whose loss takes most of the likelihood if all their places go to the
// next best way to cut them.
func (t *unigramTrainer) prune(size int) {
	freq := t.viterbiCounts()
	sum := 0.0
	for _, n := range freq {
		sum += n
	}
	type ranked struct {
		id   int32
		loss float64
	}
	losses := make([]float64, len(t.pieces))
	lattices := make([]lattice, t.opt.Threads)
	t.parallel(len(t.pieces), func(n, i int) { losses[i] = t.loss(&lattices[n], i, freq, sum) })
	var left []unigramPiece
	var rest []ranked
	for i, loss := range losses {
		switch {
		case math.IsInf(loss, 1):
			left = append(left, t.pieces[i])
		case !math.IsInf(loss, -1):
			rest = append(rest, ranked{int32(i), loss})
		}
	}
	slices.SortFunc(rest, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.loss, a.loss), cmp.Compare(a.id, b.id)) })
	for _, r := range rest[:max(0, min(len(rest), size-len(left)))] {
		left = append(left, t.pieces[r.id])
	}
	t.pieces = left
}

// viterbiCounts returns how often each piece is in the best ways.
func (t *unigramTrainer) viterbiCounts() []float64 {
	parts := t.countsByThread()
	lattices := make([]lattice, t.opt.Threads)
	t.eachWord(func(n int, word string, count int64) {
		l := &lattices[n]
		l.cut(t, word)
		l.viterbi(len(word), nil, func(id int32) {
			if id >= 0 {
				parts[n][id] += count
			}
		})
	})
	out := make([]float64, len(t.pieces))
	for i, v := range sums(parts) {
		out[i] = float64(v)
	}
	return out
}

// loss is by how much the logarithm of the text's likelihood falls without a
// piece, about: +Inf for one without another way, -Inf for one that is in no
// best way.
func (t *unigramTrainer) loss(l *lattice, id int, freq []float64, sum float64) float64 {
	p := t.pieces[id]
	l.cut(t, p.text)
	var other []int32
	score := l.viterbi(len(p.text), func(a *arc) bool { return int(a.id) == id }, func(id int32) { other = append(other, id) })
	switch n := freq[id]; {
	case len(other) == 0 && (n > 0 || t.opt.AsHuggingFace):
		return math.Inf(1)
	case n == 0 || score > p.score:
		return math.Inf(-1)
	default:
		// Where the text of the algorithm has the number of other pieces,
		// both reference trainers have the number of all: the loss of
		// frequent pieces is the greater for it.
		after := math.Log(sum + n*float64(len(t.pieces)-1))
		loss := math.Log(n) - math.Log(sum)
		for _, o := range other {
			has := 0.0
			if o >= 0 {
				has = freq[o]
			}
			loss -= math.Log(has+n) - after
		}
		return n * loss
	}
}
