package kernel

import (
	"math/rand/v2"
	"testing"
)

// atDepth calls f below so many frames.
func atDepth(depth int, f func()) byte {
	var pad [48]byte
	if depth == 0 {
		f()
		return pad[0]
	}
	pad[depth%48] = atDepth(depth-1, f)
	return pad[(depth+1)%48]
}

// TestStackGrows calls products at every depth of fresh stacks, so that the
// stack moves in the prologue of their assembly for some.
func TestStackGrows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const k, n, m = 256, 20, 5
	x, w := make([]float32, m*k), make([]float32, n*k)
	fill(x, r, fillers[0].next)
	fill(w, r, fillers[0].next)
	f32 := make([]float32, PanelLenF32(n, k))
	PackF32(f32, w, n, k, k)
	bf16, xb := make([]uint16, PanelLenBF16(n, k)), make([]uint16, m*k)
	PackBF16(bf16, w, n, k, k)
	RoundBF16(xb, x)
	q, xq := newQPanels(Q4_K, n, k), MakeQRows(m, k)
	PackQuant(&q, randomBlocks(r, Q4_K, n, k), 0, n)
	QuantizeRows(&xq, 0, x, k, m)
	products := func(dst []float32) {
		MatMulF32(dst, n, x, k, m, f32, k, n, 0, 2, false)
		MatMulBF16(dst[m*n:], n, xb, k, m, bf16, k, n, 0, 2, false)
		MatMulQ(dst[2*m*n:], n, &xq, 0, m, &q, 0, 2)
	}
	onEveryPath(t, func(t *testing.T) {
		want := make([]float32, 3*m*n)
		products(want)
		for depth := range 150 {
			got := make([]float32, 3*m*n)
			done := make(chan bool)
			go func() {
				atDepth(depth, func() { products(got) })
				close(done)
			}()
			<-done
			for i := range got {
				if !sameBits(got[i], want[i]) {
					t.Fatalf("depth %d: result %d is %v, want %v", depth, i, got[i], want[i])
				}
			}
		}
	})
}
