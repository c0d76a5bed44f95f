package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// allPlans returns the plans of every path of this build, also of paths that
// this machine cannot run.
func allPlans() map[string]*tilePlan {
	plans := map[string]*tilePlan{}
	for p := range f32Plans {
		if f32Plans[p].rows == 0 { // not of this architecture
			continue
		}
		plans["f32 "+pathNames[p]] = &f32Plans[p]
		plans["bf16 "+pathNames[p]] = &bf16Plans[p]
		for t := range quantPlans[p] {
			plans[quantFormats[t].name+" "+pathNames[p]] = &quantPlans[p][t]
		}
	}
	return plans
}

// TestTiles checks for every plan that tiles meet each output and step of k
// once, that k ascends, that chains go on from the second run of k, and that
// no tile is higher or longer than its kernel takes.
func TestTiles(t *testing.T) {
	for name, plan := range allPlans() {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 1))
			for range 300 {
				m, k, n := 1+r.IntN(40), r.IntN(3*plan.run+2), 1+r.IntN(16*3*plan.panels)
				if r.IntN(4) == 0 {
					k = r.IntN(3 * plan.limit)
					n = 1 + r.IntN(80)
				}
				p0 := r.IntN(panels(n))
				p1 := p0 + r.IntN(panels(n)-p0+1)
				checkTiles(t, plan, m, k, n, p0, p1, r.IntN(2) == 0)
			}
		})
	}
}

func checkTiles(t *testing.T, plan *tilePlan, m, k, n, p0, p1 int, acc bool) {
	t.Helper()
	label := fmt.Sprintf("%d rows, %d steps, %d outputs, panels %d to %d", m, k, n, p0, p1)
	done := make([]int, m*panels(n)) // steps of k so far, plus one where k is 0
	plan.tiles(m, k, n, p0, p1, acc, func(b block) {
		last := b.p + b.panels
		switch {
		case b.rows < 1 || b.rows > plan.rows || b.row+b.rows > m:
			t.Fatalf("%s: rows %d+%d", label, b.row, b.rows)
		case b.panels < 1 || b.p < p0 || last > p1:
			t.Fatalf("%s: panels %d+%d", label, b.p, b.panels)
		case b.width != min(panelWidth, n-(last-1)*panelWidth), b.width < panelWidth && b.panels != 1:
			t.Fatalf("%s: panels %d+%d of width %d", label, b.p, b.panels, b.width)
		case b.acc != (acc || b.k > 0):
			t.Fatalf("%s: acc %v at step %d", label, b.acc, b.k)
		case b.run*b.panels*b.rows > max(plan.limit*plan.stream, plan.run*plan.panels*plan.rows):
			t.Fatalf("%s: a tile of %d rows, %d panels, %d steps is too long", label, b.rows, b.panels, b.run)
		}
		for r := b.row; r < b.row+b.rows; r++ {
			for p := b.p; p < last; p++ {
				if done[r*panels(n)+p] != b.k {
					t.Fatalf("%s: step %d of row %d, panel %d comes after %d", label, b.k, r, p, done[r*panels(n)+p])
				}
				done[r*panels(n)+p] += max(1, b.run)
			}
		}
	})
	for i, steps := range done {
		if p := i % panels(n); p >= p0 && p < p1 && steps != max(1, k) || (p < p0 || p >= p1) && steps != 0 {
			t.Fatalf("%s: %d steps of panel %d", label, steps, p)
		}
	}
}

// TestShortOperands checks that products refuse slices that are too short,
// which assembly would read or write beyond.
func TestShortOperands(t *testing.T) {
	const m, k, n = 3, 32, 20
	f32 := func(dst, x, w int) func() {
		return func() {
			MatMulF32(make([]float32, dst), n, make([]float32, x), k, m, make([]float32, w), k, n, 0, 2, false)
		}
	}
	bf16 := func(dst, x, w int) func() {
		return func() {
			MatMulBF16(make([]float32, dst), n, make([]uint16, x), k, m, make([]uint16, w), k, n, 0, 2, false)
		}
	}
	quant := func(dst, rows, quants int) func() {
		w := newQPanels(Q8_0, n, k)
		w.Quants = w.Quants[:quants]
		x := MakeQRows(rows, k)
		return func() { MatMulQ(make([]float32, dst), n, &x, 0, m, &w, 0, 2) }
	}
	onEveryPath(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			call   func()
			panics bool
		}{
			"f32": {f32(m*n, m*k, 32*k), false}, "f32 dst": {f32(m*n-1, m*k, 32*k), true},
			"f32 x": {f32(m*n, m*k-1, 32*k), true}, "f32 w": {f32(m*n, m*k, 32*k-1), true},
			"bf16": {bf16(m*n, m*k, 32*k), false}, "bf16 dst": {bf16(m*n-1, m*k, 32*k), true},
			"bf16 x": {bf16(m*n, m*k-1, 32*k), true}, "bf16 w": {bf16(m*n, m*k, 32*k-1), true},
			"quant": {quant(m*n, m, 32*k), false}, "quant dst": {quant(m*n-1, m, 32*k), true},
			"quant rows": {quant(m*n, m-1, 32*k), true}, "quant w": {quant(m*n, m, 32*k-1), true},
		} {
			if got := panics(c.call); got != c.panics {
				t.Errorf("%s: panics = %v", name, got)
			}
		}
	})
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}
