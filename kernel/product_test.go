package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// A shape of a product: m rows of k by n outputs.
type shape struct{ m, k, n int }

func (s shape) String() string { return fmt.Sprintf("%dx%dx%d", s.m, s.k, s.n) }

// edgeShapes are the shapes around every limit at which a kernel changes its
// ways: heights of tiles, panels at a time, unrolled k, runs of k.
func edgeShapes() []shape {
	var all []shape
	for m := 1; m <= 13; m++ {
		for _, k := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9} {
			for _, n := range []int{1, 15, 16, 17, 32, 33, 47, 48, 64, 80, 112, 128, 144, 157} {
				all = append(all, shape{m, k, n})
			}
		}
	}
	for _, m := range []int{1, 4, 6, 7, 13, 25} {
		for _, k := range []int{64, 255, 257, 513} {
			all = append(all, shape{m, k, 40})
		}
	}
	return append(all, shape{13, 260, 16*33 + 3}, shape{5, 520, 16*33 + 3}, shape{1, 64, 16*140 + 3}, shape{2, 16500, 36})
}

// specials are the values at which arithmetic goes wrong first.
var specials = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, 1 + 0x1p-23, 1 - 0x1p-24,
	0x1p-126, -0x1p-126, 0x1p-126 - 0x1p-149, 0x1p-149, -0x1p-149, 0x1p-140, 0x1p-63, -0x1p-63, 0x1p-75,
	math.MaxFloat32, -math.MaxFloat32, 0x1p127, 0x1p64, -0x1p64,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
}

// fillers make the values of a test.
var fillers = []struct {
	name string
	next func(r *rand.Rand) float32
}{
	{"normal", func(r *rand.Rand) float32 { return float32(r.NormFloat64()) }},
	{"special", func(r *rand.Rand) float32 { return specials[r.IntN(len(specials))] }},
	{"rare special", func(r *rand.Rand) float32 {
		if r.IntN(60) == 0 {
			return specials[r.IntN(len(specials))]
		}
		return float32(r.NormFloat64())
	}},
	{"tiny", func(r *rand.Rand) float32 { return float32(math.Ldexp(r.NormFloat64(), -63-r.IntN(14))) }},
	{"huge", func(r *rand.Rand) float32 { return float32(math.Ldexp(r.NormFloat64(), 63+r.IntN(2))) }},
	{"whole", func(r *rand.Rand) float32 { return float32(r.IntN(9) - 4) }},
	{"bits", func(r *rand.Rand) float32 { return math.Float32frombits(r.Uint32()) }},
}

func fill(x []float32, r *rand.Rand, next func(r *rand.Rand) float32) {
	for i := range x {
		x[i] = next(r)
	}
}

// sameBits says whether two results count as equal: in every bit, or both not
// a number.
func sameBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// padded is what tests put where nothing may be written.
const padded = -12345.5

// compareProduct checks a product in dst (row stride ldd) against want (row
// stride n), and that the places between rows are as they were.
func compareProduct(t *testing.T, label string, dst []float32, ldd int, want []float32, n int) {
	t.Helper()
	for i, got := range dst {
		r, o := i/ldd, i%ldd
		if o >= n {
			if got != padded {
				t.Fatalf("%s: row %d: output %d of %d was written: %v", label, r, o, n, got)
			}
			continue
		}
		if w := want[r*n+o]; !sameBits(got, w) {
			t.Fatalf("%s: row %d, output %d: %v (%#x), want %v (%#x)", label, r, o, got, math.Float32bits(got), w, math.Float32bits(w))
		}
	}
}

// output returns m rows of n outputs in a buffer of row stride ldd, which hold
// begin, among padding.
func output(begin []float32, m, n, ldd int) []float32 {
	dst := make([]float32, m*ldd)
	for i := range dst {
		dst[i] = padded
	}
	for r := range m {
		copy(dst[r*ldd:][:n], begin[r*n:])
	}
	return dst
}
