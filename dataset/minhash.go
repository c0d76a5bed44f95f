package dataset

import (
	"bytes"
	"iter"
	"math"
	"math/bits"
	"slices"
	"sort"
)

// Near duplicates are found by min-hashes (Broder 1997) as Lee et al. 2022 take
// them out of training data: two texts are as similar as the sets of their
// stretches of five words (or eight Han characters), shared ones over all.
const (
	nearWords = 5
	// minHashes is how many hashes a signature has; the similarity that they
	// tell is off by 0.044 at most (one standard deviation).
	minHashes = 128
	// minHashKey names the signatures in the keys of shards.
	minHashKey = "minhash-128-1"

	// nearRecall is the least probability that a copy just similar enough
	// shares a band with its original.
	nearRecall = 0.99
	// nearBucket is how many documents may share a band; others are not found
	// by it.
	nearBucket = 64
)

// signature is the min-hashes of a document, eight bits of each (Li and König
// 2010); unsigned for a text too short to have a stretch.
type signature = [minHashes]byte

var unsigned = signature(bytes.Repeat([]byte{0xff}, minHashes))

// signDocument returns the min-hashes of what a document teaches, by fast
// similarity sketching (Dahlgaard, Knudsen and Thorup 2017): each hash of a
// stretch goes to one place of the signature, in as many rounds as fill all
// places; a long text needs one.
func signDocument(d *Document) signature {
	var text []byte
	for part := range documentTexts(d) {
		text = append(append(text, part...), '\n')
	}
	stretches := slices.Collect(windows(string(text), nearWords*wordWeight))
	if len(stretches) == 0 {
		return unsigned
	}
	var least [minHashes]uint64
	for i := range least {
		least[i] = math.MaxUint64
	}
	free := minHashes
	for round := uint64(0); free > 0; round++ {
		for _, s := range stretches {
			h := mix(s + round*hashBase)
			place := h >> 57
			if round >= minHashes { // one place a round
				place = round - minHashes
			}
			if least[place] == math.MaxUint64 {
				free--
			}
			least[place] = min(least[place], round<<48|h<<16>>16)
		}
	}
	var s signature
	for i, h := range least {
		s[i] = byte(h)
	}
	return s
}

// nearIndex finds, among the documents that are kept, one that another is a
// copy of. For each it has a slot for each band of its signature: bands have as
// many hashes as let a copy be found with nearRecall. What a band finds is
// compared as a whole. Slots have 8 bytes and are 3/4 full at most: 224 bytes a
// document for the 21 bands of a similarity of 0.8.
type nearIndex struct {
	rows, bands int
	least       int // hashes that a copy has in common
	slots       []uint64
	first       []int    // document of each shard, and their number
	signatures  [][]byte // of each shard
}

// newNearIndex makes an index for so many documents.
func newNearIndex(similarity float64, documents int) *nearIndex {
	x := &nearIndex{rows: 1, first: []int{0}}
	found := func(rows int) float64 {
		return 1 - math.Pow(1-math.Pow(similarity, float64(rows)), float64(minHashes/rows))
	}
	for x.rows < minHashes && found(x.rows+1) >= nearRecall {
		x.rows++
	}
	x.bands = minHashes / x.rows
	// Different hashes are the same in eight bits by chance.
	x.least = int(math.Ceil(minHashes * (similarity + (1-similarity)/256)))
	x.slots = make([]uint64, documents*x.bands*4/3+1)
	return x
}

// addShard takes the signatures of a shard.
func (x *nearIndex) addShard(signatures []byte) {
	x.signatures = append(x.signatures, signatures)
	x.first = append(x.first, x.first[len(x.first)-1]+len(signatures)/minHashes)
}

// add reports whether document i of the last shard is a copy of none, and then
// keeps it.
func (x *nearIndex) add(i int) bool {
	document := x.first[len(x.first)-2] + i
	s := x.signature(document)
	if s == unsigned {
		return true
	}
	for b := range x.bands {
		for other := range x.bucket(&s, b) {
			if x.isCopy(&s, other) {
				return false
			}
		}
	}
	for b := range x.bands {
		n := 0
		for range x.bucket(&s, b) {
			n++
		}
		if n < nearBucket {
			at, key := x.place(&s, b)
			for x.slots[at] != 0 {
				at = (at + 1) % len(x.slots)
			}
			x.slots[at] = key | uint64(document+1)
		}
	}
	return true
}

func (x *nearIndex) signature(document int) signature {
	k := sort.SearchInts(x.first, document+1) - 1
	return signature(x.signatures[k][(document-x.first[k])*minHashes:])
}

func (x *nearIndex) isCopy(s *signature, document int) bool {
	other := x.signature(document)
	equal := 0
	for i := range s {
		if s[i] == other[i] {
			equal++
		}
	}
	return equal >= x.least
}

// bucket gives the documents that have the same band.
func (x *nearIndex) bucket(s *signature, band int) iter.Seq[int] {
	return func(yield func(int) bool) {
		at, key := x.place(s, band)
		for ; x.slots[at] != 0; at = (at + 1) % len(x.slots) {
			if slot := x.slots[at]; slot>>32<<32 == key && !yield(int(uint32(slot))-1) {
				return
			}
		}
	}
}

// place returns the first slot for a band, and the upper half of its slots.
func (x *nearIndex) place(s *signature, band int) (at int, key uint64) {
	h := uint64(band)
	for _, c := range s[band*x.rows:][:x.rows] {
		h = mix(h*hashBase + uint64(c))
	}
	place, _ := bits.Mul64(h, uint64(len(x.slots)))
	return int(place), h << 32
}
