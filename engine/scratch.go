package engine

import (
	"cmp"
	"math"
	"slices"
)

var negInf = float32(math.Inf(-1))

// Scratch is the working memory of sampling for one vocabulary. One goroutine
// uses it at a time, for any number of sequences one after the other; after
// the first uses nothing is allocated.
//
// While the filters of a chain run (top_k, top_p and so on) it holds the
// candidates: the tokens that no filter has removed yet. Probabilities are
// integers, exp(logit-max) in units of 2^-42, so that their sums are exact and
// the same in any order: no filter and no draw depends on how it searches.
type Scratch struct {
	ids   []int32   // candidates, ascending
	mass  []uint64  // their masses
	dist  []float32 // their order: ascending distance from the first
	total uint64    // sum of mass
	max   float32   // the greatest logit
	span  float32   // the greatest dist, at most maxSpan

	nan     int  // a token whose logit is NaN, or -1
	listed  bool // ids holds
	weighed bool // mass, dist, total, max and span hold

	bucket [buckets + 1]uint64
	order  []candidate // the members of one bucket
	counts []int32     // by token, zero between uses
	keys   []uint32    // of kth
	tail   []int32     // match lengths of DRY
	raw    []float32   // the logits before any processor
	top    []TokenLogprob
}

// buckets divide the distances up to maxSpan; beyond it masses are zero.
const (
	buckets = 2048
	maxSpan = -massZero
)

type candidate struct {
	dist, logit float32
	id          int32
	mass        uint64
}

// NewScratch returns the working memory for rows of vocab logits.
func NewScratch(vocab int) *Scratch { return &Scratch{counts: make([]int32, vocab)} }

// begin makes room for rows of vocab logits and forgets the candidates.
func (s *Scratch) begin(vocab int) {
	if len(s.counts) < vocab {
		s.counts = make([]int32, vocab)
	}
	s.reset()
}

// reset forgets the candidates: the logits have changed.
func (s *Scratch) reset() { s.listed, s.weighed = false, false }

// list makes the tokens with finite logits of at least atLeast the candidates
// and excludes all others.
func (s *Scratch) list(logits []float32, atLeast float32) {
	ids, n := resize(s.ids, len(logits)), 0
	s.nan = -1
	for i, l := range logits {
		if l >= atLeast && l > negInf {
			ids[n] = int32(i)
			n++
		} else if l < atLeast {
			logits[i] = negInf
		} else if l != l {
			s.nan = i
		}
	}
	s.ids = ids[:n]
	s.listed, s.weighed = true, false
}

// weigh computes mass, dist, total, max and span of the candidates.
func (s *Scratch) weigh(logits []float32) {
	if s.weighed {
		return
	}
	if !s.listed {
		s.list(logits, negInf)
	}
	most := negInf
	for _, id := range s.ids {
		if l := logits[id]; l > most {
			most = l
		}
	}
	n := len(s.ids)
	s.mass, s.dist = resize(s.mass, n), resize(s.dist, n)
	mass, dist := s.mass, s.dist[:len(s.mass)]
	total, span := uint64(0), float32(0)
	for i, id := range s.ids[:len(mass)] {
		l := logits[id]
		d := most - l
		if l == most { // also where both are infinite
			d = 0
		}
		m := massOf(-float64(d))
		mass[i], dist[i] = m, d
		total += m
		if d > span {
			span = d
		}
	}
	s.max, s.total, s.span = most, total, min(span, maxSpan)
	s.weighed = true
}

// keep removes the candidates for whose index f is false. Removing the most
// likely one makes the masses stale.
func (s *Scratch) keep(logits []float32, f func(i int) bool) {
	n, total, maxLost := 0, uint64(0), true
	for i, id := range s.ids {
		if !f(i) {
			logits[id] = negInf
			continue
		}
		maxLost = maxLost && logits[id] != s.max
		s.ids[n], s.mass[n], s.dist[n] = id, s.mass[i], s.dist[i]
		total += s.mass[n]
		n++
	}
	s.ids, s.mass, s.dist, s.total = s.ids[:n], s.mass[:n], s.dist[:n], total
	s.weighed = !maxLost
}

// cross returns the candidate at which the running sum of masses first exceeds
// target, which must be below total. The order is ascending dist, descending
// logit, ascending id.
func (s *Scratch) cross(logits []float32, target uint64) candidate {
	clear(s.bucket[:])
	scale := float32(0)
	if s.span > 0 {
		scale = buckets / s.span
	}
	for i, d := range s.dist {
		s.bucket[bucketOf(d, scale)] += s.mass[i]
	}
	b, below := 0, uint64(0)
	for below+s.bucket[b] <= target {
		below += s.bucket[b]
		b++
	}
	s.order = s.order[:0]
	for i, d := range s.dist {
		if bucketOf(d, scale) == b {
			id := s.ids[i]
			s.order = append(s.order, candidate{d, logits[id], id, s.mass[i]})
		}
	}
	slices.SortFunc(s.order, compareCandidates)
	i := 0
	for below+s.order[i].mass <= target {
		below += s.order[i].mass
		i++
	}
	return s.order[i]
}

// bucketOf is monotone in d. scale is buckets / span, or 0 where all are equal.
func bucketOf(d, scale float32) int {
	b := float32(d * scale)
	if !(b < buckets) { // also Inf and Inf·0
		return buckets
	}
	return int(b)
}

func compareCandidates(a, b candidate) int {
	if c := cmp.Compare(a.dist, b.dist); c != 0 {
		return c
	}
	return compareTokens(a, b)
}

// compareTokens is the order of candidates: the greater logit, then the lower id.
func compareTokens(a, b candidate) int {
	if c := cmp.Compare(b.logit, a.logit); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

// kth returns the k-th greatest of the values (equal ones counted singly), or
// -Inf where fewer are finite. A buffer of 2k keys that is halved when full
// makes it linear for any k and any order.
func (s *Scratch) kth(values []float32, k int) float32 {
	if k >= len(values) {
		return negInf
	}
	keys, floor := s.keys[:0], negInf
	for _, v := range values {
		if !(v > floor) {
			continue
		}
		keys = append(keys, orderedBits(v))
		if len(keys) == 2*k {
			key := greatest(keys, k)
			keys, floor = keys[:k], orderedFloat(key)
		}
	}
	s.keys = keys
	switch {
	case len(keys) < k:
		return negInf
	case len(keys) > k:
		floor = orderedFloat(greatest(keys, k))
	default:
		floor = orderedFloat(slices.Min(keys))
	}
	return floor
}

// greatest returns the k-th greatest key and moves the k greatest to the front.
// It fixes the key from its most significant byte down, by counting.
func greatest(keys []uint32, k int) uint32 {
	var key, mask uint32
	left := k
	for shift := 24; shift >= 0; shift -= 8 {
		var count [256]int
		for _, x := range keys {
			if x&mask == key {
				count[x>>shift&0xff]++
			}
		}
		b := 255
		for ; count[b] < left; b-- {
			left -= count[b]
		}
		key |= uint32(b) << shift
		mask |= 0xff << shift
	}
	n := 0
	for _, x := range keys {
		if x > key {
			keys[n] = x
			n++
		}
	}
	for ; n < k; n++ {
		keys[n] = key
	}
	return key
}

// orderedBits maps floats to integers of the same order (-0 below +0).
func orderedBits(f float32) uint32 {
	b := math.Float32bits(f)
	return b ^ (uint32(int32(b)>>31) | 1<<31)
}

func orderedFloat(k uint32) float32 {
	return math.Float32frombits(k ^ (^uint32(int32(k)>>31) | 1<<31))
}

// resize returns a slice of n elements with undefined values.
func resize[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }
