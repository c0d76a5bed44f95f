package kernel

import "encoding/binary"

// quads are the 32 weights of a unit, four to a word as panels hold them.
type quads [qBlock / 4]uint32

// readQuads is read for packing: it takes four weights at once where the type
// is common, and sets the scales alone.
func (u *quantUnit) readQuads(t QuantType, block []byte, i int) (q quads) {
	le := binary.LittleEndian
	switch t {
	case Q8_0:
		u.d = le.Uint16(block)
		b := block[2:34]
		for c := range q {
			q[c] = le.Uint32(b[4*c:]) ^ 0x80808080
		}
	case Q4_0:
		u.d = le.Uint16(block)
		b := block[2:18]
		for c := range len(q) / 2 {
			v := le.Uint32(b[4*c:])
			q[c], q[c+len(q)/2] = v&0x0f0f0f0f, v>>4&0x0f0f0f0f
		}
	case Q4_K:
		u.d = le.Uint16(block)
		u.readMins(block, i)
		b := block[16+i/2*qBlock:][:qBlock]
		for c := range q {
			q[c] = le.Uint32(b[4*c:]) >> (i % 2 * 4) & 0x0f0f0f0f
		}
	case Q6_K:
		half, quarter := i/4, i%4
		low, high := block[half*64+quarter%2*32:][:qBlock], block[128+half*32:][:qBlock]
		for c := range q {
			lo := le.Uint32(low[4*c:]) >> (quarter / 2 * 4) & 0x0f0f0f0f
			hi := le.Uint32(high[4*c:]) >> (quarter * 2) & 0x03030303
			q[c] = lo | hi<<4
		}
		u.s0, u.s1 = block[192+2*i], block[192+2*i+1]
		u.d = le.Uint16(block[208:])
	default:
		u.read(t, block, i)
		for c := range q {
			q[c] = le.Uint32(u.w[4*c:])
		}
	}
	return q
}

// packRow puts one row's blocks in place as output j of panel p.
func packRow(dst *QPanels, row []byte, p, j int) {
	f := &quantFormats[dst.Type]
	le := binary.LittleEndian
	var u quantUnit
	for b := range dst.K / qBlock {
		q := u.readQuads(dst.Type, row[b/f.units()*f.blockBytes:][:f.blockBytes], b%f.units())
		quants, head, sub := dst.unitAt(p, b)
		if f.nibbles {
			for c := range len(q) / 2 {
				le.PutUint32(quants[c*64+4*j:], q[2*c]|q[2*c+1]<<4)
			}
		} else {
			for c, v := range q {
				le.PutUint32(quants[c*64+4*j:], v)
			}
		}
		le.PutUint16(head[2*j:], u.d)
		if f.head == 64 {
			le.PutUint16(head[32+2*j:], u.m)
		}
		if f.sub != 0 {
			sub[j], sub[panelWidth+j] = u.s0, u.s1
		}
	}
}

// CheckQuant returns the output of a panel, 0 to 15, that has an infinite or
// NaN scale, or −1.
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
