package train

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
)

// TestGuard lets through what training does and stops what it should not do.
func TestGuard(t *testing.T) {
	g := &Guard{Limit: 3}
	step := 0
	check := func(loss, norm float64, good bool) error {
		t.Helper()
		why, err := g.Check(step, loss, norm)
		if (why == "") != good {
			t.Errorf("step %d with loss %v and norm %v: %q", step, loss, norm, why)
		}
		step++
		return err
	}
	for i := range 300 {
		check(3+6*math.Exp(-float64(i)/20)+0.1*math.Sin(float64(i)), 1, true)
	}
	check(math.NaN(), 1, false)
	check(3, math.Inf(1), false)
	check(3, 1, true)
	check(3.5, 1, true)
	saved, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	g = &Guard{Limit: 3}
	if err := json.Unmarshal(saved, g); err != nil {
		t.Fatal(err)
	}
	check(5, 1, false)
	check(5, 1, false)
	if err := check(5, 1, false); !errors.Is(err, ErrDiverged) {
		t.Errorf("three spikes in a row: error %v", err)
	}
	if g.Skipped != 5 || g.InRow != 3 || g.Good != 304 {
		t.Errorf("%d skipped, %d in a row, %d good", g.Skipped, g.InRow, g.Good)
	}
}
