//go:build linux

package kernel

import (
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

var tiny float32 = 0x1p-140 // a variable, so that the processor multiplies it

// TestBF16Fault lets products fault on weights that cannot be read, and checks
// that all threads keep subnormals afterwards, those that began meanwhile too.
func TestBF16Fault(t *testing.T) {
	page, err := syscall.Mmap(-1, 0, 1<<16, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(page)
	w := unsafe.Slice((*uint16)(unsafe.Pointer(&page[0])), len(page)/2)
	onEveryPath(t, func(t *testing.T) {
		threads, faults := 16, 20
		if runtime.GOARCH != "amd64" { // where an emulator runs this, which is slow at faults
			threads, faults = 4, 4
		}
		var faulted, checked sync.WaitGroup
		faulted.Add(threads)
		for range threads {
			checked.Go(func() {
				debug.SetPanicOnFault(true) // of this goroutine
				for i := range faults {
					m := 1 + 4*(i%2)
					x, dst := make([]uint16, m*64), make([]float32, m*64)
					if !panics(func() { MatMulBF16(dst, 64, x, 64, m, w, 64, 64, 0, 4, false) }) {
						t.Error("no fault")
					}
					runtime.Gosched()
				}
				faulted.Done()
				faulted.Wait()
				runtime.LockOSThread() // so that each looks at another thread
				defer runtime.UnlockOSThread()
				time.Sleep(time.Millisecond)
				if math.Float32bits(tiny*2) != math.Float32bits(0x1p-139) { // a comparison would flush, too
					t.Error("subnormals are flushed after a fault")
				}
			})
		}
		checked.Wait()
	})
}
