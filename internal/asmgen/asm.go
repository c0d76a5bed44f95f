// Package asmgen writes the assembly of package kernel. Its test regenerates
// every file and fails with a diff where the checked-in one differs; to rewrite
// them:
//
//	go test ./internal/asmgen -generate
//
// A kernel is built from structured instructions (Inst), not from text, so that
// package emu can run it on any machine, registers, memory and all, and tests
// can compare AVX-512 kernels with the portable definition where there is no
// AVX-512. The kernels for arm64 are tested on the processor or in qemu:
//
//	GOARCH=arm64 go test -exec "qemu-aarch64-static -cpu max" ./kernel
//	GOARCH=arm64 go test -exec "qemu-aarch64-static -cpu cortex-a72" ./kernel
//
// with GODEBUG=asyncpreemptoff=1; the second processor has no SDOT.
//
// To add a family of kernels: write one file here with a function that returns
// its *File (see f32.go), add that function to Files, run the first line above,
// and declare the Go side in package kernel in a file with the build tags
// "amd64 && !purego && !race". A kernel takes one pointer to a struct whose
// fields it reads by offset; state the offsets once, as constants, and compare
// them with unsafe.Offsetof in a test of package kernel. A pointer in that struct
// must not be moved beyond its slice, since the garbage collector sees it.
// Instructions that the emulator does not know yet go into a table of package
// emu.
package asmgen

import (
	"fmt"
	"strings"
)

// Class says what a register holds.
type Class uint8

const (
	GP   Class = iota // 64-bit general register
	X                 // 128-bit vector
	Y                 // 256-bit vector
	Z                 // 512-bit vector
	Mask              // AVX-512 mask
)

// Reg is a register of amd64.
type Reg struct {
	Class Class
	N     uint8
}

// General registers, numbered as the processor does. SP and BP are not used.
var (
	AX  = Reg{GP, 0}
	CX  = Reg{GP, 1}
	DX  = Reg{GP, 2}
	BX  = Reg{GP, 3}
	SP  = Reg{GP, 4}
	SI  = Reg{GP, 6}
	DI  = Reg{GP, 7}
	R8  = Reg{GP, 8}
	R9  = Reg{GP, 9}
	R10 = Reg{GP, 10}
	R11 = Reg{GP, 11}
	R12 = Reg{GP, 12}
	R13 = Reg{GP, 13}
	R14 = Reg{GP, 14}
	R15 = Reg{GP, 15}
)

var gpNames = [...]string{"AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"}

func (r Reg) String() string {
	switch r.Class {
	case GP:
		if int(r.N) < len(gpNames) {
			return gpNames[r.N]
		}
		return fmt.Sprintf("R%d", r.N)
	case Mask:
		return fmt.Sprintf("K%d", r.N)
	}
	return fmt.Sprintf("%c%d", " XYZ"[r.Class], r.N)
}

// Mem is a place in memory: Base + Index·Scale + Disp, or Sym + Disp, or with
// Param the only argument of the function, or with Frame a place in its frame.
type Mem struct {
	Base  Reg
	Index Reg
	Scale int // 0: no index
	Disp  int
	Sym   string // data of the same file
	Param string // name of the argument
	Frame bool   // relative to the upper end of the frame, Disp < 0
}

func (m Mem) String() string {
	switch {
	case m.Param != "":
		return fmt.Sprintf("%s+%d(FP)", m.Param, m.Disp)
	case m.Sym != "":
		return fmt.Sprintf("%s<>+%d(SB)", m.Sym, m.Disp)
	case m.Frame:
		return fmt.Sprintf("frame-%d(SP)", -m.Disp)
	}
	s := fmt.Sprintf("(%v)", m.Base)
	if m.Disp != 0 {
		s = fmt.Sprintf("%d%s", m.Disp, s)
	}
	if m.Scale != 0 {
		s += fmt.Sprintf("(%v*%d)", m.Index, m.Scale)
	}
	return s
}

// At is the memory at base + disp.
func At(base Reg, disp int) Mem { return Mem{Base: base, Disp: disp} }

// Indexed is the memory at base + index·scale + disp.
func Indexed(base, index Reg, scale, disp int) Mem {
	return Mem{Base: base, Index: index, Scale: scale, Disp: disp}
}

// Plus is m moved by n bytes.
func (m Mem) Plus(n int) Mem {
	m.Disp += n
	return m
}

// Imm is a constant operand.
type Imm int64

func (i Imm) String() string { return fmt.Sprintf("$%d", int64(i)) }

// Label is a place in the code, as a target of jumps.
type Label string

func (l Label) String() string { return string(l) }

// Inst is one instruction with its operands in the order of Go's assembler:
// sources first, destination last. An empty Op with one Label marks the place
// of that label.
type Inst struct {
	Op   string
	Args []fmt.Stringer
}

func (in Inst) String() string {
	if in.Op == "" {
		return in.Args[0].String() + ":"
	}
	if code, ok := encode(in); ok {
		return code
	}
	if code, ok := encodeArm(in); ok {
		return code
	}
	args := make([]string, len(in.Args))
	for i, a := range in.Args {
		args[i] = a.String()
	}
	return strings.TrimSpace("\t" + in.Op + " " + strings.Join(args, ", "))
}

// Func is one assembly function, of signature func(Arg *…), or func() where Arg
// is empty.
type Func struct {
	Name  string
	Doc   string
	Arg   string // name of the pointer argument
	Frame int    // bytes of locals, see Mem.Frame
	Insts []Inst

	labels int
}

// Op appends an instruction.
func (f *Func) Op(op string, args ...fmt.Stringer) {
	f.Insts = append(f.Insts, Inst{op, args})
}

// NewLabel returns a label that is not in use.
func (f *Func) NewLabel(hint string) Label {
	f.labels++
	return Label(fmt.Sprintf("%s%d", hint, f.labels))
}

// Mark puts the label here.
func (f *Func) Mark(l Label) { f.Op("", l) }

// Data is a read-only table, a whole number of 8-byte words.
type Data struct {
	Name  string
	Words []uint64
}

// File is one generated file.
type File struct {
	Path  string // relative to the module
	Tags  string // build constraint
	Data  []Data
	Funcs []*Func
}

// noSplitFrame is the largest frame for which no more stack is asked: the
// linker allows some 790 bytes for all that runs without asking.
const noSplitFrame = 512

// Text returns the file's contents.
func (f *File) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "// Code generated by internal/asmgen. DO NOT EDIT.\n\n//go:build %s\n\n#include \"textflag.h\"\n", f.Tags)
	for _, d := range f.Data {
		b.WriteByte('\n')
		for i, w := range d.Words {
			fmt.Fprintf(&b, "DATA %s<>+%d(SB)/8, $%#016x\n", d.Name, 8*i, w)
		}
		fmt.Fprintf(&b, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", d.Name, 8*len(d.Words))
	}
	for _, fn := range f.Funcs {
		flag := "NOSPLIT"
		if fn.Frame > noSplitFrame {
			flag = "0"
		}
		args := 8
		if fn.Arg == "" {
			args = 0
		}
		fmt.Fprintf(&b, "\n// %s\nTEXT ·%s(SB), %s, $%d-%d\n", fn.Doc, fn.Name, flag, fn.Frame, args)
		for _, in := range fn.Insts {
			if in.Op != "" {
				b.WriteByte('\t')
			}
			b.WriteString(in.String())
			b.WriteByte('\n')
		}
	}
	return b.String()
}
