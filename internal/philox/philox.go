// Package philox makes random numbers that are functions of what they are for:
// there is no state and no stream.
package philox

import "math/bits"

// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
// easy as 1, 2, 3" (SC 2011): multipliers and Weyl increments of the key.
const (
	mul0 = 0xD2511F53
	mul1 = 0xCD9E8D57
	wey0 = 0x9E3779B9
	wey1 = 0xBB67AE85
)

// Words returns the four random words of Philox4x32-10 for a key and a counter.
// Equal arguments give equal words on every machine.
func Words(key [2]uint32, ctr [4]uint32) [4]uint32 {
	for range 10 {
		hi0, lo0 := bits.Mul32(mul0, ctr[0])
		hi1, lo1 := bits.Mul32(mul1, ctr[2])
		ctr = [4]uint32{hi1 ^ ctr[1] ^ key[0], lo1, hi0 ^ ctr[3] ^ key[1], lo0}
		key[0] += wey0
		key[1] += wey1
	}
	return ctr
}
