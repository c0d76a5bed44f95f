package tensor_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"wenmo/kernel"
	"wenmo/tensor"
)

// TestSpanCrossEntropy compares the loss over the tokens of spans, and its
// gradient, with their definition in float64.
func TestSpanCrossEntropy(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	g.Record(true)
	r := rand.New(rand.NewPCG(1, 2))
	spans := []tensor.Span{{Start: 0, Len: 5}, {Start: 5, Len: 1}, {Start: 6, Len: 40}}
	labels := []int32{0, 4, 0, 0, -1, 39}
	for _, total := range []float32{0, 7} {
		x := tensor.FromSlice(make([]float32, 46*2), 46, 2)
		for i := range x.Data {
			x.Data[i] = float32(4 * r.NormFloat64())
		}
		x.Grad = make([]float32, len(x.Data))
		loss := g.SpanCrossEntropy(x, spans, labels, total)
		want, grad := spanLoss(x.Data, spans, labels, float64(total))
		if math.Abs(float64(loss.Data[0])-want) > 1e-5 {
			t.Errorf("total %v: loss %v, want %v", total, loss.Data[0], want)
		}
		g.Backward(loss, nil)
		for i, w := range grad {
			if math.Abs(float64(x.Grad[i])-w) > 1e-6 {
				t.Fatalf("total %v: gradient %d is %v, want %v", total, i, x.Grad[i], w)
			}
		}
		g.Reset()
	}
	g.SpanCrossEntropy(tensor.FromSlice(make([]float32, 92), 46, 2), spans, []int32{5, 0, 0, 0, 0, 0}, 0)
	if err := g.Err(); err == nil || !strings.Contains(err.Error(), "label 5 of sequence 0, column 0 is out of range 0…4") {
		t.Errorf("a label beyond its span: %v", err)
	}
}

// spanLoss is the definition for two columns.
func spanLoss(x []float32, spans []tensor.Span, labels []int32, total float64) (loss float64, grad []float64) {
	grad = make([]float64, len(x))
	for c := range 2 {
		count := 0.0
		for i := range spans {
			if labels[2*i+c] >= 0 {
				count++
			}
		}
		if total > 0 {
			count = total
		}
		for i, s := range spans {
			y := int(labels[2*i+c])
			if y < 0 {
				continue
			}
			sum := 0.0
			for r := range s.Len {
				sum += math.Exp(float64(x[2*(s.Start+r)+c]))
			}
			for r := range s.Len {
				at := 2*(s.Start+r) + c
				p := math.Exp(float64(x[at])) / sum
				grad[at] += p / (2 * count)
				if r == y {
					loss -= math.Log(p) / (2 * count)
					grad[at] -= 1 / (2 * count)
				}
			}
		}
	}
	return loss, grad
}
