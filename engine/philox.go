package engine

import "math/bits"

// Streams of random numbers at one position. Processors of a caller take
// numbers from StreamUser on.
const (
	streamToken uint32 = iota // the draw of the token itself
	streamXTC                 // whether XTC excludes anything at this position

	// StreamUser is the first stream that this package does not use.
	StreamUser uint32 = 16
)

// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
// easy as 1, 2, 3" (SC 2011): multipliers and Weyl increments of the key.
const (
	philoxMul0 = 0xD2511F53
	philoxMul1 = 0xCD9E8D57
	philoxWey0 = 0x9E3779B9
	philoxWey1 = 0xBB67AE85
)

// Philox returns the four random words of Philox4x32-10 for a key and a
// counter. It has no state: equal arguments give equal words on every machine.
func Philox(key [2]uint32, ctr [4]uint32) [4]uint32 {
	for range 10 {
		hi0, lo0 := bits.Mul32(philoxMul0, ctr[0])
		hi1, lo1 := bits.Mul32(philoxMul1, ctr[2])
		ctr = [4]uint32{hi1 ^ ctr[1] ^ key[0], lo1, hi0 ^ ctr[3] ^ key[1], lo0}
		key[0] += philoxWey0
		key[1] += philoxWey1
	}
	return ctr
}

// random returns 64 random bits for a position of one sample of a request: the
// seed is the key; position, sample and stream are the counter.
func random(seed uint64, sample, position int, stream uint32) uint64 {
	w := Philox([2]uint32{uint32(seed), uint32(seed >> 32)},
		[4]uint32{uint32(position), uint32(sample), stream, 0})
	return uint64(w[1])<<32 | uint64(w[0])
}
