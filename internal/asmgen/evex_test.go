package asmgen

import (
	"fmt"
	"strings"
	"testing"
)

// The bytes are what GNU as gives for these lines (in the opposite order of
// operands), and objdump reads back.
func TestEncode(t *testing.T) {
	x := func(n int) Reg { return Reg{X, uint8(n)} }
	for _, c := range []struct {
		in    Inst
		bytes string
	}{
		{inst("VDPBF16PS", zmm(1), zmm(2), zmm(0)), "62 f2 6e 48 52 c1"},
		{inst("VDPBF16PS", zmm(31), zmm(17), zmm(24)), "62 02 76 40 52 c7"},
		{inst("VDPBF16PS", zmm(8), zmm(15), zmm(16)), "62 c2 06 48 52 c0"},
		{inst("VDPBF16PS", ymm(9), ymm(3), ymm(30)), "62 42 66 28 52 f1"},
		{inst("VDPBF16PS", x(16), x(31), x(7)), "62 b2 06 00 52 f8"},
		{inst("VCVTNE2PS2BF16", zmm(5), zmm(20), zmm(12)), "62 72 5f 40 72 e5"},
		{inst("VCVTNE2PS2BF16", ymm(28), ymm(1), ymm(2)), "62 92 77 28 72 d4"},
		{inst("VCVTNEPS2BF16", zmm(3), ymm(25)), "62 62 7e 48 72 cb"},
		{inst("VCVTNEPS2BF16", zmm(30), ymm(4)), "62 92 7e 48 72 e6"},
		{inst("VCVTNEPS2BF16", ymm(11), x(19)), "62 c2 7e 28 72 db"},
	} {
		text, ok := encode(c.in)
		if !ok {
			t.Errorf("%s is not encoded", c.in.Op)
			continue
		}
		var want strings.Builder
		for _, b := range strings.Fields(c.bytes) {
			fmt.Fprintf(&want, "BYTE $0x%s; ", b)
		}
		if !strings.HasPrefix(text, want.String()) {
			t.Errorf("%s, want %s", text, want.String())
		}
	}
	if _, ok := encode(inst("VADDPS", zmm(1), zmm(2), zmm(3))); ok {
		t.Error("VADDPS is encoded, though Go's assembler knows it")
	}
}

func inst(op string, args ...fmt.Stringer) Inst { return Inst{op, args} }
