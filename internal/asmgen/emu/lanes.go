package emu

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"wenmo/internal/asmgen"
)

// vector is a vector instruction taken apart.
type vector struct {
	op        string
	imm       int
	src       []fmt.Stringer // in the order of Go's assembler: the last operand of Intel's first
	mask      uint64
	masked    bool
	zeroing   bool
	broadcast bool
	dst       fmt.Stringer
	bytes     int // of the destination's vector
}

// decode takes an instruction apart.
func decode(m *Machine, in *asmgen.Inst) vector {
	name, suffixes, _ := strings.Cut(in.Op, ".")
	v := vector{op: name, mask: ^uint64(0)}
	v.zeroing = strings.Contains(suffixes, "Z")
	v.broadcast = strings.Contains(suffixes, "BCST")
	args := in.Args
	if imm, ok := args[0].(asmgen.Imm); ok {
		v.imm = int(imm)
		args = args[1:]
	}
	v.dst = args[len(args)-1]
	for _, a := range args[:len(args)-1] {
		if r, ok := a.(asmgen.Reg); ok && r.Class == asmgen.Mask && !blends[name] {
			v.mask, v.masked = m.mask[r.N], true
			continue
		}
		v.src = append(v.src, a)
	}
	for _, a := range args {
		if r, ok := a.(asmgen.Reg); ok {
			v.bytes = max(v.bytes, size(r))
		}
	}
	if r, ok := v.dst.(asmgen.Reg); ok {
		v.bytes = size(r)
	}
	return v
}

func size(r asmgen.Reg) int {
	switch r.Class {
	case asmgen.X:
		return 16
	case asmgen.Y:
		return 32
	case asmgen.Z:
		return 64
	}
	return 0
}

// operand returns n bytes of source i.
func (m *Machine) operand(v *vector, i, n int) []byte {
	switch a := v.src[i].(type) {
	case asmgen.Reg:
		if a.Class == asmgen.GP {
			return binary.LittleEndian.AppendUint64(nil, m.gp[a.N])[:n]
		}
		return m.vec[a.N][:n]
	case asmgen.Mem:
		if !v.broadcast {
			return m.at(a, n)
		}
		one := m.at(a, 4)
		b := make([]byte, 0, n)
		for len(b) < n {
			b = append(b, one...)
		}
		return b
	}
	m.fail("operand %v", v.src[i])
	return nil
}

// write puts b into the destination register, under the mask of 32-bit lanes.
// What of the register is above b becomes zero.
func (m *Machine) write(v *vector, b []byte) {
	r := v.dst.(asmgen.Reg)
	old := m.vec[r.N]
	m.vec[r.N] = [64]byte{}
	copy(m.vec[r.N][:], b)
	if !v.masked {
		return
	}
	for i := range len(b) / 4 {
		if v.mask>>i&1 == 0 {
			lane := m.vec[r.N][4*i:][:4]
			clear(lane)
			if !v.zeroing {
				copy(lane, old[4*i:])
			}
		}
	}
}

// A lane computes one 32-bit lane from the destination's old value and the
// sources in Intel's order.
type lane func(m *Machine, v *vector, d, a, b uint32) uint32

// lanewise runs an instruction whose lanes do not know of each other. With one
// source, a and b are both it.
func (m *Machine) lanewise(v *vector, f lane) {
	le := binary.LittleEndian
	second := m.operand(v, 0, v.bytes)
	first := second
	if len(v.src) > 1 {
		first = m.operand(v, 1, v.bytes)
	}
	old := m.vec[v.dst.(asmgen.Reg).N]
	var out [64]byte
	for i := 0; i < v.bytes; i += 4 {
		le.PutUint32(out[i:], f(m, v, le.Uint32(old[i:]), le.Uint32(first[i:]), le.Uint32(second[i:])))
	}
	m.write(v, out[:v.bytes])
}

func float2(f func(a arithmetic, x, y uint32) uint32) lane {
	return func(m *Machine, v *vector, d, a, b uint32) uint32 { return f(m.arithmetic(), a, b) }
}

func integer(f func(a, b uint32) uint32) lane {
	return func(m *Machine, v *vector, d, a, b uint32) uint32 { return f(a, b) }
}

func shift(f func(x uint32, n int) uint32) lane {
	return func(m *Machine, v *vector, d, a, b uint32) uint32 { return f(b, v.imm) }
}

// parts joins the results of f for each part of so many bits.
func parts(width int, a, b uint32, f func(a, b uint32) uint32) (r uint32) {
	mask := uint32(1)<<width - 1
	for s := 0; s < 32; s += width {
		r |= f(a>>s&mask, b>>s&mask) & mask << s
	}
	return r
}

var (
	and = integer(func(a, b uint32) uint32 { return a & b })
	or  = integer(func(a, b uint32) uint32 { return a | b })
	xor = integer(func(a, b uint32) uint32 { return a ^ b })
)

// blends take a mask register as the choice, not as what to write.
var blends = map[string]bool{"VBLENDMPS": true}

var lanes = map[string]lane{
	"VADDPS":  float2(arithmetic.add),
	"VSUBPS":  float2(arithmetic.sub),
	"VMULPS":  float2(arithmetic.mul),
	"VDIVPS":  float2(arithmetic.div),
	"VSQRTPS": float2(func(a arithmetic, _, y uint32) uint32 { return a.sqrt(y) }),
	"VMAXPS":  float2(arithmetic.max),
	"VMINPS":  float2(arithmetic.min),
	"VFMADD231PS": func(m *Machine, v *vector, d, a, b uint32) uint32 {
		return m.arithmetic().fma(a, b, d)
	},
	"VFMADD213PS": func(m *Machine, v *vector, d, a, b uint32) uint32 {
		return m.arithmetic().fma(a, d, b)
	},
	"VFNMADD231PS": func(m *Machine, v *vector, d, a, b uint32) uint32 {
		return m.arithmetic().fma(a^1<<31, b, d)
	},
	"VDPBF16PS": dotBF16,
	"VCVTDQ2PS": integer(func(a, b uint32) uint32 { return math.Float32bits(float32(int32(b))) }),

	"VANDPS": and, "VPAND": and, "VPANDD": and,
	"VANDNPS": integer(func(a, b uint32) uint32 { return ^a & b }),
	"VORPS":   or, "VPOR": or, "VPORD": or,
	"VXORPS": xor, "VPXOR": xor, "VPXORD": xor,

	"VPADDD":  integer(func(a, b uint32) uint32 { return a + b }),
	"VPSUBD":  integer(func(a, b uint32) uint32 { return a - b }),
	"VPMULLD": integer(func(a, b uint32) uint32 { return a * b }),
	"VPADDW": integer(func(a, b uint32) uint32 {
		return parts(16, a, b, func(a, b uint32) uint32 { return a + b })
	}),
	"VPSLLD": shift(func(x uint32, n int) uint32 { return x << n }),
	"VPSRLD": shift(func(x uint32, n int) uint32 { return x >> n }),
	"VPSRLW": shift(func(x uint32, n int) uint32 {
		return parts(16, x, 0, func(a, _ uint32) uint32 { return a >> n })
	}),
	"VPABSB": integer(func(a, b uint32) uint32 {
		return parts(8, a, b, func(_, b uint32) uint32 { return uint32(max(int8(b), -int8(b))) })
	}),
	"VPSIGNB": integer(func(a, b uint32) uint32 {
		return parts(8, a, b, func(a, b uint32) uint32 {
			switch s := int8(b); {
			case s < 0:
				return -a
			case s == 0:
				return 0
			}
			return a
		})
	}),
	"VPMADDWD": integer(func(a, b uint32) uint32 {
		return uint32(int32(int16(a))*int32(int16(b)) + int32(int16(a>>16))*int32(int16(b>>16)))
	}),
	// The first source is unsigned, the second signed; a pair's sum saturates.
	"VPMADDUBSW": integer(func(a, b uint32) uint32 {
		return parts(16, a, b, func(a, b uint32) uint32 {
			sum := int32(a&255)*int32(int8(b)) + int32(a>>8)*int32(int8(b>>8))
			return uint32(min(max(sum, math.MinInt16), math.MaxInt16))
		})
	}),
	"VPDPBUSD": func(m *Machine, v *vector, d, a, b uint32) uint32 {
		for s := 0; s < 32; s += 8 {
			d += uint32(int32(a>>s&255) * int32(int8(b>>s)))
		}
		return d
	},
}

// compares is the predicate of VCMPPS for the numbers that kernels use.
func (m *Machine) compares(predicate int, a, b uint32) bool {
	x, y := m.arithmetic().in(a), m.arithmetic().in(b)
	switch predicate {
	case 0, 16: // equal
		return x == y
	case 1, 17: // less
		return x < y
	case 2, 18: // less or equal
		return x <= y
	case 3, 19: // unordered
		return x != x || y != y
	case 7, 23: // ordered
		return x == x && y == y
	case 13, 29: // greater or equal
		return x >= y
	case 14, 30: // greater
		return x > y
	}
	m.fail("predicate %d is not known to the emulator", predicate)
	return false
}

// dotBF16 is a lane of VDPBF16PS: the upper elements first, then the lower,
// each added with one rounding, subnormals as zero. It ignores MXCSR.
func dotBF16(m *Machine, v *vector, d, a, b uint32) uint32 {
	flushing := arithmetic{flush: true, daz: true}
	d = flushing.fma(a&0xffff0000, b&0xffff0000, d)
	return flushing.fma(a<<16, b<<16, d)
}
