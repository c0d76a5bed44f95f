package asmgen

import "fmt"

// QuantAVX2 is the products with quantised weights. A panel's sixteen outputs
// are two registers; sums are integers, the chains lie in the frame.
func QuantAVX2() *File {
	f := &File{
		Path: "kernel/quant_avx2_amd64.s", Tags: asmTags,
		Data: []Data{
			lanes(),
			bytesOf("ones", 0x0001000100010001),
			bytesOf("nibbles", 0x0f0f0f0f0f0f0f0f),
			bytesOf("fifth", 0x1010101010101010),
			bytesOf("upper", 0x3030303030303030),
			bytesOf("signs", 0x8080808080808080),
		},
	}
	for i := range quantSpecs {
		for _, spec := range quantSpecs[i].kernels() {
			f.Funcs = append(f.Funcs, quantTileAVX2(&spec))
		}
	}
	f.Funcs = append(f.Funcs, widenAVX2(&quantSpec{bits: 5}), widenAVX2(&quantSpec{bits: 6}))
	return f
}

// bytesOf is a table of 32 bytes, word four times.
func bytesOf(name string, word uint64) Data {
	return Data{Name: name, Words: []uint64{word, word, word, word}}
}

// Places in the frame: six chains of a row and panel, and vectors that a super-block
// or a unit widens once for all rows.
const (
	quantFrame   = 6*panelRow + 4*panelRow + 4*panelRow + 2*panelRow
	frameChains  = -quantFrame
	frameD       = frameChains + 6*panelRow // for each panel at hand
	frameM       = frameD + 4*panelRow      // for each
	frameFactors = frameM + 4*panelRow      // Q6_K's scales as pairs, by half of k
)

func inFrame(at int) Mem { return Mem{Frame: true, Disp: at} }

func ymm(n int) Reg { return Reg{Y, uint8(n)} }

// q2 is the accumulator of integers of a row and part.
func q2(r, part int) Reg { return ymm(2*r + part) }

func quantTileAVX2(spec *quantSpec) *Func {
	name := spec.name + "TileAVX2"
	k := &quantKernel{
		Func:      &Func{Name: name, Arg: "t", Frame: quantFrame, Doc: "func " + name + "(t *qTile)"},
		quantSpec: spec,
	}
	k.enter(spec.rows, func(rows int) {
		k.Op("MOVQ", k.field(QTileDst), quantDst)
		k.Op("MOVQ", k.field(QTilePanels), quantPanels)
		for _, panels := range k.shapeAVX2(rows) {
			k.panelsAVX2(rows, panels)
		}
	})
	return k.Func
}

// shapeAVX2 is how many panels are taken at a time. With few rows the work is
// to read weights, and memory gives them faster from several places at once.
// Weights of four bits are computed with for so long that it pays for one row
// only.
func (k *quantKernel) shapeAVX2(rows int) []int {
	switch {
	case rows == 1:
		return []int{4, 1}
	case rows <= 3 && k.bits > 4:
		return []int{2, 1}
	}
	return []int{1}
}

// panelsAVX2 takes so many panels at a time while there are as many.
func (k *quantKernel) panelsAVX2(rows, panels int) {
	k.panels = panels
	next, again := k.NewLabel("next"), k.NewLabel("panels")
	k.Mark(again)
	k.Op("CMPQ", quantPanels, Imm(panels))
	k.Op("JLT", next)
	k.startAVX2(rows)
	if panels > 1 {
		k.Op("MOVQ", k.field(QTileWStep), quantWStep)
		k.Op("MOVQ", k.field(QTileSStep), quantSStep)
	}
	if panels > 2 {
		k.Op("LEAQ", Indexed(quantWStep, quantWStep, 2, 0), quantWStep3)
		k.Op("LEAQ", Indexed(quantSStep, quantSStep, 2, 0), quantSStep3)
	}
	k.unitLoop(rows, k.headAVX2, func() { k.unitsAVX2(rows) })
	k.finishAVX2(rows)
	k.Op("ADDQ", Imm(panels*panelRow), quantDst)
	k.nextPanels(panels)
	k.Op("SUBQ", Imm(panels), quantPanels)
	k.Op("JMP", again)
	k.Mark(next)
}

// unitsAVX2 adds the unit of each panel at hand.
func (k *quantKernel) unitsAVX2(rows int) {
	for k.panel = range k.panels {
		k.unitAVX2(rows)
		if k.panel < k.panels-1 {
			k.Op("SUBQ", Imm(k.unitBytes()), quantW)
		}
	}
	k.panel = 0
}

func (k *quantKernel) w(disp int) Mem {
	return ofPanel(k.panel, quantW, quantWStep, quantWStep3, disp)
}

func (k *quantKernel) s(disp int) Mem {
	return ofPanel(k.panel, quantS, quantSStep, quantSStep3, disp)
}

func (k *quantKernel) sub(disp int) Mem {
	return ofPanel(k.panel, quantSub0, quantSStep, quantSStep3, disp)
}

// chain is the place of a chain of the panel at hand.
func (k *quantKernel) chain(r, part int) Mem {
	return inFrame(frameChains + (r*k.panels+k.panel)*panelRow + 32*part)
}

// startAVX2 sets the chains to zero or to what dst holds.
func (k *quantKernel) startAVX2(rows int) {
	zero, ready := k.NewLabel("zero"), k.NewLabel("ready")
	k.Op("CMPB", k.field(QTileAcc), Imm(0))
	k.Op("JEQ", zero)
	k.outputsAVX2(rows, func(at Mem, r, part int, masked bool) {
		if masked {
			k.Op("VMASKMOVPS", at, ymm(14+part), ymm(0))
		} else {
			k.Op("VMOVUPS", at, ymm(0))
		}
		k.Op("VMOVUPS", ymm(0), k.chain(r, part))
	})
	k.Op("JMP", ready)
	k.Mark(zero)
	k.Op("VXORPS", ymm(0), ymm(0), ymm(0))
	for i := range 2 * rows * k.panels {
		k.Op("VMOVUPS", ymm(0), inFrame(frameChains+32*i))
	}
	k.Mark(ready)
}

// finishAVX2 stores the chains.
func (k *quantKernel) finishAVX2(rows int) {
	k.outputsAVX2(rows, func(at Mem, r, part int, masked bool) {
		k.Op("VMOVUPS", k.chain(r, part), ymm(0))
		if masked {
			k.Op("VMASKMOVPS", ymm(0), ymm(14+part), at)
		} else {
			k.Op("VMOVUPS", ymm(0), at)
		}
	})
}

// outputsAVX2 calls move for every chain and its place in dst, for a whole
// panel and for a narrow one, whose masks are in the last two registers.
func (k *quantKernel) outputsAVX2(rows int, move func(at Mem, r, part int, masked bool)) {
	at, stride, width := quantX[0], quantX[1], quantSum[0]
	narrow, moved := k.NewLabel("narrow"), k.NewLabel("moved")
	all := func(masked bool) {
		for r := range rows {
			for k.panel = range k.panels {
				for part := range 2 {
					move(At(at, k.panel*panelRow+32*part), r, part, masked)
				}
			}
			k.panel = 0
			if r < rows-1 {
				k.Op("ADDQ", stride, at)
			}
		}
	}
	k.Op("MOVQ", quantDst, at)
	k.Op("MOVQ", k.field(QTileLdd), stride)
	k.Op("SHLQ", Imm(2), stride)
	if k.panels > 1 {
		all(false)
		return
	}
	k.Op("MOVQ", k.field(QTileWidth), width)
	k.Op("CMPQ", width, Imm(16))
	k.Op("JLT", narrow)
	all(false)
	k.Op("JMP", moved)
	k.Mark(narrow)
	k.Op("LEAQ", Mem{Sym: "lanes", Disp: panelRow}, quantSum[1])
	k.Op("SHLQ", Imm(2), width)
	k.Op("SUBQ", width, quantSum[1])
	k.Op("VMOVUPS", At(quantSum[1], 0), ymm(14))
	k.Op("VMOVUPS", At(quantSum[1], 32), ymm(15))
	all(true)
	k.Mark(moved)
}

// headAVX2 widens the scales of a super-block of each panel at hand.
func (k *quantKernel) headAVX2() {
	for k.panel = range k.panels {
		for part := range 2 {
			k.Op("VCVTPH2PS", k.s(16*part), ymm(0))
			k.Op("VMOVUPS", ymm(0), k.wideD(part))
			if k.tail == tailSub {
				k.Op("VCVTPH2PS", k.s(32+16*part), ymm(0))
				k.Op("VMOVUPS", ymm(0), k.wideM(part))
			}
		}
	}
	k.panel = 0
}

// wideD and wideM are what headAVX2 has written for the panel at hand.
func (k *quantKernel) wideD(part int) Mem { return inFrame(frameD + k.panel*panelRow + 32*part) }
func (k *quantKernel) wideM(part int) Mem { return inFrame(frameM + k.panel*panelRow + 32*part) }

// unitAVX2 adds 32 weights to every chain.
func (k *quantKernel) unitAVX2(rows int) {
	k.actBases(rows)
	if k.tail == tailTwo {
		k.factorsAVX2()
	}
	for i := range 2 * rows {
		k.Op("VPXOR", ymm(i), ymm(i), ymm(i))
	}
	switch k.bits {
	case 4:
		k.sumNibbles(rows)
	case 8:
		k.sumSigned(rows)
	default:
		k.sumPairs(rows)
	}
	k.tailBases(rows)
	switch k.tail {
	case tailScale:
		k.tailScaleAVX2(rows)
	case tailMin:
		k.tailMinAVX2(rows)
	case tailSub:
		k.tailSubAVX2(rows)
	case tailTwo:
		k.tailTwoAVX2(rows)
	}
}

// sumNibbles sums products of four-bit weights: the eight quads of a unit fit
// sixteen bits (8 · 2 · 15 · 127 < 2¹⁵), so pairs are added up last.
func (k *quantKernel) sumNibbles(rows int) {
	w0, w1, x, t := ymm(12), ymm(13), ymm(14), ymm(15)
	k.fourTimes(rows, 1, func() {
		for high := range 2 {
			for part, w := range []Reg{w0, w1} {
				k.Op("VMOVDQU", k.w(32*part), w)
				if high == 1 {
					k.Op("VPSRLW", Imm(4), w, w)
				}
				k.Op("VPAND", Mem{Sym: "nibbles"}, w, w)
			}
			for r := range rows {
				k.Op("VPBROADCASTD", k.q(r, 4*high), x)
				k.Op("VPMADDUBSW", x, w0, t)
				k.Op("VPADDW", t, q2(r, 0), q2(r, 0))
				k.Op("VPMADDUBSW", x, w1, x)
				k.Op("VPADDW", x, q2(r, 1), q2(r, 1))
			}
		}
	})
	for i := range 2 * rows {
		k.Op("VPMADDWD", Mem{Sym: "ones"}, ymm(i), ymm(i))
	}
}

// sumSigned sums products of bytes: VPMADDUBSW takes one operand unsigned, so
// the sign of the weight goes to the activation (2 · 128 · 127 < 2¹⁵; with the
// unsigned weight the pair would saturate).
func (k *quantKernel) sumSigned(rows int) {
	s, abs, x, ones := ymm(12), ymm(13), ymm(14), ymm(15)
	k.Op("VMOVDQU", Mem{Sym: "ones"}, ones)
	k.fourTimes(rows, 2, func() {
		for quad := range 2 {
			for part := range 2 {
				k.Op("VMOVDQU", k.w(panelRow*quad+32*part), s)
				k.Op("VPXOR", Mem{Sym: "signs"}, s, s)
				k.Op("VPABSB", s, abs)
				for r := range rows {
					k.Op("VPBROADCASTD", k.q(r, 4*quad), x)
					k.Op("VPSIGNB", s, x, x)
					k.Op("VPMADDUBSW", x, abs, x)
					k.Op("VPMADDWD", ones, x, x)
					k.Op("VPADDD", x, q2(r, part), q2(r, part))
				}
			}
		}
	})
}

// sumPairs sums products of five- and six-bit weights: two quads fit sixteen
// bits (2 · 2 · 63 · 127 < 2¹⁵). Q6_K multiplies them by its scales where
// the others add pairs.
func (k *quantKernel) sumPairs(rows int) {
	w := [2][2]Reg{{ymm(8), ymm(9)}, {ymm(10), ymm(11)}}
	x0, t0, x1, t1 := ymm(12), ymm(13), ymm(14), ymm(15)
	if !k.wide {
		k.ahead(k.panels, quantWStep, quantWStep3)
	}
	for pair := range 4 {
		k.fetchPair(pair)
		for part := range 2 {
			k.loadPair(pair, 32*part, w[0][part], w[1][part])
		}
		factors := [2]Mem{{Sym: "ones"}, {Sym: "ones"}}
		if k.tail == tailTwo {
			at := frameFactors + panelRow*(pair/2)
			factors = [2]Mem{inFrame(at), inFrame(at + 32)}
		}
		for r := range rows {
			k.Op("VPBROADCASTD", k.q(r, 8*pair), x0)
			k.Op("VPMADDUBSW", x0, w[0][0], t0)
			k.Op("VPMADDUBSW", x0, w[0][1], x0)
			k.Op("VPBROADCASTD", k.q(r, 8*pair+4), x1)
			k.Op("VPMADDUBSW", x1, w[1][0], t1)
			k.Op("VPMADDUBSW", x1, w[1][1], x1)
			k.Op("VPADDW", t1, t0, t0)
			k.Op("VPADDW", x1, x0, x0)
			k.Op("VPMADDWD", factors[0], t0, t0)
			k.Op("VPMADDWD", factors[1], x0, x0)
			k.Op("VPADDD", t0, q2(r, 0), q2(r, 0))
			k.Op("VPADDD", x0, q2(r, 1), q2(r, 1))
		}
	}
	k.Op("ADDQ", Imm(k.unitBytes()), quantW)
}

// fetchPair fetches weights ahead, a unit's rows in four parts.
func (k *quantKernel) fetchPair(pair int) {
	for i := range k.unitBytes() / panelRow {
		switch {
		case i%4 != pair:
		case k.wide:
			k.Op("PREFETCHT0", k.w(i*panelRow+quantAhead))
		default:
			k.Op("PREFETCHT0", ofPanel(k.panel, quantSum[0], quantWStep, quantWStep3, i*panelRow))
		}
	}
}

// loadPair loads two quads of weights, 32 bytes each, from disp on in their
// rows: from bytes, or put together from nibbles and upper bits. It uses the last
// four registers.
func (k *quantKernel) loadPair(pair, disp int, even, odd Reg) {
	if k.wide {
		k.Op("VMOVDQU", k.w(2*pair*panelRow+disp), even)
		k.Op("VMOVDQU", k.w((2*pair+1)*panelRow+disp), odd)
		return
	}
	bits, t := ymm(12+disp/16), ymm(13+disp/16)
	row, left := k.upperBits(2 * pair)
	k.Op("VMOVDQU", k.w(row+disp), bits)
	k.Op("VMOVDQU", k.w(pair*panelRow+disp), even)
	k.Op("VPSRLD", Imm(4), even, odd)
	k.Op("VPAND", Mem{Sym: "nibbles"}, even, even)
	k.Op("VPAND", Mem{Sym: "nibbles"}, odd, odd)
	k.cutUpper("VPAND", left, k.upperMask(), bits, t)
	k.Op("VPOR", t, even, even)
	_, left = k.upperBits(2*pair + 1)
	k.cutUpper("VPAND", left, k.upperMask(), bits, t)
	k.Op("VPOR", t, odd, odd)
}

// cutUpper shifts left, or right where left is negative, and cuts bits out.
func (k *quantKernel) cutUpper(and string, left int, mask fmt.Stringer, from, to Reg) {
	switch {
	case left > 0:
		k.Op("VPSLLD", Imm(left), from, to)
		from = to
	case left < 0:
		k.Op("VPSRLD", Imm(-left), from, to)
		from = to
	}
	k.Op(and, mask, from, to)
}

// widenAVX2 writes the weights of units as bytes.
func widenAVX2(spec *quantSpec) *Func {
	name := fmt.Sprintf("widen%dAVX2", spec.bits)
	k := &quantKernel{
		Func:      &Func{Name: name, Arg: "t", Doc: "func " + name + "(t *qWiden)"},
		quantSpec: spec,
	}
	k.Op("MOVQ", Mem{Param: k.Arg}, quantArg)
	k.Op("MOVQ", k.field(QWidenDst), quantDst)
	k.Op("MOVQ", k.field(QWidenSrc), quantW)
	k.Op("MOVQ", k.field(QWidenUnits), quantPanels)
	again := k.NewLabel("unit")
	k.Mark(again)
	for pair := range 4 {
		for disp := 0; disp < panelRow; disp += 32 {
			even, odd := ymm(8+disp/16), ymm(9+disp/16)
			k.loadPair(pair, disp, even, odd)
			k.Op("VMOVDQU", even, At(quantDst, 2*pair*panelRow+disp))
			k.Op("VMOVDQU", odd, At(quantDst, (2*pair+1)*panelRow+disp))
		}
	}
	k.Op("ADDQ", Imm(k.unitBytes()), quantW)
	k.Op("ADDQ", Imm(8*panelRow), quantDst)
	k.Op("DECQ", quantPanels)
	k.Op("JNE", again)
	k.Op("VZEROUPPER")
	k.Op("RET")
	return k.Func
}

// fourTimes repeats step, which takes two quads of activations and so many
// 64-byte rows of weights.
func (k *quantKernel) fourTimes(rows, wRows int, step func()) {
	again := k.NewLabel("quads")
	k.Op("LEAQ", At(quantX[0], 32), quantSum[0])
	k.Mark(again)
	step()
	k.nextQuads(rows, wRows)
	k.Op("CMPQ", quantX[0], quantSum[0])
	k.Op("JLT", again)
}

func (k *quantKernel) nextQuads(rows, wRows int) {
	k.Op("ADDQ", Imm(8), quantX[0])
	if rows > 3 {
		k.Op("ADDQ", Imm(8), quantX[1])
	}
	for i := range wRows {
		k.Op("PREFETCHT0", k.w(i*panelRow+quantAhead))
	}
	k.Op("ADDQ", Imm(panelRow*wRows), quantW)
}

// fuse adds the float32 in a times d·(the row's scale, in x) to the chain; t
// is scratch.
func (k *quantKernel) fuse(a Reg, d fmt.Stringer, x, t Reg, r, part int) {
	k.Op("VMULPS", d, x, t)
	k.Op("VFMADD213PS", k.chain(r, part), t, a)
}

func (k *quantKernel) tailScaleAVX2(rows int) {
	d := [2]Reg{ymm(12), ymm(13)}
	x, t := ymm(14), ymm(15)
	for part := range 2 {
		k.Op("VCVTPH2PS", k.s(16*part), d[part])
	}
	for r := range rows {
		if k.bits != 8 { // signed weights need no correction
			k.Op("VPBROADCASTD", k.blockSum(r), x)
			k.Op("VPSLLD", Imm(k.offset), x, x)
			for part := range 2 {
				k.Op("VPSUBD", x, q2(r, part), q2(r, part))
			}
		}
		k.Op("VBROADCASTSS", k.scale(r), x)
		for part := range 2 {
			a := q2(r, part)
			k.Op("VCVTDQ2PS", a, a)
			k.fuse(a, d[part], x, t, r, part)
			k.Op("VMOVUPS", a, k.chain(r, part))
		}
	}
}

func (k *quantKernel) tailMinAVX2(rows int) {
	d, m, x, t := ymm(12), ymm(13), ymm(14), ymm(15)
	for part := range 2 {
		k.Op("VCVTPH2PS", k.s(16*part), d)
		k.Op("VCVTPH2PS", k.s(32+16*part), m)
		for r := range rows {
			a := q2(r, part)
			k.Op("VCVTDQ2PS", a, a)
			k.Op("VBROADCASTSS", k.scale(r), x)
			k.fuse(a, d, x, t, r, part)
			k.Op("VMULPS", m, x, x)
			k.Op("VPBROADCASTD", k.blockSum(r), t)
			k.Op("VCVTDQ2PS", t, t)
			k.Op("VFMADD231PS", t, x, a)
			k.Op("VMOVUPS", a, k.chain(r, part))
		}
	}
}

// tailSubAVX2 multiplies by the six-bit numbers as float32, which is exact:
// the products are below 2²⁴.
func (k *quantKernel) tailSubAVX2(rows int) {
	scale, min, x, t := ymm(12), ymm(13), ymm(14), ymm(15)
	for part := range 2 {
		k.Op("VPMOVZXBD", k.sub(8*part), scale)
		k.Op("VCVTDQ2PS", scale, scale)
		k.Op("VPMOVZXBD", k.sub(16+8*part), min)
		k.Op("VCVTDQ2PS", min, min)
		for r := range rows {
			a := q2(r, part)
			k.Op("VCVTDQ2PS", a, a)
			k.Op("VMULPS", scale, a, a)
			k.Op("VBROADCASTSS", k.scale(r), x)
			k.fuse(a, k.wideD(part), x, t, r, part)
			k.Op("VMULPS", k.wideM(part), x, x)
			k.Op("VPBROADCASTD", k.blockSum(r), t)
			k.Op("VCVTDQ2PS", t, t)
			k.Op("VMULPS", min, t, t)
			k.Op("VFNMADD231PS", t, x, a)
			k.Op("VMOVUPS", a, k.chain(r, part))
		}
	}
}

// factorsAVX2 lays Q6_K's scales of a unit out as pairs of 16 bits.
func (k *quantKernel) factorsAVX2() {
	for half := range 2 {
		for part := range 2 {
			v := Reg{X, uint8(12)}
			k.Op("VMOVQ", k.sub(16*half+8*part), v)
			k.Op("VPUNPCKLBW", v, v, v)
			k.Op("VPMOVSXBW", v, ymm(12))
			k.Op("VMOVDQU", ymm(12), inFrame(frameFactors+panelRow*half+32*part))
		}
	}
}

func (k *quantKernel) tailTwoAVX2(rows int) {
	both := [2]Reg{ymm(12), ymm(13)}
	x, t := ymm(14), ymm(15)
	for part := range 2 {
		first, last := Reg{X, 14}, Reg{X, both[part].N}
		k.Op("VMOVQ", k.sub(8*part), first)
		k.Op("VMOVQ", k.sub(16+8*part), last)
		k.Op("VPUNPCKLBW", last, first, last)
		k.Op("VPMOVSXBW", last, both[part])
	}
	for r := range rows {
		for part := range 2 {
			a := q2(r, part)
			k.Op("VPBROADCASTD", k.blockSum(r), x)
			k.Op("VPMADDWD", both[part], x, x)
			k.Op("VPSLLD", Imm(k.offset), x, x)
			k.Op("VPSUBD", x, a, a)
			k.Op("VCVTDQ2PS", a, a)
			k.Op("VBROADCASTSS", k.scale(r), x)
			k.fuse(a, k.wideD(part), x, t, r, part)
			k.Op("VMOVUPS", a, k.chain(r, part))
		}
	}
}
