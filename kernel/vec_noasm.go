//go:build !amd64 || purego || race

package kernel

// call runs the operation and says whether the path in use has it.
func (op vecOp) call(*vec) bool { return false }
