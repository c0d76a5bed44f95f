package asmgen

import (
	"fmt"
	"strings"
)

// evexOps are the instructions of AVX512_BF16, which Go's assembler does not
// know: their prefix (2: F3, 3: F2) and opcode in map 0F38, with W0.
var evexOps = map[string]struct{ prefix, opcode byte }{
	"VDPBF16PS":      {2, 0x52},
	"VCVTNE2PS2BF16": {3, 0x72},
	"VCVTNEPS2BF16":  {2, 0x72}, // has no second source
}

// encode gives the bytes of an instruction in evexOps, whose operands must be
// registers. The vector length is that of the last source. See Intel's SDM,
// volume 2, section 2.7.
func encode(in Inst) (string, bool) {
	op, ok := evexOps[in.Op]
	if !ok {
		return "", false
	}
	src := in.Args[0].(Reg)
	dst := in.Args[len(in.Args)-1].(Reg)
	var v Reg // the field is stored inverted, so that no register is 0
	if len(in.Args) == 3 {
		v = in.Args[1].(Reg)
	}
	length := src.Class - X // 0, 1, 2 for 128, 256, 512 bits
	not := func(n, bit uint8) byte { return ^n >> bit & 1 }
	p0 := not(dst.N, 3)<<7 | not(src.N, 4)<<6 | not(src.N, 3)<<5 | not(dst.N, 4)<<4 | 2
	p1 := (^v.N&15)<<3 | 1<<2 | op.prefix
	p2 := byte(length)<<5 | not(v.N, 4)<<3
	modrm := 0xc0 | dst.N&7<<3 | src.N&7
	var b strings.Builder
	for _, c := range []byte{0x62, p0, p1, p2, op.opcode, modrm} {
		fmt.Fprintf(&b, "BYTE $%#02x; ", c)
	}
	args := make([]string, len(in.Args))
	for i, a := range in.Args {
		args[i] = a.String()
	}
	return fmt.Sprintf("%s// %s %s", b.String(), in.Op, strings.Join(args, ", ")), true
}
