package train

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Schedule says the learning rate of every step, counted from 0. Its kinds are
// those of transformers' optimization.py, and nanochat's trapezoid:
//
//	constant              Rate
//	linear                to 0 at Steps
//	cosine                to Floor by Cycles cosine waves (half a wave by default)
//	cosine_with_restarts  to 0, Cycles times (once by default)
//	polynomial            to Floor as the power Power of what is left (1 by default)
//	inverse_sqrt          as 1/√step, slower by Timescale (by default Warmup)
//	wsd                   constant, then over the last Decay of Steps to Floor
//	trapezoid             the same, rising from the first step and in a line
//
// All rise from 0 over Warmup steps.
type Schedule struct {
	Kind          string
	Rate          float64 // the highest
	Warmup, Steps int
	Decay         int     // of wsd and trapezoid
	Floor         float64 // the last rate, as a part of Rate
	Cycles, Power float64 // 0: the default
	Timescale     float64 // of inverse_sqrt; 0: Warmup, or 10000 without one

	// WarmupShape and DecayShape of wsd are linear (the default for warming up),
	// cosine (for decay) or 1-sqrt.
	WarmupShape, DecayShape string
}

// schedules are the kinds: the part of Rate after warming up.
var schedules = map[string]func(s *Schedule, step float64) float64{
	"constant":             func(*Schedule, float64) float64 { return 1 },
	"linear":               (*Schedule).linear,
	"cosine":               (*Schedule).cosine,
	"cosine_with_restarts": (*Schedule).cosineWithRestarts,
	"polynomial":           (*Schedule).polynomial,
	"inverse_sqrt":         (*Schedule).inverseSqrt,
	"wsd":                  (*Schedule).wsd,
	"trapezoid":            (*Schedule).wsd,
}

// shapes fall from 1 to 0 while x rises from 0 to 1.
var shapes = map[string]func(x, cycles float64) float64{
	"linear": func(x, _ float64) float64 { return 1 - x },
	"cosine": wave,
	"1-sqrt": func(x, _ float64) float64 { return 1 - math.Sqrt(x) },
}

// halfWave is transformers' default for num_cycles.
const halfWave = 0.5

// wave goes from 1 along a cosine; half a cycle ends at 0.
func wave(x, cycles float64) float64 {
	return 0.5 * (1 + math.Cos(2*math.Pi*or(cycles, halfWave)*x))
}

// or is x, or its default.
func or(x, none float64) float64 {
	if x == 0 {
		return none
	}
	return x
}

// Check returns an error that names the first value that makes no sense.
func (s *Schedule) Check() error {
	if schedules[s.Kind] == nil {
		return fmt.Errorf("schedule %q is not known (known: %s)", s.Kind, known(schedules))
	}
	for _, c := range []struct{ name, shape string }{{"warm-up", s.WarmupShape}, {"decay", s.DecayShape}} {
		if c.shape != "" && shapes[c.shape] == nil {
			return fmt.Errorf("schedule %s: %s %q is not known (known: %s)", s.Kind, c.name, c.shape, known(shapes))
		}
	}
	for _, c := range []struct {
		name string
		ok   bool
		got  any
	}{
		{"learning rate", s.Rate >= 0 && !math.IsInf(s.Rate, 1), s.Rate},
		{"floor", s.Floor >= 0 && s.Floor <= 1, s.Floor},
		{"warm-up", s.Warmup >= 0, s.Warmup},
		{"decay", s.Decay >= 0, s.Decay},
		{"steps", s.Steps >= 0, s.Steps},
		{"cycles", s.Cycles >= 0, s.Cycles},
		{"power", s.Power >= 0, s.Power},
		{"timescale", s.Timescale >= 0, s.Timescale},
	} {
		if !c.ok {
			return fmt.Errorf("schedule %s: %s %v is out of range", s.Kind, c.name, c.got)
		}
	}
	return nil
}

func known[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// At returns the learning rate of a step. The schedule must have passed Check.
func (s *Schedule) At(step int) float64 {
	if step < s.Warmup {
		return s.Rate * s.warmup(float64(step))
	}
	return s.Rate * schedules[s.Kind](s, float64(step))
}

func (s *Schedule) warmup(step float64) float64 {
	switch s.Kind {
	case "trapezoid":
		return (step + 1) / float64(s.Warmup)
	case "wsd":
		left := 1 - step/float64(s.Warmup)
		switch s.WarmupShape {
		case "cosine":
			return s.above(0.5 * (1 - math.Cos(math.Pi*(1-left))))
		case "1-sqrt":
			return s.above(1 - math.Sqrt(left))
		}
		return s.above(1 - left)
	}
	return step / float64(s.Warmup)
}

// above maps 0 to 1 to what lies above the floor.
func (s *Schedule) above(x float64) float64 { return max(0, x*(1-s.Floor)+s.Floor) }

// progress goes from 0 after warming up to 1 at Steps, and on.
func (s *Schedule) progress(step float64) float64 {
	return (step - float64(s.Warmup)) / float64(max(1, s.Steps-s.Warmup))
}

func (s *Schedule) linear(step float64) float64 { return max(0, 1-s.progress(step)) }

func (s *Schedule) cosine(step float64) float64 { return s.above(wave(s.progress(step), s.Cycles)) }

func (s *Schedule) cosineWithRestarts(step float64) float64 {
	x := s.progress(step)
	if x >= 1 {
		return 0
	}
	_, part := math.Modf(x * or(s.Cycles, 1))
	return max(0, wave(part, halfWave))
}

func (s *Schedule) polynomial(step float64) float64 {
	return s.above(math.Pow(max(0, 1-s.progress(step)), or(s.Power, 1)))
}

func (s *Schedule) inverseSqrt(step float64) float64 {
	const withoutWarmup = 10000
	scale := or(s.Timescale, or(float64(s.Warmup), withoutWarmup))
	return 1 / math.Sqrt((step+scale-float64(s.Warmup))/scale)
}

func (s *Schedule) wsd(step float64) float64 {
	x := (step - float64(s.Steps-s.Decay)) / float64(max(1, s.Decay))
	switch {
	case x <= 0:
		return 1
	case x >= 1:
		return s.Floor
	case s.Kind == "trapezoid" || s.DecayShape == "linear":
		return s.above(1 - x)
	case s.DecayShape == "":
		return s.above(wave(x, s.Cycles))
	}
	return s.above(shapes[s.DecayShape](x, s.Cycles))
}
