package emu

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"wenmo/internal/asmgen"
)

// kernelOf makes a file with one function of the instructions given.
func kernelOf(build func(f *asmgen.Func)) *asmgen.File {
	f := &asmgen.Func{Name: "f", Arg: "t", Frame: 16}
	f.Op("MOVQ", asmgen.Mem{Param: "t"}, asmgen.AX)
	build(f)
	f.Op("RET")
	return &asmgen.File{Path: "test", Funcs: []*asmgen.Func{f}}
}

func TestFaults(t *testing.T) {
	arg := bytes.Repeat([]byte{0xff}, 64)
	y0, z20 := asmgen.Reg{Class: asmgen.Y, N: 0}, asmgen.Reg{Class: asmgen.Z, N: 20}
	for _, c := range []struct {
		want  string
		build func(f *asmgen.Func)
	}{
		{"outside of the memory", func(f *asmgen.Func) { f.Op("VMOVUPS", asmgen.At(asmgen.AX, 1), z20) }},
		{"outside of the memory", func(f *asmgen.Func) { f.Op("VMOVUPS", z20, asmgen.At(asmgen.AX, -1)) }},
		{"outside of the frame", func(f *asmgen.Func) { f.Op("VMOVUPS", z20, asmgen.Mem{Frame: true, Disp: -24}) }},
		{"outside of the frame", func(f *asmgen.Func) { f.Op("VMOVUPS", z20, asmgen.Mem{Frame: true, Disp: -16}) }},
		{"not known", func(f *asmgen.Func) { f.Op("VNONSENSE", z20, z20) }},
		{"dirty upper half of vector 0", func(f *asmgen.Func) { f.Op("VMOVUPS", asmgen.At(asmgen.AX, 0), y0) }},
		{"MXCSR", func(f *asmgen.Func) {
			at := asmgen.Mem{Frame: true, Disp: -8}
			f.Op("MOVL", asmgen.Imm(0x9fc0), asmgen.CX)
			f.Op("MOVL", asmgen.CX, at)
			f.Op("LDMXCSR", at)
		}},
	} {
		err := Run(kernelOf(c.build), "f", arg)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one about %q", err, c.want)
		}
	}
	clean := kernelOf(func(f *asmgen.Func) {
		f.Op("VMOVUPS", asmgen.At(asmgen.AX, 0), y0)
		f.Op("VZEROUPPER")
	})
	if err := Run(clean, "f", arg); err != nil {
		t.Error(err)
	}
}

// TestFMA compares with rational arithmetic, at both ends of the range too.
func TestFMA(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func() uint32 {
		b := r.Uint32()
		switch r.IntN(4) {
		case 0: // few bits, so that midpoints are frequent
			b &= 0xfff80000
		case 1:
			b = b&0x807fffff | uint32(60+r.IntN(8))<<23
		case 2:
			b = b&0x807fffff | uint32(r.IntN(3))<<23
		}
		return b
	}
	for range 200_000 {
		x, y, z := pick(), pick(), pick()
		got := arithmetic{}.fma(x, y, z)
		if want, ok := fmaOracle(x, y, z); ok && got != want {
			t.Fatalf("fma(%#x, %#x, %#x) = %#x, want %#x", x, y, z, got, want)
		}
	}
}

// fmaOracle is the product and sum of finite numbers as rationals.
func fmaOracle(x, y, z uint32) (uint32, bool) {
	var f [3]float64
	for i, b := range []uint32{x, y, z} {
		f[i] = float64(math.Float32frombits(b))
		if math.IsNaN(f[i]) || math.IsInf(f[i], 0) {
			return 0, false
		}
	}
	sum := new(big.Rat).Mul(new(big.Rat).SetFloat64(f[0]), new(big.Rat).SetFloat64(f[1]))
	sum.Add(sum, new(big.Rat).SetFloat64(f[2]))
	if sum.Sign() == 0 {
		return 0, false // the sign is another matter
	}
	got, _ := sum.Float32()
	return math.Float32bits(got), true
}

// TestFlush checks the bound below which a result is tiny.
func TestFlush(t *testing.T) {
	flushing := arithmetic{flush: true, daz: true}
	half := math.Float32bits(0.5)
	for _, c := range []struct{ x, y, z, want uint32 }{
		{0x00800000, half, 0, 0},                                  // half of the smallest normal number
		{0x80800000, half, 0, 0x80000000},                         // its negative
		{0x00800000, half, 0x00800000, 0x00c00000},                // 1.5 of it
		{0x007fffff, math.Float32bits(1), 0, 0},                   // a subnormal operand
		{0x00800000, math.Float32bits(1 - 0x1p-24), 0, 0},         // 2⁻¹²⁶ − 2⁻¹⁵⁰: tiny
		{0x0d800000, 0xa6000000, 0x00800000, 0x00800000},          // 2⁻¹²⁶ − 2⁻¹⁵¹ rounds to normal
		{0x0d800000, 0xa6800000, 0x00800000, 0},                   // 2⁻¹²⁶ − 2⁻¹⁵⁰ does not
		{0x00800000, math.Float32bits(1), 0x00000001, 0x00800000}, // a subnormal addend
	} {
		if got := flushing.fma(c.x, c.y, c.z); got != c.want {
			t.Errorf("fma(%#x, %#x, %#x) = %#x, want %#x", c.x, c.y, c.z, got, c.want)
		}
	}
}
