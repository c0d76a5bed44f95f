//go:build unix

package kernel

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestPoolIdleCostsNothing measures the processor time of an idle pool; the
// collector may run beside it now and then, not most of the time.
func TestPoolIdleCostsNothing(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	p.Run(&countTask{counts: make([]int32, 8)}, 8)
	time.Sleep(5 * time.Millisecond)
	const idle = 100 * time.Millisecond
	var used [5]time.Duration
	for i := range used {
		before := cpuTime(t)
		time.Sleep(idle)
		used[i] = cpuTime(t) - before
	}
	slices.Sort(used[:])
	if median := used[2]; median > idle/20 {
		t.Errorf("an idle pool used %v of processor time in %v", median, idle)
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
