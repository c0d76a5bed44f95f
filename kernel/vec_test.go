package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"wenmo/internal/asmgen"
)

// vecCases use every operation that has assembly. run works on inputs of one
// length; dst begins as the inputs' third part.
var vecCases = []struct {
	name string
	op   vecOp
	run  func(dst, a, b []float32, s, t float32) float32
}{
	{"Add", opAdd, func(dst, a, b []float32, s, t float32) float32 { Add(dst, a, b); return 0 }},
	{"Mul", opMul, func(dst, a, b []float32, s, t float32) float32 { Mul(dst, a, b); return 0 }},
	{"Scale", opScale, func(dst, a, b []float32, s, t float32) float32 { Scale(dst, a, s); return 0 }},
	{"AXPY", opAXPY, func(dst, a, b []float32, s, t float32) float32 { AXPY(dst, s, a); return 0 }},
	{"MulAdd", opMulAdd, func(dst, a, b []float32, s, t float32) float32 { MulAdd(dst, a, b); return 0 }},
	{"FoldTile", opFoldTile, func(dst, a, b []float32, s, t float32) float32 { FoldTile(dst, s, a, t); return 0 }},
	{"Sum", opSum, func(dst, a, b []float32, s, t float32) float32 { return Sum(a) }},
	{"SumSquares", opSumSquares, func(dst, a, b []float32, s, t float32) float32 { return SumSquares(a) }},
	{"SumSquaresAround", opSumSquaresAround, func(dst, a, b []float32, s, t float32) float32 { return sumSquaresAround(a, s) }},
	{"Dot", opDot, func(dst, a, b []float32, s, t float32) float32 { return Dot(a, b) }},
	{"Max", opMax, func(dst, a, b []float32, s, t float32) float32 { return Max(a) }},
	{"Exp", opExp, func(dst, a, b []float32, s, t float32) float32 { Exp(dst, a); return 0 }},
	{"ExpSum", opExpSum, func(dst, a, b []float32, s, t float32) float32 { return expSum(dst, a, s) }},
	{"TileSoftmax", opTileSoftmax, func(dst, a, b []float32, s, t float32) float32 {
		copy(dst, a)
		m, l := TileSoftmax(dst)
		return m + l
	}},
	{"RMSScale", opRMSScale, func(dst, a, b []float32, s, t float32) float32 { return RMSNorm(dst, a, b, abs32(s), t) }},
	{"Center", opCenter, func(dst, a, b []float32, s, t float32) float32 {
		mean, inv := LayerNorm(dst, a, b, b, abs32(s))
		return mean + inv
	}},
	{"SiLU", opSiLU, func(dst, a, b []float32, s, t float32) float32 { SiLU(dst, a); return 0 }},
	{"GELU", opGELU, func(dst, a, b []float32, s, t float32) float32 { GELU(dst, a); return 0 }},
	{"GELUTanh", opGELUTanh, func(dst, a, b []float32, s, t float32) float32 { GELUTanh(dst, a); return 0 }},
	{"Tanh", opTanh, func(dst, a, b []float32, s, t float32) float32 { Tanh(dst, a); return 0 }},
	{"SoftCap", opSoftCap, func(dst, a, b []float32, s, t float32) float32 { SoftCap(dst, a, s); return 0 }},
	{"SwiGLU", opSwiGLU, func(dst, a, b []float32, s, t float32) float32 { SwiGLU(dst, a, b); return 0 }},
	{"GeGLU", opGeGLU, func(dst, a, b []float32, s, t float32) float32 { GeGLU(dst, a, b); return 0 }},
	{"Rope", opRope, func(dst, a, b []float32, s, t float32) float32 {
		half := len(dst) / 2
		Rope(dst, a[:half], b[:half], HalfSplit)
		return 0
	}},
	{"RoundBF16", opRoundBF16, func(dst, a, b []float32, s, t float32) float32 {
		rounded := make([]uint16, len(a))
		RoundBF16(rounded, a)
		for i, v := range rounded {
			dst[i] = float32(v)
		}
		return 0
	}},
	{"SiLUBackward", opSiLUBackward, func(dst, a, b []float32, s, t float32) float32 { SiLUBackward(dst, a, b); return 0 }},
	{"GELUBackward", opGELUBackward, func(dst, a, b []float32, s, t float32) float32 { GELUBackward(dst, a, b); return 0 }},
	{"GELUTanhBackward", opGELUTanhBackward, func(dst, a, b []float32, s, t float32) float32 { GELUTanhBackward(dst, a, b); return 0 }},
	{"SwiGLUBackward", opSwiGLUBackward, gatedCase(SwiGLUBackward)},
	{"GeGLUBackward", opGeGLUBackward, gatedCase(GeGLUBackward)},
	{"GeGLUTanhBackward", opGeGLUTanhBackward, gatedCase(GeGLUTanhBackward)},
	{"LayerNormBackward", opNormSums, func(dst, a, b []float32, s, t float32) float32 {
		LayerNormBackward(dst, nil, nil, a, b, append([]float32(nil), dst...), s, t)
		return 0
	}},
	{"RMSNormBackward", opNormBackward, func(dst, a, b []float32, s, t float32) float32 {
		RMSNormBackward(dst, nil, a, b, append([]float32(nil), dst...), s, t)
		return 0
	}},
	{"AdamW", opAdamW, func(dst, a, b []float32, s, t float32) float32 {
		m, v := append([]float32(nil), b...), append([]float32(nil), b...)
		AdamW(dst, m, v, a, &AdamWStep{Keep: t, Beta1: s, New1: 1 - s, Beta2: 0.9, New2: 0.1, Root: 2, Eps: 1e-8, Rate: 0.5})
		return Sum(m) + Sum(v)
	}},
	{"PackPairs", opPackPairs, func(dst, a, b []float32, s, t float32) float32 {
		const n = 21
		panels := make([]uint16, PanelLenBF16(n, len(a)/n))
		PackBF16T(panels, a, n, len(a)/n, n)
		for i := range dst {
			dst[i] = 0
			if i < len(panels) {
				dst[i] = float32(panels[i])
			}
		}
		return 0
	}},
	{"GeGLUTanh", opGeGLUTanh, func(dst, a, b []float32, s, t float32) float32 { GeGLUTanh(dst, a, b); return 0 }},
}

// gatedCase lets half of the elements be gates and the other half what they
// multiply.
func gatedCase(back func(dgate, dup, dy, gate, up []float32)) func(dst, a, b []float32, s, t float32) float32 {
	return func(dst, a, b []float32, s, t float32) float32 {
		half := len(dst) / 2
		back(dst[:half], dst[half:2*half], a[:half], b[:half], b[half:2*half])
		return 0
	}
}

// guarded returns n floats at an odd place of a larger slice, whose rest is
// padding.
func guarded(n, shift int) (whole, x []float32) {
	whole = make([]float32, n+48)
	for i := range whole {
		whole[i] = padded
	}
	return whole, whole[16+shift : 16+shift+n : 16+shift+n]
}

func checkGuards(t *testing.T, label string, whole []float32, n, shift int) {
	t.Helper()
	for i, v := range whole {
		if (i < 16+shift || i >= 16+shift+n) && v != padded {
			t.Fatalf("%s wrote at %d, outside its %d results", label, i-16-shift, n)
		}
	}
}

// TestVecEqualsPortable compares every operation on every path with the
// portable one, bit for bit, in all lengths and with all kinds of values.
func TestVecEqualsPortable(t *testing.T) {
	covered := map[vecOp]bool{}
	for _, c := range vecCases {
		covered[c.op] = true
	}
	for op := range opCount {
		if !covered[op] {
			t.Errorf("operation %d has no case", op)
		}
	}
	onEveryPath(t, func(t *testing.T) {
		if Path() == "portable" {
			return
		}
		for _, fl := range fillers {
			r := rand.New(rand.NewPCG(21, 22))
			for _, n := range append(lengths(), vecMaxSteps*lanes+37) {
				in := make([]float32, 3*n+2)
				fill(in, r, fl.next)
				for _, c := range vecCases {
					compareVec(t, fmt.Sprintf("%s of %d %s values", c.name, n, fl.name), in, n, c.run)
				}
			}
		}
	})
}

func compareVec(t *testing.T, label string, in []float32, n int, run func(dst, a, b []float32, s, t float32) float32) {
	t.Helper()
	a, b, begin := in[:n], in[n:2*n], in[2*n:3*n]
	s, u := in[3*n], in[3*n+1]
	want := append([]float32(nil), begin...)
	path := Path()
	SetPath("portable")
	wantSum := run(want, a, b, s, u)
	SetPath(path)

	shift := n % 16
	whole, got := guarded(n, shift)
	copy(got, begin)
	gotSum := run(got, a, b, s, u)
	checkGuards(t, label, whole, n, shift)
	if !sameBits(gotSum, wantSum) {
		t.Fatalf("%s: %v (%#x), want %v", label, gotSum, gotSum, wantSum)
	}
	for i := range got {
		if !sameBits(got[i], want[i]) {
			t.Fatalf("%s: [%d] = %v, want %v (inputs %v, %v, %v; %v, %v)", label, i, got[i], want[i], a[i], b[i], begin[i], s, u)
		}
	}
}

// FuzzVecEqualsPortable tries any bits as operands of any operation.
func FuzzVecEqualsPortable(f *testing.F) {
	seed := make([]byte, 0, 4*3*40+8)
	for i := range 3*40 + 2 {
		seed = binary.LittleEndian.AppendUint32(seed, math.Float32bits(specials[i%len(specials)]))
	}
	for op := range opCount {
		f.Add(uint8(op), seed)
	}
	f.Fuzz(func(t *testing.T, op uint8, data []byte) {
		if len(data) < 8 {
			return
		}
		in := floatsFrom(data)
		n := (len(in) - 2) / 3
		in = append(in[:3*n:3*n], in[len(in)-2:]...)
		c := vecCases[int(op)%len(vecCases)]
		onEveryPath(t, func(t *testing.T) { compareVec(t, c.name, in, n, c.run) })
	})
}

// TestVecOffsets compares the offsets that the generator knows with the
// struct.
func TestVecOffsets(t *testing.T) {
	var v vec
	for _, c := range []struct {
		field     string
		got, want uintptr
	}{
		{"dst", unsafe.Offsetof(v.dst), asmgen.VecDst},
		{"a", unsafe.Offsetof(v.a), asmgen.VecA},
		{"b", unsafe.Offsetof(v.b), asmgen.VecB},
		{"c", unsafe.Offsetof(v.c), asmgen.VecC},
		{"s", unsafe.Offsetof(v.s), asmgen.VecS},
		{"t", unsafe.Offsetof(v.t), asmgen.VecT},
		{"steps", unsafe.Offsetof(v.steps), asmgen.VecSteps},
		{"lanes", unsafe.Offsetof(v.lanes), asmgen.VecLanes},
		{"r", unsafe.Offsetof(v.r), asmgen.VecR},
		{"q", unsafe.Offsetof(v.q), asmgen.VecQ},
		{"d", unsafe.Offsetof(v.d), asmgen.VecD},
		{"u", unsafe.Offsetof(v.u), asmgen.VecU},
		{"stride", unsafe.Offsetof(v.stride), asmgen.VecStride},
	} {
		if c.got != c.want {
			t.Errorf("vec.%s is at %d, the generator says %d", c.field, c.got, c.want)
		}
	}
}

// BenchmarkVec measures every operation over a row of 896 elements (the width
// of a small Llama), with everything in the first cache.
func BenchmarkVec(b *testing.B) {
	const n = 896
	for _, path := range Paths() {
		for _, c := range vecCases {
			b.Run(fmt.Sprintf("%s/%s", path, c.name), func(b *testing.B) {
				before := Path()
				defer SetPath(before)
				SetPath(path)
				r := rand.New(rand.NewPCG(1, 2))
				x, y, dst := randoms(r, n, 1), randoms(r, n, 1), randoms(r, n, 1)
				for b.Loop() {
					c.run(dst, x, y, 0.5, 0.5)
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/n, "ns/element")
			})
		}
	}
}
