//go:build amd64 && !purego && !race

package kernel

import (
	"testing"
	"unsafe"

	"wenmo/internal/asmgen"
)

// TestQuantizeOffsets compares the offsets that the generator knows with the
// struct.
func TestQuantizeOffsets(t *testing.T) {
	var a quantizeArgs
	for _, c := range []struct {
		field     string
		got, want uintptr
	}{
		{"x", unsafe.Offsetof(a.x), asmgen.QuantizeX},
		{"q", unsafe.Offsetof(a.q), asmgen.QuantizeQ},
		{"scale", unsafe.Offsetof(a.scale), asmgen.QuantizeScale},
		{"sum", unsafe.Offsetof(a.sum), asmgen.QuantizeSum},
		{"halves", unsafe.Offsetof(a.halves), asmgen.QuantizeHalves},
		{"blocks", unsafe.Offsetof(a.blocks), asmgen.QuantizeBlocks},
	} {
		if c.got != c.want {
			t.Errorf("quantizeArgs.%s is at %d, the generator says %d", c.field, c.got, c.want)
		}
	}
}
