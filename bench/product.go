package bench

import (
	"context"
	"fmt"
	"time"

	"wenmo/checkpoint"
	"wenmo/kernel"
	"wenmo/tensor"
)

// ProductResult is what GEMM and Memory measured.
type ProductResult struct {
	GFLOPS  *Runs  `json:"gflops,omitempty"` // 10⁹ operations a second; integer ones for q8_0
	GBS     *Runs  `json:"gb_per_s,omitempty"`
	Kernel  string `json:"kernel"`
	Threads int    `json:"threads"`
}

// GEMM measures the product of an [m, k] matrix with a packed [n, k] one.
func GEMM(ctx context.Context, dtype string, m, k, n, threads, repeat int) (ProductResult, error) {
	if err := kernel.Err(); err != nil {
		return ProductResult{}, err
	}
	pool := kernel.NewPool(threads)
	defer pool.Close()
	w, err := weight(dtype, n, k)
	if err != nil {
		return ProductResult{}, err
	}
	g := tensor.NewGraph(pool)
	defer g.Close()
	x := tensor.FromSlice(values(m*k, 1), m, k)
	var runs []float64
	for i := 0; i <= repeat; i++ {
		if err := ctx.Err(); err != nil {
			return ProductResult{}, err
		}
		// Enough products to last a tenth of a second.
		times, start := 0, time.Now()
		for time.Since(start) < 100*time.Millisecond {
			g.Reset()
			g.Linear(x, []*tensor.Weight{w}, nil)
			times++
		}
		if i > 0 {
			runs = append(runs, float64(times)*2*float64(m)*float64(k)*float64(n)/time.Since(start).Seconds()/1e9)
		}
	}
	r := runsOf(runs)
	return ProductResult{GFLOPS: &r, Kernel: kernel.Path(), Threads: threads}, nil
}

// values returns n numbers between −1 and 1.
func values(n int, seed uint32) []float32 {
	v := make([]float32, n)
	for i := range v {
		seed = seed*1664525 + 1013904223
		v[i] = float32(int32(seed)) / (1 << 31)
	}
	return v
}

// weight packs a random [n, k] matrix.
func weight(dtype string, n, k int) (*tensor.Weight, error) {
	src := values(n*k, 7)
	w := &tensor.Weight{Name: "bench", Out: n, In: k}
	quant := map[string]struct {
		stored checkpoint.DType
		packed kernel.QuantType
	}{
		"q8_0": {checkpoint.Q8_0, kernel.Q8_0}, "q4_0": {checkpoint.Q4_0, kernel.Q4_0},
		"q4_k": {checkpoint.Q4_K, kernel.Q4_K}, "q6_k": {checkpoint.Q6_K, kernel.Q6_K},
	}
	switch q, ok := quant[dtype]; {
	case dtype == "f32":
		w.F32 = make([]float32, kernel.PanelLenF32(n, k))
		kernel.PackF32(w.F32, src, n, k, k)
	case dtype == "bf16":
		w.DType = tensor.BF16
		w.BF16 = make([]uint16, kernel.PanelLenBF16(n, k))
		kernel.PackBF16(w.BF16, src, n, k, k)
	case ok && k%q.stored.BlockLen() != 0:
		return nil, fmt.Errorf("k is %d, want a multiple of %d for %s", k, q.stored.BlockLen(), dtype)
	case ok:
		w.DType = tensor.Quant
		quants, scales := kernel.QPanelSizes(q.packed, n, k)
		w.Q = kernel.QPanels{Type: q.packed, N: n, K: k, Quants: make([]byte, quants), Scales: make([]byte, scales)}
		blocks := make([]byte, n*q.stored.RowBytes(k))
		if err := checkpoint.Quantize(q.stored, blocks, src); err != nil {
			return nil, err
		}
		kernel.PackQuant(&w.Q, blocks, 0, n)
	default:
		return nil, fmt.Errorf("dtype %q is not one of f32, bf16, q8_0, q4_0, q4_k, q6_k", dtype)
	}
	return w, nil
}
