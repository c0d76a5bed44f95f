package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"wenmo/internal/asmgen"
	"wenmo/internal/asmgen/emu"
)

// vecDefinitions say what each element-wise kernel does to one element: d is
// what dst holds, a and b the operands, s and t the parameters.
var vecDefinitions = map[string]func(d, a, b, s, t float32) float32{
	"add":       func(d, a, b, s, t float32) float32 { return a + b },
	"mul":       func(d, a, b, s, t float32) float32 { return a * b },
	"scale":     func(d, a, b, s, t float32) float32 { return a * s },
	"axpy":      func(d, a, b, s, t float32) float32 { return fma32(s, a, d) },
	"mulAdd":    func(d, a, b, s, t float32) float32 { return fma32(a, b, d) },
	"foldTile":  func(d, a, b, s, t float32) float32 { return fma32(d, s, float32(a*t)) },
	"exp":       func(d, a, b, s, t float32) float32 { return Exp32(a) },
	"rmsScale":  func(d, a, b, s, t float32) float32 { return float32(a*s) * (t + b) },
	"center":    func(d, a, b, s, t float32) float32 { return float32(a-s) * t },
	"silu":      func(d, a, b, s, t float32) float32 { return silu(a) },
	"gelu":      func(d, a, b, s, t float32) float32 { return gelu(a) },
	"geluTanh":  func(d, a, b, s, t float32) float32 { return geluTanh(a) },
	"tanh":      func(d, a, b, s, t float32) float32 { return Tanh32(a) },
	"softCap":   func(d, a, b, s, t float32) float32 { return s * Tanh32(float32(a*t)) },
	"swiGLU":    func(d, a, b, s, t float32) float32 { return silu(a) * b },
	"geGLU":     func(d, a, b, s, t float32) float32 { return gelu(a) * b },
	"geGLUTanh": func(d, a, b, s, t float32) float32 { return geluTanh(a) * b },

	"siluBackward":     func(d, a, b, s, t float32) float32 { return a * dSiLU(b) },
	"geluBackward":     func(d, a, b, s, t float32) float32 { return a * dGELU(b) },
	"geluTanhBackward": func(d, a, b, s, t float32) float32 { return a * dGELUTanh(b) },
}

// vecSpecial are the kernels that do more than one thing: what they leave in e,
// by the portable path.
var vecSpecial = map[string]func(e *vecMemory){
	"swiGLUBackward":    func(e *vecMemory) { SwiGLUBackward(e.dst, e.c, e.a, e.b, e.d) },
	"geGLUBackward":     func(e *vecMemory) { GeGLUBackward(e.dst, e.c, e.a, e.b, e.d) },
	"geGLUTanhBackward": func(e *vecMemory) { GeGLUTanhBackward(e.dst, e.c, e.a, e.b, e.d) },
	"normSums": func(e *vecMemory) {
		for i := range e.dst {
			g := float32(e.a[i] * (e.vec.u + e.b[i]))
			e.lanes[i%lanes] += g
			e.d[i%lanes] = fma32(g, float32((e.c[i]-e.vec.s)*e.vec.t), e.d[i%lanes])
		}
	},
	"normBackward": func(e *vecMemory) {
		for i := range e.dst {
			g, n := float32(e.a[i]*(e.vec.u+e.b[i])), float32((e.c[i]-e.vec.s)*e.vec.t)
			e.dst[i] = e.vec.t * ((g - e.vec.r) - float32(n*e.vec.q))
		}
	},
	"packPairs": func(e *vecMemory) {
		for i := range e.dst { // every step reads the same rows
			e.dst[i] = math.Float32frombits(uint32(toBF16(e.a[i%lanes])) | uint32(toBF16(e.b[i%lanes]))<<16)
		}
	},
	"adamW": func(e *vecMemory) {
		l := &e.lanes
		AdamW(e.dst, e.b, e.c, e.a, &AdamWStep{Keep: l[0], Beta1: l[1], New1: l[2], Beta2: l[3], New2: l[4], Root: l[5], Eps: l[6], Rate: l[7]})
	},
}

// laneDefinitions say of reductions how an element joins its lane.
var laneDefinitions = map[string]func(acc, a, b, s float32) float32{
	"sum":              func(acc, a, b, s float32) float32 { return acc + a },
	"sumSquares":       func(acc, a, b, s float32) float32 { return fma32(a, a, acc) },
	"sumSquaresAround": func(acc, a, b, s float32) float32 { return fma32(a-s, a-s, acc) },
	"dot":              func(acc, a, b, s float32) float32 { return fma32(a, b, acc) },
	"expSum":           func(acc, a, b, s float32) float32 { return acc + Exp32(a-s) },
	"max": func(acc, a, b, s float32) float32 {
		if a > acc {
			return a
		}
		return acc
	},
}

// vecMemory is the memory of one call of a kernel.
type vecMemory struct {
	dst, a, b, c, d []float32
	half            []uint16 // dst of roundBF16
	lanes           [lanes]float32
	vec             vec
}

// newVecMemory fills the operands; n is a whole number of steps.
func newVecMemory(r *rand.Rand, n int, next func(r *rand.Rand) float32) *vecMemory {
	e := &vecMemory{half: make([]uint16, n)}
	for _, x := range []*[]float32{&e.dst, &e.a, &e.b, &e.c, &e.d} {
		*x = make([]float32, n)
		fill(*x, r, next)
	}
	fill(e.lanes[:], r, next)
	e.vec = vec{
		dst: unsafe.Pointer(&e.dst[0]), a: &e.a[0], b: &e.b[0], c: &e.c[0],
		s: next(r), t: next(r), steps: n / lanes, lanes: &e.lanes,
		r: next(r), q: next(r), d: &e.d[0], u: next(r),
	}
	return e
}

func (e *vecMemory) run(t *testing.T, file *asmgen.File, name string) {
	t.Helper()
	arg := unsafe.Slice((*byte)(unsafe.Pointer(&e.vec)), unsafe.Sizeof(e.vec))
	err := emu.Run(file, name, arg, emu.Memory(e.dst), emu.Memory(e.a), emu.Memory(e.b), emu.Memory(e.c), emu.Memory(e.d), emu.Memory(e.half), emu.Memory(e.lanes[:]))
	if err != nil {
		t.Fatal(err)
	}
}

// TestVecEmulated runs the element-wise kernels of both vector lengths in the
// emulator, which needs no such processor, and compares with the definitions.
func TestVecEmulated(t *testing.T) {
	for suffix, file := range map[string]*asmgen.File{"AVX2": asmgen.VecAVX2(), "AVX512": asmgen.VecAVX512()} {
		t.Run(suffix, func(t *testing.T) {
			for _, f := range file.Funcs {
				for _, fl := range fillers {
					r := rand.New(rand.NewPCG(25, 26))
					for _, n := range []int{16, 80} {
						checkEmulated(t, file, f.Name, suffix, newVecMemory(r, n, fl.next), fl.name)
					}
				}
			}
		})
	}
}

func checkEmulated(t *testing.T, file *asmgen.File, name, suffix string, e *vecMemory, values string) {
	t.Helper()
	kind := strings.TrimSuffix(name, suffix)
	if special := vecSpecial[kind]; special != nil {
		checkSpecial(t, file, name, e, values, special)
		return
	}
	want := append([]float32(nil), e.dst...)
	wantLanes, wantC := e.lanes, append([]float32(nil), e.c...)
	s, u := e.vec.s, e.vec.t
	m, l := float32(0), float32(0)
	each, reduce := vecDefinitions[kind], laneDefinitions[kind]
	for i := range want {
		switch {
		case each != nil:
			want[i] = each(want[i], e.a[i], e.b[i], s, u)
		case reduce != nil:
			wantLanes[i%lanes] = reduce(wantLanes[i%lanes], e.a[i], e.b[i], s)
			if kind == "expSum" {
				want[i] = Exp32(e.a[i] - s)
			}
		case kind == "rope":
			want[i] = float32(e.dst[i]*e.a[i]) - float32(e.c[i]*e.b[i])
			wantC[i] = float32(e.c[i]*e.a[i]) + float32(e.dst[i]*e.b[i])
		case kind == "tileSoftmax":
			e.vec.a = &e.dst[0]
			if i == 0 {
				m, l = portableTile(want)
			}
		case kind == "roundBF16":
			e.vec.dst = unsafe.Pointer(&e.half[0])
		default:
			t.Fatalf("%s has no definition", name)
		}
	}
	e.run(t, file, name)
	for i := range want {
		if !sameBits(e.dst[i], want[i]) || !sameBits(e.c[i], wantC[i]) {
			t.Fatalf("%s, %s values: [%d] = %v, %v, want %v, %v", name, values, i, e.dst[i], e.c[i], want[i], wantC[i])
		}
		if kind == "roundBF16" && e.half[i] != toBF16(e.a[i]) {
			t.Fatalf("%s, %s values: [%d] = %#x, want %#x", name, values, i, e.half[i], toBF16(e.a[i]))
		}
	}
	if kind == "tileSoftmax" && (!sameBits(e.vec.r, m) || !sameBits(e.vec.q, l)) {
		t.Fatalf("%s, %s values: m, l = %v, %v, want %v, %v", name, values, e.vec.r, e.vec.q, m, l)
	}
	if reduce != nil && !sameBits(e.vec.r, foldBy(kind, wantLanes)) {
		t.Fatalf("%s, %s values: result %v, want %v", name, values, e.vec.r, foldBy(kind, wantLanes))
	}
	for i := range wantLanes {
		if !sameBits(e.lanes[i], wantLanes[i]) {
			t.Fatalf("%s, %s values: lane %d = %v, want %v", name, values, i, e.lanes[i], wantLanes[i])
		}
	}
}

// checkSpecial compares all memory after a kernel with what its definition
// leaves.
func checkSpecial(t *testing.T, file *asmgen.File, name string, e *vecMemory, values string, special func(e *vecMemory)) {
	t.Helper()
	want := &vecMemory{lanes: e.lanes, vec: e.vec}
	from, to := []*[]float32{&e.dst, &e.a, &e.b, &e.c, &e.d}, []*[]float32{&want.dst, &want.a, &want.b, &want.c, &want.d}
	for i := range from {
		*to[i] = slices.Clone(*from[i])
	}
	path := Path()
	SetPath("portable")
	special(want)
	SetPath(path)
	e.run(t, file, name)
	for at := range from {
		for i, w := range *to[at] {
			if got := (*from[at])[i]; !sameBits(got, w) {
				t.Fatalf("%s, %s values: memory %d [%d] = %v, want %v", name, values, at, i, got, w)
			}
		}
	}
	for i, w := range want.lanes {
		if !sameBits(e.lanes[i], w) {
			t.Fatalf("%s, %s values: lane %d = %v, want %v", name, values, i, e.lanes[i], w)
		}
	}
}

// portableTile is TileSoftmax on the portable path.
func portableTile(s []float32) (m, l float32) {
	path := Path()
	defer SetPath(path)
	SetPath("portable")
	return TileSoftmax(s)
}

func foldBy(kind string, l [lanes]float32) float32 {
	if kind == "max" {
		return foldMax(&l)
	}
	return fold(&l)
}
