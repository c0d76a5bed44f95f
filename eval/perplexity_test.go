package eval

import (
	"context"
	"math"
	"testing"
)

// A model that knows nothing has the size of its vocabulary as perplexity; one
// that sees how far back the window reaches shows each token predicted once.
func TestPerplexity(t *testing.T) {
	const vocab = 50
	uniform := func(_ context.Context, ids []int32, f func(int, []float32) error) error {
		for i := range ids {
			if err := f(i, make([]float32, vocab)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, n := range []int{2, 9, 10, 11, 100} {
		ids := make([]int32, n)
		r, err := Perplexity(t.Context(), uniform, ids, PerplexityOptions{Window: 10, Bytes: 3 * n})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(r.Perplexity-vocab) > 1e-9 || r.Tokens != n-1 {
			t.Errorf("%d ids: perplexity %v of %d tokens", n, r.Perplexity, r.Tokens)
		}
		if want := float64(n-1) * math.Log2(vocab) / float64(3*n); math.Abs(r.BitsPerByte-want) > 1e-9 {
			t.Errorf("%d ids: %v bits per byte, want %v", n, r.BitsPerByte, want)
		}
	}
	if _, err := Perplexity(t.Context(), uniform, []int32{1}, PerplexityOptions{Window: 10}); err == nil {
		t.Error("no error for one token")
	}
}

func TestLogProb(t *testing.T) {
	logits := []float32{1000, 999, -1000}
	if got, want := LogProb(logits, 1), -1-math.Log1p(math.Exp(-1)); math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, want %v", got, want)
	}
}
