package kernel

import "testing"

// benchShapes are a training step's and a prompt's products, small batches,
// and a decode step with weights that are larger than the caches.
var benchShapes = []shape{
	{2048, 768, 3072}, {512, 3072, 768}, {512, 4096, 1024}, {64, 768, 768},
	{16, 2048, 4096}, {7, 2048, 4096}, {4, 2048, 8192}, {1, 4096, 8192}, {1, 768, 768}, {1, 64, 64},
}

// benchProduct times a product with weights of so many bytes. For one row, what
// counts is how fast weights are read; else operations.
func benchProduct(b *testing.B, s shape, weights int, f func()) {
	b.Run(s.String(), func(b *testing.B) {
		b.SetBytes(int64(weights))
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
		ops := 2 * float64(s.m) * float64(s.k) * float64(s.n)
		b.ReportMetric(ops*float64(b.N)/b.Elapsed().Seconds()*1e-9, "GFLOP/s")
	})
}
