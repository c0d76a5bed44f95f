package tensor_test

import (
	"fmt"
	"slices"
	"testing"

	"wenmo/checkpoint"
	"wenmo/kernel"
	"wenmo/tensor"
)

// TestLinearChunks demands that weights and batches that are packed piece by
// piece give the gradients of small ones.
func TestLinearChunks(t *testing.T) {
	const tokens, in, out = 4200, 20, 33
	x, w, up := random(tokens*in, 1), random(out*in, 2), random(tokens*out, 3)
	for _, dtype := range []tensor.DType{tensor.F32, tensor.BF16} {
		t.Run(fmt.Sprint(dtype), func(t *testing.T) {
			var want [][]float32
			for _, step := range []int{tokens, 600} {
				got := linearGradients(t, x, w, up, in, out, step, dtype)
				if want == nil {
					want = got
				}
				for i := range got {
					compare(t, fmt.Sprintf("%d tokens at a time: gradient %d", step, i), got[i], want[i], 0, 0)
				}
			}
		})
	}
}

// linearGradients returns dx, dw and db of a linear layer, step tokens at a time.
func linearGradients(t *testing.T, x, w, up []float32, in, out, step int, dtype tensor.DType) [][]float32 {
	pool := kernel.NewPool(2)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	g.Record(true)
	weight := newWeight(g, w, out, in, dtype)
	bias := tensor.FromSlice(make([]float32, out), 1, out)
	bias.Grad = make([]float32, out)
	var dx []float32
	for first := 0; first < len(x)/in; first += step {
		g.Reset()
		part := tensor.FromSlice(x[first*in:(first+step)*in], step, in)
		part.Grad = make([]float32, step*in)
		y := g.Linear(part, []*tensor.Weight{weight}, bias)
		g.Backward(y, up[first*out:(first+step)*out])
		dx = append(dx, part.Grad...)
	}
	return [][]float32{dx, weight.Grad, bias.Grad}
}

// TestLinearWide has so many outputs that their weights are packed in parts.
func TestLinearWide(t *testing.T) {
	const tokens, in, out = 3, 33, 50000
	x, w, up := random(tokens*in, 1), random(out*in, 2), random(tokens*out, 3)
	got := linearGradients(t, x, w, up, in, out, tokens, tensor.F32)
	for r := range tokens {
		for c := range in {
			want := 0.0
			for o := range out {
				want += float64(up[r*out+o]) * float64(w[o*in+c])
			}
			compare(t, fmt.Sprintf("dx[%d, %d]", r, c), got[0][r*in+c:][:1], []float32{float32(want)}, 1e-3, 1e-4)
		}
	}
	for o := range out {
		want := make([]float64, in)
		for r := range tokens {
			for c := range in {
				want[c] += float64(up[r*out+o]) * float64(x[r*in+c])
			}
		}
		for c := range in {
			compare(t, fmt.Sprintf("dw[%d, %d]", o, c), got[1][o*in+c:][:1], []float32{float32(want[c])}, 1e-5, 1e-5)
		}
	}
}

// TestFrozen demands that gradients pass through weights that are not trained,
// whatever their type.
func TestFrozen(t *testing.T) {
	const tokens, in, out = 5, 64, 40
	x, values, up := random(tokens*in, 1), random(out*in, 2), random(tokens*out, 3)
	pool := kernel.NewPool(2)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	g.Record(true)
	back := func(w *tensor.Weight) []float32 {
		g.Reset()
		part := tensor.FromSlice(x, tokens, in)
		part.Grad = make([]float32, len(x))
		g.Backward(g.Linear(part, []*tensor.Weight{w}, nil), up)
		return part.Grad
	}
	for _, dtype := range []tensor.DType{tensor.F32, tensor.BF16} {
		w := newWeight(g, values, out, in, dtype)
		trained := back(w)
		w.Value, w.Grad = nil, nil
		compare(t, fmt.Sprintf("dtype %d", dtype), back(w), trained, 0, 0)
	}
	blocks := make([]byte, out*checkpoint.Q8_0.RowBytes(in))
	if err := checkpoint.Quantize(checkpoint.Q8_0, blocks, values); err != nil {
		t.Fatal(err)
	}
	quants, scales := kernel.QPanelSizes(kernel.Q8_0, out, in)
	w := &tensor.Weight{Name: "w", Out: out, In: in, DType: tensor.Quant}
	w.Q = kernel.QPanels{Type: kernel.Q8_0, N: out, K: in, Quants: make([]byte, quants), Scales: make([]byte, scales)}
	kernel.PackQuant(&w.Q, blocks, 0, out)
	widened := slices.Clone(values)
	for o := range out {
		w.Row(widened[o*in:(o+1)*in], o)
	}
	compare(t, "q8_0", back(w), back(newWeight(g, widened, out, in, tensor.F32)), 0, 0)
}
