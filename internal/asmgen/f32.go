package asmgen

const asmTags = "!purego && !race"

// F32AVX2 is the product of float32 rows and panels.
func F32AVX2() *File {
	return &File{
		Path: "kernel/f32_avx2_amd64.s", Tags: asmTags,
		Data:  []Data{lanes()},
		Funcs: []*Func{f32Tile("f32TileAVX2", avx2)},
	}
}

// F32AVX512 is the same with 512-bit vectors.
func F32AVX512() *File {
	return &File{
		Path: "kernel/f32_avx512_amd64.s", Tags: asmTags,
		Funcs: []*Func{f32Tile("f32TileAVX512", avx512)},
	}
}

func f32Tile(name string, s *isa) *Func {
	t := &tileKernel{
		Func:  &Func{Name: name, Arg: "t", Doc: "func " + name + "(t *tile)"},
		isa:   s,
		shift: 2,
		loop:  f32Loop,
	}
	t.body()
	t.Op("VZEROUPPER")
	t.Op("RET")
	return t.Func
}

func f32Loop(t *tileKernel, rows, panels int) {
	t.kLoop(rows, panels, func(u int) {
		if panels*t.parts() <= rows {
			f32StepTall(t, rows, panels, u)
		} else {
			f32StepWide(t, rows, panels, u)
		}
	})
}

// f32StepTall holds the weights of a step in registers and takes one
// activation after the other.
func f32StepTall(t *tileKernel, rows, panels, u int) {
	weights := panels * t.parts()
	for p := range panels {
		for part := range t.parts() {
			t.Op("VMOVUPS", t.wAt(p, u*panelRow+part*t.bytes), t.temp(rows, panels, p*t.parts()+part))
		}
	}
	for r := range rows {
		x := t.temp(rows, panels, weights+r%2)
		t.Op("VBROADCASTSS", t.xAt(r, u*xStep), x)
		for p := range panels {
			for part := range t.parts() {
				t.Op("VFMADD231PS", t.temp(rows, panels, p*t.parts()+part), x, t.acc(rows, panels, r, p, part))
			}
		}
	}
}

// f32StepWide holds the activations of a step in registers and takes one
// vector of weights after the other.
func f32StepWide(t *tileKernel, rows, panels, u int) {
	for r := range rows {
		t.Op("VBROADCASTSS", t.xAt(r, u*xStep), t.temp(rows, panels, r))
	}
	for p := range panels {
		for part := range t.parts() {
			at := t.wAt(p, u*panelRow+part*t.bytes)
			if rows == 1 {
				t.Op("VFMADD231PS", at, t.temp(rows, panels, 0), t.acc(rows, panels, 0, p, part))
				continue
			}
			w := t.temp(rows, panels, rows)
			t.Op("VMOVUPS", at, w)
			for r := range rows {
				t.Op("VFMADD231PS", w, t.temp(rows, panels, r), t.acc(rows, panels, r, p, part))
			}
		}
	}
}
