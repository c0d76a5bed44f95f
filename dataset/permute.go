package dataset

import (
	"math/bits"

	"wenmo/internal/philox"
)

// feistelRounds makes a permutation of which nothing can be told apart from
// chance in practice; four would do for a proof (Luby and Rackoff 1988).
const feistelRounds = 6

// permutation is a pseudo-random permutation of 0 … n-1 that needs no memory: a
// balanced Feistel network over the next power of four, walked until it comes
// out below n (Black and Rogaway 2002, cycle walking; less than four rounds of
// it on average).
type permutation struct {
	n    uint64
	half int // bits of each half
	key  [2]uint32
	salt [2]uint32 // what it is for
}

func newPermutation(n int, seed uint64, source, epoch uint32) permutation {
	half := (bits.Len64(uint64(max(n-1, 1))) + 1) / 2
	return permutation{uint64(n), half, [2]uint32{uint32(seed), uint32(seed >> 32)}, [2]uint32{source, epoch}}
}

// at returns where i goes.
func (p permutation) at(i int) int {
	x := uint64(i)
	for {
		if x = p.once(x); x < p.n {
			return int(x)
		}
	}
}

func (p permutation) once(x uint64) uint64 {
	mask := uint64(1)<<p.half - 1
	left, right := x>>p.half, x&mask
	for round := range uint32(feistelRounds) {
		w := philox.Words(p.key, [4]uint32{uint32(right), round, p.salt[0], p.salt[1]})
		left, right = right, left^(uint64(w[0])&mask)
	}
	return left<<p.half | right
}
