package asmgen

import "math"

// vecKernels are the element-wise kernels; kernel/vec.go has the operations of
// the same names, and the loops of package kernel that use them are their
// definitions.
var vecKernels = []struct {
	name  string
	write func(v *vecKernel)
}{
	{"add", func(v *vecKernel) {
		v.each(func() { v.store(v.add(v.load(vecA), v.at(vecB))) })
	}},
	{"mul", func(v *vecKernel) {
		v.each(func() { v.store(v.mul(v.load(vecA), v.at(vecB))) })
	}},
	{"scale", func(v *vecKernel) {
		s := v.param(VecS)
		v.each(func() { v.store(v.mul(s, v.at(vecA))) })
	}},
	{"axpy", func(v *vecKernel) {
		s := v.param(VecS)
		v.each(func() {
			acc := v.load(vecDst)
			v.fma(s, v.at(vecA), acc)
			v.store(acc)
		})
	}},
	{"mulAdd", func(v *vecKernel) {
		v.each(func() {
			acc := v.load(vecDst)
			v.fma(v.load(vecA), v.at(vecB), acc)
			v.store(acc)
		})
	}},
	{"foldTile", func(v *vecKernel) {
		s, t := v.param(VecS), v.param(VecT)
		v.each(func() {
			acc := v.mul(t, v.at(vecA))
			v.fma(s, v.at(vecDst), acc)
			v.store(acc)
		})
	}},
	{"sum", func(v *vecKernel) {
		v.reduce("VADDPS", func(acc Reg) { v.Op("VADDPS", v.at(vecA), acc, acc) })
	}},
	{"sumSquares", func(v *vecKernel) {
		v.reduce("VADDPS", func(acc Reg) {
			x := v.load(vecA)
			v.fma(x, x, acc)
		})
	}},
	{"sumSquaresAround", func(v *vecKernel) {
		mean := v.param(VecS)
		v.reduce("VADDPS", func(acc Reg) {
			d := v.sub(v.load(vecA), mean)
			v.fma(d, d, acc)
		})
	}},
	{"dot", func(v *vecKernel) {
		v.reduce("VADDPS", func(acc Reg) { v.fma(v.load(vecA), v.at(vecB), acc) })
	}},
	{"max", func(v *vecKernel) {
		v.reduce("VMAXPS", func(acc Reg) { v.Op("VMAXPS", acc, v.load(vecA), acc) })
	}},
	{"exp", func(v *vecKernel) {
		v.each(func() { v.store(v.exp(v.load(vecA))) })
	}},
	{"expSum", func(v *vecKernel) {
		m := v.param(VecS)
		v.reduce("VADDPS", func(acc Reg) { v.expSum(m, acc) })
	}},
	{"tileSoftmax", (*vecKernel).tileSoftmax},
	{"rmsScale", func(v *vecKernel) {
		inv, offset := v.param(VecS), v.param(VecT)
		v.each(func() { v.store(v.mul(v.mul(inv, v.at(vecA)), v.add(offset, v.at(vecB)))) })
	}},
	{"center", func(v *vecKernel) {
		mean, inv := v.param(VecS), v.param(VecT)
		v.each(func() { v.store(v.mul(v.sub(v.load(vecA), mean), inv)) })
	}},
	{"silu", unary((*vecKernel).silu)},
	{"gelu", unary((*vecKernel).gelu)},
	{"geluTanh", unary((*vecKernel).geluTanh)},
	{"tanh", unary((*vecKernel).tanh)},
	{"softCap", func(v *vecKernel) {
		cap, inv := v.param(VecS), v.param(VecT)
		v.each(func() { v.store(v.mul(v.tanh(v.mul(inv, v.at(vecA))), cap)) })
	}},
	{"swiGLU", gated((*vecKernel).silu)},
	{"geGLU", gated((*vecKernel).gelu)},
	{"geGLUTanh", gated((*vecKernel).geluTanh)},
	{"rope", func(v *vecKernel) {
		v.each(func() {
			lo, hi, cos, sin := v.load(vecDst), v.load(vecC), v.load(vecA), v.load(vecB)
			v.store(v.sub(v.mul(lo, cos), v.mul(hi, sin)))
			v.Op("VMOVUPS", v.add(v.mul(hi, cos), v.mul(lo, sin)), v.at(vecC))
		})
	}},
	{"roundBF16", func(v *vecKernel) {
		v.each(func() {
			x := v.load(vecA)
			upper := v.op("VPSRLD", Imm(16), x)
			even := v.and(upper, v.bits(1))
			rounded := v.op("VPADDD", v.bits(0x7fff), v.op("VPADDD", even, x))
			quiet := v.or(upper, v.bits(0x40))
			v.storeHalf(v.ifNaN(x, quiet, v.op("VPSRLD", Imm(16), rounded)))
		})
	}},
}

func unary(f func(v *vecKernel, x Reg) Reg) func(v *vecKernel) {
	return func(v *vecKernel) {
		v.each(func() { v.store(f(v, v.load(vecA))) })
	}
}

func gated(f func(v *vecKernel, x Reg) Reg) func(v *vecKernel) {
	return func(v *vecKernel) {
		v.each(func() { v.store(v.mul(f(v, v.load(vecA)), v.at(vecB))) })
	}
}

// reduce writes a loop that carries sixteen lanes, and folds them by op.
func (v *vecKernel) reduce(op string, body func(acc Reg)) {
	acc := v.lanes()
	v.each(func() { body(acc[v.part]) })
	v.putLanes(acc)
	v.Op("VMOVSS", v.fold(op, acc), At(vecArg, VecR))
}

// expSum stores exp(x − m) and adds it to the part's lanes.
func (v *vecKernel) expSum(m, acc Reg) {
	e := v.exp(v.sub(v.load(vecA), m))
	v.store(e)
	v.Op("VADDPS", e, acc, acc)
}

// tileSoftmax is max and expSum in one. A maximum of −Inf counts as 0 for the
// second.
func (v *vecKernel) tileSoftmax() {
	least := v.num(float32(math.Inf(-1)))
	acc := v.fixAll(func(_ int, r Reg) { v.Op("VMOVUPS", least, r) })
	v.each(func() { v.Op("VMAXPS", acc[v.part], v.load(vecA), acc[v.part]) })
	x := v.fold("VMAXPS", acc)
	v.Op("VMOVSS", x, At(vecArg, VecR))
	m := v.fix()
	y := Reg{X, m.N}
	v.Op("VCMPPS", Imm(0), least, x, y) // equal
	v.Op("VANDNPS", x, y, x)
	v.Op("VBROADCASTSS", x, m)
	sum := v.fixAll(func(_ int, r Reg) { v.Op("VXORPS", r, r, r) })
	v.each(func() { v.expSum(m, sum[v.part]) })
	v.Op("VMOVSS", v.fold("VADDPS", sum), At(vecArg, VecQ))
}
