package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

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

// streamTask is rows by all the panels of matrices that together are larger than
// the caches, in pieces as a decode step has them.
type streamTask struct {
	w     []QPanels
	x     QRows
	dst   []float32
	times [2][]time.Duration // of pieces, for each worker
}

const streamPiece = 38 // panels

func (t *streamTask) pieces() int { return (panels(t.w[0].N) + streamPiece - 1) / streamPiece }

func (t *streamTask) Do(worker, i int) {
	begin := time.Now()
	w, p := &t.w[i/t.pieces()], i%t.pieces()*streamPiece
	MatMulQ(t.dst, w.N, &t.x, 0, t.x.M, w, p, min(panels(w.N), p+streamPiece))
	t.times[worker] = append(t.times[worker], time.Since(begin))
}

// BenchmarkStream is one row on two threads with weights from memory. What counts
// is the median piece, which is little moved by what else the machine does.
func BenchmarkStream(b *testing.B) {
	pool := NewPool(2)
	defer pool.Close()
	for typ := range QuantType(len(quantFormats)) {
		for _, s := range []shape{{1, 896, 4864}, {1, 896, 151936}} {
			s.k = (s.k + typ.Block() - 1) / typ.Block() * typ.Block()
			b.Run(fmt.Sprintf("%v/%v", typ, s), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				task := &streamTask{x: MakeQRows(s.m, s.k), dst: make([]float32, s.m*s.n)}
				for total := 0; total < 100e6; total += s.k * s.n {
					w := newQPanels(typ, s.n, s.k)
					for i := range w.Quants {
						w.Quants[i] = byte(7 * i)
					}
					task.w = append(task.w, w)
				}
				x := make([]float32, s.m*s.k)
				fill(x, r, fillers[0].next)
				QuantizeRows(&task.x, 0, x, s.k, s.m)
				for b.Loop() {
					pool.Run(task, len(task.w)*task.pieces())
				}
				times := slices.Concat(task.times[0], task.times[1])
				slices.Sort(times)
				b.ReportMetric(float64(streamPiece*panelWidth*s.k)/float64(times[len(times)/2]), "Gweights/s/thread")
			})
		}
	}
}
