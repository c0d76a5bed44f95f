package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// randomBlocks makes rows of blocks of any bits whose scales are finite.
func randomBlocks(r *rand.Rand, t QuantType, rows, k int) []byte {
	f := &quantFormats[t]
	b := make([]byte, rows*(k/f.block)*f.blockBytes)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for at := 0; at < len(b); at += f.blockBytes {
		half := func(i int) {
			h := uint16(r.Uint32())
			switch r.IntN(8) {
			case 0:
				h &= 0x83ff // subnormal
			case 1:
				h &= 0x8000
			case 2: // any, also large
			default:
				h = h&0x83ff | uint16(8+r.IntN(10))<<10
			}
			if h&0x7c00 == 0x7c00 {
				h &^= 0x4000
			}
			binary.LittleEndian.PutUint16(b[at+i:], h)
		}
		switch t {
		case Q6_K:
			half(208)
		case Q4_1, Q5_1, Q4_K, Q5_K:
			half(0)
			half(2)
		default:
			half(0)
		}
	}
	return b
}

// chainsQ is the product as DESIGN states it, from the blocks of the file.
func chainsQ(x *QRows, r0, m int, t QuantType, blocks []byte, n, k int) []float32 {
	f := &quantFormats[t]
	want := make([]float32, m*n)
	var u quantUnit
	for o := range n {
		row := blocks[o*(k/f.block)*f.blockBytes:]
		for b := range k / qBlock {
			u.read(t, row[b/f.units()*f.blockBytes:], b%f.units())
			w := u.weights(f)
			for r := range m {
				at := (r0+r)*(k/qBlock) + b
				want[r*n+o] = u.step(t, want[r*n+o], x.Scale[at], dotUnit(&w, x.Q[at*qBlock:]), x.Halves[at])
			}
		}
	}
	return want
}

func TestMatMulQ(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		for typ := range QuantType(len(quantFormats)) {
			t.Run(typ.String(), func(t *testing.T) {
				for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 13} {
					for i, n := range []int{1, 16, 17, 48, 16*17 + 5} {
						for _, blocks := range []int{0, 1, 2, 3, 33} {
							k := blocks * typ.Block()
							if n > 48 && (m%8 != 5 || blocks != 1) || k > 1056 && (m != 7 || n != 17) {
								continue
							}
							r := rand.New(rand.NewPCG(uint64(typ), uint64(m*1000000+i*1000+k)))
							checkQ(t, typ, shape{m, k, n}, r, fillers[(m+i+k)%len(fillers)].next)
						}
					}
				}
			})
		}
	})
}

func checkQ(t *testing.T, typ QuantType, s shape, r *rand.Rand, next func(*rand.Rand) float32) {
	t.Helper()
	blocks := randomBlocks(r, typ, s.n, s.k)
	w := newQPanels(typ, s.n, s.k)
	whole := s.n / 2 / panelWidth * panelWidth
	PackQuant(&w, blocks[:whole*(s.k/typ.Block())*typ.BlockBytes()], 0, whole)
	PackQuant(&w, blocks[whole*(s.k/typ.Block())*typ.BlockBytes():], whole, s.n-whole)
	r0 := r.IntN(2)
	x := MakeQRows(s.m+r0, s.k)
	v := make([]float32, s.m*s.k)
	fill(v, r, next)
	QuantizeRows(&x, r0, v, s.k, s.m)
	want := chainsQ(&x, r0, s.m, typ, blocks, s.n, s.k)
	ldd := s.n + r.IntN(3)
	dst := output(want, s.m, s.n, ldd)
	for i := range dst {
		if dst[i] != padded && i%ldd < s.n {
			dst[i] = float32(math.Inf(1)) // must be overwritten
		}
	}
	cut := r.IntN(panels(s.n) + 1)
	MatMulQ(dst, ldd, &x, r0, s.m, &w, cut, panels(s.n))
	MatMulQ(dst, ldd, &x, r0, s.m, &w, 0, cut)
	compareProduct(t, fmt.Sprintf("%v %v", typ, s), dst, ldd, want, s.n)
}

func BenchmarkMatMulQ(b *testing.B) {
	for typ := range QuantType(len(quantFormats)) {
		b.Run(typ.String(), func(b *testing.B) {
			for _, s := range benchShapes {
				if s.k%256 != 0 {
					continue
				}
				r := rand.New(rand.NewPCG(1, 2))
				w := newQPanels(typ, s.n, s.k)
				for i := range w.Quants {
					w.Quants[i] = byte(r.Uint32())
				}
				x := MakeQRows(s.m, s.k)
				v := make([]float32, s.m*s.k)
				fill(v, r, fillers[0].next)
				QuantizeRows(&x, 0, v, s.k, s.m)
				dst := make([]float32, s.m*s.n)
				benchProduct(b, s, len(w.Quants)+len(w.Scales), func() {
					MatMulQ(dst, s.n, &x, 0, s.m, &w, 0, panels(s.n))
				})
			}
		})
	}
}
