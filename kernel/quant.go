package kernel

import (
	"encoding/binary"
	"fmt"
)

// QuantType is a block format of GGUF that products run on.
type QuantType uint8

// The formats, by the names that GGUF gives them.
const (
	Q8_0 QuantType = iota
	Q4_0
	Q4_1
	Q5_0
	Q5_1
	Q4_K
	Q5_K
	Q6_K
)

// qBlock is the number of weights, and of activations, that share a scale.
// K types group eight such blocks in a super-block.
const (
	qBlock      = 32
	superBlocks = 8
)

// quantFormat says how a type lies in a file and in panels.
type quantFormat struct {
	name       string
	block      int // weights in a block of the file
	blockBytes int
	bits       int   // of an unsigned weight in panels
	offset     int32 // the stored weight is this much above the true one

	// Bytes of scales in a panel, for sixteen outputs: once per block of the
	// file, then for each 32 weights.
	head, sub int
}

var quantFormats = [...]quantFormat{
	Q8_0: {"Q8_0", 32, 34, 8, 128, 32, 0},
	Q4_0: {"Q4_0", 32, 18, 4, 8, 32, 0},
	Q4_1: {"Q4_1", 32, 20, 4, 0, 64, 0},
	Q5_0: {"Q5_0", 32, 22, 5, 16, 32, 0},
	Q5_1: {"Q5_1", 32, 24, 5, 0, 64, 0},
	Q4_K: {"Q4_K", 256, 144, 4, 0, 64, 32},
	Q5_K: {"Q5_K", 256, 176, 5, 0, 64, 32},
	Q6_K: {"Q6_K", 256, 210, 6, 32, 32, 32},
}

func (t QuantType) String() string { return quantFormats[t].name }

// Block returns how many weights a block of the file holds. K must be a
// multiple of it.
func (t QuantType) Block() int { return quantFormats[t].block }

// BlockBytes returns the size of a block of the file.
func (t QuantType) BlockBytes() int { return quantFormats[t].blockBytes }

// QPanels is a quantised matrix of N outputs over K as panels of sixteen
// outputs.
//
// Quants holds, panel after panel and for each 32 weights, rows of 64 bytes:
// byte 4j+h of row i is the weight of output j at k = 4i+h, as an unsigned
// number (true weight + 128 for Q8_0, + 8 for Q4_0, + 16 for Q5_0, + 32 for
// Q6_K). All but Q8_0 hold two such rows in one, the even row in the low
// nibbles; for types of five bits a fifth row follows, in which bit i of each byte
// is the fifth bit of row i, and for Q6_K two, in which bits 2i and 2i+1 are the
// upper bits of row i, or i+4.
//
// Scales holds, panel after panel and for each block of the file, sixteen
// float16 d, one per output; then sixteen float16 m (Q4_1, Q5_1) or dmin (Q4_K,
// Q5_K); then, for each 32 weights of a K type, sixteen bytes of the first and
// sixteen of the second six-bit number: scale and minimum, for Q6_K (eight
// bits, signed) the scales of the first and the last sixteen weights.
//
// Both may be mapped memory; kernels are fastest where they begin at a multiple
// of 64 bytes.
type QPanels struct {
	Type   QuantType
	N, K   int
	Quants []byte
	Scales []byte
}

// QPanelSizes returns the lengths of Quants and Scales for n outputs over k.
func QPanelSizes(t QuantType, n, k int) (quants, scales int) {
	f := &quantFormats[t]
	return panels(n) * f.panelQuants(k), panels(n) * f.panelScales(k)
}

func (f *quantFormat) panelQuants(k int) int { return k / qBlock * f.unitQuants() }

func (f *quantFormat) panelScales(k int) int {
	return k / f.block * f.groupScales()
}

// unitQuants is the size of 32 weights of sixteen outputs.
func (f *quantFormat) unitQuants() int { return panelWidth * qBlock / 8 * f.bits }

// upper says whether units have rows of bits beyond the nibbles.
func (f *quantFormat) upper() bool { return f.bits == 5 || f.bits == 6 }

// groupScales is the size of the scales of one block of the file, of sixteen
// outputs.
func (f *quantFormat) groupScales() int { return f.head + f.units()*f.sub }

// rowBytes is the size of a row of k weights in a file.
func (f *quantFormat) rowBytes(k int) int { return k / f.block * f.blockBytes }

// units is the number of 32-weight units in a block of the file.
func (f *quantFormat) units() int { return f.block / qBlock }

// unitAt returns the weights and scales of unit b (32 weights) of panel p:
// head begins with the scales of the whole block, sub with those of the unit.
func (w *QPanels) unitAt(p, b int) (quants, head, sub []byte) {
	f := &quantFormats[w.Type]
	quants = w.Quants[p*f.panelQuants(w.K)+b*f.unitQuants():][:f.unitQuants()]
	group := w.Scales[p*f.panelScales(w.K)+b/f.units()*f.groupScales():][:f.groupScales()]
	return quants, group[:f.head], group[f.head+b%f.units()*f.sub:][:f.sub]
}

// PackQuant lays out the rows [row0, row0+rows) of dst, a whole number of
// panels or the rest of the matrix, from their blocks as GGUF stores them.
// The caller has set dst's Type, N and K and allocated its slices.
func PackQuant(dst *QPanels, blocks []byte, row0, rows int) {
	f := &quantFormats[dst.Type]
	checkPack(dst, blocks, row0, rows)
	for p := row0 / panelWidth; p < panels(row0+rows); p++ {
		packPanel(dst, p, blocks[(p*panelWidth-row0)*f.rowBytes(dst.K):], min(panelWidth, row0+rows-p*panelWidth))
	}
}

// packPanel lays out the first rows of panel p.
func packPanel(dst *QPanels, p int, blocks []byte, rows int) {
	f := &quantFormats[dst.Type]
	quants := dst.Quants[p*f.panelQuants(dst.K):][:f.panelQuants(dst.K)]
	if rows < panelWidth {
		clear(quants)
		clear(dst.Scales[p*f.panelScales(dst.K):][:f.panelScales(dst.K)])
	}
	rowBytes := f.rowBytes(dst.K)
	var u quantUnit
	for b := range dst.K / f.block {
		at := b * f.blockBytes
		done := rows == panelWidth && quantSideBySide(dst.Type, quants[b*f.units()*f.unitQuants():], blocks[at:], rowBytes)
		if done && f.head == 2*panelWidth && f.sub == 0 { // all that is left is a scale at the beginning of each block
			_, head, _ := dst.unitAt(p, b)
			for j := range panelWidth {
				binary.LittleEndian.PutUint16(head[2*j:], binary.LittleEndian.Uint16(blocks[j*rowBytes+at:]))
			}
			continue
		}
		for i := range f.units() {
			weights, head, sub := dst.unitAt(p, b*f.units()+i)
			for j := range rows {
				block := blocks[j*rowBytes+at:][:f.blockBytes]
				u.readScales(dst.Type, block, i)
				u.putScales(f, head, sub, j)
				if !done {
					u.readWeights(dst.Type, block, i)
					u.put(f, weights, j)
				}
			}
		}
	}
}

func checkPack(dst *QPanels, blocks []byte, row0, rows int) {
	f := &quantFormats[dst.Type]
	quants, scales := QPanelSizes(dst.Type, dst.N, dst.K)
	switch {
	case dst.K%f.block != 0:
		panic(fmt.Sprintf("kernel: rows of %d are no whole number of %s blocks (%d)", dst.K, f.name, f.block))
	case len(dst.Quants) != quants || len(dst.Scales) != scales:
		panic(fmt.Sprintf("kernel: %s panels of %d×%d need %d and %d bytes, have %d and %d", f.name, dst.N, dst.K, quants, scales, len(dst.Quants), len(dst.Scales)))
	case row0%panelWidth != 0 || row0+rows > dst.N || rows%panelWidth != 0 && row0+rows != dst.N:
		panic(fmt.Sprintf("kernel: rows %d to %d of %d are no whole panels", row0, row0+rows, dst.N))
	case len(blocks) != rows*f.rowBytes(dst.K):
		panic(fmt.Sprintf("kernel: %d rows of %d in %s need %d bytes, have %d", rows, dst.K, f.name, rows*f.rowBytes(dst.K), len(blocks)))
	}
}

// UnpackQuantRow writes the K weights of one row, with the values that GGUF's
// reference gives: every operation rounded to float32, none fused.
func UnpackQuantRow(dst []float32, w *QPanels, row int) {
	var u quantUnit
	for b := range w.K / qBlock {
		quants, head, sub := w.unitAt(row/panelWidth, b)
		u.gather(&quantFormats[w.Type], quants, head, sub, row%panelWidth)
		u.dequantise(w.Type, dst[b*qBlock:][:qBlock])
	}
}

// CheckQuant returns the output of a panel, 0 to 15, that has an infinite or
// NaN scale, or −1. Package model calls it for every panel that it packs.
func CheckQuant(w *QPanels, panel int) int {
	f := &quantFormats[w.Type]
	for b := 0; b < w.K/qBlock; b += f.units() {
		_, head, _ := w.unitAt(panel, b)
		for i := 0; i < len(head); i += 2 {
			if head[i+1]&0x7c == 0x7c {
				return i / 2 % panelWidth
			}
		}
	}
	return -1
}
