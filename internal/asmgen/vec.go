package asmgen

import (
	"fmt"
	"math"
	"slices"
)

// Offsets of the fields of kernel's struct vec, the argument of all kernels
// that work element by element.
const (
	VecDst    = 0  // pointer: results
	VecA      = 8  // pointers: operands
	VecB      = 16 //
	VecC      = 24 //
	VecS      = 32 // float32 parameters
	VecT      = 36 //
	VecSteps  = 40 // of sixteen elements each, at least one
	VecLanes  = 48 // pointer: the sixteen partial results of a reduction
	VecR      = 56 // float32: a reduction's result, if these were all elements
	VecQ      = 60 // float32: a second one; both are parameters of others
	VecD      = 64 // pointer: an operand
	VecU      = 72 // float32 parameter
	VecStride = 80 // bytes from a step to the next, of a kernel that says so
)

// vecStep is the number of elements of a step, and of lanes of a reduction.
const vecStep = 16

// Registers of the element-wise kernels.
var (
	vecArg   = AX
	vecDst   = DI
	vecA     = SI
	vecB     = DX
	vecC     = R9
	vecD     = R10
	vecEnd   = CX // elements in all
	vecAt    = BX // elements done
	vecLanes = R8
)

// vecKernel writes a function over vectors: what stands before the loop, its
// body for each part of a step, and what follows. The body is written with
// values that have no register yet (new); each takes registers while it is
// needed.
type vecKernel struct {
	*Func
	*isa
	consts *constants
	part   int // which part of the step is being written
	fixed  int // registers from 0 that hold a value through the loop
	values int // values of the body so far
}

// A value is made in one place of a body: a Reg numbered from firstValue, or
// a register that is fixed.
const firstValue = 32

// constants is the table of a file: each fills a vector.
type constants struct {
	bytes int
	bits  []uint32
}

// data returns the table.
func (c *constants) data() Data {
	d := Data{Name: "consts"}
	for _, b := range c.bits {
		for range c.bytes / 8 {
			d.Words = append(d.Words, uint64(b)<<32|uint64(b))
		}
	}
	return d
}

// of is a vector of one 32-bit constant, in memory.
func (c *constants) of(bits uint32) Mem {
	i := slices.Index(c.bits, bits)
	if i < 0 {
		i = len(c.bits)
		c.bits = append(c.bits, bits)
	}
	return Mem{Sym: "consts", Disp: i * c.bytes}
}

func (c *constants) num(x float32) Mem { return c.of(math.Float32bits(x)) }

func (v *vecKernel) bits(b uint32) Mem { return v.consts.of(b) }

// num is a vector of one float32, in memory.
func (v *vecKernel) num(x float32) Mem { return v.consts.num(x) }

// fix takes a register for the whole function.
func (v *vecKernel) fix() Reg {
	v.fixed++
	return v.reg(v.fixed - 1)
}

// param is a parameter in a register.
func (v *vecKernel) param(offset int) Reg {
	r := v.fix()
	v.Op("VBROADCASTSS", At(vecArg, offset), r)
	return r
}

// number is a parameter that stands in the place of a lane, in a register.
func (v *vecKernel) number(i int) Reg {
	r := v.fix()
	v.Op("VBROADCASTSS", At(vecLanes, 4*i), r)
	return r
}

// lanes takes the partial results of a reduction into registers, one a part.
func (v *vecKernel) lanes() []Reg {
	v.Op("MOVQ", At(vecArg, VecLanes), vecLanes)
	return v.fixAll(func(i int, r Reg) { v.Op("VMOVUPS", At(vecLanes, i*v.bytes), r) })
}

// fixAll takes a register for each part of a step and sets it.
func (v *vecKernel) fixAll(set func(i int, r Reg)) []Reg {
	acc := make([]Reg, v.parts())
	for i := range acc {
		acc[i] = v.fix()
		set(i, acc[i])
	}
	return acc
}

// putLanes stores them.
func (v *vecKernel) putLanes(acc []Reg) {
	for i, r := range acc {
		v.Op("VMOVUPS", r, At(vecLanes, i*v.bytes))
	}
}

// fold joins lane i+8 to lane i, then i+4, i+2 and i+1, by an instruction that
// takes the lower lane as its last operand, and returns the register with the
// result in its lowest lane. Of the first part's registers nothing else stays.
func (v *vecKernel) fold(op string, acc []Reg) Reg {
	low, tmp := acc[0].N, v.fix().N
	half := func(r uint8) Reg { return Reg{Y, r} }
	if v.class == Z {
		v.Op("VEXTRACTF64X4", Imm(1), acc[0], half(tmp))
		v.Op(op, half(low), half(tmp), half(low))
	} else {
		v.Op(op, acc[0], acc[1], acc[0])
	}
	x, y := Reg{X, low}, Reg{X, tmp}
	v.Op("VEXTRACTF128", Imm(1), half(low), y)
	v.Op(op, x, y, x)
	for _, order := range []Imm{0x4e, 0xb1} { // 2 3 0 1, then 1 0 3 2
		v.Op("VPERMILPS", order, x, y)
		v.Op(op, x, y, x)
	}
	return x
}

// new returns a value for the destination of an instruction.
func (v *vecKernel) new() Reg {
	v.values++
	return Reg{v.class, uint8(firstValue + v.values - 1)}
}

// op appends an instruction that makes a new value.
func (v *vecKernel) op(name string, args ...fmt.Stringer) Reg {
	r := v.new()
	v.Op(name, append(args, r)...)
	return r
}

// at is the part's place in the elements of 4 bytes behind a pointer.
func (v *vecKernel) at(base Reg) Mem { return Indexed(base, vecAt, 4, v.part*v.bytes) }

func (v *vecKernel) load(base Reg) Reg { return v.op("VMOVUPS", v.at(base)) }

func (v *vecKernel) store(x Reg) { v.storeTo(vecDst, x) }

func (v *vecKernel) storeTo(base, x Reg) { v.Op("VMOVUPS", x, v.at(base)) }

// storeHalf stores the lower halves of 32-bit elements, whose upper halves are
// zero, behind each other.
func (v *vecKernel) storeHalf(x Reg) {
	to := Indexed(vecDst, vecAt, 2, v.part*v.bytes/2)
	if v.class == Z {
		v.Op("VPMOVDW", x, to)
		return
	}
	packed := v.op("VPERMQ", Imm(0x08), v.op("VPACKUSDW", x, x))
	v.Op("VMOVDQU", Reg{X, packed.N}, to)
}

// Arithmetic; of two operands only the one that is a fmt.Stringer may lie in
// memory. sub is x − y, greater the greater one and y where either is NaN.
func (v *vecKernel) add(x Reg, y fmt.Stringer) Reg     { return v.op("VADDPS", y, x) }
func (v *vecKernel) sub(x Reg, y fmt.Stringer) Reg     { return v.op("VSUBPS", y, x) }
func (v *vecKernel) mul(x Reg, y fmt.Stringer) Reg     { return v.op("VMULPS", y, x) }
func (v *vecKernel) div(x Reg, y fmt.Stringer) Reg     { return v.op("VDIVPS", y, x) }
func (v *vecKernel) and(x Reg, y fmt.Stringer) Reg     { return v.op("VANDPS", y, x) }
func (v *vecKernel) xor(x Reg, y fmt.Stringer) Reg     { return v.op("VXORPS", y, x) }
func (v *vecKernel) or(x Reg, y fmt.Stringer) Reg      { return v.op("VORPS", y, x) }
func (v *vecKernel) greater(x Reg, y fmt.Stringer) Reg { return v.op("VMAXPS", y, x) }
func (v *vecKernel) less(x Reg, y fmt.Stringer) Reg    { return v.op("VMINPS", y, x) }

// fma sets acc = x·y + acc.
func (v *vecKernel) fma(x Reg, y fmt.Stringer, acc Reg) { v.Op("VFMADD231PS", y, x, acc) }

// bySign is neg where x has its sign bit set, else pos.
func (v *vecKernel) bySign(x, neg, pos Reg) Reg {
	if v.class == Z {
		v.Op("VPMOVD2M", x, Reg{Mask, 1})
		return v.op("VBLENDMPS", neg, pos, Reg{Mask, 1})
	}
	return v.op("VBLENDVPS", x, neg, pos)
}

// ifNaN is then where x is not a number, else other.
func (v *vecKernel) ifNaN(x, then, other Reg) Reg {
	const unordered = Imm(3)
	if v.class == Z {
		v.Op("VCMPPS", unordered, x, x, Reg{Mask, 1})
		return v.op("VBLENDMPS", then, other, Reg{Mask, 1})
	}
	return v.op("VBLENDVPS", v.op("VCMPPS", unordered, x, x), then, other)
}

// poly is the polynomial with the given coefficients, lowest first.
func (v *vecKernel) poly(x Reg, c ...float32) Reg {
	p := v.mul(x, v.num(c[len(c)-1]))
	for i := len(c) - 2; i > 0; i-- {
		p = v.mul(x, v.add(p, v.num(c[i])))
	}
	return v.add(p, v.num(c[0]))
}

// each writes the loop over the steps. body is called once for each part.
func (v *vecKernel) each(body func()) {
	loop := v.NewLabel("loop")
	v.Op("XORL", vecAt, vecAt)
	v.Mark(loop)
	for v.part = range v.parts() {
		first := len(v.Insts)
		v.values = 0
		body()
		v.assign(v.Insts[first:])
	}
	v.Op("ADDQ", Imm(vecStep), vecAt)
	v.Op("CMPQ", vecAt, vecEnd)
	v.Op("JLT", loop)
}

// assign gives registers to the values of straight code: a value has one from
// the instruction that makes it to the last that uses it.
func (v *vecKernel) assign(code []Inst) {
	last := map[uint8]int{}
	for i, in := range code {
		for _, a := range in.Args {
			if r, ok := a.(Reg); ok && r.N >= firstValue {
				last[r.N] = i
			}
		}
	}
	free := v.unused()
	given := map[uint8]uint8{}
	for i, in := range code {
		for j, a := range in.Args {
			value, ok := a.(Reg)
			if !ok || value.N < firstValue {
				continue
			}
			n, has := given[value.N]
			if !has {
				if len(free) == 0 {
					panic("asmgen: " + v.Name + " needs more vector registers than there are")
				}
				n, free = free[len(free)-1], free[:len(free)-1]
				given[value.N] = n
			}
			in.Args[j] = Reg{value.Class, n}
			if last[value.N] == i && !uses(in.Args[j+1:], value.N) {
				free = append(free, n)
			}
		}
	}
}

// unused returns the registers that are not fixed, the lowest last.
func (v *vecKernel) unused() []uint8 {
	count := 16
	if v.class == Z {
		count = 32
	}
	var free []uint8
	for n := count - 1; n >= v.fixed; n-- {
		free = append(free, uint8(n))
	}
	return free
}

func uses(args []fmt.Stringer, value uint8) bool {
	for _, a := range args {
		if r, ok := a.(Reg); ok && r.N == value {
			return true
		}
	}
	return false
}

// vecFile writes the kernels for one vector length.
func vecFile(path, suffix string, s *isa) *File {
	f := &File{Path: path, Tags: asmTags}
	consts := &constants{bytes: s.bytes}
	for _, k := range vecKernels {
		name := k.name + suffix
		v := &vecKernel{
			Func:   &Func{Name: name, Arg: "v", Doc: "func " + name + "(v *vec)"},
			isa:    s,
			consts: consts,
		}
		v.Op("MOVQ", Mem{Param: v.Arg}, vecArg)
		v.Op("MOVQ", At(vecArg, VecDst), vecDst)
		v.Op("MOVQ", At(vecArg, VecA), vecA)
		v.Op("MOVQ", At(vecArg, VecB), vecB)
		v.Op("MOVQ", At(vecArg, VecC), vecC)
		v.Op("MOVQ", At(vecArg, VecD), vecD)
		v.Op("MOVQ", At(vecArg, VecSteps), vecEnd)
		v.Op("SHLQ", Imm(4), vecEnd)
		k.write(v)
		v.Op("VZEROUPPER")
		v.Op("RET")
		f.Funcs = append(f.Funcs, v.Func)
	}
	f.Data = []Data{consts.data()}
	return f
}

// VecAVX2 is everything that works element by element.
func VecAVX2() *File { return vecFile("kernel/vec_avx2_amd64.s", "AVX2", avx2) }

// VecAVX512 is the same with 512-bit vectors.
func VecAVX512() *File { return vecFile("kernel/vec_avx512_amd64.s", "AVX512", avx512) }
