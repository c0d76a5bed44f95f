package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Guard keeps updates from being made by losses or gradients that are not finite
// and by losses far above those before. Its exported fields but Limit are state,
// for a checkpoint.
type Guard struct {
	Limit int `json:"-"` // of updates left out in a row, then training stops; 0: 10

	Losses  []float64 `json:"losses"`  // of the last good steps, the oldest at Next once there are guardWindow
	Next    int       `json:"next"`    //
	Good    int       `json:"good"`    // steps up to the last good one, inclusive
	Skipped int       `json:"skipped"` // updates left out in all
	InRow   int       `json:"in_row"`  // since the last good step

	sorted []float64
}

const (
	guardLimit  = 10
	guardWindow = 128
	// A loss is compared from this many losses on. It is a spike where it is
	// above the median by spikeDeviations robust standard deviations and by
	// spikeLeast: a hard batch of a task whose loss is nearly 0 is none.
	guardEnough     = 32
	spikeDeviations = 10
	spikeLeast      = 1.0
	// madToDeviation is 1/Φ⁻¹(¾): the median distance of normal numbers from
	// their median, as a standard deviation.
	madToDeviation = 1.4826
)

// ErrDiverged says that too many updates in a row had to be left out.
var ErrDiverged = errors.New("training has diverged")

// Check says of a step, counted from 0, whether its update may be made: why is
// empty then, and otherwise says why not. The error, ErrDiverged, is for too many
// of these in a row: the parameters are still those after the last good step.
func (g *Guard) Check(step int, loss, norm float64) (why string, err error) {
	why = g.fault(loss, norm)
	if why == "" {
		g.add(loss)
		g.Good, g.InRow = step+1, 0
		return "", nil
	}
	g.Skipped++
	g.InRow++
	limit := g.Limit
	if limit == 0 {
		limit = guardLimit
	}
	if g.InRow >= limit {
		err = fmt.Errorf("%w: %d updates in a row left out, the last because %s; the last good step is %d. A smaller optimizer.rate may help; the checkpoints stay as they were", ErrDiverged, g.InRow, why, g.Good)
	}
	return why, err
}

// fault says what is wrong with a step.
func (g *Guard) fault(loss, norm float64) string {
	switch {
	case math.IsNaN(loss) || math.IsInf(loss, 0):
		return fmt.Sprintf("the loss is %v", loss)
	case math.IsNaN(norm) || math.IsInf(norm, 0):
		return fmt.Sprintf("the gradient norm is %v", norm)
	case len(g.Losses) < guardEnough:
		return ""
	}
	m := g.median(func(x float64) float64 { return x })
	deviation := madToDeviation * g.median(func(x float64) float64 { return math.Abs(x - m) })
	if loss > m+max(spikeLeast, spikeDeviations*deviation) {
		return fmt.Sprintf("the loss is %.4g, those before had a median of %.4g", loss, m)
	}
	return ""
}

func (g *Guard) median(f func(float64) float64) float64 {
	g.sorted = g.sorted[:0]
	for _, x := range g.Losses {
		g.sorted = append(g.sorted, f(x))
	}
	slices.Sort(g.sorted)
	return g.sorted[len(g.sorted)/2]
}

func (g *Guard) add(loss float64) {
	if len(g.Losses) < guardWindow {
		g.Losses = append(g.Losses, loss)
		return
	}
	g.Next %= len(g.Losses) // whatever a checkpoint says
	g.Losses[g.Next] = loss
	g.Next++
}
