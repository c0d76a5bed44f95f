//go:build amd64 && !purego && !race

package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"wenmo/internal/asmgen"
	"wenmo/internal/asmgen/emu"
)

// bytesOf is the memory of a struct.
func bytesOf[T any](t *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(t)), unsafe.Sizeof(*t)) }

// emulated runs a generated function in the emulator.
func emulated(t *testing.T, file *asmgen.File, name string, arg []byte, memory ...[]byte) {
	t.Helper()
	if err := emu.Run(file, name, arg, memory...); err != nil {
		t.Fatal(err)
	}
}

// TestTileOffsets compares the structs with the offsets that assembly uses.
func TestTileOffsets(t *testing.T) {
	var f tile[float32]
	var q qTile
	var w transpose
	var b qWiden
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"tile.dst", unsafe.Offsetof(f.dst), asmgen.TileDst},
		{"tile.ldd", unsafe.Offsetof(f.ldd), asmgen.TileLdd},
		{"tile.x", unsafe.Offsetof(f.x), asmgen.TileX},
		{"tile.ldx", unsafe.Offsetof(f.ldx), asmgen.TileLdx},
		{"tile.w", unsafe.Offsetof(f.w), asmgen.TileW},
		{"tile.step", unsafe.Offsetof(f.step), asmgen.TileStep},
		{"tile.k", unsafe.Offsetof(f.k), asmgen.TileK},
		{"tile.rows", unsafe.Offsetof(f.rows), asmgen.TileRows},
		{"tile.panels", unsafe.Offsetof(f.panels), asmgen.TilePanels},
		{"tile.width", unsafe.Offsetof(f.width), asmgen.TileWidth},
		{"tile.acc", unsafe.Offsetof(f.acc), asmgen.TileAcc},
		{"tile.wide", unsafe.Offsetof(f.wide), asmgen.TileWide},
		{"tile.done", unsafe.Offsetof(f.done), asmgen.TileDone},
		{"qTile.dst", unsafe.Offsetof(q.dst), asmgen.QTileDst},
		{"qTile.ldd", unsafe.Offsetof(q.ldd), asmgen.QTileLdd},
		{"qTile.q", unsafe.Offsetof(q.q), asmgen.QTileQ},
		{"qTile.ldq", unsafe.Offsetof(q.ldq), asmgen.QTileLdq},
		{"qTile.scale", unsafe.Offsetof(q.scale), asmgen.QTileScale},
		{"qTile.sum", unsafe.Offsetof(q.sum), asmgen.QTileSum},
		{"qTile.halves", unsafe.Offsetof(q.halves), asmgen.QTileHalves},
		{"qTile.lds", unsafe.Offsetof(q.lds), asmgen.QTileLds},
		{"qTile.w", unsafe.Offsetof(q.w), asmgen.QTileW},
		{"qTile.wStep", unsafe.Offsetof(q.wStep), asmgen.QTileWStep},
		{"qTile.s", unsafe.Offsetof(q.s), asmgen.QTileS},
		{"qTile.sStep", unsafe.Offsetof(q.sStep), asmgen.QTileSStep},
		{"qTile.units", unsafe.Offsetof(q.units), asmgen.QTileUnits},
		{"qTile.rows", unsafe.Offsetof(q.rows), asmgen.QTileRows},
		{"qTile.panels", unsafe.Offsetof(q.panels), asmgen.QTilePanels},
		{"qTile.width", unsafe.Offsetof(q.width), asmgen.QTileWidth},
		{"transpose.dst", unsafe.Offsetof(w.dst), asmgen.PackDst},
		{"transpose.src", unsafe.Offsetof(w.src), asmgen.PackSrc},
		{"transpose.stride", unsafe.Offsetof(w.stride), asmgen.PackStride},
		{"transpose.groups", unsafe.Offsetof(w.groups), asmgen.PackGroups},
		{"transpose.flip", unsafe.Offsetof(w.flip), asmgen.PackFlip},
		{"transpose.to", unsafe.Offsetof(w.to), asmgen.PackTo},
		{"qWiden.dst", unsafe.Offsetof(b.dst), asmgen.QWidenDst},
		{"qWiden.src", unsafe.Offsetof(b.src), asmgen.QWidenSrc},
		{"qWiden.units", unsafe.Offsetof(b.units), asmgen.QWidenUnits},
		{"qTile.acc", unsafe.Offsetof(q.acc), asmgen.QTileAcc},
	} {
		if c.got != c.want {
			t.Errorf("%s is at %d, assembly reads it at %d", c.name, c.got, c.want)
		}
	}
}

// tileCase is one call of a micro-kernel.
type tileCase struct {
	rows, panels, width, k int
	acc                    bool
}

func (c tileCase) String() string {
	return fmt.Sprintf("%d rows, %d panels of %d, k=%d, acc=%v", c.rows, c.panels, c.width, c.k, c.acc)
}

// tileCases are all edges of a micro-kernel: every height, panels around every
// number that is taken at a time, every width, k around the unrolled loop.
func tileCases(maxRows int, ks []int) []tileCase {
	var all []tileCase
	for rows := 1; rows <= maxRows; rows++ {
		for _, k := range ks {
			for _, panels := range []int{2, 3, 5, 15} {
				if panels > 5 && (rows > 1 || k > 3) {
					continue
				}
				all = append(all, tileCase{rows, panels, panelWidth, k, (rows+k+panels)%2 == 0})
			}
			for _, acc := range []bool{false, true} {
				width := 1 + (rows*3+k*5)%panelWidth
				all = append(all, tileCase{rows, 1, width, k, acc}, tileCase{rows, 1, panelWidth, k, acc})
			}
		}
	}
	for width := 1; width < panelWidth; width++ {
		all = append(all, tileCase{2, 1, width, 3, width%2 == 0})
	}
	return all
}

// TestEmulatedF32 proves the float32 kernels of both vector lengths.
func TestEmulatedF32(t *testing.T) {
	for _, isa := range []struct {
		name string
		file *asmgen.File
		rows int
		path path
	}{
		{"f32TileAVX2", asmgen.F32AVX2(), f32Plans[avx2].rows, avx2},
		{"f32TileAVX512", asmgen.F32AVX512(), f32Plans[avx512].rows, avx512},
	} {
		t.Run(isa.name, func(t *testing.T) {
			for i, c := range tileCases(isa.rows, []int{0, 1, 3, 4, 5, 9}) {
				f := fillers[i%len(fillers)]
				want, begin := randomTile[float32](c, uint64(i), func(r *rand.Rand) float32 { return f.next(r) }, f.next)
				got := want
				got.dst = begin
				f32TilePortable(&want)
				emulated(t, isa.file, isa.name, bytesOf(&got), emu.Memory(got.dst), emu.Memory(got.x), emu.Memory(got.w))
				compareProduct(t, fmt.Sprintf("%v %s", c, f.name), got.dst, got.ldd, flat(&want), c.outputs())
			}
		})
	}
}

func TestEmulatedBF16(t *testing.T) {
	for _, isa := range []struct {
		name string
		file *asmgen.File
		rows int
	}{
		{"bf16TileAVX2", asmgen.BF16AVX2(), bf16Plans[avx2].rows},
		{"bf16TileAVX512", asmgen.BF16AVX512(), bf16Plans[avx512].rows},
	} {
		t.Run(isa.name, func(t *testing.T) {
			for i, c := range tileCases(isa.rows, []int{0, 1, 3, 4, 5, 9}) {
				f := fillers[i%len(fillers)]
				want, begin := randomTile[uint16](c, uint64(i), func(r *rand.Rand) uint16 { return toBF16(f.next(r)) }, f.next)
				got := want
				got.dst = begin
				bf16TilePortable(&want)
				memory := [][]byte{emu.Memory(got.dst), emu.Memory(got.x), emu.Memory(got.w)}
				if isa.name == "bf16TileAVX2" && c.rows >= asmgen.BF16WideRows {
					got.wide = make([]float32, 2*c.rows*c.k)
					memory = append(memory, emu.Memory(got.wide))
					emulated(t, isa.file, "bf16WidenAVX2", bytesOf(&got), memory...)
				}
				emulated(t, isa.file, isa.name, bytesOf(&got), memory...)
				compareProduct(t, fmt.Sprintf("%v %s", c, f.name), got.dst, got.ldd, flat(&want), c.outputs())
			}
		})
	}
}

func (c tileCase) outputs() int { return (c.panels-1)*panelWidth + c.width }

// randomTile makes a tile whose slices end where it may read no further, and a
// copy of what dst holds.
func randomTile[T float32 | uint16](c tileCase, seed uint64, next func(*rand.Rand) T, nextOut func(*rand.Rand) float32) (tile[T], []float32) {
	r := rand.New(rand.NewPCG(3, seed))
	perStep := 1
	if unsafe.Sizeof(T(0)) == 2 {
		perStep = 2
	}
	t := tile[T]{
		ldd: c.outputs() + r.IntN(3), ldx: perStep * (c.k + r.IntN(3)), step: perStep * panelWidth * (c.k + r.IntN(2)),
		k: c.k, rows: c.rows, panels: c.panels, width: c.width, acc: c.acc,
	}
	t.x = make([]T, (c.rows-1)*t.ldx+perStep*c.k)
	t.w = make([]T, (c.panels-1)*t.step+perStep*panelWidth*c.k)
	for i := range t.x {
		t.x[i] = next(r)
	}
	for i := range t.w {
		t.w[i] = next(r)
	}
	begin := make([]float32, c.rows*c.outputs())
	fill(begin, r, nextOut)
	t.dst = output(begin, c.rows, c.outputs(), t.ldd)
	return t, append([]float32(nil), t.dst...)
}

// flat is a tile's results without the padding between rows.
func flat[T float32 | uint16](t *tile[T]) []float32 {
	var out []float32
	for r := range t.rows {
		out = append(out, t.dst[r*t.ldd:][:(t.panels-1)*panelWidth+t.width]...)
	}
	return out
}

// TestEmulatedQuant proves the quantised kernels of both vector lengths.
func TestEmulatedQuant(t *testing.T) {
	for _, isa := range []struct {
		suffix string
		file   *asmgen.File
		path   path
	}{
		{"AVX2", asmgen.QuantAVX2(), avx2},
		{"AVX512", asmgen.QuantAVX512(), avx512},
	} {
		for i, f := range asmgen.QuantTypes() {
			typ := QuantType(i)
			name := f + "Tile" + isa.suffix
			t.Run(name, func(t *testing.T) {
				units := quantFormats[typ].units()
				plan := quantPlans[isa.path][typ]
				for i, c := range tileCases(plan.rows, []int{0, 1, 2}) {
					if units > 1 && c.k > 0 && i%3 != 0 { // super-blocks are long
						continue
					}
					c.k *= units
					if c.rows <= plan.stream {
						emulateQuant(t, isa.file, name, typ, c, uint64(i), false)
					}
					if quantFormats[typ].upper() {
						emulateQuant(t, isa.file, f+"WideTile"+isa.suffix, typ, c, uint64(i), true)
					}
				}
			})
		}
	}
}

func emulateQuant(t *testing.T, file *asmgen.File, name string, typ QuantType, c tileCase, seed uint64, wide bool) {
	t.Helper()
	f := &quantFormats[typ]
	r := rand.New(rand.NewPCG(4, seed))
	n, k := c.outputs(), c.k*qBlock
	w := newQPanels(typ, n, k)
	PackQuant(&w, randomBlocks(r, typ, n, k), 0, n)
	x := MakeQRows(c.rows, k)
	v := make([]float32, c.rows*k)
	next := fillers[int(seed)%len(fillers)].next
	fill(v, r, next)
	QuantizeRows(&x, 0, v, k, c.rows)
	begin := make([]float32, c.rows*n)
	fill(begin, r, fillers[0].next)
	want := qTile{
		ldd: n + r.IntN(3), q: x.Q, ldq: k, scale: x.Scale, sum: x.Sum, halves: x.Halves, lds: c.k,
		w: w.Quants, wStep: f.panelQuants(k), s: w.Scales, sStep: f.panelScales(k),
		units: c.k, rows: c.rows, panels: c.panels, width: c.width, acc: c.acc, typ: typ,
	}
	want.dst = output(begin, c.rows, n, want.ldd)
	got := want
	got.dst = append([]float32(nil), want.dst...)
	quantTilePortable(&want)
	if wide {
		got.w = make([]byte, panels(n)*k*panelWidth)
		got.wStep = k * panelWidth
		widenPortable(got.w, w.Quants, f)
	}
	emulated(t, file, name, bytesOf(&got), emu.Memory(got.dst), emu.Memory(x.Q), emu.Memory(x.Scale), emu.Memory(x.Sum),
		emu.Memory(x.Halves), emu.Memory(got.w), emu.Memory(w.Scales))
	var out []float32
	for row := range c.rows {
		out = append(out, want.dst[row*want.ldd:][:n]...)
	}
	compareProduct(t, c.String(), got.dst, got.ldd, out, n)
}

// TestEmulatedWiden proves the widening.
func TestEmulatedWiden(t *testing.T) {
	for typ := range QuantType(len(quantFormats)) {
		f := &quantFormats[typ]
		if !f.upper() {
			continue
		}
		for units := 1; units <= 3; units++ {
			r := rand.New(rand.NewPCG(5, uint64(units)))
			src := make([]byte, units*f.unitQuants())
			for i := range src {
				src[i] = byte(r.Uint32())
			}
			want, got := make([]byte, units*panelWidth*qBlock), make([]byte, units*panelWidth*qBlock)
			widenPortable(want, src, f)
			arg := qWiden{dst: unsafe.Pointer(&got[0]), src: unsafe.Pointer(&src[0]), units: units}
			emulated(t, asmgen.QuantAVX2(), fmt.Sprintf("widen%dAVX2", f.bits), bytesOf(&arg), src, got)
			if string(got) != string(want) {
				t.Errorf("%v, %d units: widened otherwise than by the definition", typ, units)
			}
		}
	}
}
