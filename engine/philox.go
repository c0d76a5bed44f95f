package engine

import "wenmo/internal/philox"

// Streams of random numbers at one position. Processors of a caller take
// numbers from StreamUser on.
const (
	streamToken uint32 = iota // the draw of the token itself
	streamXTC                 // whether XTC excludes anything at this position

	// StreamUser is the first stream that this package does not use.
	StreamUser uint32 = 16
)

// random returns 64 random bits for a position of one sample of a request: the
// seed is the key; position, sample and stream are the counter.
func random(seed uint64, sample, position int, stream uint32) uint64 {
	w := philox.Words([2]uint32{uint32(seed), uint32(seed >> 32)},
		[4]uint32{uint32(position), uint32(sample), stream, 0})
	return uint64(w[1])<<32 | uint64(w[0])
}
