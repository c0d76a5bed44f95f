package kernel

import "unsafe"

// A vecOp is an element-wise operation that has assembly, which takes whole
// steps of sixteen elements. The loops that use it are its definition: they do
// what it left.
type vecOp uint8

const (
	opAdd vecOp = iota
	opMul
	opScale
	opAXPY
	opMulAdd
	opFoldTile
	opSum
	opSumSquares
	opSumSquaresAround
	opDot
	opMax
	opExp
	opExpSum
	opTileSoftmax
	opRMSScale
	opCenter
	opSiLU
	opGELU
	opGELUTanh
	opTanh
	opSoftCap
	opSwiGLU
	opGeGLU
	opGeGLUTanh
	opRope
	opRoundBF16
	opSiLUBackward
	opGELUBackward
	opGELUTanhBackward
	opSwiGLUBackward
	opGeGLUBackward
	opGeGLUTanhBackward
	opNormSums
	opNormBackward
	opAdamW
	opPackPairs
	opCount
)

// vec is the argument of the assembly; internal/asmgen reads it by offset.
type vec struct {
	dst     unsafe.Pointer // of float32, or of uint16 for opRoundBF16
	a, b, c *float32
	s, t    float32
	steps   int // of sixteen elements, at least one
	lanes   *[lanes]float32
	r, q    float32 // results of a reduction, or parameters
	d       *float32
	u       float32
	stride  int // of opPackPairs: bytes from a step to the next in a and b
}

// Assembly cannot be preempted: one call takes some 20 µs of the slowest
// operation at most.
const vecMaxSteps = 1024

// run lets assembly work on the first elements of dst, as many as it takes,
// and returns their number. a and b are as long as dst, or nil where the
// operation has none.
func (op vecOp) run(dst, a, b []float32, s, t float32) int {
	done, _ := op.reduce(nil, dst, a, b, s, t)
	return done
}

// reduce is run for an operation that carries lanes. Where it has no result
// but these, dst is a, and stays as it is. r is the lanes folded.
func (op vecOp) reduce(l *[lanes]float32, dst, a, b []float32, s, t float32) (done int, r float32) {
	if active == portable {
		return 0, 0
	}
	// Field by field: a literal is copied, which reads what was just written
	// in other sizes and waits for it.
	var v vec
	v.s, v.t, v.lanes = s, t, l
	for rest := len(dst) / lanes; rest > 0; rest -= vecMaxSteps {
		v.dst, v.a = unsafe.Pointer(&dst[done]), &a[done]
		if b != nil {
			v.b = &b[done]
		}
		v.steps = min(rest, vecMaxSteps)
		if !op.call(&v) {
			return 0, 0
		}
		done += v.steps * lanes
	}
	return done, v.r
}

// runTileSoftmax is run for opTileSoftmax, which takes whole steps only; ok
// says whether it did its work.
func runTileSoftmax(s []float32) (m, l float32, ok bool) {
	steps := len(s) / lanes
	if steps == 0 || steps > vecMaxSteps || len(s)%lanes != 0 {
		return 0, 0, false
	}
	var v vec
	v.dst, v.a, v.steps = unsafe.Pointer(&s[0]), &s[0], steps
	if !opTileSoftmax.call(&v) {
		return 0, 0, false
	}
	return v.r, v.q, true
}

// runRope is run for opRope, which rotates lo and hi in place.
func runRope(lo, hi, cos, sin []float32) int {
	steps := len(cos) / lanes
	if steps == 0 || steps > vecMaxSteps {
		return 0
	}
	var v vec
	v.dst, v.c, v.a, v.b, v.steps = unsafe.Pointer(&lo[0]), &hi[0], &cos[0], &sin[0], steps
	if !opRope.call(&v) {
		return 0
	}
	return steps * lanes
}

// runRoundBF16 is run for opRoundBF16.
func runRoundBF16(dst []uint16, src []float32) int {
	var v vec
	done := 0
	for rest := len(dst) / lanes; rest > 0; rest -= vecMaxSteps {
		v.dst, v.a, v.steps = unsafe.Pointer(&dst[done]), &src[done], min(rest, vecMaxSteps)
		if !opRoundBF16.call(&v) {
			return 0
		}
		done += v.steps * lanes
	}
	return done
}

// runGatedBackward is run for the gradients of a gated activation.
func (op vecOp) runGatedBackward(dgate, dup, dy, gate, up []float32) int {
	var v vec
	done := 0
	for rest := len(dgate) / lanes; rest > 0; rest -= vecMaxSteps {
		v.dst, v.c, v.a, v.b, v.d = unsafe.Pointer(&dgate[done]), &dup[done], &dy[done], &gate[done], &up[done]
		v.steps = min(rest, vecMaxSteps)
		if !op.call(&v) {
			return 0
		}
		done += v.steps * lanes
	}
	return done
}

// runNormSums is run for the sums of a norm's backward, which the two sets of
// lanes carry.
func runNormSums(l *[2][lanes]float32, dy, x, w []float32, mean, inv, offset float32) int {
	var v vec
	v.s, v.t, v.u, v.lanes = mean, inv, offset, &l[0]
	done := 0
	for rest := len(x) / lanes; rest > 0; rest -= vecMaxSteps {
		v.a, v.b, v.c, v.d = &dy[done], &w[done], &x[done], &l[1][0]
		v.steps = min(rest, vecMaxSteps)
		if !opNormSums.call(&v) {
			return 0
		}
		done += v.steps * lanes
	}
	return done
}

// runNormBackward is run for opNormBackward, c0 and c1 being the means.
func runNormBackward(dx, dy, x, w []float32, mean, inv, offset, c0, c1 float32) int {
	var v vec
	v.s, v.t, v.u, v.r, v.q = mean, inv, offset, c0, c1
	done := 0
	for rest := len(x) / lanes; rest > 0; rest -= vecMaxSteps {
		v.dst, v.a, v.b, v.c = unsafe.Pointer(&dx[done]), &dy[done], &w[done], &x[done]
		v.steps = min(rest, vecMaxSteps)
		if !opNormBackward.call(&v) {
			return 0
		}
		done += v.steps * lanes
	}
	return done
}

// runAdamW is run for opAdamW, whose numbers stand in the place of lanes.
func runAdamW(p, m, v, g []float32, s *AdamWStep) int {
	numbers := [lanes]float32{s.Keep, s.Beta1, s.New1, s.Beta2, s.New2, s.Root, s.Eps, s.Rate}
	var arg vec
	arg.lanes = &numbers
	done := 0
	for rest := len(p) / lanes; rest > 0; rest -= vecMaxSteps {
		arg.dst, arg.a, arg.b, arg.c = unsafe.Pointer(&p[done]), &g[done], &m[done], &v[done]
		arg.steps = min(rest, vecMaxSteps)
		if !opAdamW.call(&arg) {
			return 0
		}
		done += arg.steps * lanes
	}
	return done
}

// runPackPairs is run for opPackPairs: sixteen columns of pairs of rows, ld
// elements long, become rows of a panel. It returns the number of pairs.
func runPackPairs(dst []uint16, src []float32, ld, pairs int) int {
	var v vec
	v.stride = 8 * ld
	done := 0
	for rest := pairs; rest > 0; rest -= vecMaxSteps {
		v.steps = min(rest, vecMaxSteps)
		v.dst, v.a, v.b = unsafe.Pointer(&dst[done*bf16Row]), &src[2*done*ld], &src[(2*done+1)*ld]
		if !opPackPairs.call(&v) {
			return 0
		}
		done += v.steps
	}
	return done
}
