package asmgen

// Offsets of the fields of kernel's struct qTile. Strides are in elements.
const (
	QTileDst    = 0   // slice: first output
	QTileLdd    = 24  // between rows of outputs
	QTileQ      = 32  // slice: first activation
	QTileLdq    = 56  // between rows of activations
	QTileScale  = 64  // slice: scales of activations
	QTileSum    = 88  // slice: sums of their blocks
	QTileHalves = 112 // slice: sums of the halves of their blocks
	QTileLds    = 136 // between rows of these three
	QTileW      = 144 // slice: first panel's weights
	QTileWStep  = 168 // between panels
	QTileS      = 176 // slice: first panel's scales
	QTileSStep  = 200 // between panels
	QTileUnits  = 208 // blocks of 32 weights
	QTileRows   = 216
	QTilePanels = 224
	QTileWidth  = 232 // outputs of a panel, below 16 only for a single one
	QTileAcc    = 240 // byte; 1: chains go on from what dst holds
)

// Offsets of the fields of kernel's struct qWiden.
const (
	QWidenDst   = 0  // pointer: where bytes go
	QWidenSrc   = 8  // pointer: units of a panel
	QWidenUnits = 16 // their number, at least one
)

// tailKind is what follows the integer sums of a unit: 32 weights of a panel.
type tailKind uint8

const (
	tailScale tailKind = iota // one scale
	tailMin                   // a scale and a minimum
	tailSub                   // both, times the unit's six-bit numbers
	tailTwo                   // one scale, times the unit's two eight-bit ones
)

// quantSpec says how a type lies in panels, see kernel's QPanels.
type quantSpec struct {
	name   string
	bits   int // of an unsigned weight
	offset int // log2 of what is added to the true weight, or -1
	tail   tailKind
	rows   int // the most rows of a tile with AVX2

	wide bool // a byte for each weight, though it has five or six bits
}

var quantSpecs = []quantSpec{
	{"q8_0", 8, 7, tailScale, 6, false},
	{"q4_0", 4, 3, tailScale, 6, false},
	{"q4_1", 4, -1, tailMin, 6, false},
	{"q5_0", 5, 4, tailScale, 4, false},
	{"q5_1", 5, -1, tailMin, 4, false},
	{"q4_k", 4, -1, tailSub, 6, false},
	{"q5_k", 5, -1, tailSub, 4, false},
	{"q6_k", 6, 5, tailTwo, 4, false},
}

// super says whether eight units share a head of scales.
func (q *quantSpec) super() bool { return q.tail == tailSub || q.tail == tailTwo }

// head is the size of the scales that a block of the file has.
func (q *quantSpec) head() int {
	if q.tail == tailMin || q.tail == tailSub {
		return 64
	}
	return 32
}

// kernels are the types, and those of five and six bits once more with a byte
// for each weight.
func (q *quantSpec) kernels() []quantSpec {
	if !q.upper() {
		return []quantSpec{*q}
	}
	wide := *q
	wide.name += "Wide"
	wide.wide = true
	return []quantSpec{*q, wide}
}

// upper says whether a unit has rows of bits beyond the nibbles.
func (q *quantSpec) upper() bool { return !q.wide && (q.bits == 5 || q.bits == 6) }

// unitBytes is the size of a unit's weights.
func (q *quantSpec) unitBytes() int {
	if q.wide {
		return 8 * panelRow
	}
	return q.bits * panelRow
}

// upperBits says where the bits of quad i beyond four lie: at which byte of a
// unit their row begins, and how far they are to be shifted left.
func (q *quantSpec) upperBits(i int) (row, left int) {
	i *= q.bits - 4
	return panelRow * (4 + i/8), 4 - i%8
}

// upperMask is the table that cuts those bits out.
func (q *quantSpec) upperMask() Mem {
	if q.bits == 5 {
		return Mem{Sym: "fifth"}
	}
	return Mem{Sym: "upper"}
}

const (
	quantSub   = 32 // bytes of a unit's own scales in super-blocks
	superUnits = 8
)

// quantUnitsAhead is how many units ahead weights with rows of upper bits are
// fetched, from the panels that follow where there are no more in these.
const quantUnitsAhead = 8

// ahead points quantSum[0] so far on from quantW, which is at the first of
// several panels.
func (k *quantKernel) ahead(panels int, step, step3 Reg) {
	at := At(quantW, quantUnitsAhead*k.unitBytes())
	if panels == 1 {
		k.Op("LEAQ", at, quantSum[0])
		return
	}
	near := k.NewLabel("near")
	k.Op("LEAQ", At(quantOff, 4*quantUnitsAhead), quantSum[0])
	k.Op("CMPQ", quantSum[0], quantEnd)
	k.Op("LEAQ", at, quantSum[0])
	k.Op("JLT", near)
	if panels == 2 {
		k.Op("ADDQ", step, quantSum[0])
	} else {
		k.Op("ADDQ", step3, quantSum[0])
	}
	k.Mark(near)
}

// quantAhead is how far ahead weights are fetched. A unit is much work even for
// one row, and a single stream is too little for the processor's own look-ahead.
const quantAhead = 4096

// Registers of the quantised kernels.
var (
	quantArg    = AX
	quantOff    = BX // bytes into a row of scales: 4 a unit
	quantPanels = CX // with AVX-512: bytes between panels of scales
	quantW      = DX
	quantDst    = DI  // with AVX-512: bytes between panels of weights
	quantS      = R10 // scales of the block of the file at hand
	quantSub0   = R8  // of the unit at hand, in super-blocks
	quantEnd    = R11 // quantOff's end
	quantLdq    = R9
	quantLds    = R14

	// Bases of three rows each. While the sums of a unit are built the first
	// pair stands at its activations, afterwards at their scales, and the
	// second at their sums.
	quantX   = [2]Reg{SI, R13}
	quantSum = [2]Reg{R12, R15}
)

// Bytes between panels of weights and of scales, and three times that. They
// take the places of the bases of a fourth row, and with one row those of the
// strides between rows. AVX-512 has the single steps elsewhere.
var (
	quantWStep, quantWStep3 = quantX[1], quantLdq
	quantSStep, quantSStep3 = quantSum[1], quantLds
)

// ofPanel is the place of panel p, disp bytes from base.
func ofPanel(p int, base, step, step3 Reg, disp int) Mem {
	switch p {
	case 0:
		return At(base, disp)
	case 3:
		return Indexed(base, step3, 1, disp)
	}
	return Indexed(base, step, p, disp)
}

// quantKernel writes the function of one type. With AVX2 it goes over one or
// several panels at a time, of which it writes the code one after the other.
type quantKernel struct {
	*Func
	*quantSpec
	panels, panel int
}

func (k *quantKernel) field(offset int) Mem { return At(quantArg, offset) }

// rowAt is the place of row r with the bases and the stride given.
func rowAt(bases [2]Reg, stride Reg, r, disp int) Mem {
	if r%3 == 0 {
		return At(bases[r/3], disp)
	}
	return Indexed(bases[r/3], stride, r%3, disp)
}

func (k *quantKernel) q(r, disp int) Mem  { return rowAt(quantX, quantLdq, r, disp) }
func (k *quantKernel) scale(r int) Mem    { return rowAt(quantX, quantLds, r, 0) }
func (k *quantKernel) blockSum(r int) Mem { return rowAt(quantSum, quantLds, r, 0) }

// enter loads what stays the same and jumps to the code for the rows of the
// tile, which block writes; it returns after the last.
func (k *quantKernel) enter(maxRows int, block func(rows int)) {
	k.Op("MOVQ", Mem{Param: k.Arg}, quantArg)
	k.Op("MOVQ", k.field(QTileW), quantW)
	k.Op("MOVQ", k.field(QTileS), quantS)
	k.Op("MOVQ", k.field(QTileLdq), quantLdq)
	k.Op("MOVQ", k.field(QTileLds), quantLds)
	k.Op("SHLQ", Imm(2), quantLds)
	k.Op("MOVQ", k.field(QTileUnits), quantEnd)
	k.Op("SHLQ", Imm(2), quantEnd)
	k.Op("MOVQ", k.field(QTileRows), quantOff)
	done := k.NewLabel("done")
	entries := make([]Label, maxRows+1)
	for r := maxRows; r > 1; r-- {
		entries[r] = k.NewLabel("rows")
		k.Op("CMPQ", quantOff, Imm(r))
		k.Op("JEQ", entries[r])
	}
	for r := 1; r <= maxRows; r++ {
		if r > 1 {
			k.Mark(entries[r])
		}
		block(r)
		if r < maxRows {
			k.Op("JMP", done)
		}
	}
	k.Mark(done)
	k.Op("VZEROUPPER")
	k.Op("RET")
}

// nextPanels moves the weights and scales, which stand behind the units of a
// panel, to the panel count further on. The tile's own pointers stay: where
// they point to is no concern of this code, but of the garbage collector.
func (k *quantKernel) nextPanels(count int) {
	scales := k.head() * 8
	if k.super() {
		scales = k.head() + superUnits*quantSub
	}
	k.advance(quantW, QTileWStep, count, k.unitBytes()/4)
	k.advance(quantS, QTileSStep, count, scales/32)
}

// advance adds count steps to reg less what it has moved: ratio times quantEnd.
func (k *quantKernel) advance(reg Reg, step, count, ratio int) {
	tmp := quantX[0]
	k.Op("IMUL3Q", Imm(ratio), quantEnd, tmp)
	k.Op("SUBQ", tmp, reg)
	k.Op("IMUL3Q", Imm(count), k.field(step), tmp)
	k.Op("ADDQ", tmp, reg)
}

// unitLoop repeats unit over the 32-weight units of a panel. In super-blocks
// head comes before each eight of them.
func (k *quantKernel) unitLoop(rows int, head, unit func()) {
	k.Op("XORL", quantOff, quantOff)
	done, group, again := k.NewLabel("done"), k.NewLabel("group"), k.NewLabel("unit")
	k.Op("TESTQ", quantEnd, quantEnd)
	k.Op("JEQ", done)
	k.Mark(group)
	if k.super() {
		head()
		k.Op("LEAQ", At(quantS, k.head()), quantSub0)
		k.Mark(again)
	}
	unit()
	k.Op("ADDQ", Imm(4), quantOff)
	if k.super() {
		k.Op("ADDQ", Imm(quantSub), quantSub0)
		k.Op("LEAQ", At(quantS, k.head()+superUnits*quantSub), quantSum[0])
		k.Op("CMPQ", quantSub0, quantSum[0])
		k.Op("JLT", again)
		k.Op("MOVQ", quantSum[0], quantS)
	} else {
		k.Op("ADDQ", Imm(k.head()), quantS)
	}
	k.Op("CMPQ", quantOff, quantEnd)
	k.Op("JLT", group)
	k.Mark(done)
}

// bases sets a pair of row bases to the slice at offset, scale bytes on for
// each byte of quantOff.
func (k *quantKernel) bases(rows int, bases [2]Reg, offset int, stride Reg, scale int) {
	k.Op("MOVQ", k.field(offset), bases[0])
	k.Op("LEAQ", Indexed(bases[0], quantOff, scale, 0), bases[0])
	if rows > 3 {
		k.Op("LEAQ", Indexed(bases[0], stride, 2, 0), bases[1])
		k.Op("ADDQ", stride, bases[1])
	}
}

// actBases points at the unit's activations.
func (k *quantKernel) actBases(rows int) { k.bases(rows, quantX, QTileQ, quantLdq, 8) }

// tailBases points at the scales and the sums of the unit's activations.
func (k *quantKernel) tailBases(rows int) {
	k.bases(rows, quantX, QTileScale, quantLds, 1)
	switch {
	case k.tail == tailTwo:
		k.bases(rows, quantSum, QTileHalves, quantLds, 1)
	case k.tail != tailScale || k.offset >= 0:
		k.bases(rows, quantSum, QTileSum, quantLds, 1)
	}
}

// QuantTypes returns the names of the types in the order of kernel's QuantType.
func QuantTypes() []string {
	var names []string
	for i := range quantSpecs {
		names = append(names, quantSpecs[i].name)
	}
	return names
}
