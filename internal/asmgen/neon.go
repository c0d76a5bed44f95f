package asmgen

import (
	"fmt"
	"strings"
)

// The kernels for arm64 are not emulated: qemu runs them. Of R0 to R26 they
// leave R18 alone, which belongs to the platform.

// arm is a general register of arm64.
type arm uint8

func (r arm) String() string { return fmt.Sprintf("R%d", uint8(r)) }

// vreg is a vector register of arm64; written as an operand it is four
// 32-bit lanes, unless one of its methods says otherwise.
type vreg uint8

func (v vreg) String() string { return fmt.Sprintf("V%d.S4", uint8(v)) }

func (v vreg) bytes() text { return text(fmt.Sprintf("V%d.B16", uint8(v))) }

// text is an operand that is written as it is.
type text string

func (t text) String() string { return string(t) }

// at is memory at a register.
func (r arm) at(disp int) text {
	if disp == 0 {
		return text(fmt.Sprintf("(%v)", r))
	}
	return text(fmt.Sprintf("%d(%v)", disp, r))
}

// list is consecutive registers of a load or store.
func list(v vreg, n int) text {
	names := make([]string, n)
	for i := range names {
		names[i] = (v + vreg(i)).String()
	}
	return text("[" + strings.Join(names, ", ") + "]")
}

// armOps are vector instructions that Go's assembler does not know: the word
// without registers.
var armOps = map[string]uint32{
	"FMUL":   0x6e20dc00, // 4 × float32
	"FMLAV":  0x4e20cc00,
	"FMLSV":  0x4ea0cc00,
	"FMLAE":  0x4f801000, // second source is one lane
	"SCVTF":  0x4e21d800,
	"FCVTL":  0x0e217800, // lower four float16 to float32
	"SMULL":  0x0e20c000, // lower eight bytes to 16 bits
	"SMULL2": 0x4e20c000, // upper eight
	"ADDPH":  0x4e60bc00, // pairs of 16 bits
	"SADALP": 0x4e606800, // pairs of 16 bits added to 32
	"SDOTE":  0x4f80e000, // second source is one lane of four bytes
	"MULV":   0x4ea09c00, // 4 × int32
	"MLAV":   0x4ea09400,
	"SXTLB":  0x0f08a400, // lower eight bytes to 16 bits, signed
	"SXTLH":  0x0f10a400, // lower four 16 bits to 32, signed
	"UXTLB":  0x2f08a400, // unsigned
	"UXTLH":  0x2f10a400,
	"SUBB":   0x6e208400, // 16 bytes
	"LDRS":   0xbd400000, // a float32 into the lowest lane, no offset; the others zero
}

// encodeArm gives the word of an instruction in armOps. Operands are in the
// order of Go's assembler: second source, first source, destination; an Imm
// before them is the lane of the second source.
func encodeArm(in Inst) (string, bool) {
	word, ok := armOps[in.Op]
	if !ok {
		return "", false
	}
	args := in.Args
	if lane, ok := args[0].(Imm); ok {
		word |= uint32(lane&1)<<21 | uint32(lane>>1)<<11
		args = args[1:]
	}
	shifts := map[int][]int{2: {5, 0}, 3: {16, 5, 0}}[len(args)]
	for i, a := range args {
		n := uint32(0)
		switch a := a.(type) {
		case vreg:
			n = uint32(a)
		case arm:
			n = uint32(a)
		default:
			panic(fmt.Sprintf("%s: operand %v", in.Op, a))
		}
		word |= n << shifts[i]
	}
	names := make([]string, len(in.Args))
	for i, a := range in.Args {
		names[i] = a.String()
	}
	return fmt.Sprintf("WORD $%#08x // %s %s", word, in.Op, strings.Join(names, ", ")), true
}

// neonTile writes the NEON kernel of one element type over a tile of rows and
// panels. A panel's row is four registers.
type neonTile struct {
	*Func
	shift int // log2 of the bytes of an element
	loop  func(t *neonTile, rows, panels int)
	after func(t *neonTile) // checks a block before it is stored; nil: nothing
}

// neonShape is rows → panels at a time: sixteen accumulators keep four
// pipelines busy.
var neonShape = [][]int{1: {4, 1}, 2: {2, 1}, 3: {1}, 4: {1}}

// NeonRows is the most rows of a tile with NEON.
const NeonRows = 4

// Registers of the float kernels.
const (
	neonArg    = arm(0)
	neonDst    = arm(1)
	neonLdd    = arm(2)
	neonX      = arm(3) // to 6: rows of activations
	neonLdx    = arm(7)
	neonW      = arm(8) // to 11: panels
	neonStep   = arm(12)
	neonPanels = arm(13)
	neonK      = arm(14)
	neonAt     = arm(15)
	neonTmp    = arm(16)
	neonTmp2   = arm(17)
	neonStart  = arm(19) // first of the panels at hand
	neonWidth  = arm(20)
	neonRow    = arm(21)
	neonFPCR   = arm(22)

	neonWeights = vreg(16) // to 19
	neonActs    = vreg(20) // a register or two for each row
)

func (t *neonTile) field(offset int) text { return neonArg.at(offset) }

func neonAcc(panels, r, p, part int) vreg { return vreg((r*panels+p)*4 + part) }

// body writes the function after its entry code up to the label it ends with.
func (t *neonTile) body() {
	t.Op("MOVD", t.field(TileDst), neonDst)
	t.Op("MOVD", t.field(TileLdd), neonLdd)
	t.Op("LSL", Imm(2), neonLdd)
	t.Op("MOVD", t.field(TileLdx), neonLdx)
	t.Op("LSL", Imm(t.shift), neonLdx)
	t.Op("MOVD", t.field(TileW), neonStart)
	t.Op("MOVD", t.field(TileStep), neonStep)
	t.Op("LSL", Imm(t.shift), neonStep)
	t.Op("MOVD", t.field(TilePanels), neonPanels)
	t.Op("MOVD", t.field(TileWidth), neonWidth)
	t.Op("MOVD", t.field(TileRows), neonTmp)
	done := t.NewLabel("done")
	entries := make([]Label, NeonRows+1)
	for r := NeonRows; r > 1; r-- {
		entries[r] = t.NewLabel("rows")
		t.Op("CMP", Imm(r), neonTmp)
		t.Op("BEQ", entries[r])
	}
	for r := 1; r <= NeonRows; r++ {
		if r > 1 {
			t.Mark(entries[r])
		}
		for _, p := range neonShape[r] {
			next, again := t.NewLabel("next"), t.NewLabel("again")
			t.Mark(again)
			t.Op("CMP", Imm(p), neonPanels)
			t.Op("BLT", next)
			t.block(r, p)
			t.Op("ADD", Imm(p*panelRow), neonDst)
			for range p {
				t.Op("ADD", neonStep, neonStart)
			}
			t.Op("SUB", Imm(p), neonPanels)
			t.Op("B", again)
			t.Mark(next)
		}
		if r < NeonRows {
			t.Op("B", done)
		}
	}
	t.Mark(done)
}

// block computes rows × panels outputs.
func (t *neonTile) block(rows, panels int) {
	t.Op("MOVD", t.field(TileX), neonX)
	for r := 1; r < rows; r++ {
		t.Op("ADD", neonLdx, neonX+arm(r-1), neonX+arm(r))
	}
	t.Op("MOVD", neonStart, neonW)
	for p := 1; p < panels; p++ {
		t.Op("ADD", neonStep, neonW+arm(p-1), neonW+arm(p))
	}
	zero, ready := t.NewLabel("zero"), t.NewLabel("ready")
	t.Op("MOVBU", t.field(TileAcc), neonTmp)
	t.Op("CBZ", neonTmp, zero)
	t.outputs(rows, panels, true)
	t.Op("B", ready)
	t.Mark(zero)
	for i := range rows * panels * 4 {
		v := vreg(i).bytes()
		t.Op("VEOR", v, v, v)
	}
	t.Mark(ready)
	t.Op("MOVD", t.field(TileK), neonK)
	t.loop(t, rows, panels)
	if t.after != nil {
		t.after(t)
	}
	t.outputs(rows, panels, false)
}

// outputs moves the accumulators from or to dst. A single panel may be narrow:
// then its rows go through the frame.
func (t *neonTile) outputs(rows, panels int, load bool) {
	op := "VST1.P"
	if load {
		op = "VLD1.P"
	}
	move := func(at arm, v vreg) {
		if load {
			t.Op(op, at.at(panelRow), list(v, 4))
		} else {
			t.Op(op, list(v, 4), at.at(panelRow))
		}
	}
	narrow, moved := t.NewLabel("narrow"), t.NewLabel("moved")
	if panels == 1 {
		t.Op("CMP", Imm(16), neonWidth)
		t.Op("BLT", narrow)
	}
	t.Op("MOVD", neonDst, neonAt)
	for r := range rows {
		t.Op("MOVD", neonAt, neonTmp)
		for p := range panels {
			move(neonTmp, neonAcc(panels, r, p, 0))
		}
		if r < rows-1 {
			t.Op("ADD", neonLdd, neonAt)
		}
	}
	if panels > 1 {
		return
	}
	t.Op("B", moved)
	t.Mark(narrow)
	t.Op("MOVD", neonDst, neonAt)
	for r := range rows {
		if load {
			t.copyNarrow(neonAt, true)
		}
		t.Op("MOVD", text("$row-64(SP)"), neonTmp)
		move(neonTmp, neonAcc(panels, r, 0, 0))
		if !load {
			t.copyNarrow(neonAt, false)
		}
		if r < rows-1 {
			t.Op("ADD", neonLdd, neonAt)
		}
	}
	t.Mark(moved)
}

// copyNarrow copies the outputs of a narrow row between dst and the frame.
func (t *neonTile) copyNarrow(dst arm, load bool) {
	again := t.NewLabel("copy")
	t.Op("MOVD", text("$row-64(SP)"), neonTmp)
	t.Op("MOVD", dst, neonTmp2)
	t.Op("MOVD", neonWidth, neonRow)
	from, to := neonTmp2, neonTmp
	if !load {
		from, to = neonTmp, neonTmp2
	}
	t.Mark(again)
	t.Op("MOVWU.P", from.at(4), arm(23))
	t.Op("MOVWU.P", arm(23), to.at(4))
	t.Op("SUBS", Imm(1), neonRow)
	t.Op("BNE", again)
}

// kLoop repeats step over k: four at a time, for which load fills activation
// registers of 16 bytes a row, then one by one with four bytes.
func (t *neonTile) kLoop(rows, panels int, prepare func(), step func(u int)) {
	for _, unroll := range []int{4, 1} {
		next, again := t.NewLabel("tail"), t.NewLabel("loop")
		t.Mark(again)
		t.Op("CMP", Imm(unroll), neonK)
		t.Op("BLT", next)
		for r := range rows {
			if unroll == 4 {
				t.Op("VLD1.P", (neonX + arm(r)).at(16), list(neonActs+vreg(r), 1))
			} else {
				t.Op("LDRS", neonX+arm(r), neonActs+vreg(r))
				t.Op("ADD", Imm(4), neonX+arm(r))
			}
		}
		prepare()
		for u := range unroll {
			step(u)
		}
		t.Op("SUB", Imm(unroll), neonK)
		t.Op("B", again)
		t.Mark(next)
	}
}

// weights loads the next row of panel p.
func (t *neonTile) weights(p int) {
	t.Op("VLD1.P", (neonW + arm(p)).at(panelRow), list(neonWeights, 4))
}

// F32NEON is the product of float32 rows and panels.
func F32NEON() *File {
	const name = "f32TileNEON"
	t := &neonTile{
		Func:  &Func{Name: name, Arg: "t", Frame: 64, Doc: "func " + name + "(t *tile[float32])"},
		shift: 2,
		loop: func(t *neonTile, rows, panels int) {
			t.kLoop(rows, panels, func() {}, func(u int) {
				for p := range panels {
					t.weights(p)
					for part := range 4 {
						for r := range rows {
							t.Op("FMLAE", Imm(u), neonActs+vreg(r), neonWeights+vreg(part), neonAcc(panels, r, p, part))
						}
					}
				}
			})
		},
	}
	t.Op("MOVD", text("t+0(FP)"), neonArg)
	t.body()
	t.Op("RET")
	return &File{Path: "kernel/f32_neon_arm64.s", Tags: asmTags, Funcs: []*Func{t.Func}}
}

// BF16NEON is the product of bfloat16 rows and panels by widening, with
// subnormals flushed. The processor calls a result tiny before it rounds it, the
// definition afterwards: where a flush happened the block is not stored, the
// number of panels done is, and the rest is left to the caller.
func BF16NEON() *File {
	const name = "bf16TileNEON"
	t := &neonTile{
		Func:  &Func{Name: name, Arg: "t", Frame: 64, Doc: "func " + name + "(t *tile[uint16])"},
		shift: 1,
		loop:  bf16LoopNEON,
	}
	stop := t.NewLabel("stop")
	t.after = func(t *neonTile) {
		t.Op("MOVD", text("FPSR"), neonTmp)
		t.Op("TBNZ", Imm(underflowBit), neonTmp, stop)
	}
	t.Op("MOVD", text("t+0(FP)"), neonArg)
	t.Op("MOVD", text("FPCR"), neonFPCR)
	t.Op("ORR", Imm(1<<flushBit), neonFPCR, neonTmp)
	t.Op("MOVD", neonTmp, text("FPCR"))
	t.Op("MOVD", text("ZR"), text("FPSR"))
	t.body()
	t.Mark(stop)
	t.Op("MOVD", neonFPCR, text("FPCR"))
	t.Op("MOVD", t.field(TilePanels), neonTmp)
	t.Op("SUB", neonPanels, neonTmp)
	t.Op("MOVD", neonTmp, t.field(TileDone))
	t.Op("RET")
	reset := &Func{Name: "resetFPCR", Doc: "func resetFPCR()"}
	reset.Op("MOVD", text("ZR"), text("FPCR"))
	reset.Op("RET")
	return &File{Path: "kernel/bf16_neon_arm64.s", Tags: asmTags, Funcs: []*Func{t.Func, reset}}
}

// Bits of FPCR and FPSR.
const (
	flushBit     = 24
	underflowBit = 3
)

func bf16LoopNEON(t *neonTile, rows, panels int) {
	even, odd := neonActs, neonActs+4
	w, mask := vreg(28), vreg(31)
	t.Op("MOVD", Imm(0xffff0000), neonTmp)
	t.Op("VDUP", neonTmp, mask)
	prepare := func() {
		for r := range rows {
			t.Op("VAND", (even + vreg(r)).bytes(), mask.bytes(), (odd + vreg(r)).bytes())
			t.Op("VSHL", Imm(16), even+vreg(r), even+vreg(r))
		}
	}
	t.kLoop(rows, panels, prepare, func(u int) {
		for p := range panels {
			t.weights(p)
			for part := range 4 {
				raw := neonWeights + vreg(part)
				t.Op("VAND", raw.bytes(), mask.bytes(), w.bytes())
				t.Op("VSHL", Imm(16), raw, raw)
				for r := range rows {
					t.Op("FMLAE", Imm(u), odd+vreg(r), w, neonAcc(panels, r, p, part))
				}
				for r := range rows {
					t.Op("FMLAE", Imm(u), even+vreg(r), raw, neonAcc(panels, r, p, part))
				}
			}
		}
	})
}
