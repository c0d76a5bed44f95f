package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// lengths are those at which kernels are tested: every remainder of every
// vector width several times, and some large ones.
func lengths() []int {
	var n []int
	for i := range 131 {
		n = append(n, i)
	}
	return append(n, 576, 896, 1000, 4099)
}

func randoms(r *rand.Rand, n int, scale float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64()) * scale
	}
	return x
}

// laneSum is the definition of a reduction, written another way: lane by lane.
func laneSum(n int, term func(i int, acc float32) float32) float32 {
	var l [16]float32
	for j := range l {
		for i := j; i < (n+15)/16*16; i += 16 {
			l[j] = term(i, l[j])
		}
	}
	for _, h := range []int{8, 4, 2, 1} {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}

func TestReductions(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range lengths() {
			a, b := randoms(r, n, 1), randoms(r, n, 3)
			at := func(x []float32, i int) float32 {
				if i < len(x) {
					return x[i]
				}
				return 0
			}
			want := laneSum(n, func(i int, acc float32) float32 { return acc + at(a, i) })
			if got := Sum(a); !sameBits(got, want) {
				t.Errorf("Sum of %d = %g, want %g", n, got, want)
			}
			want = laneSum(n, func(i int, acc float32) float32 { return fma32(at(a, i), at(a, i), acc) })
			if got := SumSquares(a); !sameBits(got, want) {
				t.Errorf("SumSquares of %d = %g, want %g", n, got, want)
			}
			want = laneSum(n, func(i int, acc float32) float32 { return fma32(at(a, i), at(b, i), acc) })
			if got := Dot(a, b); !sameBits(got, want) {
				t.Errorf("Dot of %d = %g, want %g", n, got, want)
			}
			want = -inf32
			for _, v := range a {
				want = max(want, v)
			}
			if got := Max(a); got != want {
				t.Errorf("Max of %d = %g, want %g", n, got, want)
			}
		}
	})
}

func TestReductionsOfSpecialValues(t *testing.T) {
	nan, negZero := float32(math.NaN()), copySign32(0, -1)
	onEveryPath(t, func(t *testing.T) {
		tiny := []float32{1e-30, 1e-30}
		for _, c := range []struct {
			name      string
			got, want float32
		}{
			{"max of none", Max(nil), -inf32},
			{"max of NaN", Max([]float32{nan, nan}), -inf32},
			{"max with NaN", Max([]float32{nan, 1, nan, 2}), 2},
			{"max of zeros", Max([]float32{negZero}), negZero},
			{"max with Inf", Max([]float32{1, inf32, 2}), inf32},
			{"sum of none", Sum(nil), 0},
			{"sum of −0", Sum([]float32{negZero, negZero}), 0},
			{"sum of Inf", Sum([]float32{inf32, 1}), inf32},
			{"sum of both Inf", Sum([]float32{inf32, -inf32}), nan},
			{"sum with NaN", Sum([]float32{1, nan}), nan},
			{"dot that underflows below zero", Dot(tiny, []float32{-1e-30, -1e-30}), 0},
			{"squares that overflow", SumSquares([]float32{1e30}), inf32},
		} {
			if !sameBits(c.got, c.want) {
				t.Errorf("%s = %g, want %g", c.name, c.got, c.want)
			}
		}
	})
}

func TestElementwise(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, n := range lengths() {
			a, b, c := randoms(r, n, 1), randoms(r, n, 10), randoms(r, n, 1)
			for _, op := range []struct {
				name string
				run  func(dst []float32)
				want func(i int) float32
			}{
				{"Add", func(dst []float32) { Add(dst, a, b) }, func(i int) float32 { return a[i] + b[i] }},
				{"Mul", func(dst []float32) { Mul(dst, a, b) }, func(i int) float32 { return a[i] * b[i] }},
				{"Scale", func(dst []float32) { Scale(dst, a, 0.3) }, func(i int) float32 { return a[i] * 0.3 }},
				{"AXPY", func(dst []float32) { copy(dst, c); AXPY(dst, 0.3, a) }, func(i int) float32 { return fma32(0.3, a[i], c[i]) }},
				{"MulAdd", func(dst []float32) { copy(dst, c); MulAdd(dst, a, b) }, func(i int) float32 { return fma32(a[i], b[i], c[i]) }},
				{"FoldTile", func(dst []float32) { copy(dst, c); FoldTile(dst, 0.3, a, 0.7) }, func(i int) float32 { return fma32(c[i], 0.3, float32(a[i]*0.7)) }},
				{"Exp", func(dst []float32) { Exp(dst, b) }, func(i int) float32 { return Exp32(b[i]) }},
			} {
				dst := make([]float32, n)
				op.run(dst)
				for i := range dst {
					if want := op.want(i); !sameBits(dst[i], want) {
						t.Fatalf("%s of %d: [%d] = %g, want %g", op.name, n, i, dst[i], want)
					}
				}
			}
		}
	})
}

// TestShortArguments: a slice shorter than dst is a bug of the caller, and must
// not become a read outside it.
func TestShortArguments(t *testing.T) {
	short, long := make([]float32, 7), make([]float32, 8)
	cos := make([]float32, 4)
	onEveryPath(t, func(t *testing.T) {
		for name, f := range map[string]func(){
			"Add":        func() { Add(long, short[:7:7], long) },
			"Mul":        func() { Mul(long, long, short[:7:7]) },
			"Scale":      func() { Scale(long, short[:7:7], 1) },
			"AXPY":       func() { AXPY(long, 1, short[:7:7]) },
			"MulAdd":     func() { MulAdd(long, long, short[:7:7]) },
			"Exp":        func() { Exp(long, short[:7:7]) },
			"Dot":        func() { Dot(long, short[:7:7]) },
			"FoldTile":   func() { FoldTile(long, 1, short[:7:7], 1) },
			"Softmax":    func() { Softmax(short[:7:7], long) },
			"LogSoftmax": func() { LogSoftmax(short[:7:7], long) },
			"RMSNorm":    func() { RMSNorm(long, long, short[:7:7], 0, 0) },
			"LayerNorm":  func() { LayerNorm(long, long, long, short[:7:7], 0) },
			"Rope":       func() { Rope(short[:7:7], cos, cos, HalfSplit) },
			"Rope sin":   func() { Rope(long, cos, cos[:3:3], Interleaved) },
			"Rope pairs": func() { Rope(long, cos, cos, 7) },
			"SiLU":       func() { SiLU(long, short[:7:7]) },
			"SwiGLU":     func() { SwiGLU(long, long, short[:7:7]) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s took a slice that is too short", name)
					}
				}()
				f()
			}()
		}
	})
}

func TestNoAllocation(t *testing.T) {
	x, y, z := make([]float32, 130), make([]float32, 130), make([]float32, 130)
	dx, dw := make([]float32, 130), make([]float32, 130)
	cos := make([]float32, 32)
	pool := NewPool(2)
	defer pool.Close()
	task := &countTask{counts: make([]int32, 8)}
	onEveryPath(t, func(t *testing.T) {
		for name, f := range map[string]func(){
			"elem": func() {
				Add(x, x, y)
				Mul(x, x, y)
				Scale(x, x, 2)
				AXPY(x, 1, y)
				MulAdd(x, y, z)
				Exp(x, x)
			},
			"sums": func() { Sum(x); SumSquares(x); Dot(x, y); Max(x) },
			"norm": func() {
				inv := RMSNorm(x, x, y, 1e-6, 0)
				RMSNormBackward(dx, dw, x, y, z, inv, 0)
				mean, inv := LayerNorm(x, x, y, z, 1e-6)
				LayerNormBackward(dx, dw, nil, x, y, z, mean, inv)
			},
			"softmax": func() {
				Softmax(x, x)
				LogSoftmax(y, x)
				SoftmaxBackward(dx, y, x)
				LogSoftmaxBackward(dx, y, x)
				TileSoftmax(x[:64])
				FoldTile(x, 1, y, 1)
			},
			"act": func() {
				for _, a := range activations {
					a.forward(x, y)
					a.backward(dx, x, y)
				}
				for _, g := range gated {
					g.forward(x, y, z)
					g.backward(dx, dw, x, y, z)
				}
			},
			"rope": func() { Rope(x, cos, cos, HalfSplit); RopeBackward(x, cos, cos, Interleaved) },
			"pool": func() { pool.Run(task, 8) },
		} {
			if n := testing.AllocsPerRun(10, f); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	})
}
