//go:build unix

package kernel

import (
	"syscall"
	"testing"
	"time"
)

// TestPoolIdleCostsNothing measures the processor time of an idle pool; the
// collector may run beside it now and then, not each time.
func TestPoolIdleCostsNothing(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	p.Run(&countTask{counts: make([]int32, 8)}, 8)
	time.Sleep(5 * time.Millisecond)
	const idle = 100 * time.Millisecond
	least := idle
	for range 5 {
		before := cpuTime(t)
		time.Sleep(idle)
		least = min(least, cpuTime(t)-before)
	}
	if least > idle/20 {
		t.Errorf("an idle pool used %v of processor time in %v", least, idle)
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
