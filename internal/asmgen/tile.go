package asmgen

import "fmt"

// Offsets of the fields of kernel's struct tile, which the float kernels read.
// Strides are counted in elements.
const (
	TileDst    = 0  // slice: first output
	TileLdd    = 24 // between rows of outputs
	TileX      = 32 // slice: first activation
	TileLdx    = 56 // between rows of activations
	TileW      = 64 // slice: first panel
	TileStep   = 88 // between panels
	TileK      = 96 // rows of a panel
	TileRows   = 104
	TilePanels = 112
	TileWidth  = 120 // outputs of a panel, below 16 only for a single one
	TileAcc    = 128 // byte; 1: chains go on from what dst holds
	TileWide   = 136 // slice: bfloat16 activations as float32, row after row
	TileDone   = 160 // panels that a NEON kernel has finished
)

const panelRow = 64 // bytes

// Registers of the float kernels.
var (
	tileArg    = AX
	tileDst    = DI
	tileLdd    = R8
	tileLdx    = R9
	tileW      = DX // first of the panels at hand
	tileStep   = R10
	tileStep3  = R11
	tilePanels = CX
	tileK      = BX              // steps left
	tileTmp    = R12             // also the fifth of eight panels
	tileX      = [2]Reg{SI, R13} // three rows each
	tileNext   = R14             // activations of the rows to come, being fetched
	tileRest   = R15             // rows that will be fetched after those
)

// isa is what differs between the two vector lengths of a float kernel.
type isa struct {
	class Class
	bytes int             // of a register
	ahead int             // bytes of a panel that are fetched ahead
	shape map[int][]int   // rows → panels at a time, most first, down to 1
	reg   func(n int) Reg // vector register n
}

func (s *isa) parts() int { return panelRow / s.bytes }

func vectors(c Class) func(int) Reg {
	return func(n int) Reg { return Reg{c, uint8(n)} }
}

// Tiles are at most six rows high. More rows would need fewer loads, but rows
// of activations are often a multiple of 4 kB apart, and then all of them share
// one set of the innermost cache, which holds eight lines.
var (
	avx2 = &isa{class: Y, bytes: 32, ahead: 2048, reg: vectors(Y), shape: map[int][]int{
		1: {4, 2, 1}, 2: {2, 1}, 3: {2, 1}, 4: {1}, 5: {1}, 6: {1},
	}}
	avx512 = &isa{class: Z, bytes: 64, ahead: 1024, reg: vectors(Z), shape: map[int][]int{
		1: {8, 4, 1}, 2: {4, 2, 1}, 3: {4, 2, 1}, 4: {4, 2, 1}, 5: {4, 2, 1}, 6: {4, 2, 1},
	}}
)

// tileKernel writes a function over a tile of rows and panels. loop writes the
// loop over k for a block of rows × panels; everything around is the same for
// all element types.
type tileKernel struct {
	*Func
	*isa
	shift int // log2 of the bytes of an element
	loop  func(t *tileKernel, rows, panels int)
	wide  func(rows int) bool // whether so many rows take TileWide for TileX
}

func (t *tileKernel) maxRows() int { return len(t.shape) }

// acc is the accumulator of a row, panel and part of the panel's 64 bytes.
func (t *tileKernel) acc(rows, panels, r, p, part int) Reg {
	return t.reg((r*panels+p)*t.parts() + part)
}

// temp is vector register n after the accumulators.
func (t *tileKernel) temp(rows, panels, n int) Reg {
	return t.reg(rows*panels*t.parts() + n)
}

// xAt is the activation of row r, disp bytes on.
func (t *tileKernel) xAt(r, disp int) Mem {
	base := tileX[r/3]
	if r%3 == 0 {
		return At(base, disp)
	}
	return Indexed(base, tileLdx, r%3, disp)
}

// wAt is panel p of those at hand, disp bytes on.
func (t *tileKernel) wAt(p, disp int) Mem {
	base := tileW
	if p >= 4 {
		base = tileTmp
	}
	switch p % 4 {
	case 0:
		return At(base, disp)
	case 3:
		return Indexed(base, tileStep3, 1, disp)
	}
	return Indexed(base, tileStep, p%4, disp)
}

func (t *tileKernel) field(offset int) Mem { return At(tileArg, offset) }

// body writes the whole function after its entry code.
func (t *tileKernel) body() {
	t.Op("MOVQ", Mem{Param: t.Arg}, tileArg)
	t.Op("MOVQ", t.field(TileDst), tileDst)
	t.Op("MOVQ", t.field(TileLdd), tileLdd)
	t.Op("SHLQ", Imm(2), tileLdd)
	t.Op("MOVQ", t.field(TileLdx), tileLdx)
	t.Op("SHLQ", Imm(t.shift), tileLdx)
	t.Op("MOVQ", t.field(TileW), tileW)
	t.Op("MOVQ", t.field(TileStep), tileStep)
	t.Op("SHLQ", Imm(t.shift), tileStep)
	t.Op("LEAQ", Indexed(tileStep, tileStep, 2, 0), tileStep3)
	t.Op("MOVQ", t.field(TilePanels), tilePanels)
	if t.class == Z {
		t.widthMask()
	}
	t.Op("MOVQ", t.field(TileRows), tileK)
	done := t.NewLabel("done")
	entries := make([]Label, t.maxRows()+1)
	for r := t.maxRows(); r > 1; r-- {
		entries[r] = t.NewLabel(fmt.Sprintf("rows%d_", r))
		t.Op("CMPQ", tileK, Imm(r))
		t.Op("JEQ", entries[r])
	}
	for r := 1; r <= t.maxRows(); r++ {
		if r > 1 {
			t.Mark(entries[r])
		}
		t.rowBlock(r, done)
	}
	t.Mark(done)
}

// widthMask sets K1 to the outputs that a single panel has.
func (t *tileKernel) widthMask() {
	t.Op("MOVQ", t.field(TileWidth), tileTmp)
	t.Op("MOVL", Imm(1), tileK)
	t.Op("SHLXQ", tileTmp, tileK, tileK)
	t.Op("DECQ", tileK)
	t.Op("KMOVW", tileK, Reg{Mask, 1})
}

// rowBlock writes the loops over the panels for one number of rows.
func (t *tileKernel) rowBlock(rows int, done Label) {
	if rows >= fetchRows {
		t.Op("IMUL3Q", Imm(rows), tileLdx, tileRest)
		t.Op("ADDQ", t.field(TileX), tileRest)
	}
	for _, p := range t.shape[rows] {
		next, again := t.NewLabel("next"), t.NewLabel("again")
		t.Mark(again)
		t.Op("CMPQ", tilePanels, Imm(p))
		t.Op("JLT", next)
		t.block(rows, p)
		t.Op("ADDQ", Imm(p*panelRow), tileDst)
		t.Op("LEAQ", Indexed(tileW, tileStep, p, 0), tileW)
		t.Op("SUBQ", Imm(p), tilePanels)
		t.Op("JMP", again)
		t.Mark(next)
	}
	t.Op("JMP", done)
}

// block computes rows × panels outputs.
func (t *tileKernel) block(rows, panels int) {
	if t.isWide(rows) {
		t.Op("MOVQ", t.field(TileWide), tileX[0])
		t.Op("MOVQ", t.field(TileK), tileLdx)
		t.Op("SHLQ", Imm(3), tileLdx)
	} else {
		t.Op("MOVQ", t.field(TileX), tileX[0])
	}
	for i := 1; 3*i < rows; i++ {
		if i == 1 {
			t.Op("LEAQ", Indexed(tileLdx, tileLdx, 2, 0), tileTmp)
		}
		t.Op("LEAQ", Indexed(tileX[i-1], tileTmp, 1, 0), tileX[i])
	}
	if panels > 4 {
		t.Op("LEAQ", Indexed(tileW, tileStep, 4, 0), tileTmp)
	}
	t.nextRows(rows, panels)
	t.start(rows, panels)
	t.Op("MOVQ", t.field(TileK), tileK)
	t.loop(t, rows, panels)
	t.Op("MOVQ", t.field(TileK), tileTmp)
	t.Op("SHLQ", Imm(6), tileTmp)
	t.Op("SUBQ", tileTmp, tileW)
	t.finish(rows, panels)
}

// A row of a panel takes four bytes of activations in every type, one float32
// or a pair of bfloat16; eight where the pair has been widened.
const xStep = 4

func (t *tileKernel) isWide(rows int) bool { return t.wide != nil && t.wide(rows) }

// kLoop repeats step, which gets the number of the step within an unrolled
// round, over the k steps of a block, several in a round while there are so
// many.
func (t *tileKernel) kLoop(rows, panels int, step func(u int)) {
	xStep := xStep
	if t.isWide(rows) {
		xStep *= 2
	}
	for _, unroll := range []int{4, 1} {
		next, again := t.NewLabel("tail"), t.NewLabel("loop")
		t.Op("CMPQ", tileK, Imm(unroll))
		t.Op("JLT", next)
		t.Mark(again)
		for u := range unroll {
			t.fetch(rows, panels, u)
			step(u)
		}
		for i := 0; 3*i < rows; i++ {
			t.Op("ADDQ", Imm(xStep*unroll), tileX[i])
		}
		t.Op("ADDQ", Imm(unroll*panelRow), tileW)
		if panels > 4 {
			t.Op("ADDQ", Imm(unroll*panelRow), tileTmp)
		}
		t.Op("SUBQ", Imm(unroll), tileK)
		t.Op("CMPQ", tileK, Imm(unroll))
		t.Op("JGE", again)
		t.Mark(next)
	}
}

// A block of many rows takes so long for each row of a panel that the processor
// by itself does not fetch weights from memory early enough. With few rows it
// does, and several panels at a time are fetched better without help.
const fetchRows = 4

// fetch asks for the weights that are needed soon, and once a round for the
// activations of the tile that probably follows: each of its rows is too short
// a stream for the processor to see. These go to the second-level cache, since
// they may share sets with the rows at hand.
func (t *tileKernel) fetch(rows, panels, u int) {
	if rows < fetchRows {
		return
	}
	for p := range panels {
		t.Op("PREFETCHT0", t.wAt(p, u*panelRow+t.ahead))
	}
	if u != 3 {
		return
	}
	for i := range t.rowsFetched(panels) {
		if i == 0 {
			t.Op("PREFETCHT1", At(tileNext, 0))
		} else {
			t.Op("PREFETCHT1", Indexed(tileNext, tileLdx, i, 0))
		}
	}
	t.Op("ADDQ", Imm(4*xStep), tileNext)
}

// rowsFetched is how many rows a block fetches: with one for each of its
// panels, six panels fetch a tile.
func (t *tileKernel) rowsFetched(panels int) int { return min(panels, 3) }

// nextRows sets the rows that a block fetches.
func (t *tileKernel) nextRows(rows, panels int) {
	if rows < fetchRows {
		return
	}
	t.Op("MOVQ", tileRest, tileNext)
	t.Op("MOVQ", t.field(TileLdx), tileK)
	t.Op("SHLQ", Imm(t.shift), tileK)
	for range t.rowsFetched(panels) {
		t.Op("ADDQ", tileK, tileRest)
	}
}

// start sets the accumulators to zero or to what dst holds.
func (t *tileKernel) start(rows, panels int) {
	zero, ready := t.NewLabel("zero"), t.NewLabel("ready")
	t.Op("CMPB", t.field(TileAcc), Imm(0))
	t.Op("JEQ", zero)
	t.outputs(rows, panels, func(at Mem, acc Reg, mask Reg, masked bool) {
		switch {
		case !masked:
			t.Op("VMOVUPS", at, acc)
		case t.class == Z:
			t.Op("VMOVUPS.Z", at, mask, acc)
		default:
			t.Op("VMASKMOVPS", at, mask, acc)
		}
	})
	t.Op("JMP", ready)
	t.Mark(zero)
	for i := range rows * panels * t.parts() {
		t.Op("VXORPS", t.reg(i), t.reg(i), t.reg(i))
	}
	t.Mark(ready)
}

// finish stores the accumulators.
func (t *tileKernel) finish(rows, panels int) {
	t.outputs(rows, panels, func(at Mem, acc Reg, mask Reg, masked bool) {
		switch {
		case !masked:
			t.Op("VMOVUPS", acc, at)
		case t.class == Z:
			t.Op("VMOVUPS", acc, mask, at)
		default:
			t.Op("VMASKMOVPS", acc, mask, at)
		}
	})
}

// outputs calls move for every accumulator and its place in dst: as a whole
// register, and for a single panel, which may be narrow, also under a mask.
func (t *tileKernel) outputs(rows, panels int, move func(at Mem, acc, mask Reg, masked bool)) {
	all := func(masked bool) {
		t.Op("MOVQ", tileDst, tileK)
		for r := range rows {
			for p := range panels {
				for part := range t.parts() {
					mask := Reg{Mask, 1}
					if t.class == Y {
						mask = t.temp(rows, panels, part)
					}
					move(At(tileK, p*panelRow+part*t.bytes), t.acc(rows, panels, r, p, part), mask, masked)
				}
			}
			if r < rows-1 {
				t.Op("ADDQ", tileLdd, tileK)
			}
		}
	}
	if panels > 1 || t.class == Z {
		all(panels == 1)
		return
	}
	narrow, moved := t.NewLabel("narrow"), t.NewLabel("moved")
	t.Op("MOVQ", t.field(TileWidth), tileK)
	t.Op("CMPQ", tileK, Imm(16))
	t.Op("JLT", narrow)
	all(false)
	t.Op("JMP", moved)
	t.Mark(narrow)
	t.Op("LEAQ", Mem{Sym: "lanes", Disp: panelRow}, tileTmp)
	t.Op("SHLQ", Imm(2), tileK)
	t.Op("SUBQ", tileK, tileTmp)
	for part := range t.parts() {
		t.Op("VMOVUPS", At(tileTmp, part*t.bytes), t.temp(rows, panels, part))
	}
	all(true)
	t.Mark(moved)
}

// lanes is sixteen ones, then sixteen zeros, of 32 bits: w·4 bytes before its
// middle begins the mask of w outputs.
func lanes() Data {
	d := Data{Name: "lanes", Words: make([]uint64, 16)}
	for i := range 8 {
		d.Words[i] = ^uint64(0)
	}
	return d
}
