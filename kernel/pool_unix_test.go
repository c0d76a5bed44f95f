//go:build unix

package kernel

import (
	"syscall"
	"testing"
	"time"
)

// TestPoolIdleCostsNothing measures the processor time of an idle pool.
func TestPoolIdleCostsNothing(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	p.Run(&countTask{counts: make([]int32, 8)}, 8)
	time.Sleep(5 * time.Millisecond)
	const idle = 200 * time.Millisecond
	before := cpuTime(t)
	time.Sleep(idle)
	if used := cpuTime(t) - before; used > idle/20 {
		t.Errorf("an idle pool used %v of processor time in %v", used, idle)
	}
}

// cpuTime returns the processor time that this process has used.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
