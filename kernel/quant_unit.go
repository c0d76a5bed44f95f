package kernel

import (
	"encoding/binary"
	"math"
)

// quantUnit is 32 weights of one row with their scales, as any type has them.
type quantUnit struct {
	quads  [8]uint32 // four unsigned weights each, the first lowest; see quantFormat.offset
	d, m   uint16    // float16; m is dmin for K types
	s0, s1 uint8     // K types: scale and minimum, or both scales of Q6_K
}

// w is weight i.
func (u *quantUnit) w(i int) uint8 { return uint8(u.quads[i/4] >> (i % 4 * 8)) }

// A number in each of four bytes.
const (
	eachByte = 0x01010101
	eachHalf = 15 * eachByte
)

// read takes unit i of one block of a file. The layouts are those of
// ggml-common.h; the order of weights within a block is that of ggml's
// dequantize_row functions.
func (u *quantUnit) read(t QuantType, block []byte, i int) {
	u.readScales(t, block, i)
	u.readWeights(t, block, i)
}

func (u *quantUnit) readScales(t QuantType, block []byte, i int) {
	le := binary.LittleEndian
	u.d = le.Uint16(block)
	switch t {
	case Q4_1, Q5_1: // d, m first
		u.m = le.Uint16(block[2:])
	case Q4_K, Q5_K: // d, dmin, 12 bytes of scales first
		u.readMins(block, i)
	case Q6_K: // 16 scales, d last
		u.s0, u.s1 = block[192+2*i], block[193+2*i]
		u.d = le.Uint16(block[208:])
	}
}

func (u *quantUnit) readWeights(t QuantType, block []byte, i int) {
	le := binary.LittleEndian
	switch t {
	case Q8_0: // 32 × int8
		for q := range u.quads {
			u.quads[q] = le.Uint32(block[2+4*q:]) ^ 0x80*eachByte
		}
	case Q4_0: // 16 bytes: weights 0…15 low, 16…31 high
		u.readNibbles(block[2:])
	case Q4_1:
		u.readNibbles(block[4:])
	case Q5_0: // fifth bits, nibbles
		u.readNibbles(block[6:])
		u.addFifthBits(le.Uint32(block[2:]))
	case Q5_1:
		u.readNibbles(block[8:])
		u.addFifthBits(le.Uint32(block[4:]))
	case Q4_K: // 128 bytes of nibbles
		u.readHalves(block[16:], i)
	case Q5_K: // 32 bytes of fifth bits, 128 of nibbles
		u.readHalves(block[48:], i)
		for q := range u.quads {
			u.quads[q] |= le.Uint32(block[16+4*q:]) >> i & eachByte << 4
		}
	case Q6_K: // 128 bytes of low nibbles, 64 of upper bits
		u.readSix(block, i)
	}
}

func (u *quantUnit) readNibbles(b []byte) {
	for q := range 4 {
		v := binary.LittleEndian.Uint32(b[4*q:])
		u.quads[q] = v & eachHalf
		u.quads[q+4] = v >> 4 & eachHalf
	}
}

// addFifthBits adds bit i of bits to weight i: the product puts four bits into
// the lowest of four bytes.
func (u *quantUnit) addFifthBits(bits uint32) {
	for q := range u.quads {
		u.quads[q] |= (bits >> (4 * q) & 15 * (1 | 1<<7 | 1<<14 | 1<<21)) & eachByte << 4
	}
}

// readHalves takes the low nibbles of 32 bytes for an even unit, the high ones
// for the odd unit after it.
func (u *quantUnit) readHalves(b []byte, i int) {
	b = b[i/2*qBlock:][:qBlock]
	for q := range u.quads {
		u.quads[q] = binary.LittleEndian.Uint32(b[4*q:]) >> (i % 2 * 4) & eachHalf
	}
}

// readMins takes dmin and the six-bit scale and minimum of unit i.
func (u *quantUnit) readMins(block []byte, i int) {
	u.m = binary.LittleEndian.Uint16(block[2:])
	s := block[4:16]
	if i < 4 {
		u.s0, u.s1 = s[i]&63, s[i+4]&63
		return
	}
	u.s0 = s[i+4]&15 | s[i-4]>>6<<4
	u.s1 = s[i+4]>>4 | s[i]>>6<<4
}

func (u *quantUnit) readSix(block []byte, i int) {
	half, quarter := i/4, i%4
	low := block[half*64+quarter%2*32:][:32]
	high := block[128+half*32:][:32]
	for q := range u.quads {
		lo := binary.LittleEndian.Uint32(low[4*q:]) >> (quarter / 2 * 4) & eachHalf
		hi := binary.LittleEndian.Uint32(high[4*q:]) >> (quarter * 2) & (3 * eachByte)
		u.quads[q] = lo | hi<<4
	}
}

// put lays the weights out as output j of a unit in a panel, in the places
// that gather takes them from.
func (u *quantUnit) put(f *quantFormat, quants []byte, j int) {
	le := binary.LittleEndian
	if f.bits == 8 {
		u.putBytes(quants, j)
		return
	}
	for i := range 4 {
		le.PutUint32(quants[64*i+4*j:], u.quads[2*i]&eachHalf|u.quads[2*i+1]&eachHalf<<4)
	}
	switch f.bits {
	case 5:
		var fifth uint32
		for i, v := range u.quads {
			fifth |= v >> 4 & eachByte << i
		}
		le.PutUint32(quants[4*64+4*j:], fifth)
	case 6:
		for r := range 2 {
			var upper uint32
			for i, v := range u.quads[4*r:][:4] {
				upper |= v >> 4 & (3 * eachByte) << (2 * i)
			}
			le.PutUint32(quants[(4+r)*64+4*j:], upper)
		}
	}
}

// putBytes does so with a byte for each weight.
func (u *quantUnit) putBytes(quants []byte, j int) {
	for i, v := range u.quads {
		binary.LittleEndian.PutUint32(quants[64*i+4*j:], v)
	}
}

// putScales does the same with the scales.
func (u *quantUnit) putScales(f *quantFormat, head, sub []byte, j int) {
	binary.LittleEndian.PutUint16(head[2*j:], u.d)
	if f.head == 64 {
		binary.LittleEndian.PutUint16(head[32+2*j:], u.m)
	}
	if f.sub != 0 {
		sub[j], sub[panelWidth+j] = u.s0, u.s1
	}
}

// gather takes output j of a unit in a panel: its weights, the scales of its
// block, and those of its own.
func (u *quantUnit) gather(f *quantFormat, quants, head, sub []byte, j int) {
	u.gatherWeights(f, quants, j)
	u.d = binary.LittleEndian.Uint16(head[2*j:])
	if f.head == 64 {
		u.m = binary.LittleEndian.Uint16(head[32+2*j:])
	}
	if f.sub != 0 {
		u.s0, u.s1 = sub[j], sub[panelWidth+j]
	}
}

func (u *quantUnit) gatherWeights(f *quantFormat, quants []byte, j int) {
	le := binary.LittleEndian
	if f.bits == 8 {
		for i := range u.quads {
			u.quads[i] = le.Uint32(quants[64*i+4*j:])
		}
		return
	}
	for i := range 4 {
		v := le.Uint32(quants[64*i+4*j:])
		u.quads[2*i], u.quads[2*i+1] = v&eachHalf, v>>4&eachHalf
	}
	switch f.bits {
	case 5:
		fifth := le.Uint32(quants[4*64+4*j:])
		for i := range u.quads {
			u.quads[i] |= fifth >> i & eachByte << 4
		}
	case 6:
		for i := range u.quads {
			u.quads[i] |= le.Uint32(quants[(4+i/4)*64+4*j:]) >> (i % 4 * 2) & (3 * eachByte) << 4
		}
	}
}

// dequantise writes the 32 weights.
func (u *quantUnit) dequantise(t QuantType, dst []float32) {
	d, m := fromF16(u.d), fromF16(u.m)
	offset := quantFormats[t].offset
	for i := range qBlock {
		q := float32(int32(u.w(i)) - offset)
		switch t {
		case Q8_0, Q4_0, Q5_0:
			dst[i] = float32(d * q)
		case Q4_1, Q5_1:
			dst[i] = float32(d*q) + m
		case Q4_K, Q5_K:
			scale, low := float32(d*float32(u.s0)), float32(m*float32(u.s1))
			dst[i] = float32(scale*q) - low
		case Q6_K:
			scale := float32(d * float32(int8(u.s0)))
			if i >= qBlock/2 {
				scale = float32(d * float32(int8(u.s1)))
			}
			dst[i] = float32(scale * q)
		}
	}
}

// fromF16 widens a float16, which is exact.
func fromF16(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10&31), uint32(h&0x3ff)
	switch {
	case exp == 31: // infinity, or a NaN, which becomes quiet
		if frac != 0 {
			frac |= 0x200
		}
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp == 0:
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*0x1p-24))
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}
