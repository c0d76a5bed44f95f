package asmgen

// Offsets of the fields of kernel's struct quantizeArgs.
const (
	QuantizeX      = 0 // pointers
	QuantizeQ      = 8
	QuantizeScale  = 16
	QuantizeSum    = 24
	QuantizeHalves = 32
	QuantizeBlocks = 40 // of 32 activations, at least one
)

// Quantize turns activations into signed bytes. It has 256 bits on AVX-512,
// too: much of the work is in the reductions of a block of 32.
func Quantize() *File {
	const name = "quantizeAVX2"
	q := &quantizer{
		Func:   &Func{Name: name, Arg: "a", Doc: "func " + name + "(a *quantizeArgs)"},
		consts: &constants{bytes: avx2.bytes},
	}
	q.write()
	// Packing works within 128 bits: quads of bytes come out as 0, 2, 4, 6, 1,
	// 3, 5, 7.
	order := Data{Name: "order", Words: []uint64{4 << 32, 5<<32 | 1, 6<<32 | 2, 7<<32 | 3}}
	return &File{
		Path: "kernel/quantize_avx2_amd64.s", Tags: asmTags,
		Data:  []Data{q.consts.data(), order},
		Funcs: []*Func{q.Func},
	}
}

// quantizer writes the kernel: Y0 to Y3 hold a block, Y4 to Y7 are for
// passing use.
type quantizer struct {
	*Func
	consts *constants
}

// Registers of the quantizer.
var (
	quantizeX, quantizeQ, quantizeScale, quantizeSum, quantizeHalves, quantizeBlocks = SI, DI, R8, R9, R10, CX

	quantizeAbs, quantizeOne, quantizeZero, quantizeFlip = Reg{Y, 9}, Reg{Y, 10}, Reg{Y, 11}, Reg{Y, 12}
	quantizeOrder, quantizeLow, quantizeHigh             = Reg{Y, 13}, Reg{Y, 14}, Reg{Y, 15}
)

func (q *quantizer) write() {
	q.Op("MOVQ", Mem{Param: q.Arg}, AX)
	for _, f := range []struct {
		reg    Reg
		offset int
	}{
		{quantizeX, QuantizeX}, {quantizeQ, QuantizeQ}, {quantizeScale, QuantizeScale},
		{quantizeSum, QuantizeSum}, {quantizeHalves, QuantizeHalves}, {quantizeBlocks, QuantizeBlocks},
	} {
		q.Op("MOVQ", At(AX, f.offset), f.reg)
	}
	q.Op("VMOVUPS", q.consts.of(signBit-1), quantizeAbs)
	q.Op("VMOVUPS", q.consts.num(1), quantizeOne)
	q.Op("VXORPS", quantizeZero, quantizeZero, quantizeZero)
	q.Op("VMOVUPS", q.consts.of(0x80808080), quantizeFlip)
	q.Op("VMOVUPS", Mem{Sym: "order"}, quantizeOrder)
	q.Op("VMOVUPS", q.consts.num(-127), quantizeLow)
	q.Op("VMOVUPS", q.consts.num(127), quantizeHigh)
	loop := q.NewLabel("loop")
	q.Mark(loop)
	q.amax()
	q.scale()
	for i := range 4 {
		q.round(Reg{Y, uint8(i)})
	}
	q.pack()
	q.sums()
	for _, r := range []struct {
		reg  Reg
		size int
	}{{quantizeX, 128}, {quantizeQ, 32}, {quantizeScale, 4}, {quantizeSum, 4}, {quantizeHalves, 4}} {
		q.Op("ADDQ", Imm(r.size), r.reg)
	}
	q.Op("DECQ", quantizeBlocks)
	q.Op("JNE", loop)
	q.Op("VZEROUPPER")
	q.Op("RET")
}

func y(n uint8) Reg { return Reg{Y, n} }
func x(n uint8) Reg { return Reg{X, n} }

// amax loads a block and sets X4 to the greatest |x|, compared as bits.
func (q *quantizer) amax() {
	for i := range uint8(4) {
		q.Op("VMOVUPS", At(quantizeX, int(i)*32), y(i))
		q.Op("VANDPS", quantizeAbs, y(i), y(4+i))
	}
	q.Op("VPMAXUD", y(5), y(4), y(4))
	q.Op("VPMAXUD", y(7), y(6), y(6))
	q.Op("VPMAXUD", y(6), y(4), y(4))
	q.Op("VEXTRACTI128", Imm(1), y(4), x(5))
	q.Op("VPMAXUD", x(5), x(4), x(4))
	q.Op("VPSHUFD", Imm(0x4e), x(4), x(5))
	q.Op("VPMAXUD", x(5), x(4), x(4))
	q.Op("VPSHUFD", Imm(0xb1), x(4), x(5))
	q.Op("VPMAXUD", x(5), x(4), x(4))
}

// scale stores amax/127 and sets Y5 to its inverse, 0 for 0.
func (q *quantizer) scale() {
	q.Op("VDIVPS", x(quantizeHigh.N), x(4), x(4))
	q.Op("VMOVSS", x(4), At(quantizeScale, 0))
	q.Op("VDIVPS", x(4), x(quantizeOne.N), x(5))
	q.Op("VCMPPS", Imm(0), x(4), x(quantizeZero.N), x(6)) // equal
	q.Op("VANDNPS", x(5), x(6), x(5))
	q.Op("VBROADCASTSS", x(5), y(5))
}

// round scales, clamps and rounds eight elements; NaN becomes 0.
func (q *quantizer) round(v Reg) {
	q.Op("VMULPS", y(5), v, v)
	q.Op("VCMPPS", Imm(7), v, v, y(6)) // ordered
	q.Op("VMINPS", quantizeHigh, v, v)
	q.Op("VMAXPS", quantizeLow, v, v)
	q.Op("VANDPS", y(6), v, v)
	q.Op("VCVTPS2DQ", v, v)
}

// pack stores the block as bytes and leaves them in Y0.
func (q *quantizer) pack() {
	q.Op("VPACKSSDW", y(1), y(0), y(0))
	q.Op("VPACKSSDW", y(3), y(2), y(2))
	q.Op("VPACKSSWB", y(2), y(0), y(0))
	q.Op("VPERMD", y(0), quantizeOrder, y(0))
	q.Op("VMOVDQU", y(0), At(quantizeQ, 0))
}

// sums stores the sums of both halves and of the block. VPSADBW adds unsigned
// bytes, so each is raised by 128 and the sum of sixteen by 2048.
func (q *quantizer) sums() {
	q.Op("VPXOR", quantizeFlip, y(0), y(1))
	q.Op("VPSADBW", quantizeZero, y(1), y(1))
	q.Op("VPSHUFD", Imm(0x4e), y(1), y(2))
	q.Op("VPADDQ", y(2), y(1), y(1))
	q.Op("VEXTRACTI128", Imm(1), y(1), x(2))
	for i, half := range []Reg{R11, R12} {
		q.Op("VMOVD", x(uint8(1+i)), half)
		q.Op("SUBL", Imm(16*128), half)
		q.Op("MOVW", half, At(quantizeHalves, 2*i))
	}
	q.Op("ADDL", R12, R11)
	q.Op("MOVL", R11, At(quantizeSum, 0))
}
