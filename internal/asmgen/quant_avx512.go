package asmgen

// QuantAVX512 is the products with quantised weights by VPDPBUSD. A panel is
// one register; the sums of a unit begin at minus what the weights' offset will
// add, and the chains stay in registers.
func QuantAVX512() *File {
	f := &File{
		Path: "kernel/quant_avx512_amd64.s", Tags: asmTags,
		Data: []Data{
			{Name: "nibbles", Words: []uint64{0x0f0f0f0f0f0f0f0f}},
			{Name: "fifth", Words: []uint64{0x1010101010101010}},
			{Name: "upper", Words: []uint64{0x3030303030303030}},
			{Name: "lower", Words: []uint64{0x0000ffff0000ffff}},
		},
	}
	for i := range quantSpecs {
		for _, spec := range quantSpecs[i].kernels() {
			f.Funcs = append(f.Funcs, quantTileAVX512(&spec))
		}
	}
	return f
}

// rowsAVX512 is the most rows of a tile: of weights with upper bits, which are
// widened for more, as many as with AVX2.
func (q *quantSpec) rowsAVX512() int {
	if q.upper() {
		return q.rows
	}
	return 6
}

// quantWide is a block of rows × panels with AVX-512.
type quantWide struct {
	*quantKernel
	rows, panels int // the panels are written side by side
}

func zmm(n int) Reg { return Reg{Z, uint8(n)} }

// In the frame: where outputs go, and the panels left.
var (
	wideDst    = Mem{Frame: true, Disp: -8}
	widePanels = Mem{Frame: true, Disp: -16}
)

func quantTileAVX512(spec *quantSpec) *Func {
	name := spec.name + "TileAVX512"
	k := &quantKernel{
		Func:      &Func{Name: name, Arg: "t", Frame: 16, Doc: "func " + name + "(t *qTile)"},
		quantSpec: spec,
	}
	k.enter(spec.rowsAVX512(), func(rows int) {
		k.Op("MOVQ", k.field(QTileDst), quantX[0])
		k.Op("MOVQ", quantX[0], wideDst)
		k.Op("MOVQ", k.field(QTilePanels), quantX[0])
		k.Op("MOVQ", quantX[0], widePanels)
		k.Op("MOVQ", k.field(QTileWStep), quantDst)
		k.Op("MOVQ", k.field(QTileSStep), quantPanels)
		for _, panels := range k.shapeAVX512(rows) {
			k.panelsAVX512(quantWide{k, rows, panels})
		}
	})
	return k.Func
}

// shapeAVX512 is how many panels are taken at a time: for one row several, as
// memory likes it, else as many as there are registers for.
func (k *quantKernel) shapeAVX512(rows int) []int {
	switch {
	case rows == 1:
		return []int{4, 1}
	case k.tail == tailTwo: // which has two sums for each output
		return []int{1}
	}
	return []int{2, 1}
}

// panelsAVX512 takes b.panels at a time while there are so many.
func (k *quantKernel) panelsAVX512(b quantWide) {
	next, again := k.NewLabel("next"), k.NewLabel("panel")
	k.Mark(again)
	k.Op("CMPQ", widePanels, Imm(b.panels))
	k.Op("JLT", next)
	b.start()
	if b.panels > 2 { // one row: its strides between rows are not in use
		k.Op("LEAQ", Indexed(quantDst, quantDst, 2, 0), quantWStep3)
		k.Op("LEAQ", Indexed(quantPanels, quantPanels, 2, 0), quantSStep3)
	}
	k.unitLoop(b.rows, func() {}, b.unit)
	b.finish()
	k.Op("ADDQ", Imm(b.panels*panelRow), wideDst)
	k.nextPanels(b.panels)
	k.Op("SUBQ", Imm(b.panels), widePanels)
	k.Op("JMP", again)
	k.Mark(next)
}

func (b quantWide) count() int { return b.rows * b.panels }

// sum is the accumulator of integers of a row and panel, or of Q6_K's first
// half; last is that of its last half; chain is where they are added to.
func (b quantWide) sum(r, p int) Reg   { return zmm(r*b.panels + p) }
func (b quantWide) chain(r, p int) Reg { return zmm(b.count() + r*b.panels + p) }
func (b quantWide) last(r, p int) Reg {
	return zmm(2*b.count() + r*b.panels + p)
}

// temp is register n of those that no accumulator takes: first weights, a
// panel each, then a mask, then activations.
func (b quantWide) temp(n int) Reg {
	if b.tail == tailTwo {
		return zmm(3*b.count() + n)
	}
	return zmm(2*b.count() + n)
}

// w and s are weights and scales of panel p.
func (b quantWide) w(p, disp int) Mem { return ofPanel(p, quantW, quantDst, quantWStep3, disp) }

func (b quantWide) s(base Reg, p, disp int) Mem {
	return ofPanel(p, base, quantPanels, quantSStep3, disp)
}

// start sets the chains to zero or to what dst holds.
func (b quantWide) start() {
	zero, ready := b.NewLabel("zero"), b.NewLabel("ready")
	if b.panels == 1 {
		b.Op("MOVQ", b.field(QTileWidth), quantX[0])
		b.Op("MOVL", Imm(1), quantX[1])
		b.Op("SHLXQ", quantX[0], quantX[1], quantX[1])
		b.Op("DECQ", quantX[1])
		b.Op("KMOVW", quantX[1], Reg{Mask, 1})
	}
	b.Op("CMPB", b.field(QTileAcc), Imm(0))
	b.Op("JEQ", zero)
	b.outputs(func(at Mem, chain Reg) {
		if b.panels == 1 {
			b.Op("VMOVUPS.Z", at, Reg{Mask, 1}, chain)
		} else {
			b.Op("VMOVUPS", at, chain)
		}
	})
	b.Op("JMP", ready)
	b.Mark(zero)
	for r := range b.rows {
		for p := range b.panels {
			b.Op("VPXORD", b.chain(r, p), b.chain(r, p), b.chain(r, p))
		}
	}
	b.Mark(ready)
}

// finish stores the chains.
func (b quantWide) finish() {
	b.outputs(func(at Mem, chain Reg) {
		if b.panels == 1 {
			b.Op("VMOVUPS", chain, Reg{Mask, 1}, at)
		} else {
			b.Op("VMOVUPS", chain, at)
		}
	})
}

func (b quantWide) outputs(move func(at Mem, chain Reg)) {
	at, stride := quantX[0], quantX[1]
	b.Op("MOVQ", wideDst, at)
	b.Op("MOVQ", b.field(QTileLdd), stride)
	b.Op("SHLQ", Imm(2), stride)
	for r := range b.rows {
		for p := range b.panels {
			move(At(at, p*panelRow), b.chain(r, p))
		}
		if r < b.rows-1 {
			b.Op("ADDQ", stride, at)
		}
	}
}

// unit adds 32 weights to every chain.
func (b quantWide) unit() {
	b.actBases(b.rows)
	b.begin()
	switch {
	case b.upper():
		b.dotUpper()
	case b.bits == 4:
		b.dotNibbles()
	default:
		b.dotBytes()
	}
	b.Op("ADDQ", Imm(b.unitBytes()), quantW)
	b.tailBases(b.rows)
	for p := range b.panels {
		switch b.tail {
		case tailScale:
			b.tailScale(p)
		case tailMin:
			b.tailMin(p)
		case tailSub:
			b.tailSub(p)
		case tailTwo:
			b.tailTwo(p)
		}
	}
}

// begin sets the sums to minus the offset times the sum of the activations, or
// to zero where the tail corrects.
func (b quantWide) begin() {
	correct := b.tail == tailScale
	if correct {
		b.bases(b.rows, quantSum, QTileSum, quantLds, 1)
		b.Op("VPXORD", b.temp(0), b.temp(0), b.temp(0))
	}
	for r := range b.rows {
		for p := range b.panels {
			sum := b.sum(r, p)
			switch {
			case !correct:
				b.Op("VPXORD", sum, sum, sum)
			case p == 0:
				b.Op("VPSLLD.BCST", Imm(b.offset), b.blockSum(r), sum)
				b.Op("VPSUBD", sum, b.temp(0), sum)
			default:
				b.Op("VMOVDQA32", b.sum(r, 0), sum)
			}
		}
	}
	if b.tail == tailTwo {
		for i := range b.count() {
			last := b.last(0, i)
			b.Op("VPXORD", last, last, last)
		}
	}
}

// dotBytes takes the eight quads of a unit.
func (b quantWide) dotBytes() {
	for quad := range 8 {
		for p := range b.panels {
			b.Op("PREFETCHT0", b.w(p, quad*panelRow+quantAhead))
			b.Op("VMOVDQU32", b.w(p, quad*panelRow), b.temp(p))
		}
		b.addQuad(quad)
	}
}

// addQuad adds the products of a quad, whose weights are in the first
// temporary registers. Panels share a broadcast; a single one takes it in
// passing.
func (b quantWide) addQuad(quad int) {
	for r := range b.rows {
		x := b.temp(b.panels + 1 + r%2)
		if b.panels > 1 {
			b.Op("VPBROADCASTD", b.q(r, 4*quad), x)
		}
		for p := range b.panels {
			sum := b.sum(r, p)
			if b.tail == tailTwo && quad >= 4 {
				sum = b.last(r, p)
			}
			if b.panels > 1 {
				b.Op("VPDPBUSD", x, b.temp(p), sum)
			} else {
				b.Op("VPDPBUSD.BCST", b.q(r, 4*quad), b.temp(p), sum)
			}
		}
	}
}

// dotNibbles takes the four rows of two quads.
func (b quantWide) dotNibbles() {
	mask := b.temp(b.panels)
	b.Op("VPBROADCASTD", Mem{Sym: "nibbles"}, mask)
	for quad := range 8 {
		for p := range b.panels {
			w := b.temp(p)
			b.Op("VMOVDQU32", b.w(p, quad/2*panelRow), w)
			if quad%2 == 1 {
				b.Op("VPSRLW", Imm(4), w, w)
			} else {
				b.Op("PREFETCHT0", b.w(p, quad/2*panelRow+quantAhead))
			}
			b.Op("VPANDD", mask, w, w)
		}
		b.addQuad(quad)
	}
}

// dotUpper puts quads together from nibbles and upper bits.
func (b quantWide) dotUpper() {
	mask, t, cut := b.temp(b.panels), b.temp(b.panels+3), b.temp(b.panels+4)
	b.Op("VPBROADCASTD", Mem{Sym: "nibbles"}, mask)
	b.Op("VPBROADCASTD", b.upperMask(), cut)
	b.ahead(b.panels, quantDst, quantWStep3)
	for quad := range 8 {
		for p := range b.panels {
			w := b.temp(p)
			row, left := b.upperBits(quad)
			b.Op("VMOVDQU32", b.w(p, quad/2*panelRow), w)
			if quad%2 == 1 {
				b.Op("VPSRLW", Imm(4), w, w)
			}
			if quad < b.bits {
				b.Op("PREFETCHT0", ofPanel(p, quantSum[0], quantDst, quantWStep3, quad*panelRow))
			}
			b.Op("VPANDD", mask, w, w)
			b.Op("VMOVDQU32", b.w(p, row), t)
			b.cutUpper("VPANDD", left, cut, t, t)
			b.Op("VPORD", t, w, w)
		}
		b.addQuad(quad)
	}
}

func (b quantWide) tailScale(p int) {
	d, t := b.temp(0), b.temp(1)
	b.Op("VCVTPH2PS", b.s(quantS, p, 0), d)
	for r := range b.rows {
		b.Op("VMULPS.BCST", b.scale(r), d, t)
		b.Op("VCVTDQ2PS", b.sum(r, p), b.sum(r, p))
		b.Op("VFMADD231PS", b.sum(r, p), t, b.chain(r, p))
	}
}

func (b quantWide) tailMin(p int) {
	d, m, t, u := b.temp(0), b.temp(1), b.temp(2), b.temp(3)
	b.Op("VCVTPH2PS", b.s(quantS, p, 0), d)
	b.Op("VCVTPH2PS", b.s(quantS, p, 32), m)
	for r := range b.rows {
		b.Op("VMULPS.BCST", b.scale(r), d, t)
		b.Op("VCVTDQ2PS", b.sum(r, p), b.sum(r, p))
		b.Op("VFMADD231PS", b.sum(r, p), t, b.chain(r, p))
		b.Op("VMULPS.BCST", b.scale(r), m, t)
		b.Op("VCVTDQ2PS.BCST", b.blockSum(r), u)
		b.Op("VFMADD231PS", u, t, b.chain(r, p))
	}
}

// tailSub multiplies by the six-bit numbers as float32, see tailSubAVX2.
func (b quantWide) tailSub(p int) {
	d, m, scale, min, t, u := b.temp(0), b.temp(1), b.temp(2), b.temp(3), b.temp(4), b.temp(5)
	b.Op("VCVTPH2PS", b.s(quantS, p, 0), d)
	b.Op("VCVTPH2PS", b.s(quantS, p, 32), m)
	b.Op("VPMOVZXBD", b.s(quantSub0, p, 0), scale)
	b.Op("VCVTDQ2PS", scale, scale)
	b.Op("VPMOVZXBD", b.s(quantSub0, p, 16), min)
	b.Op("VCVTDQ2PS", min, min)
	for r := range b.rows {
		b.Op("VMULPS.BCST", b.scale(r), d, t)
		b.Op("VCVTDQ2PS", b.sum(r, p), b.sum(r, p))
		b.Op("VMULPS", scale, b.sum(r, p), b.sum(r, p))
		b.Op("VFMADD231PS", b.sum(r, p), t, b.chain(r, p))
		b.Op("VMULPS.BCST", b.scale(r), m, t)
		b.Op("VCVTDQ2PS.BCST", b.blockSum(r), u)
		b.Op("VMULPS", min, u, u)
		b.Op("VFNMADD231PS", u, t, b.chain(r, p))
	}
}

// tailTwo corrects by the offset times both scales times the sums of both
// halves, which lie together as pairs of 16 bits.
func (b quantWide) tailTwo(p int) {
	d, first, last, both, t := b.temp(0), b.temp(1), b.temp(2), b.temp(3), b.temp(4)
	b.Op("VCVTPH2PS", b.s(quantS, p, 0), d)
	b.Op("VPMOVSXBD", b.s(quantSub0, p, 0), first)
	b.Op("VPMOVSXBD", b.s(quantSub0, p, 16), last)
	b.Op("VPSLLD", Imm(16), last, both)
	b.Op("VPANDD.BCST", Mem{Sym: "lower"}, first, t)
	b.Op("VPORD", t, both, both)
	for r := range b.rows {
		sum := b.sum(r, p)
		b.Op("VPMULLD", first, sum, sum)
		b.Op("VPMULLD", last, b.last(r, p), b.last(r, p))
		b.Op("VPADDD", b.last(r, p), sum, sum)
		b.Op("VPBROADCASTD", b.blockSum(r), t)
		b.Op("VPMADDWD", both, t, t)
		b.Op("VPSLLD", Imm(b.offset), t, t)
		b.Op("VPSUBD", t, sum, sum)
		b.Op("VCVTDQ2PS", sum, sum)
		b.Op("VMULPS.BCST", b.scale(r), d, t)
		b.Op("VFMADD231PS", sum, t, b.chain(r, p))
	}
}
