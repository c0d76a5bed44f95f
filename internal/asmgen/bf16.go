package asmgen

// BF16AVX2 is the product of bfloat16 rows and panels by widening. Denormals
// count as zero inside, as for VDPBF16PS.
func BF16AVX2() *File {
	return &File{
		Path: "kernel/bf16_avx2_amd64.s", Tags: asmTags,
		Data:  []Data{lanes(), upperHalves()},
		Funcs: []*Func{bf16TileAVX2(), bf16WidenAVX2(), resetMXCSR()},
	}
}

// BF16AVX512 is the same with VDPBF16PS.
func BF16AVX512() *File {
	return &File{
		Path: "kernel/bf16_avx512_amd64.s", Tags: asmTags,
		Funcs: []*Func{bf16TileAVX512()},
	}
}

// The bits of MXCSR that make the results (FTZ) and operands (DAZ) of the
// subnormal range zero.
const flushDenormals = 1<<15 | 1<<6

func upperHalves() Data {
	d := Data{Name: "upper", Words: make([]uint64, 4)}
	for i := range d.Words {
		d.Words[i] = 0xffff0000ffff0000
	}
	return d
}

func bf16TileAVX2() *Func {
	const name = "bf16TileAVX2"
	t := &tileKernel{
		Func:  &Func{Name: name, Arg: "t", Frame: 16, Doc: "func " + name + "(t *tile[uint16])"},
		isa:   avx2,
		shift: 1,
		wide:  func(rows int) bool { return rows >= BF16WideRows },
		loop:  bf16LoopAVX2,
	}
	saved, flushing := Mem{Frame: true, Disp: -8}, Mem{Frame: true, Disp: -16}
	t.Op("STMXCSR", saved)
	t.Op("MOVL", saved, tileArg)
	t.Op("ORL", Imm(flushDenormals), tileArg)
	t.Op("MOVL", tileArg, flushing)
	t.Op("LDMXCSR", flushing)
	t.body()
	t.Op("LDMXCSR", saved)
	t.Op("VZEROUPPER")
	t.Op("RET")
	return t.Func
}

// resetMXCSR gives MXCSR the value that Go programs run with, for a caller that
// bf16TileAVX2 never returned to.
func resetMXCSR() *Func {
	const name, masked = "resetMXCSR", 0x1f80
	f := &Func{Name: name, Frame: 8, Doc: "func " + name + "()"}
	at := Mem{Frame: true, Disp: -8}
	f.Op("MOVL", Imm(masked), AX)
	f.Op("MOVL", AX, at)
	f.Op("LDMXCSR", at)
	f.Op("RET")
	return f
}

// BF16WideRows is from how many rows on the AVX2 kernel takes activations that
// have been widened before.
const BF16WideRows = 4

// bf16Mask keeps the upper halves of 32-bit lanes.
var bf16Mask = Reg{Y, 15}

// bf16LoopAVX2 adds one pair after the other to every chain: first the odd
// elements, which are the upper halves, then the even ones.
func bf16LoopAVX2(t *tileKernel, rows, panels int) {
	if !bf16Full(rows, panels) {
		t.Op("VMOVUPS", Mem{Sym: "upper"}, bf16Mask)
	}
	t.kLoop(rows, panels, func(u int) {
		for _, odd := range []bool{true, false} {
			if t.isWide(rows) {
				bf16HalfTall(t, rows, u, odd)
			} else {
				bf16HalfWide(t, rows, panels, u, odd)
			}
		}
	})
}

// bf16Full says that no register is left for the mask.
func bf16Full(rows, panels int) bool { return rows == 3 && panels == 2 }

// widen turns one half of the lanes of v into float32.
func widen(t *tileKernel, odd bool, v Reg, full bool) {
	switch {
	case !odd:
		t.Op("VPSLLD", Imm(16), v, v)
	case full:
		t.Op("VPAND", Mem{Sym: "upper"}, v, v)
	default:
		t.Op("VPAND", bf16Mask, v, v)
	}
}

// bf16HalfTall is for one panel and rows that have been widened.
func bf16HalfTall(t *tileKernel, rows, u int, odd bool) {
	at := 2 * xStep * u
	if odd {
		at += xStep
	}
	for part := range t.parts() {
		w := t.temp(rows, 1, part)
		t.Op("VMOVUPS", t.wAt(0, u*panelRow+part*t.bytes), w)
		widen(t, odd, w, false)
	}
	for r := range rows {
		x := t.temp(rows, 1, t.parts())
		t.Op("VBROADCASTSS", t.xAt(r, at), x)
		for part := range t.parts() {
			t.Op("VFMADD231PS", t.temp(rows, 1, part), x, t.acc(rows, 1, r, 0, part))
		}
	}
}

// bf16HalfWide is for few rows and several panels.
func bf16HalfWide(t *tileKernel, rows, panels, u int, odd bool) {
	full := bf16Full(rows, panels)
	for r := range rows {
		x := t.temp(rows, panels, r)
		t.Op("VPBROADCASTD", t.xAt(r, u*xStep), x)
		widen(t, odd, x, full)
	}
	w := t.temp(rows, panels, rows)
	for p := range panels {
		for part := range t.parts() {
			t.Op("VMOVUPS", t.wAt(p, u*panelRow+part*t.bytes), w)
			widen(t, odd, w, full)
			for r := range rows {
				t.Op("VFMADD231PS", w, t.temp(rows, panels, r), t.acc(rows, panels, r, p, part))
			}
		}
	}
}

// bf16WidenAVX2 writes the first k pairs of every row as float32.
func bf16WidenAVX2() *Func {
	const name = "bf16WidenAVX2"
	f := &Func{Name: name, Arg: "t", Doc: "func " + name + "(t *tile[uint16])"}
	src, dst, ldx, rows, pairs := SI, DI, R9, CX, BX
	f.Op("MOVQ", Mem{Param: f.Arg}, AX)
	f.Op("MOVQ", At(AX, TileX), R8)
	f.Op("MOVQ", At(AX, TileLdx), ldx)
	f.Op("SHLQ", Imm(1), ldx)
	f.Op("MOVQ", At(AX, TileWide), dst)
	f.Op("MOVQ", At(AX, TileRows), rows)
	row := f.NewLabel("row")
	f.Mark(row)
	f.Op("MOVQ", R8, src)
	f.Op("MOVQ", At(AX, TileK), pairs)
	for _, n := range []int{4, 1} {
		again, next := f.NewLabel("again"), f.NewLabel("next")
		f.Mark(again)
		f.Op("CMPQ", pairs, Imm(n))
		f.Op("JLT", next)
		if n == 4 {
			f.Op("VPMOVZXWD", At(src, 0), Reg{Y, 0})
			f.Op("VPSLLD", Imm(16), Reg{Y, 0}, Reg{Y, 0})
			f.Op("VMOVUPS", Reg{Y, 0}, At(dst, 0))
		} else {
			f.Op("MOVL", At(src, 0), DX)
			f.Op("MOVL", DX, R10)
			f.Op("SHLL", Imm(16), DX)
			f.Op("ANDL", Imm(-1<<16), R10)
			f.Op("MOVL", DX, At(dst, 0))
			f.Op("MOVL", R10, At(dst, 4))
		}
		f.Op("ADDQ", Imm(4*n), src)
		f.Op("ADDQ", Imm(8*n), dst)
		f.Op("SUBQ", Imm(n), pairs)
		f.Op("JMP", again)
		f.Mark(next)
	}
	f.Op("ADDQ", ldx, R8)
	f.Op("DECQ", rows)
	f.Op("JNE", row)
	f.Op("VZEROUPPER")
	f.Op("RET")
	return f
}

func bf16TileAVX512() *Func {
	const name = "bf16TileAVX512"
	t := &tileKernel{
		Func:  &Func{Name: name, Arg: "t", Doc: "func " + name + "(t *tile[uint16])"},
		isa:   avx512,
		shift: 1,
		loop: func(t *tileKernel, rows, panels int) {
			t.kLoop(rows, panels, func(u int) { bf16StepAVX512(t, rows, panels, u) })
		},
	}
	t.body()
	t.Op("VZEROUPPER")
	t.Op("RET")
	return t.Func
}

// bf16StepAVX512 holds the weights of a step in registers, which VDPBF16PS
// wants anyway: only its form without memory is encoded here.
func bf16StepAVX512(t *tileKernel, rows, panels, u int) {
	for p := range panels {
		t.Op("VMOVUPS", t.wAt(p, u*panelRow), t.temp(rows, panels, p))
	}
	for r := range rows {
		x := t.temp(rows, panels, panels+r%2)
		t.Op("VBROADCASTSS", t.xAt(r, u*xStep), x)
		for p := range panels {
			t.Op("VDPBF16PS", x, t.temp(rows, panels, p), t.acc(rows, panels, r, p, 0))
		}
	}
}
