package asmgen

// Offsets of the fields of kernel's struct transpose.
const (
	PackDst    = 0  // pointer: where the sixteen first words go
	PackSrc    = 8  // pointer: sixteen rows
	PackStride = 16 // bytes between them
	PackGroups = 24 // groups of four words of a row, at least one
	PackFlip   = 32 // word that all are XORed with
	PackTo     = 40 // bytes from one place of sixteen words to the next
)

// PackAVX2 lays sixteen rows of 32-bit words out side by side, which is most
// of the packing of panels.
func PackAVX2() *File {
	const name = "transposeAVX2"
	f := &Func{Name: name, Arg: "t", Doc: "func " + name + "(t *transpose)"}
	groups, to, to3 := R9, R8, R10
	base := [4]Reg{SI, R11, R12, R13} // rows 0, 4, 8, 12
	flip := Reg{Y, 15}
	f.Op("MOVQ", Mem{Param: f.Arg}, AX)
	f.Op("MOVQ", At(AX, PackDst), DI)
	f.Op("MOVQ", At(AX, PackSrc), base[0])
	f.Op("MOVQ", At(AX, PackStride), BX)
	f.Op("LEAQ", Indexed(BX, BX, 2, 0), CX)
	for i := 1; i < 4; i++ {
		f.Op("LEAQ", Indexed(base[i-1], BX, 4, 0), base[i])
	}
	f.Op("MOVQ", At(AX, PackTo), to)
	f.Op("LEAQ", Indexed(to, to, 2, 0), to3)
	f.Op("VPBROADCASTD", At(AX, PackFlip), flip)
	group := f.NewLabel("group")
	f.Op("MOVQ", At(AX, PackGroups), groups)
	f.Mark(group)
	for half := range 2 {
		transposeEight(f, base[2*half:], [2]Reg{BX, CX}, [2]Reg{to, to3}, flip, 32*half)
	}
	f.Op("LEAQ", Indexed(DI, to, 4, 0), DI)
	for _, b := range base {
		f.Op("ADDQ", Imm(16), b)
	}
	f.Op("DECQ", groups)
	f.Op("JNE", group)
	f.Op("VZEROUPPER")
	f.Op("RET")
	return &File{Path: "kernel/pack_avx2_amd64.s", Tags: asmTags, Funcs: []*Func{f}}
}

// transposeEight turns four words of eight rows into four rows of eight words
// in the part of DI's rows that begins at disp. The rows are those from base[0]
// and base[1] on: row i and row i+4 share a register. from and to are the
// distances of rows, and three times that.
func transposeEight(f *Func, base []Reg, from, to [2]Reg, flip Reg, disp int) {
	for i := range 4 {
		f.Op("VMOVUPS", rowOf(base[0], from, i, 0), Reg{X, uint8(i)})
		f.Op("VINSERTF128", Imm(1), rowOf(base[1], from, i, 0), ymm(i), ymm(i))
	}
	f.Op("VUNPCKLPS", ymm(1), ymm(0), ymm(4)) // rows 0, 1 of words 0, 1
	f.Op("VUNPCKHPS", ymm(1), ymm(0), ymm(5)) // of words 2, 3
	f.Op("VUNPCKLPS", ymm(3), ymm(2), ymm(6)) // rows 2, 3
	f.Op("VUNPCKHPS", ymm(3), ymm(2), ymm(7))
	f.Op("VUNPCKLPD", ymm(6), ymm(4), ymm(0))
	f.Op("VUNPCKHPD", ymm(6), ymm(4), ymm(1))
	f.Op("VUNPCKLPD", ymm(7), ymm(5), ymm(2))
	f.Op("VUNPCKHPD", ymm(7), ymm(5), ymm(3))
	for i := range 4 {
		f.Op("VPXOR", flip, ymm(i), ymm(i))
		f.Op("VMOVUPS", ymm(i), rowOf(DI, to, i, disp))
	}
}

func rowOf(base Reg, stride [2]Reg, i, disp int) Mem {
	switch i {
	case 0:
		return At(base, disp)
	case 3:
		return Indexed(base, stride[1], 1, disp)
	}
	return Indexed(base, stride[0], i, disp)
}
