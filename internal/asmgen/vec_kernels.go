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
			v.storeHalf(v.op("VPSRLD", Imm(16), v.roundBF16(v.load(vecA))))
		})
	}},
	{"siluBackward", unaryBack((*vecKernel).bothSiLU)},
	{"geluBackward", unaryBack((*vecKernel).bothGELU)},
	{"geluTanhBackward", unaryBack((*vecKernel).bothGELUTanh)},
	{"swiGLUBackward", gatedBack((*vecKernel).bothSiLU)},
	{"geGLUBackward", gatedBack((*vecKernel).bothGELU)},
	{"geGLUTanhBackward", gatedBack((*vecKernel).bothGELUTanh)},
	{"normSums", (*vecKernel).normSums},
	{"normBackward", (*vecKernel).normBackward},
	{"adamW", (*vecKernel).adamW},
	{"packPairs", (*vecKernel).packPairs},
}

// unaryBack multiplies the gradient a by the derivative at b.
func unaryBack(both func(v *vecKernel, x Reg) (f func() Reg, df Reg)) func(v *vecKernel) {
	return func(v *vecKernel) {
		v.each(func() {
			_, df := both(v, v.load(vecB))
			v.store(v.mul(df, v.at(vecA)))
		})
	}
}

// gatedBack makes the gradients of the gate b and of d, which it multiplies, of
// that of the product, a.
func gatedBack(both func(v *vecKernel, x Reg) (f func() Reg, df Reg)) func(v *vecKernel) {
	return func(v *vecKernel) {
		v.each(func() {
			f, df := both(v, v.load(vecB))
			dy := v.load(vecA)
			dgate := v.mul(v.mul(dy, v.at(vecD)), df)
			dup := v.mul(dy, f())
			v.store(dgate)
			v.storeTo(vecC, dup)
		})
	}
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

// normed is x, in c, without its mean and scale, and the gradient a of the
// result times the weight b.
func (v *vecKernel) normed(mean, inv, offset Reg) (n, g Reg) {
	n = v.mul(v.sub(v.load(vecC), mean), inv)
	return n, v.mul(v.add(offset, v.at(vecB)), v.at(vecA))
}

// normSums adds what a norm's backward needs the means of: to the lanes the
// gradients, and to those behind d the gradients times the normed values.
func (v *vecKernel) normSums() {
	mean, inv, offset := v.param(VecS), v.param(VecT), v.param(VecU)
	sums := v.lanes()
	products := v.fixAll(func(i int, r Reg) { v.Op("VMOVUPS", At(vecD, i*v.bytes), r) })
	v.each(func() {
		n, g := v.normed(mean, inv, offset)
		v.Op("VADDPS", g, sums[v.part], sums[v.part])
		v.fma(g, n, products[v.part])
	})
	v.putLanes(sums)
	for i, r := range products {
		v.Op("VMOVUPS", r, At(vecD, i*v.bytes))
	}
}

func (v *vecKernel) normBackward() {
	mean, inv, offset, c0, c1 := v.param(VecS), v.param(VecT), v.param(VecU), v.param(VecR), v.param(VecQ)
	v.each(func() {
		n, g := v.normed(mean, inv, offset)
		v.store(v.mul(v.sub(v.sub(g, c0), v.mul(n, c1)), inv))
	})
}

// adamW is AdamW of parameters dst, gradients a and averages b and c. Its numbers
// stand in the place of lanes, in the order of AdamWStep.
func (v *vecKernel) adamW() {
	v.Op("MOVQ", At(vecArg, VecLanes), vecLanes)
	keep, beta1, new1, beta2 := v.number(0), v.number(1), v.number(2), v.number(3)
	new2, root, eps, rate := v.number(4), v.number(5), v.number(6), v.number(7)
	v.each(func() {
		g := v.load(vecA)
		m := v.add(v.mul(beta1, v.at(vecB)), v.mul(g, new1))
		v.storeTo(vecB, m)
		s := v.add(v.mul(beta2, v.at(vecC)), v.mul(v.mul(g, new2), g))
		v.storeTo(vecC, s)
		d := v.add(v.mul(v.op("VSQRTPS", s), root), eps)
		v.store(v.sub(v.mul(keep, v.at(vecDst)), v.div(v.mul(m, rate), d)))
	})
}

// packPairs rounds rows of sixteen elements, the even ones at a and the odd ones
// at b, and stores them as pairs: the even one's bfloat16 is the lower half of a
// word.
func (v *vecKernel) packPairs() {
	stride := vecLanes // has none
	v.Op("MOVQ", At(vecArg, VecStride), stride)
	row := func(base Reg) Reg { return v.op("VMOVUPS", At(base, v.part*v.bytes)) }
	v.each(func() {
		even := v.op("VPSRLD", Imm(16), v.roundBF16(row(vecA)))
		odd := v.and(v.roundBF16(row(vecB)), v.bits(0xffff0000))
		v.store(v.or(even, odd))
		if v.part == v.parts()-1 {
			v.Op("ADDQ", stride, vecA)
			v.Op("ADDQ", stride, vecB)
		}
	})
}

// roundBF16 is toBF16 in the upper half; the lower half is undefined.
func (v *vecKernel) roundBF16(x Reg) Reg {
	even := v.and(v.op("VPSRLD", Imm(16), x), v.bits(1))
	rounded := v.op("VPADDD", v.bits(0x7fff), v.op("VPADDD", even, x))
	return v.ifNaN(x, v.or(x, v.bits(0x400000)), rounded)
}
