//go:build linux

package kernel

import (
	"math"
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"
)

// TestBF16Fault lets a product fault on weights that cannot be read, and
// checks that the thread keeps subnormals afterwards.
func TestBF16Fault(t *testing.T) {
	page, err := syscall.Mmap(-1, 0, 1<<16, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(page)
	w := unsafe.Slice((*uint16)(unsafe.Pointer(&page[0])), len(page)/2)
	onEveryPath(t, func(t *testing.T) {
		debug.SetPanicOnFault(true) // of this goroutine
		for _, m := range []int{1, 5} {
			x, dst := make([]uint16, m*64), make([]float32, m*64)
			if !panics(func() { MatMulBF16(dst, 64, x, 64, m, w, 64, 64, 0, 4, false) }) {
				t.Fatal("no fault")
			}
			for i := range dst {
				dst[i] = 0x1p-140
			}
			for _, v := range dst {
				if math.Float32bits(v*2) != math.Float32bits(0x1p-139) { // a comparison would flush, too
					t.Fatal("subnormals are flushed after a fault")
				}
			}
		}
	})
}
