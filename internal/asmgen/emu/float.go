package emu

import (
	"math"
	"math/big"
)

// arithmetic is how an instruction treats subnormals.
type arithmetic struct {
	flush bool // a tiny result becomes zero
	daz   bool // subnormal operands count as zero
}

func (m *Machine) arithmetic() arithmetic {
	return arithmetic{m.mxcsr&flushToZero != 0, m.mxcsr&denormalsAreOff != 0}
}

func (a arithmetic) in(bits uint32) float32 {
	if a.daz && bits&0x7f800000 == 0 {
		bits &= 0x80000000
	}
	return math.Float32frombits(bits)
}

// minNormal32 is the smallest normal float32.
const minNormal32 = 0x1p-126

// exact rounds a sum of values, each of which float64 holds exactly.
func (a arithmetic) exact(terms ...float64) uint32 {
	sum := 0.0
	for _, t := range terms {
		sum += t
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) || sum == 0 {
		return math.Float32bits(float32(sum))
	}
	b := new(big.Float).SetPrec(2000) // holds any sum of such terms
	for _, t := range terms {
		b.Add(b, new(big.Float).SetFloat64(t))
	}
	if b.Sign() == 0 {
		return 0 // terms that cancel
	}
	if a.flush {
		rounded := new(big.Float).SetPrec(24).SetMode(big.ToNearestEven).Set(b)
		if rounded.Abs(rounded).Cmp(big.NewFloat(minNormal32)) < 0 {
			return uint32(boolBit(b.Signbit())) << 31
		}
	}
	f, _ := b.Float32()
	return math.Float32bits(f)
}

func boolBit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fma is x·y + z, rounded once.
func (a arithmetic) fma(x, y, z uint32) uint32 {
	p, c := float64(a.in(x))*float64(a.in(y)), float64(a.in(z))
	s := p + c
	// Where float64 holds the sum, one rounding follows; almost always it does
	// not matter which way it went.
	if low := math.Float64bits(s) & (1<<29 - 1); low != 0 && low != 1<<28 && math.Abs(s) > 2*minNormal32 {
		return math.Float32bits(float32(s))
	}
	if s == 0 {
		return math.Float32bits(float32(s))
	}
	return a.exact(p, c)
}

// result applies flushing to a value that float32 arithmetic gives; exact is
// it in float64, which holds sums and products of float32 well enough to tell
// what is tiny.
func (a arithmetic) result(f float32, exact float64) uint32 {
	if a.flush && exact != 0 && math.Abs(exact) < minNormal32 && math.Abs(float64(f)) <= minNormal32 {
		return a.exact(exact)
	}
	return math.Float32bits(f)
}

func (a arithmetic) add(x, y uint32) uint32 {
	f, g := a.in(x), a.in(y)
	return a.result(f+g, float64(f)+float64(g))
}

func (a arithmetic) sub(x, y uint32) uint32 {
	f, g := a.in(x), a.in(y)
	return a.result(f-g, float64(f)-float64(g))
}

func (a arithmetic) mul(x, y uint32) uint32 {
	f, g := a.in(x), a.in(y)
	return a.result(float32(f*g), float64(f)*float64(g))
}

// div does not flush; kernels divide with the default MXCSR only.
func (a arithmetic) div(x, y uint32) uint32 {
	return math.Float32bits(a.in(x) / a.in(y))
}

// sqrt does not flush either.
func (a arithmetic) sqrt(x uint32) uint32 {
	return math.Float32bits(float32(math.Sqrt(float64(a.in(x)))))
}

// max and min return the second operand unless the first is above or below.
func (a arithmetic) max(x, y uint32) uint32 {
	if a.in(x) > a.in(y) {
		return x
	}
	return y
}

func (a arithmetic) min(x, y uint32) uint32 {
	if a.in(x) < a.in(y) {
		return x
	}
	return y
}

// widenHalf is a float16 as float32.
func widenHalf(h uint16) uint32 {
	exp, frac := int(h>>10&31), float64(h&0x3ff)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(frac, -24)
	case 31:
		f = math.Inf(1)
		if frac != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(1024+frac, exp-25)
	}
	return math.Float32bits(float32(f)) | uint32(h&0x8000)<<16
}
