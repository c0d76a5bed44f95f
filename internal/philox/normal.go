package philox

import (
	"encoding/binary"
	"math"
)

// Normal returns value number i of stream index of a seed: of mean 0 and
// deviation 1, the sum of sixteen uniform bytes, which is near enough to normal
// for weights that are to be trained and the same on every machine.
func Normal(seed uint64, index uint32, i uint64) float64 {
	r := Words([2]uint32{uint32(seed), uint32(seed >> 32)}, [4]uint32{uint32(i), uint32(i >> 32), index, 0})
	var b [16]byte
	for j, x := range r {
		binary.LittleEndian.PutUint32(b[4*j:], x)
	}
	sum := 0
	for _, x := range b {
		sum += int(x)
	}
	return (float64(sum) - 16*127.5) / normalDeviation
}

// normalDeviation is that of sixteen bytes, each of variance (256² − 1)/12.
var normalDeviation = math.Sqrt(16 * (256*256 - 1) / 12.0)
