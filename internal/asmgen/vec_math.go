package asmgen

// The functions of this file repeat the definitions in kernel/math.go and
// kernel/act.go operation by operation, with the same constants.

const (
	log2E      = 1.44269504
	ln2Hi      = 0.693145751953125
	ln2Lo      = 1.42860677e-06
	expMin     = -87.6
	expMax     = 89
	roundMagic = 0x1.8p23 + 126
	tanhMax    = 10
	sqrtHalf   = 0.707106781
	erfcP      = 0.42
	geluTanhA  = 1.59576912
	geluTanhB  = 0.0713548163
	geluTanhDB = 0.214064449
	pdfAtZero  = 0.398942280

	signBit = 1 << 31
)

var (
	expC  = []float32{0.49999994, 0.166665167, 0.0416681021, 0.00836916547, 0.00138380029}
	erfcC = []float32{0.236843646, 0.239370763, 0.195524633, 0.267856419, -0.131889492, 0.445079207, -0.3242881, 0.0715029314}
)

// imm is a constant in a register that is not held.
func (v *vecKernel) imm(x float32) Reg { return v.op("VMOVUPS", v.num(x)) }

func (v *vecKernel) neg(x Reg) Reg { return v.xor(x, v.bits(signBit)) }

func (v *vecKernel) abs(x Reg) Reg { return v.and(x, v.bits(signBit-1)) }

// exp is Exp32.
func (v *vecKernel) exp(x Reg) Reg {
	half, q := v.expReduce(v.greater(v.imm(expMin), v.less(v.imm(expMax), x)))
	y := v.add(q, v.num(1))
	return v.mul(v.add(y, y), half)
}

func (v *vecKernel) expReduce(x Reg) (half, q Reg) {
	t := v.add(v.mul(x, v.num(log2E)), v.num(roundMagic))
	half = v.op("VPSLLD", Imm(23), t)
	n := v.sub(t, v.num(roundMagic))
	r := v.sub(v.sub(x, v.mul(n, v.num(ln2Hi))), v.mul(n, v.num(ln2Lo)))
	p := v.poly(r, expC...)
	return half, v.add(v.mul(v.mul(r, r), p), r)
}

// logistic is 1 + e⁻ˣ.
func (v *vecKernel) logistic(x Reg) Reg { return v.add(v.exp(v.neg(x)), v.num(1)) }

// tanh is Tanh32.
func (v *vecKernel) tanh(x Reg) Reg {
	half, q := v.expReduce(v.greater(v.imm(-2*tanhMax), v.mul(v.abs(x), v.num(-2))))
	s := v.add(half, half)
	m := v.add(v.mul(s, q), v.sub(s, v.num(1)))
	y := v.div(m, v.add(m, v.num(2)))
	return v.or(v.abs(y), v.and(x, v.bits(signBit)))
}

func (v *vecKernel) silu(x Reg) Reg { return v.div(x, v.logistic(x)) }

// bothSiLU is silu, which f writes, and its derivative, σ(1 + x(1 − σ)).
func (v *vecKernel) bothSiLU(x Reg) (f func() Reg, df Reg) {
	l := v.logistic(x)
	s := v.div(v.imm(1), l)
	return func() Reg { return v.div(x, l) }, v.mul(v.add(v.mul(v.sub(v.imm(1), s), x), v.num(1)), s)
}

func (v *vecKernel) geluTanh(x Reg) Reg {
	u := v.add(v.mul(v.mul(x, x), v.num(geluTanhB)), v.num(geluTanhA))
	return v.div(x, v.logistic(v.mul(x, u)))
}

// bothGELUTanh is geluTanh and its derivative, σ + x·u′·σ(1 − σ).
func (v *vecKernel) bothGELUTanh(x Reg) (f func() Reg, df Reg) {
	xx := v.mul(x, x)
	l := v.logistic(v.mul(x, v.add(v.mul(xx, v.num(geluTanhB)), v.num(geluTanhA))))
	s := v.div(v.imm(1), l)
	du := v.add(v.mul(xx, v.num(geluTanhDB)), v.num(geluTanhA))
	return func() Reg { return v.div(x, l) }, v.add(v.mul(v.mul(x, du), v.mul(v.sub(v.imm(1), s), s)), s)
}

// gelu is x·Φ(x).
func (v *vecKernel) gelu(x Reg) Reg {
	cdf, _ := v.normal(x)
	return v.mul(x, cdf)
}

// bothGELU is gelu and its derivative, Φ(x) + x·φ(x).
func (v *vecKernel) bothGELU(x Reg) (f func() Reg, df Reg) {
	cdf, e := v.normal(x)
	return func() Reg { return v.mul(x, cdf) }, v.add(v.mul(v.mul(e, v.num(pdfAtZero)), x), cdf)
}

// normal is normalCDF and exp(−x²/2).
func (v *vecKernel) normal(x Reg) (cdf, e Reg) {
	z := v.mul(v.abs(x), v.num(sqrtHalf))
	zz := v.mul(v.mul(x, v.num(0.5)), x)
	e = v.exp(v.neg(zz))
	h := v.mul(v.erfc(z, e), v.num(0.5))
	return v.bySign(x, h, v.sub(v.imm(1), h)), e
}

// erfc is erfc32; e is exp(−z²).
func (v *vecKernel) erfc(z, e Reg) Reg {
	t := v.div(v.imm(1), v.add(v.mul(z, v.num(erfcP)), v.num(1)))
	p := v.poly(t, erfcC...)
	return v.mul(v.mul(t, p), e)
}
