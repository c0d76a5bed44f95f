//go:build amd64 && !purego && !race

package kernel

//go:noescape
func transposeAVX2(t *transpose)

// run says whether the path in use has assembly.
func (t *transpose) run() bool {
	if active == portable {
		return false
	}
	transposeAVX2(t)
	return true
}
