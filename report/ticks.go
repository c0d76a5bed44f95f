package report

import (
	"math"
	"strconv"
	"strings"
)

// tick is a mark on an axis.
type tick struct {
	at    float64
	label string
}

// linearTicks returns about n marks at round numbers from the one at or below
// low to the one at or above high.
func linearTicks(low, high float64, n int) []tick {
	if low == high {
		low, high = low-max(1, math.Abs(low))/2, high+max(1, math.Abs(high))/2
	}
	step := roundStep((high - low) / float64(n))
	top := max(math.Abs(low), math.Abs(high))
	var out []tick
	for i := math.Floor(low/step + 1e-9); ; i++ {
		out = append(out, tick{i * step, tickLabel(i*step, step, top)})
		if i*step >= high-1e-9*step {
			return out
		}
	}
}

// roundStep returns the least of 1, 2, 5 times a power of ten that is not
// below x.
func roundStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if x <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// tickLabel writes v with the decimals that the step needs, on an axis to top in
// thousands or millions where these are round.
func tickLabel(v, step, top float64) string {
	if v == 0 {
		return "0"
	}
	switch {
	case top >= 1e10:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case top >= 1e6 && step >= 1e4:
		return trimZeros(strconv.FormatFloat(v/1e6, 'f', decimals(step/1e6), 64)) + "M"
	case top >= 1e4 && step >= 100:
		return trimZeros(strconv.FormatFloat(v/1e3, 'f', decimals(step/1e3), 64)) + "k"
	case step < 1e-4:
		return strings.Replace(strconv.FormatFloat(v, 'e', max(0, decimals(step)-decimals(math.Abs(v))), 64), "e-0", "e-", 1)
	}
	return strconv.FormatFloat(v, 'f', decimals(step), 64)
}

// decimals is how many digits behind the point a multiple of step needs.
func decimals(step float64) int {
	return max(0, int(-math.Floor(math.Log10(step)+1e-9)))
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

const logPowers = 8 // marks at most, about, on a logarithmic axis over many powers

// logTicks returns marks for values whose decimal logarithms lie from low to
// high, at those logarithms: powers of ten, all or some of them, and, if
// these are few, 2 and 5 times them.
func logTicks(low, high float64) []tick {
	factors := []float64{1, 2, 5}
	if high-low > 3 {
		factors = factors[:1]
	}
	stride := math.Ceil((high - low) / logPowers)
	var all []tick
	for p := math.Floor(low); p < math.Ceil(high)+stride; p += stride {
		for _, f := range factors {
			all = append(all, tick{p + math.Log10(f), strconv.FormatFloat(f*math.Pow(10, p), 'g', 3, 64)})
		}
	}
	first, last := 0, len(all)-1
	for first+1 < len(all) && all[first+1].at <= low {
		first++
	}
	for last > first+1 && all[last-1].at >= high {
		last--
	}
	return all[first : last+1]
}

// stepTicks returns marks from low to high exactly; the ends without a label
// unless they are round.
func stepTicks(low, high float64, n int) []tick {
	if low == high {
		low, high = low-1, high+1
	}
	out := []tick{{low, ""}}
	for _, t := range linearTicks(low, high, n) {
		switch {
		case t.at == low:
			out[0] = t
		case t.at > low && t.at <= high:
			out = append(out, t)
		}
	}
	if out[len(out)-1].at != high {
		out = append(out, tick{high, ""})
	}
	return out
}
