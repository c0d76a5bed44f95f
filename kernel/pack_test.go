package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPackFloat checks every place of the panels, for all ways to make them.
func TestPackFloat(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		for _, n := range []int{1, 7, 15, 16, 17, 32, 45} {
			for _, k := range []int{0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 66, 140} {
				checkPackF32(t, n, k)
				checkPackBF16(t, n, k)
			}
		}
	})
}

// TestTranspose compares with the transpose written out, in all shapes, and
// demands that nothing else changes.
func TestTranspose(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(41, 42))
		for _, rows := range []int{1, 15, 16, 17, 33, 64} {
			for _, cols := range []int{1, 3, 4, 5, 8, 63, 64, 4*packGroups + 6} {
				ld, ldd := cols+r.IntN(3), rows+r.IntN(3)
				src, dst := make([]float32, (rows-1)*ld+cols), make([]float32, cols*ldd)
				fill(src, r, fillers[2].next)
				fill(dst, r, fillers[0].next)
				before := slices.Clone(dst)
				Transpose(dst, ldd, src, ld, rows, cols)
				for at, got := range dst {
					want := before[at]
					if c, row := at/ldd, at%ldd; row < rows {
						want = src[row*ld+c]
					}
					if !sameBits(got, want) {
						t.Fatalf("%d × %d: place %d is %v, want %v", rows, cols, at, got, want)
					}
				}
			}
		}
	})
}

// transposed is the k × n matrix of n rows of k, with row stride n + pad.
func transposed(src []float32, n, k, ld, pad int) []float32 {
	t := make([]float32, k*(n+pad))
	for i := range k {
		for o := range n {
			t[i*(n+pad)+o] = src[o*ld+i]
		}
	}
	return t
}

func checkPackF32(t *testing.T, n, k int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(n), uint64(k)))
	ld := k + r.IntN(3)
	src := make([]float32, n*ld)
	fill(src, r, fillers[2].next)
	a, b := make([]float32, PanelLenF32(n, k)), make([]float32, PanelLenF32(n, k))
	fill(a, r, fillers[0].next)
	fill(b, r, fillers[0].next)
	PackF32(a, src, n, k, ld)
	PackF32T(b, transposed(src, n, k, ld, 2), n, k, n+2)
	for at := range a {
		p, i, j := at/(16*max(1, k)), at/16%max(1, k), at%16
		want := float32(0)
		if o := 16*p + j; o < n {
			want = src[o*ld+i]
		}
		if !sameBits(a[at], want) || !sameBits(b[at], want) {
			t.Fatalf("%d outputs over %d: place %d is %v, transposed %v, want %v", n, k, at, a[at], b[at], want)
		}
	}
}

func checkPackBF16(t *testing.T, n, k int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(n), uint64(k)))
	ld := k + r.IntN(3)
	src := make([]float32, n*ld)
	fill(src, r, fillers[2].next)
	bits := make([]uint16, len(src))
	for i, v := range src {
		bits[i] = toBF16(v)
	}
	made := map[string][]uint16{}
	for _, name := range []string{"", "Bits", "T"} {
		made[name] = make([]uint16, PanelLenBF16(n, k))
		for i := range made[name] {
			made[name][i] = 0x1234
		}
	}
	PackBF16(made[""], src, n, k, ld)
	PackBF16Bits(made["Bits"], bits, n, k, ld)
	PackBF16T(made["T"], transposed(src, n, k, ld, 2), n, k, n+2)
	for name, got := range made {
		for at, v := range got {
			steps := max(1, pairs(k))
			p, i, j := at/(32*steps), at/32%steps*2+at%2, at%32/2
			want := uint16(0)
			if o := 16*p + j; o < n && i < k {
				want = bits[o*ld+i]
			}
			if v != want {
				t.Fatalf("PackBF16%s, %d outputs over %d: place %d is %#x, want %#x", name, n, k, at, v, want)
			}
		}
	}
}

// TestPackQuantParts packs a matrix as a whole and in parts.
func TestPackQuantParts(t *testing.T) {
	for typ := range QuantType(len(quantFormats)) {
		n, k := 53, 3*typ.Block()
		r := rand.New(rand.NewPCG(9, uint64(typ)))
		blocks := randomBlocks(r, typ, n, k)
		whole, parts := newQPanels(typ, n, k), newQPanels(typ, n, k)
		for i := range parts.Quants {
			parts.Quants[i] = 0xee
		}
		for i := range parts.Scales {
			parts.Scales[i] = 0xee
		}
		PackQuant(&whole, blocks, 0, n)
		row := len(blocks) / n
		for _, c := range [][2]int{{32, 21}, {0, 16}, {16, 16}} {
			PackQuant(&parts, blocks[c[0]*row:][:c[1]*row], c[0], c[1])
		}
		if string(whole.Quants) != string(parts.Quants) || string(whole.Scales) != string(parts.Scales) {
			t.Errorf("%v: packed in parts differs from packed as a whole", typ)
		}
	}
}

func TestPackQuantRefuses(t *testing.T) {
	w := newQPanels(Q4_K, 20, 256)
	for name, call := range map[string]func(){
		"short blocks": func() { PackQuant(&w, make([]byte, 20*144-1), 0, 20) },
		"half a panel": func() { PackQuant(&w, make([]byte, 8*144), 0, 8) },
		"a row within": func() { PackQuant(&w, make([]byte, 12*144), 8, 12) },
		"beyond":       func() { PackQuant(&w, make([]byte, 16*144), 16, 16) },
		"k": func() {
			short := QPanels{Type: Q4_K, N: 16, K: 128}
			PackQuant(&short, nil, 0, 16)
		},
	} {
		if !panics(call) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func BenchmarkPack(b *testing.B) {
	const n, k = 768, 3072
	r := rand.New(rand.NewPCG(1, 2))
	src := make([]float32, n*k)
	fill(src, r, fillers[0].next)
	bits := make([]uint16, n*k)
	RoundBF16(bits, src)
	f32, bf16 := make([]float32, PanelLenF32(n, k)), make([]uint16, PanelLenBF16(n, k))
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"F32", func() { PackF32(f32, src, n, k, k) }},
		{"F32T", func() { PackF32T(f32, src, n, k, n) }},
		{"BF16", func() { PackBF16(bf16, src, n, k, k) }},
		{"BF16Bits", func() { PackBF16Bits(bf16, bits, n, k, k) }},
		{"BF16T", func() { PackBF16T(bf16, src, n, k, n) }},
	} {
		b.Run(c.name, func(b *testing.B) { benchPack(b, n*k, c.f) })
	}
	for typ := range QuantType(len(quantFormats)) {
		w, blocks := newQPanels(typ, n, k), randomBlocks(r, typ, n, k)
		b.Run(fmt.Sprint(typ), func(b *testing.B) { benchPack(b, n*k, func() { PackQuant(&w, blocks, 0, n) }) })
	}
}

func benchPack(b *testing.B, weights int, f func()) {
	for b.Loop() {
		f()
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(weights), "ns/weight")
}
