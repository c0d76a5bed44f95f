package emu

import (
	"encoding/binary"
	"fmt"

	"wenmo/internal/asmgen"
)

// scalars are the instructions on general registers, and those that have no
// operands.
var scalars = map[string]func(m *Machine, args []fmt.Stringer){
	"MOVQ":   func(m *Machine, a []fmt.Stringer) { m.set(a[1], 8, m.get(a[0], 8)) },
	"MOVL":   func(m *Machine, a []fmt.Stringer) { m.set(a[1], 4, m.get(a[0], 4)) },
	"LEAQ":   func(m *Machine, a []fmt.Stringer) { m.set(a[1], 8, m.lea(a[0].(asmgen.Mem))) },
	"ADDQ":   arith(8, func(x, y uint64) uint64 { return x + y }),
	"SUBQ":   arith(8, func(x, y uint64) uint64 { return x - y }),
	"ANDL":   arith(4, func(x, y uint64) uint64 { return x & y }),
	"ANDQ":   arith(8, func(x, y uint64) uint64 { return x & y }),
	"ORL":    arith(4, func(x, y uint64) uint64 { return x | y }),
	"XORL":   arith(4, func(x, y uint64) uint64 { return x ^ y }),
	"SHLL":   arith(4, func(x, y uint64) uint64 { return x << (y & 31) }),
	"SHLQ":   arith(8, func(x, y uint64) uint64 { return x << (y & 63) }),
	"SHRQ":   arith(8, func(x, y uint64) uint64 { return x >> (y & 63) }),
	"DECQ":   func(m *Machine, a []fmt.Stringer) { m.setFlags(8, m.set(a[0], 8, m.get(a[0], 8)-1)) },
	"INCQ":   func(m *Machine, a []fmt.Stringer) { m.setFlags(8, m.set(a[0], 8, m.get(a[0], 8)+1)) },
	"IMUL3Q": func(m *Machine, a []fmt.Stringer) { m.set(a[2], 8, m.get(a[0], 8)*m.get(a[1], 8)) },
	"SHLXQ":  func(m *Machine, a []fmt.Stringer) { m.set(a[2], 8, m.get(a[1], 8)<<(m.get(a[0], 8)&63)) },
	"CMPQ":   compare(8),
	"CMPB":   compare(1),
	"TESTQ":  func(m *Machine, a []fmt.Stringer) { m.setFlags(8, m.get(a[0], 8)&m.get(a[1], 8)) },
	"KMOVW": func(m *Machine, a []fmt.Stringer) {
		if to := a[1].(asmgen.Reg); to.Class == asmgen.Mask {
			m.mask[to.N] = m.get(a[0], 8) & 0xffff
			return
		}
		m.set(a[1], 8, m.mask[a[0].(asmgen.Reg).N]&0xffff)
	},
	"STMXCSR":    func(m *Machine, a []fmt.Stringer) { m.set(a[0], 4, uint64(m.mxcsr)) },
	"LDMXCSR":    func(m *Machine, a []fmt.Stringer) { m.mxcsr = uint32(m.get(a[0], 4)) },
	"PREFETCHT0": func(m *Machine, a []fmt.Stringer) {},
	"PREFETCHT1": func(m *Machine, a []fmt.Stringer) {},
	"VZEROUPPER": func(m *Machine, a []fmt.Stringer) {
		for i := range 16 {
			clear(m.vec[i][16:])
		}
	},
}

// get reads an operand of so many bytes.
func (m *Machine) get(a fmt.Stringer, bytes int) uint64 {
	switch a := a.(type) {
	case asmgen.Imm:
		return uint64(a)
	case asmgen.Reg:
		if a.Class != asmgen.GP {
			m.fail("%v is no general register", a)
		}
		return m.gp[a.N] << (64 - 8*bytes) >> (64 - 8*bytes)
	case asmgen.Mem:
		if a.Param != "" {
			return m.arg
		}
		var b [8]byte
		copy(b[:], m.at(a, bytes))
		return binary.LittleEndian.Uint64(b[:])
	}
	m.fail("operand %v", a)
	return 0
}

// set writes an operand; a register's upper half becomes zero.
func (m *Machine) set(a fmt.Stringer, bytes int, x uint64) uint64 {
	switch a := a.(type) {
	case asmgen.Reg:
		m.gp[a.N] = x << (64 - 8*bytes) >> (64 - 8*bytes)
	case asmgen.Mem:
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], x)
		copy(m.at(a, bytes), b[:bytes])
	default:
		m.fail("operand %v", a)
	}
	return x
}

// lea is an effective address; a table becomes part of memory for it.
func (m *Machine) lea(mem asmgen.Mem) uint64 {
	if mem.Sym == "" {
		return m.address(mem)
	}
	for _, d := range m.file.Data {
		if d.Name == mem.Sym {
			b := m.table(asmgen.Mem{Sym: mem.Sym}, 8*len(d.Words))
			m.regions = append(m.regions, region{address(b), b})
			return address(b) + uint64(mem.Disp)
		}
	}
	m.fail("no table %s", mem.Sym)
	return 0
}

// arith makes an instruction of two operands, which sets the flags.
func arith(bytes int, f func(x, y uint64) uint64) func(m *Machine, a []fmt.Stringer) {
	return func(m *Machine, a []fmt.Stringer) {
		r := f(m.get(a[1], bytes), m.get(a[0], bytes))
		m.set(a[1], bytes, r)
		m.setFlags(bytes, r)
	}
}

// setFlags is for results that are compared with zero only.
func (m *Machine) setFlags(bytes int, r uint64) {
	m.sign = int64(r<<(64-8*bytes)) < 0
	m.zero = r<<(64-8*bytes) == 0
	m.overflow = false
}

// compare sets the flags for its first operand less its second, in the order
// of Go's assembler.
func compare(bytes int) func(m *Machine, a []fmt.Stringer) {
	return func(m *Machine, a []fmt.Stringer) {
		x := int64(m.get(a[0], bytes) << (64 - 8*bytes))
		y := int64(m.get(a[1], bytes) << (64 - 8*bytes))
		m.zero = x == y
		m.sign = x-y < 0
		m.overflow = (x < y) != m.sign
	}
}

// taken says whether a jump goes to its label.
func (m *Machine) taken(op string) bool {
	less := m.sign != m.overflow
	switch op {
	case "JMP":
		return true
	case "JEQ":
		return m.zero
	case "JNE":
		return !m.zero
	case "JLT":
		return less
	case "JGE":
		return !less
	case "JLE":
		return less || m.zero
	case "JGT":
		return !less && !m.zero
	}
	m.fail("not known to the emulator")
	return false
}
