package eval

import (
	"fmt"
	"math"
	"slices"
)

// Regression is how near predicted numbers come to the true ones.
type Regression struct {
	Pearson  Maybe   `json:"pearson"`  // undefined where either side is constant
	Spearman Maybe   `json:"spearman"` // Pearson's of the ranks, equal values sharing the mean of theirs
	MSE      float64 `json:"mse"`
	MAE      float64 `json:"mae"`
}

// Regress compares predictions with labels.
func Regress(labels, predictions []float64) (Regression, error) {
	if len(labels) == 0 || len(labels) != len(predictions) {
		return Regression{}, fmt.Errorf("%d labels for %d predictions", len(labels), len(predictions))
	}
	r := Regression{
		Pearson:  Maybe(pearson(labels, predictions)),
		Spearman: Maybe(pearson(ranks(labels), ranks(predictions))),
	}
	for i, want := range labels {
		d := predictions[i] - want
		r.MSE += d * d / float64(len(labels))
		r.MAE += math.Abs(d) / float64(len(labels))
	}
	return r, nil
}

func pearson(x, y []float64) float64 {
	mx, my := mean(x), mean(y)
	var xy, xx, yy float64
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		xy += dx * dy
		xx += dx * dx
		yy += dy * dy
	}
	return min(1, max(-1, xy/math.Sqrt(xx)/math.Sqrt(yy)))
}

func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compare(x[a], x[b]) })
	r := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			r[k] = float64(i+j+1) / 2
		}
		i = max(j, i+1) // a NaN equals nothing
	}
	return r
}
