//go:build purego || race || !amd64

package kernel

// run says whether the path in use has assembly.
func (t *transpose) run() bool { return false }
