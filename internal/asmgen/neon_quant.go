package asmgen

import "fmt"

// QuantNEON is the products with quantised weights, twice: with SDOT, and for
// processors that have none. Weights are made signed as they are loaded, so no
// sum needs a correction. A panel's sixteen outputs are four registers; the
// chains lie in the frame.
func QuantNEON() *File {
	f := &File{Path: "kernel/quant_neon_arm64.s", Tags: asmTags}
	for i := range quantSpecs {
		for _, spec := range quantSpecs[i].kernels() {
			f.Funcs = append(f.Funcs, quantTileNEON(&spec, false), quantTileNEON(&spec, true))
		}
	}
	f.Funcs = append(f.Funcs, widenNEON(&quantSpec{bits: 5, offset: -1}), widenNEON(&quantSpec{bits: 6, offset: -1}))
	return f
}

// NeonQuantRows is the most rows of a tile: 4, or 2 where a unit needs two
// sums.
func NeonQuantRows(two bool) int {
	if two {
		return 2
	}
	return 4
}

// quantNeon writes the function of one type.
type quantNeon struct {
	*Func
	*quantSpec
	dot bool
}

// Registers of the quantised kernels, beside those of the float kernels.
const (
	armQ      = arm(3) // to 6: rows of activations
	armW      = arm(7)
	armS      = arm(8) // scales of the block of the file at hand
	armSub    = arm(9) // of the unit at hand, in super-blocks
	armUnits  = arm(10)
	armOff    = arm(11) // bytes into a row of scales: 4 a unit
	armLds    = arm(12)
	armPanels = arm(13)
	armTmp    = arm(16)
	armTmp2   = arm(17)
	armDst    = arm(19)
	armLdd    = arm(20)
	armWidth  = arm(21)
	armRow    = arm(22)
	armChain  = arm(23)
	armCount  = arm(24)
	armLeft   = arm(25) // units left of a super-block
	armLdq    = arm(26)
)

// Vector registers: accumulators from 0, weights, activations, scratch.
const (
	quantWeights = vreg(16) // to 19
	quantActs    = vreg(20) // to 23
	quantNibble  = vreg(24) // what a nibble is cut with
	quantOffset  = vreg(25) // what makes weights signed
	quantScratch = vreg(26) // to 31, of which the last two are for chains
)

func (k *quantNeon) field(offset int) text { return neonArg.at(offset) }

func (k *quantNeon) sum(r, part int) vreg { return vreg(4*r + part) }

// last is the sum of the last half of a unit, where both have their scale.
func (k *quantNeon) last(r, part int) vreg { return vreg(8 + 4*r + part) }

func (k *quantNeon) rows() int { return NeonQuantRows(k.tail == tailTwo) }

func quantTileNEON(spec *quantSpec, dot bool) *Func {
	name := spec.name + "TileNEON"
	if dot {
		name += "Dot"
	}
	k := &quantNeon{
		Func:      &Func{Name: name, Arg: "t", Frame: 4 * panelRow, Doc: "func " + name + "(t *qTile)"},
		quantSpec: spec, dot: dot,
	}
	k.enter()
	return k.Func
}

func (k *quantNeon) enter() {
	k.Op("MOVD", text("t+0(FP)"), neonArg)
	for _, f := range []struct {
		offset int
		reg    arm
	}{
		{QTileDst, armDst}, {QTileLdd, armLdd}, {QTileW, armW}, {QTileS, armS}, {QTileLdq, armLdq},
		{QTileLds, armLds}, {QTilePanels, armPanels}, {QTileWidth, armWidth}, {QTileRows, armTmp},
	} {
		k.Op("MOVD", k.field(f.offset), f.reg)
	}
	k.Op("LSL", Imm(2), armLdd)
	k.Op("LSL", Imm(2), armLds)
	if k.bits < 8 && !k.wide {
		k.Op("VMOVI", Imm(15), quantNibble.bytes())
	}
	if k.offset >= 0 {
		k.Op("VMOVI", Imm(1<<k.offset), quantOffset.bytes())
	}
	done := k.NewLabel("done")
	entries := make([]Label, k.rows()+1)
	for r := k.rows(); r > 1; r-- {
		entries[r] = k.NewLabel("rows")
		k.Op("CMP", Imm(r), armTmp)
		k.Op("BEQ", entries[r])
	}
	for r := 1; r <= k.rows(); r++ {
		if r > 1 {
			k.Mark(entries[r])
		}
		k.panelLoop(r)
		if r < k.rows() {
			k.Op("B", done)
		}
	}
	k.Mark(done)
	k.Op("RET")
}

// panelLoop writes the loop over panels for so many rows.
func (k *quantNeon) panelLoop(rows int) {
	again := k.NewLabel("panel")
	k.Mark(again)
	k.chains(rows, true)
	k.unitLoop(rows)
	k.chains(rows, false)
	k.Op("ADD", Imm(panelRow), armDst)
	k.nextPanel(armW, QTileWStep, k.unitBytes(), 1)
	if k.super() {
		k.nextPanel(armS, QTileSStep, k.head()+superUnits*quantSub, superUnits)
	} else {
		k.nextPanel(armS, QTileSStep, k.head(), 1)
	}
	k.Op("SUBS", Imm(1), armPanels)
	k.Op("BNE", again)
}

// nextPanel moves reg, which stands behind the units of a panel, to the next
// panel: it has moved by size for every so many units.
func (k *quantNeon) nextPanel(reg arm, step, size, units int) {
	k.Op("MOVD", k.field(QTileUnits), armTmp)
	if units > 1 {
		k.Op("LSR", Imm(3), armTmp)
	}
	k.Op("MOVD", Imm(size), armTmp2)
	k.Op("MUL", armTmp2, armTmp)
	k.Op("SUB", armTmp, reg)
	k.Op("MOVD", k.field(step), armTmp)
	k.Op("ADD", armTmp, reg)
}

// chains moves the chains of a panel between dst and the frame, or sets them
// to zero.
func (k *quantNeon) chains(rows int, load bool) {
	zero, done := k.NewLabel("zero"), k.NewLabel("moved")
	k.Op("MOVD", text("$chains-256(SP)"), armChain)
	if load {
		k.Op("MOVBU", k.field(QTileAcc), armTmp)
		k.Op("CBZ", armTmp, zero)
	}
	k.Op("MOVD", armDst, armTmp)
	for r := range rows {
		k.copyRow(load)
		if r < rows-1 {
			k.Op("ADD", armLdd, armTmp)
			k.Op("ADD", Imm(panelRow), armChain)
		}
	}
	if load {
		k.Op("B", done)
		k.Mark(zero)
		for i := range 4 {
			v := vreg(i).bytes()
			k.Op("VEOR", v, v, v)
		}
		for range rows {
			k.Op("VST1.P", list(0, 4), armChain.at(panelRow))
		}
	}
	k.Mark(done)
}

// copyRow copies the outputs of a row, which may be narrow.
func (k *quantNeon) copyRow(load bool) {
	again := k.NewLabel("copy")
	from, to := armTmp2, armRow
	k.Op("MOVD", armTmp, armTmp2)
	k.Op("MOVD", armChain, armRow)
	if !load {
		from, to = armRow, armTmp2
	}
	k.Op("MOVD", armWidth, armCount)
	k.Mark(again)
	k.Op("MOVWU.P", from.at(4), armLeft)
	k.Op("MOVWU.P", armLeft, to.at(4))
	k.Op("SUBS", Imm(1), armCount)
	k.Op("BNE", again)
}

// unitLoop adds all units of a panel to the chains.
func (k *quantNeon) unitLoop(rows int) {
	done, again, group := k.NewLabel("done"), k.NewLabel("unit"), k.NewLabel("group")
	k.Op("MOVD", k.field(QTileUnits), armUnits)
	k.Op("MOVD", text("ZR"), armOff)
	k.Op("CBZ", armUnits, done)
	k.Op("MOVD", k.field(QTileQ), armQ)
	for r := 1; r < rows; r++ {
		k.Op("ADD", armLdq, armQ+arm(r-1), armQ+arm(r))
	}
	k.Mark(group)
	if k.super() {
		k.Op("ADD", Imm(k.head()), armS, armSub)
		k.Op("MOVD", Imm(superUnits), armLeft)
	}
	k.Mark(again)
	k.unit(rows)
	k.Op("ADD", Imm(4), armOff)
	if k.super() {
		k.Op("ADD", Imm(quantSub), armSub)
		k.Op("SUB", Imm(1), armUnits)
		k.Op("SUBS", Imm(1), armLeft)
		k.Op("BNE", again)
		k.Op("MOVD", armSub, armS)
		k.Op("CBNZ", armUnits, group)
	} else {
		k.Op("ADD", Imm(k.head()), armS)
		k.Op("SUBS", Imm(1), armUnits)
		k.Op("BNE", group)
	}
	k.Mark(done)
}

// unit adds 32 weights to every chain.
func (k *quantNeon) unit(rows int) {
	sums := 4 * rows
	for i := range sums {
		k.Op("VEOR", vreg(i).bytes(), vreg(i).bytes(), vreg(i).bytes())
		if k.tail == tailTwo {
			k.Op("VEOR", (vreg(i) + 8).bytes(), (vreg(i) + 8).bytes(), (vreg(i) + 8).bytes())
		}
	}
	if k.tail == tailTwo || k.upper() {
		k.half16(rows, 0)
		k.half16(rows, 1)
		if k.upper() {
			k.Op("ADD", Imm(k.unitBytes()), armW)
		}
	} else {
		again := k.NewLabel("half")
		k.Op("MOVD", Imm(2), armCount)
		k.Mark(again)
		k.half16(rows, 0)
		k.Op("SUBS", Imm(1), armCount)
		k.Op("BNE", again)
	}
	k.tail4(rows)
}

// half16 adds half of a unit to the sums, or with half = 1 to the last ones.
func (k *quantNeon) half16(rows, half int) {
	for r := range rows {
		k.Op("VLD1.P", (armQ + arm(r)).at(16), list(quantActs+vreg(r), 1))
	}
	for quad := range 4 {
		if k.upper() {
			k.loadUpper(4*half + quad)
		} else {
			k.loadWeights(quad)
		}
		k.addQuad(rows, half, quad)
	}
}

// loadWeights makes the weights of a quad signed bytes in four registers.
func (k *quantNeon) loadWeights(quad int) {
	w := list(quantWeights, 4)
	switch {
	case k.bits == 8 || k.wide:
		k.Op("VLD1.P", armW.at(panelRow), w)
	case quad%2 == 0:
		k.Op("VLD1", armW.at(0), w)
		for i := range vreg(4) {
			v := (quantWeights + i).bytes()
			k.Op("VAND", v, quantNibble.bytes(), v)
		}
	default:
		k.Op("VLD1.P", armW.at(panelRow), w)
		for i := range vreg(4) {
			v := (quantWeights + i).bytes()
			k.Op("VUSHR", Imm(4), v, v)
		}
	}
	k.subtractOffset()
}

// loadUpper does the same where a unit has rows of upper bits; armW stays. It uses
// the scratch registers.
func (k *quantNeon) loadUpper(quad int) {
	upper, cut := quantScratch+2, quantScratch
	row, left := k.upperBits(quad)
	k.Op("ADD", Imm(quad/2*panelRow), armW, armTmp)
	k.Op("ADD", Imm(row), armW, armTmp2)
	k.Op("VLD1", armTmp.at(0), list(quantWeights, 4))
	k.Op("VLD1", armTmp2.at(0), list(upper, 4))
	k.Op("VMOVI", Imm(1<<k.bits-16), cut.bytes())
	for i := range vreg(4) {
		w, u := (quantWeights + i).bytes(), (upper + i).bytes()
		if quad%2 == 0 {
			k.Op("VAND", w, quantNibble.bytes(), w)
		} else {
			k.Op("VUSHR", Imm(4), w, w)
		}
		switch {
		case left > 0:
			k.Op("VSHL", Imm(left), u, u)
		case left < 0:
			k.Op("VUSHR", Imm(-left), u, u)
		}
		k.Op("VAND", u, cut.bytes(), u)
		k.Op("VORR", w, u, w)
	}
	k.subtractOffset()
}

// widenNEON writes the weights of units as bytes.
func widenNEON(spec *quantSpec) *Func {
	name := fmt.Sprintf("widen%dNEON", spec.bits)
	k := &quantNeon{
		Func:      &Func{Name: name, Arg: "t", Doc: "func " + name + "(t *qWiden)"},
		quantSpec: spec,
	}
	k.Op("MOVD", text("t+0(FP)"), neonArg)
	k.Op("MOVD", k.field(QWidenDst), armDst)
	k.Op("MOVD", k.field(QWidenSrc), armW)
	k.Op("MOVD", k.field(QWidenUnits), armUnits)
	k.Op("VMOVI", Imm(15), quantNibble.bytes())
	again := k.NewLabel("unit")
	k.Mark(again)
	for quad := range 8 {
		k.loadUpper(quad)
		k.Op("VST1.P", list(quantWeights, 4), armDst.at(panelRow))
	}
	k.Op("ADD", Imm(k.unitBytes()), armW)
	k.Op("SUBS", Imm(1), armUnits)
	k.Op("BNE", again)
	k.Op("RET")
	return k.Func
}

// subtractOffset makes weights signed.
func (k *quantNeon) subtractOffset() {
	if k.offset < 0 {
		return
	}
	for i := range vreg(4) {
		k.Op("SUBB", quantOffset, quantWeights+i, quantWeights+i)
	}
}

// addQuad adds four weights of every output to the sums. Without SDOT two
// products fit 16 bits: 2 · 128 · 127 < 2¹⁵.
func (k *quantNeon) addQuad(rows, half, quad int) {
	x, t, u := quantScratch, quantScratch+1, quantScratch+2
	for r := range rows {
		acts := quantActs + vreg(r)
		if !k.dot {
			k.Op("VDUP", text(fmt.Sprintf("V%d.S[%d]", uint8(acts), quad)), x)
		}
		for part := range 4 {
			sum, w := k.sum(r, part), quantWeights+vreg(part)
			if half == 1 && k.tail == tailTwo {
				sum = k.last(r, part)
			}
			if k.dot {
				k.Op("SDOTE", Imm(quad), acts, w, sum)
				continue
			}
			k.Op("SMULL", x, w, t)
			k.Op("SMULL2", x, w, u)
			k.Op("ADDPH", u, t, t)
			k.Op("SADALP", t, sum)
		}
	}
}

// tail4 adds the sums of a unit to the chains, four outputs after the other.
func (k *quantNeon) tail4(rows int) {
	scales, sums := quantActs, quantScratch
	k.broadcasts(rows, QTileScale, scales)
	if k.tail == tailMin || k.tail == tailSub {
		k.broadcasts(rows, QTileSum, sums)
	}
	if k.tail == tailMin {
		for r := range vreg(rows) {
			k.Op("SCVTF", sums+r, sums+r)
		}
	}
	for part := range 4 {
		k.partScales(part)
		k.Op("MOVD", text("$chains-256(SP)"), armChain)
		if part > 0 {
			k.Op("ADD", Imm(16*part), armChain)
		}
		for r := range rows {
			k.tailChain(r, part, scales+vreg(r), sums+vreg(r))
			if r < rows-1 {
				k.Op("ADD", Imm(panelRow), armChain)
			}
		}
	}
}

// broadcasts loads a number of each row into all lanes.
func (k *quantNeon) broadcasts(rows, offset int, to vreg) {
	k.Op("MOVD", k.field(offset), armTmp)
	k.Op("ADD", armOff, armTmp)
	for r := range rows {
		k.Op("VLD1R", armTmp.at(0), list(to+vreg(r), 1))
		if r < rows-1 {
			k.Op("ADD", armLds, armTmp)
		}
	}
}

// Registers of the scales of four outputs, which take the weights' place.
const (
	partD      = quantWeights     // d
	partM      = quantWeights + 1 // m or dmin
	partFirst  = quantWeights + 2 // the first six-bit or eight-bit number
	partSecond = quantWeights + 3 // the second
)

func (k *quantNeon) partScales(part int) {
	k.half(partD, 8*part)
	switch k.tail {
	case tailMin:
		k.half(partM, 32+8*part)
	case tailSub:
		k.half(partM, 32+8*part)
		k.small(partFirst, 4*part, "UXTLB", "UXTLH")
		k.small(partSecond, 16+4*part, "UXTLB", "UXTLH")
	case tailTwo:
		k.small(partFirst, 4*part, "SXTLB", "SXTLH")
		k.small(partSecond, 16+4*part, "SXTLB", "SXTLH")
	}
}

// half widens four float16.
func (k *quantNeon) half(to vreg, disp int) {
	k.Op("ADD", Imm(disp), armS, armTmp)
	k.Op("VLD1", armTmp.at(0), text(fmt.Sprintf("[V%d.H4]", uint8(to))))
	k.Op("FCVTL", to, to)
}

// small widens four bytes to 32 bits.
func (k *quantNeon) small(to vreg, disp int, widen ...string) {
	k.Op("ADD", Imm(disp), armSub, armTmp)
	k.Op("LDRS", armTmp, to)
	for _, op := range widen {
		k.Op(op, to, to)
	}
}

// tailChain adds the sums of a row and four outputs to their chains.
func (k *quantNeon) tailChain(r, part int, scale, blockSum vreg) {
	a, t, chain := k.sum(r, part), vreg(30), vreg(31)
	switch k.tail {
	case tailSub:
		k.Op("MULV", partFirst, a, a)
	case tailTwo:
		k.Op("MULV", partFirst, a, a)
		k.Op("MLAV", partSecond, k.last(r, part), a)
	}
	k.Op("SCVTF", a, a)
	k.Op("FMUL", partD, scale, t)
	k.Op("VLD1", armChain.at(0), list(chain, 1))
	k.Op("FMLAV", t, a, chain)
	switch k.tail {
	case tailMin:
		k.Op("FMUL", partM, scale, t)
		k.Op("FMLAV", t, blockSum, chain)
	case tailSub:
		k.Op("FMUL", partM, scale, t)
		k.Op("MULV", partSecond, blockSum, a)
		k.Op("SCVTF", a, a)
		k.Op("FMLSV", t, a, chain)
	}
	k.Op("VST1", list(chain, 1), armChain.at(0))
}
