package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactFMA is a·b + c as a rational number; ok is false where an operand is
// not finite.
func exactFMA(a, b, c float32) (sum *big.Rat, ok bool) {
	r := [3]*big.Rat{}
	for i, v := range []float32{a, b, c} {
		r[i] = new(big.Rat)
		if r[i].SetFloat64(float64(v)) == nil {
			return nil, false
		}
	}
	return r[0].Mul(r[0], r[1]).Add(r[0], r[2]), true
}

// rounded is the float32 nearest to x, ties to even. A zero gets the sign that
// IEEE 754 gives to the operation.
func rounded(x *big.Rat, a, b, c float32) float32 {
	if x.Sign() == 0 {
		return float32(float64(a)*float64(b) + float64(c))
	}
	f, _ := x.Float32()
	if f == 0 && x.Sign() < 0 {
		return float32(math.Copysign(0, -1))
	}
	return f
}

// fmaOperand makes numbers whose sums lie near midpoints, near zero and at
// both ends of the range more often than random bits do.
func fmaOperand(r *rand.Rand) float32 {
	b := r.Uint32()
	switch r.IntN(6) {
	case 0:
		b &= 0xfff00000
	case 1:
		b = b&0x80000fff | uint32(100+r.IntN(50))<<23
	case 2:
		b = b&0x807fffff | uint32(r.IntN(3))<<23
	case 3:
		b = b&0x807fffff | uint32(252+r.IntN(3))<<23
	case 4:
		return specials[r.IntN(len(specials))]
	}
	return math.Float32frombits(b)
}

func TestFMA32(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 300_000 {
		a, b, c := fmaOperand(r), fmaOperand(r), fmaOperand(r)
		if sum, ok := exactFMA(a, b, c); ok {
			if got, want := fma32(a, b, c), rounded(sum, a, b, c); !sameBits(got, want) {
				t.Fatalf("fma32(%x, %x, %x) = %x, want %x", a, b, c, got, want)
			}
		}
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range [][4]float32{
		{inf, 1, 0, inf}, {inf, 0, 1, nan}, {inf, 1, -inf, nan}, {1, 1, -inf, -inf}, {nan, 1, 1, nan}, {0, 0, nan, nan},
		{1 + 0x1p-12, 1 + 0x1p-12, 0x1p-80, 1 + 0x1p-11 + 0x1p-23}, // a midpoint that float64 cannot tell from a bit above
		{1 + 0x1p-12, 1 + 0x1p-12, -0x1p-80, 1 + 0x1p-11},
	} {
		if got := fma32(c[0], c[1], c[2]); !sameBits(got, c[3]) {
			t.Errorf("fma32(%x, %x, %x) = %x, want %x", c[0], c[1], c[2], got, c[3])
		}
	}
}

// TestBF16Step compares with rational arithmetic: operands flushed, the sum
// tiny below 2⁻¹²⁶ − 2⁻¹⁵¹.
func TestBF16Step(t *testing.T) {
	bound := new(big.Rat).Sub(new(big.Rat).SetFloat64(0x1p-126), new(big.Rat).SetFloat64(0x1p-151))
	r := rand.New(rand.NewPCG(2, 1))
	for range 300_000 {
		w, x, acc := toBF16(fmaOperand(r)), toBF16(fmaOperand(r)), fmaOperand(r)
		if r.IntN(3) == 0 { // near the bound
			w = uint16(r.IntN(2)<<15 | (60+r.IntN(8))<<7 | r.IntN(128))
			x = uint16(r.IntN(2)<<15 | (56+r.IntN(12))<<7 | r.IntN(128))
			acc = math.Float32frombits(r.Uint32()&0x807fffff | uint32(r.IntN(3))<<23)
		}
		a, b, c := flushed(fromBF16(w)), flushed(fromBF16(x)), flushed(acc)
		sum, ok := exactFMA(a, b, c)
		if !ok {
			continue
		}
		want := rounded(sum, a, b, c)
		if sum.Sign() != 0 && new(big.Rat).Abs(sum).Cmp(bound) < 0 {
			want = float32(math.Copysign(0, float64(sum.Sign())))
		}
		if got := bf16Step(w, x, acc); !sameBits(got, want) {
			t.Fatalf("bf16Step(%#x, %#x, %x) = %x, want %x", w, x, acc, got, want)
		}
	}
}

func TestToBF16(t *testing.T) {
	for _, c := range []struct {
		x    uint32
		want uint16
	}{
		{0, 0}, {0x80000000, 0x8000}, {0x3f800000, 0x3f80},
		{0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80}, // ties to even
		{0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, // beyond the largest
		{0x7f800001, 0x7fc0}, {0xffffffff, 0xffff}, {0x7fc00000, 0x7fc0}, // not a number
		{0x00008000, 0}, {0x00008001, 1}, {0x00000001, 0}, {0x00018000, 2}, // subnormals
	} {
		if got := toBF16(math.Float32frombits(c.x)); got != c.want {
			t.Errorf("toBF16(%#x) = %#x, want %#x", c.x, got, c.want)
		}
	}
	for h := range 1 << 16 {
		if x := fromBF16(uint16(h)); x == x && toBF16(x) != uint16(h) {
			t.Fatalf("%#x does not survive", h)
		}
	}
}

func TestFromF16(t *testing.T) {
	for h := range 1 << 16 {
		exp, frac := h>>10&31, float64(h&0x3ff)
		want := math.Ldexp(1024+frac, exp-25)
		switch {
		case exp == 0:
			want = math.Ldexp(frac, -24)
		case exp == 31 && frac == 0:
			want = math.Inf(1)
		case exp == 31:
			want = math.NaN()
		}
		if h >= 1<<15 {
			want = -want
		}
		if got := fromF16(uint16(h)); !sameBits(got, float32(want)) {
			t.Fatalf("fromF16(%#x) = %v, want %v", h, got, want)
		}
	}
}
