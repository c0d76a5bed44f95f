package emu

import (
	"encoding/binary"

	"wenmo/internal/asmgen"
)

// moves are the vector instructions that carry bytes from place to place.
var moves = map[string]func(m *Machine, v *vector){
	"VMOVUPS": move, "VMOVDQU": move, "VMOVDQU32": move, "VMOVDQA32": move,
	"VMOVQ":        func(m *Machine, v *vector) { m.write(v, m.operand(v, 0, 8)) },
	"VMASKMOVPS":   maskMove,
	"VBROADCASTSS": broadcast, "VPBROADCASTD": broadcast,
	"VCVTPH2PS":    widen(2, func(b []byte) uint32 { return widenHalf(binary.LittleEndian.Uint16(b)) }),
	"VPMOVZXBD":    widen(1, func(b []byte) uint32 { return uint32(b[0]) }),
	"VPMOVSXBD":    widen(1, func(b []byte) uint32 { return uint32(int32(int8(b[0]))) }),
	"VPMOVZXWD":    widen(2, func(b []byte) uint32 { return uint32(binary.LittleEndian.Uint16(b)) }),
	"VPMOVSXBW":    signBytes,
	"VPUNPCKLBW":   unpackBytes,
	"VPMOVDW":      narrowWords,
	"VPACKUSDW":    packWords,
	"VPERMQ":       permute,
	"VPERMILPS":    permuteLanes,
	"VEXTRACTF128": extract, "VEXTRACTF64X4": extract,
	"VMOVSS":    func(m *Machine, v *vector) { copy(m.at(v.dst.(asmgen.Mem), 4), m.operand(v, 0, 4)) },
	"VPMOVD2M":  signMask,
	"VCMPPS":    compareLanes,
	"VBLENDMPS": blendMask,
	"VBLENDVPS": blendSigns,
}

// move is a load, a store or a copy, whole or under a mask.
func move(m *Machine, v *vector) {
	if to, ok := v.dst.(asmgen.Mem); ok {
		m.store(to, m.operand(v, 0, v.bytes), v.mask)
		return
	}
	if from, ok := v.src[0].(asmgen.Mem); ok {
		m.write(v, m.load(from, v.bytes, v.mask))
		return
	}
	m.write(v, m.operand(v, 0, v.bytes))
}

// load reads the lanes of the mask and touches no others.
func (m *Machine) load(from asmgen.Mem, n int, mask uint64) []byte {
	b := make([]byte, n)
	for i := range n / 4 {
		if mask>>i&1 == 1 {
			copy(b[4*i:], m.at(plus(from, 4*i), 4))
		}
	}
	return b
}

// store writes the lanes of the mask and touches no others.
func (m *Machine) store(to asmgen.Mem, b []byte, mask uint64) {
	for i := range len(b) / 4 {
		if mask>>i&1 == 1 {
			copy(m.at(plus(to, 4*i), 4), b[4*i:])
		}
	}
}

func plus(mem asmgen.Mem, n int) asmgen.Mem {
	mem.Disp += n
	return mem
}

// maskMove is a load or store of the lanes whose bit 31 is set in a register.
func maskMove(m *Machine, v *vector) {
	if to, ok := v.dst.(asmgen.Mem); ok {
		m.store(to, m.operand(v, 0, v.bytes), m.signs(v, 1))
		return
	}
	m.write(v, m.load(v.src[0].(asmgen.Mem), v.bytes, m.signs(v, 1)))
}

// signs collects the top bits of the lanes of a source.
func (m *Machine) signs(v *vector, i int) (mask uint64) {
	b := m.operand(v, i, v.bytes)
	for j := range v.bytes / 4 {
		mask |= uint64(b[4*j+3]>>7) << j
	}
	return mask
}

func broadcast(m *Machine, v *vector) {
	one := m.operand(v, 0, 4)
	b := make([]byte, 0, v.bytes)
	for len(b) < v.bytes {
		b = append(b, one...)
	}
	m.write(v, b)
}

// widen makes a 32-bit lane of every n bytes.
func widen(n int, f func(b []byte) uint32) func(m *Machine, v *vector) {
	return func(m *Machine, v *vector) {
		src := m.operand(v, 0, v.bytes/4*n)
		var b []byte
		for i := 0; i < len(src); i += n {
			b = binary.LittleEndian.AppendUint32(b, f(src[i:]))
		}
		m.write(v, b)
	}
}

func signBytes(m *Machine, v *vector) {
	var b []byte
	for _, x := range m.operand(v, 0, v.bytes/2) {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(int8(x))))
	}
	m.write(v, b)
}

// unpackBytes interleaves the lower halves of 128-bit registers.
func unpackBytes(m *Machine, v *vector) {
	if v.bytes != 16 {
		m.fail("only 128 bits are known to the emulator")
	}
	second, first := m.operand(v, 0, 8), m.operand(v, 1, 8)
	var b []byte
	for i := range 8 {
		b = append(b, first[i], second[i])
	}
	m.write(v, b)
}

// narrowWords stores the lower halves of 32-bit lanes.
func narrowWords(m *Machine, v *vector) {
	src := m.operand(v, 0, v.bytes)
	var b []byte
	for i := 0; i < len(src); i += 4 {
		b = append(b, src[i], src[i+1])
	}
	copy(m.at(v.dst.(asmgen.Mem), len(b)), b)
}

// packWords narrows the signed 32-bit lanes of two registers to unsigned 16
// bits, with saturation, by 128-bit halves.
func packWords(m *Machine, v *vector) {
	second, first := m.operand(v, 0, v.bytes), m.operand(v, 1, v.bytes)
	var b []byte
	for half := 0; half < v.bytes; half += 16 {
		for _, src := range [][]byte{first, second} {
			for i := half; i < half+16; i += 4 {
				x := int32(binary.LittleEndian.Uint32(src[i:]))
				b = binary.LittleEndian.AppendUint16(b, uint16(min(max(x, 0), 0xffff)))
			}
		}
	}
	m.write(v, b)
}

// permute is VPERMQ with a constant.
func permute(m *Machine, v *vector) {
	src := m.operand(v, 0, v.bytes)
	var b []byte
	for half := 0; half < v.bytes; half += 32 {
		for i := range 4 {
			b = append(b, src[half+8*(v.imm>>(2*i)&3):][:8]...)
		}
	}
	m.write(v, b)
}

// permuteLanes is VPERMILPS with a constant, which works within 128 bits.
func permuteLanes(m *Machine, v *vector) {
	src := m.operand(v, 0, v.bytes)
	var b []byte
	for part := 0; part < v.bytes; part += 16 {
		for i := range 4 {
			b = append(b, src[part+4*(v.imm>>(2*i)&3):][:4]...)
		}
	}
	m.write(v, b)
}

// extract takes the part of a register that the constant numbers.
func extract(m *Machine, v *vector) {
	v.bytes = size(v.dst.(asmgen.Reg))
	m.write(v, m.operand(v, 0, (v.imm+1)*v.bytes)[v.imm*v.bytes:])
}

// compareLanes makes lanes of ones, or the bits of a mask register.
func compareLanes(m *Machine, v *vector) {
	to := v.dst.(asmgen.Reg)
	if to.Class == asmgen.Mask {
		v.bytes = size(v.src[0].(asmgen.Reg))
		m.mask[to.N] = 0
	}
	le := binary.LittleEndian
	second, first := m.operand(v, 0, v.bytes), m.operand(v, 1, v.bytes)
	b := make([]byte, v.bytes)
	for i := 0; i < v.bytes; i += 4 {
		if !m.compares(v.imm, le.Uint32(first[i:]), le.Uint32(second[i:])) {
			continue
		}
		le.PutUint32(b[i:], ^uint32(0))
		if to.Class == asmgen.Mask {
			m.mask[to.N] |= 1 << (i / 4)
		}
	}
	if to.Class != asmgen.Mask {
		m.write(v, b)
	}
}

func signMask(m *Machine, v *vector) {
	r := v.src[0].(asmgen.Reg)
	v.bytes = size(r)
	m.mask[v.dst.(asmgen.Reg).N] = m.signs(v, 0)
}

// blendMask takes the second source where the mask is set, else the first.
func blendMask(m *Machine, v *vector) {
	mask := m.mask[v.src[2].(asmgen.Reg).N]
	m.choose(v, mask, m.operand(v, 0, v.bytes), m.operand(v, 1, v.bytes))
}

// blendSigns takes the second source where the lane of the mask register has
// bit 31, else the first. The mask is the first operand of Go's assembler.
func blendSigns(m *Machine, v *vector) {
	m.choose(v, m.signs(v, 0), m.operand(v, 1, v.bytes), m.operand(v, 2, v.bytes))
}

func (m *Machine) choose(v *vector, mask uint64, set, unset []byte) {
	b := append([]byte(nil), unset[:v.bytes]...)
	for i := range v.bytes / 4 {
		if mask>>i&1 == 1 {
			copy(b[4*i:][:4], set[4*i:])
		}
	}
	m.write(v, b)
}
