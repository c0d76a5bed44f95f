package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// fuzzShape keeps a shape small.
func fuzzShape(m, k, n uint8) shape { return shape{1 + int(m)%30, int(k), 1 + int(n)%100} }

// fuzzFiller makes values from the seed, with one chosen by the fuzzer among
// them.
func fuzzFiller(kind uint8, bits uint32) func(r *rand.Rand) float32 {
	next := fillers[int(kind)%len(fillers)].next
	return func(r *rand.Rand) float32 {
		if r.IntN(20) == 0 {
			return math.Float32frombits(bits)
		}
		return next(r)
	}
}

// fuzzSeeds adds a case per filler.
func fuzzSeeds(f *testing.F) {
	for i := range fillers {
		f.Add(uint8(5+i), uint8(33*i), uint8(16+i), uint8(i), uint32(0x00800000), uint64(i))
	}
}

// FuzzMatMulF32 compares every path with the chains of the definition.
func FuzzMatMulF32(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, m, k, n, kind uint8, bits uint32, seed uint64) {
		onEveryPath(t, func(t *testing.T) {
			checkF32(t, fuzzShape(m, k, n), rand.New(rand.NewPCG(seed, 1)), fuzzFiller(kind, bits), "")
		})
	})
}

// FuzzMatMulBF16 does the same for bfloat16.
func FuzzMatMulBF16(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, m, k, n, kind uint8, bits uint32, seed uint64) {
		onEveryPath(t, func(t *testing.T) {
			checkBF16(t, fuzzShape(m, k, n), rand.New(rand.NewPCG(seed, 1)), fuzzFiller(kind, bits), "")
		})
	})
}

// FuzzMatMulQ does the same for quantised weights of random bits.
func FuzzMatMulQ(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, m, k, n, kind uint8, bits uint32, seed uint64) {
		typ := QuantType(seed % uint64(len(quantFormats)))
		s := fuzzShape(m, k, n)
		s.k = s.k / 64 * typ.Block()
		onEveryPath(t, func(t *testing.T) {
			checkQ(t, typ, s, rand.New(rand.NewPCG(seed, 1)), fuzzFiller(kind, bits))
		})
	})
}
