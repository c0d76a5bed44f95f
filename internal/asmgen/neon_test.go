package asmgen

import (
	"fmt"
	"testing"
)

// The words are what GNU as for aarch64 gives for these lines.
func TestEncodeArm(t *testing.T) {
	for _, c := range []struct {
		in   Inst
		word uint32
		line string
	}{
		{inst("FMUL", vreg(30), vreg(17), vreg(3)), 0x6e3ede23, "fmul v3.4s, v17.4s, v30.4s"},
		{inst("FMLAV", vreg(29), vreg(18), vreg(5)), 0x4e3dce45, "fmla v5.4s, v18.4s, v29.4s"},
		{inst("FMLSV", vreg(16), vreg(1), vreg(31)), 0x4eb0cc3f, "fmls v31.4s, v1.4s, v16.4s"},
		{inst("FMLAE", Imm(0), vreg(27), vreg(20), vreg(9)), 0x4f9b1289, "fmla v9.4s, v20.4s, v27.s[0]"},
		{inst("FMLAE", Imm(1), vreg(27), vreg(20), vreg(9)), 0x4fbb1289, "fmla v9.4s, v20.4s, v27.s[1]"},
		{inst("FMLAE", Imm(2), vreg(31), vreg(19), vreg(15)), 0x4f9f1a6f, "fmla v15.4s, v19.4s, v31.s[2]"},
		{inst("FMLAE", Imm(3), vreg(20), vreg(16), vreg(0)), 0x4fb41a00, "fmla v0.4s, v16.4s, v20.s[3]"},
		{inst("SCVTF", vreg(29), vreg(12)), 0x4e21dbac, "scvtf v12.4s, v29.4s"},
		{inst("FCVTL", vreg(22), vreg(4)), 0x0e217ac4, "fcvtl v4.4s, v22.4h"},
		{inst("SMULL", vreg(26), vreg(16), vreg(3)), 0x0e3ac203, "smull v3.8h, v16.8b, v26.8b"},
		{inst("SMULL2", vreg(30), vreg(17), vreg(28)), 0x4e3ec23c, "smull2 v28.8h, v17.16b, v30.16b"},
		{inst("ADDPH", vreg(1), vreg(28), vreg(27)), 0x4e61bf9b, "addp v27.8h, v28.8h, v1.8h"},
		{inst("SADALP", vreg(27), vreg(14)), 0x4e606b6e, "sadalp v14.4s, v27.8h"},
		{inst("SDOTE", Imm(0), vreg(20), vreg(16), vreg(2)), 0x4f94e202, "sdot v2.4s, v16.16b, v20.4b[0]"},
		{inst("SDOTE", Imm(1), vreg(23), vreg(19), vreg(7)), 0x4fb7e267, "sdot v7.4s, v19.16b, v23.4b[1]"},
		{inst("SDOTE", Imm(2), vreg(21), vreg(18), vreg(13)), 0x4f95ea4d, "sdot v13.4s, v18.16b, v21.4b[2]"},
		{inst("SDOTE", Imm(3), vreg(22), vreg(17), vreg(15)), 0x4fb6ea2f, "sdot v15.4s, v17.16b, v22.4b[3]"},
		{inst("MULV", vreg(30), vreg(18), vreg(6)), 0x4ebe9e46, "mul v6.4s, v18.4s, v30.4s"},
		{inst("MLAV", vreg(12), vreg(19), vreg(6)), 0x4eac9666, "mla v6.4s, v19.4s, v12.4s"},
		{inst("SXTLB", vreg(19), vreg(18)), 0x0f08a672, "sxtl v18.8h, v19.8b"},
		{inst("SXTLH", vreg(19), vreg(18)), 0x0f10a672, "sxtl v18.4s, v19.4h"},
		{inst("UXTLB", vreg(19), vreg(18)), 0x2f08a672, "uxtl v18.8h, v19.8b"},
		{inst("UXTLH", vreg(19), vreg(18)), 0x2f10a672, "uxtl v18.4s, v19.4h"},
		{inst("SUBB", vreg(25), vreg(17), vreg(16)), 0x6e398630, "sub v16.16b, v17.16b, v25.16b"},
		{inst("LDRS", arm(6), vreg(20)), 0xbd4000d4, "ldr s20, [x6]"},
	} {
		text, ok := encodeArm(c.in)
		if want := fmt.Sprintf("WORD $%#08x ", c.word); !ok || text[:len(want)] != want {
			t.Errorf("%s is encoded as %s, want %s", c.line, text, want)
		}
	}
	for op := range armOps {
		if _, known := evexOps[op]; known {
			t.Errorf("%s is encoded for two processors", op)
		}
	}
}
