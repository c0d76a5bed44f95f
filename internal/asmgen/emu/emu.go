// Package emu runs the kernels that asmgen writes, instruction by instruction
// and with exact arithmetic, so that tests can prove AVX-512 code where there is
// no AVX-512. It knows the instructions that the kernels use. Memory is the
// slices that a test hands over, at their true addresses: what lies outside of
// them is an error, and so is a kernel that leaves MXCSR changed or the upper
// halves of vectors dirty.
//
// To add an instruction, give it a line in the table of its kind: lanes in
// lanes.go for what works on 32-bit lanes, moves in moves.go for what does not,
// scalars in scalar.go.
package emu

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	"wenmo/internal/asmgen"
)

// defaultMXCSR is what Go programs run with: all exceptions masked, rounding to
// nearest, subnormals kept.
const defaultMXCSR = 0x1f80

const (
	flushToZero     = 1 << 15
	denormalsAreOff = 1 << 6
)

// Machine is a processor with its memory.
type Machine struct {
	gp    [16]uint64
	vec   [32][64]byte
	mask  [8]uint64
	mxcsr uint32

	zero, sign, overflow bool // flags

	regions []region
	frame   []byte
	file    *asmgen.File
	arg     uint64
}

// region is a run of memory at its true address.
type region struct {
	base uint64
	data []byte
}

// Memory returns the bytes of a slice.
func Memory[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// Run calls the function of that name of a file with a pointer to arg. The
// function may touch arg and memory, and nothing else.
func Run(file *asmgen.File, name string, arg []byte, memory ...[]byte) (err error) {
	m := &Machine{mxcsr: defaultMXCSR, file: file}
	for _, b := range append(memory, arg) {
		if len(b) > 0 {
			m.regions = append(m.regions, region{address(b), b})
		}
	}
	m.arg = address(arg)
	m.soil()
	for _, f := range file.Funcs {
		if f.Name == name {
			m.frame = make([]byte, f.Frame)
			return m.run(f)
		}
	}
	return fmt.Errorf("%s has no function %s", file.Path, name)
}

// soil fills what a caller leaves undefined, so that it shows where a kernel
// depends on it. The upper halves of the first vectors are clean.
func (m *Machine) soil() {
	for i := range m.vec {
		for j := range m.vec[i] {
			if i >= 16 || j < 16 {
				m.vec[i][j] = 0xa5
			}
		}
	}
	for i := range m.gp {
		m.gp[i] = 0xa5a5a5a5a5a5a5a5
	}
	for i := range m.mask {
		m.mask[i] = 0xa5a5
	}
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }

// A fault is an error while an instruction runs.
type fault string

func (m *Machine) fail(format string, args ...any) { panic(fault(fmt.Sprintf(format, args...))) }

// run executes f from its first instruction to RET.
func (m *Machine) run(f *asmgen.Func) (err error) {
	places := map[asmgen.Label]int{}
	for i, in := range f.Insts {
		if in.Op == "" {
			places[in.Args[0].(asmgen.Label)] = i
		}
	}
	pc := 0
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fault:
			err = fmt.Errorf("%s, instruction %d, %s: %s", f.Name, pc, strings.TrimSpace(f.Insts[pc].String()), string(p))
		default:
			panic(p)
		}
	}()
	for steps := 0; ; steps++ {
		if pc >= len(f.Insts) {
			return fmt.Errorf("%s: runs on after its end", f.Name)
		}
		if steps > 1<<28 {
			return fmt.Errorf("%s: does not end", f.Name)
		}
		in := &f.Insts[pc]
		switch {
		case in.Op == "":
		case in.Op == "RET":
			return m.checkEnd(f.Name)
		case in.Op[0] == 'J':
			if m.taken(in.Op) {
				pc = places[in.Args[0].(asmgen.Label)]
			}
		default:
			m.exec(in)
		}
		pc++
	}
}

// checkEnd checks what a function owes its caller.
func (m *Machine) checkEnd(name string) error {
	if m.mxcsr != defaultMXCSR {
		return fmt.Errorf("%s: returns with MXCSR %#x", name, m.mxcsr)
	}
	for i := range 16 {
		if [48]byte(m.vec[i][16:]) != [48]byte{} {
			return fmt.Errorf("%s: returns with a dirty upper half of vector %d", name, i)
		}
	}
	return nil
}

// exec runs one instruction that is no jump.
func (m *Machine) exec(in *asmgen.Inst) {
	if f, ok := scalars[in.Op]; ok {
		f(m, in.Args)
		return
	}
	v := decode(m, in)
	if f, ok := lanes[v.op]; ok {
		m.lanewise(&v, f)
		return
	}
	if f, ok := moves[v.op]; ok {
		f(m, &v)
		return
	}
	m.fail("not known to the emulator")
}

// at returns the n bytes that a memory operand names.
func (m *Machine) at(mem asmgen.Mem, n int) []byte {
	if n == 0 {
		return nil
	}
	switch {
	case mem.Frame:
		from := len(m.frame) + mem.Disp
		if from < 0 || mem.Disp+n > 0 {
			m.fail("%d bytes at %d are outside of the frame", n, mem.Disp)
		}
		return m.frame[from:][:n]
	case mem.Sym != "":
		return m.table(mem, n)
	}
	a := m.address(mem)
	for _, r := range m.regions {
		if a >= r.base && a-r.base+uint64(n) <= uint64(len(r.data)) {
			return r.data[a-r.base:][:n]
		}
	}
	m.fail("%d bytes at %#x are outside of the memory handed over", n, a)
	return nil
}

// address is the effective address of an operand in general memory.
func (m *Machine) address(mem asmgen.Mem) uint64 {
	a := m.gp[mem.Base.N] + uint64(int64(mem.Disp))
	if mem.Scale != 0 {
		a += m.gp[mem.Index.N] * uint64(mem.Scale)
	}
	return a
}

// table returns bytes of the file's data. They are put among the regions, so
// that an address taken of them holds.
func (m *Machine) table(mem asmgen.Mem, n int) []byte {
	for _, d := range m.file.Data {
		if d.Name != mem.Sym {
			continue
		}
		b := make([]byte, 0, 8*len(d.Words))
		for _, w := range d.Words {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		if mem.Disp < 0 || mem.Disp+n > len(b) {
			m.fail("%d bytes at %d are outside of table %s", n, mem.Disp, mem.Sym)
		}
		return b[mem.Disp:][:n]
	}
	m.fail("no table %s", mem.Sym)
	return nil
}
