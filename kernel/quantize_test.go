package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestQuantizeEqualsPortable compares quantised activations on every path with
// the portable ones, for widths that end within a block, and row strides.
func TestQuantizeEqualsPortable(t *testing.T) {
	widths := []int{1, 31, 32, 33, 63, 64, 96, 100, 128, 130, 896, quantizeTestBlocks*32 + 5}
	onEveryPath(t, func(t *testing.T) {
		for _, fl := range fillers {
			r := rand.New(rand.NewPCG(23, 24))
			for _, k := range widths {
				const rows, skip = 3, 1
				ldx := k + k%7
				x := make([]float32, rows*ldx)
				fill(x, r, fl.next)
				if fl.name == "normal" {
					halfway(x)
				}
				got, want := MakeQRows(rows+skip, k), MakeQRows(rows+skip, k)
				QuantizeRows(&got, skip, x, ldx, rows)
				path := Path()
				SetPath("portable")
				QuantizeRows(&want, skip, x, ldx, rows)
				SetPath(path)
				compareQRows(t, fl.name, &got, &want)
			}
		}
	})
}

// quantizeTestBlocks is more than one call of the assembly takes.
const quantizeTestBlocks = 2100

// halfway puts values that lie between two integers into the blocks, which
// have amax 127 and so scale 1.
func halfway(x []float32) {
	for i := range x {
		x[i] = float32(math.Round(float64(x[i])*40)) + 0.5
		if i%32 == 5 {
			x[i] = 127
		}
	}
}

func compareQRows(t *testing.T, values string, got, want *QRows) {
	t.Helper()
	for i := range want.Scale {
		if !sameBits(got.Scale[i], want.Scale[i]) || got.Sum[i] != want.Sum[i] || got.Halves[i] != want.Halves[i] {
			t.Fatalf("%s values, k %d: block %d: scale %v, sum %d %v, want %v, %d %v", values, want.K, i,
				got.Scale[i], got.Sum[i], got.Halves[i], want.Scale[i], want.Sum[i], want.Halves[i])
		}
	}
	for i := range want.Q {
		if got.Q[i] != want.Q[i] {
			t.Fatalf("%s values, k %d: q[%d] = %d, want %d", values, want.K, i, got.Q[i], want.Q[i])
		}
	}
}

func BenchmarkQuantizeRows(b *testing.B) {
	const k = 896
	x := randoms(rand.New(rand.NewPCG(1, 2)), k, 1)
	q := MakeQRows(1, k)
	for _, path := range Paths() {
		b.Run(path, func(b *testing.B) {
			before := Path()
			defer SetPath(before)
			SetPath(path)
			for b.Loop() {
				QuantizeRows(&q, 0, x, k, 1)
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/k, "ns/element")
		})
	}
}
