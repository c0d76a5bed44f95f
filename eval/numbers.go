package eval

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
)

// Maybe is a number that may be undefined (NaN), which JSON writes as null.
type Maybe float64

// MarshalJSON writes the number, or null.
func (m Maybe) MarshalJSON() ([]byte, error) {
	if f := float64(m); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(m))
}

func compare(a, b float64) int { return cmp.Compare(a, b) }

// ratio is a/b, and 0 where b is 0.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// harmonic is the harmonic mean of precision and recall, and 0 where both are.
func harmonic(p, r float64) float64 { return ratio(2*p*r, p+r) }

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return ratio(sum, float64(len(x)))
}

// argmax returns the first of the greatest values.
func argmax[F float32 | float64](x []F) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

func softmax(x []float64) []float64 {
	top := slices.Max(x)
	p := make([]float64, len(x))
	sum := 0.0
	for i, v := range x {
		p[i] = math.Exp(v - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}
