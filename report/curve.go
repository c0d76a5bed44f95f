package report

import (
	"math"
	"slices"
)

// Curve is a figure over the steps of a run: Values[i] was measured at
// Steps[i], which ascend. A value that is not finite leaves a gap.
type Curve struct {
	Steps  []int64
	Values []float64
}

// Add appends a measurement. A step that is not beyond the last one means that
// the run went on from an earlier checkpoint: what was measured from there on
// is forgotten.
func (c *Curve) Add(step int64, value float64) {
	keep, _ := slices.BinarySearch(c.Steps, step)
	c.Steps = append(c.Steps[:keep], step)
	c.Values = append(c.Values[:keep], value)
}

// points returns the finite measurements, cut where there is none between.
func (c *Curve) points() (runs [][]point) {
	open := false
	for i, v := range c.Values[:min(len(c.Steps), len(c.Values))] {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			open = false
			continue
		}
		if !open {
			runs = append(runs, nil)
		}
		open = true
		last := len(runs) - 1
		runs[last] = append(runs[last], point{float64(c.Steps[i]), v})
	}
	return runs
}

type point struct{ x, y float64 }

// thin keeps, of the points in each of n stretches of equal width, the first,
// the lowest, the highest and the last, so that a line through them looks as
// the line through all, peaks included.
func thin(run []point, n int) []point {
	if len(run) <= 4*n {
		return run
	}
	first, width := run[0].x, run[len(run)-1].x-run[0].x
	bucket := func(p point) int { return int((p.x - first) / width * float64(n)) }
	var out []point
	for start := 0; start < len(run); {
		end := start + 1
		for end < len(run) && bucket(run[end]) == bucket(run[start]) {
			end++
		}
		out = append(out, ends(run[start:end])...)
		start = end
	}
	return out
}

// ends returns the first, lowest, highest and last point in their order.
func ends(run []point) []point {
	low, high := 0, 0
	for i, p := range run {
		if p.y < run[low].y {
			low = i
		}
		if p.y > run[high].y {
			high = i
		}
	}
	at := []int{0, low, high, len(run) - 1}
	slices.Sort(at)
	var out []point
	for _, i := range slices.Compact(at) {
		out = append(out, run[i])
	}
	return out
}

const (
	smoothFrom  = 100 // points from which on a noisy curve gets a smooth one
	smoothShare = 100 // over which part of the points the smooth curve averages, to either side
)

// smooth returns the mean of the points around each; nil if they are too few.
func smooth(run []point) []point {
	if len(run) < smoothFrom {
		return nil
	}
	reach := len(run) / smoothShare
	sums := make([]float64, len(run)+1) // of the values before
	for i, p := range run {
		sums[i+1] = sums[i] + p.y
	}
	out := make([]point, len(run))
	for i, p := range run {
		from, to := max(0, i-reach), min(len(run), i+reach+1)
		out[i] = point{p.x, (sums[to] - sums[from]) / float64(to-from)}
	}
	return out
}
