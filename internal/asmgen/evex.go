package asmgen

// encode gives the bytes of an instruction that Go's assembler does not know.
func encode(in Inst) (string, bool) { return "", false }
