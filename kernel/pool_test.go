package kernel

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// countTask counts the calls of every index and checks that no two calls of a
// worker overlap.
type countTask struct {
	counts  []int32
	busy    [8]atomic.Bool
	threads int
	bad     atomic.Int32
}

func (c *countTask) Do(worker, i int) {
	if worker >= max(c.threads, 1) && c.threads != 0 || c.busy[worker].Swap(true) {
		c.bad.Add(1)
	}
	atomic.AddInt32(&c.counts[i], 1)
	c.busy[worker].Store(false)
}

func TestPoolRunsEveryIndexOnce(t *testing.T) {
	for threads := 1; threads <= 8; threads++ {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			p := NewPool(threads)
			defer p.Close()
			if p.Threads() != threads {
				t.Fatalf("Threads() = %d", p.Threads())
			}
			for round := range 400 {
				n := round % 23
				c := &countTask{counts: make([]int32, n), threads: threads}
				p.Run(c, n)
				for i, k := range c.counts {
					if k != 1 {
						t.Fatalf("round %d: index %d of %d was called %d times", round, i, n, k)
					}
				}
				if c.bad.Load() != 0 {
					t.Fatalf("round %d: calls of a worker overlap, or its number is out of range", round)
				}
				if round%100 == 99 {
					time.Sleep(2 * yieldTime) // let the workers park
				}
			}
		})
	}
}

func TestPoolOfNoThreads(t *testing.T) {
	p := NewPool(-3)
	defer p.Close()
	if p.Threads() != 1 {
		t.Errorf("Threads() = %d, want 1", p.Threads())
	}
}

// sumTask writes without atomics: the race detector checks that a region's
// writes are seen by the caller and by the next region.
type sumTask struct{ a, b []int }

func (s *sumTask) Do(_, i int) { s.b[i] = s.a[len(s.a)-1-i] + 1 }

func TestPoolOrdersMemory(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	s := &sumTask{a: make([]int, 64), b: make([]int, 64)}
	const rounds = 3000
	for range rounds {
		p.Run(s, len(s.a))
		s.a, s.b = s.b, s.a
	}
	for i, v := range s.a {
		if v != rounds {
			t.Fatalf("[%d] = %d after %d rounds", i, v, rounds)
		}
	}
}

// panicTask panics at one index; at all others it counts.
type panicTask struct {
	at   int
	with any
	runs atomic.Int32
}

func (c *panicTask) Do(worker, i int) {
	if i == c.at {
		panic(c.with)
	}
	c.runs.Add(1)
	time.Sleep(20 * time.Microsecond) // let the others take indices
}

func TestPoolPanics(t *testing.T) {
	sentinel := errors.New("broken task")
	for _, threads := range []int{1, 2, 5} {
		p := NewPool(threads)
		for at := range 12 {
			func() {
				defer func() {
					if v := recover(); v != sentinel {
						t.Errorf("%d threads: recovered %v, want the task's own panic", threads, v)
					}
				}()
				p.Run(&panicTask{at: at, with: sentinel}, 12)
				t.Errorf("%d threads: the panic at %d was lost", threads, at)
			}()
			c := &countTask{counts: make([]int32, 40)}
			p.Run(c, 40)
			for i, k := range c.counts {
				if k != 1 {
					t.Fatalf("%d threads: after a panic index %d ran %d times", threads, i, k)
				}
			}
		}
		p.Close()
	}
}

type nestedTask struct{ p *Pool }

func (c *nestedTask) Do(worker, i int) { c.p.Run(c, 2) }

// lateTask nests on the worker after the caller's share has panicked and closed
// the region.
type lateTask struct {
	p      *Pool
	joined atomic.Bool
}

func (c *lateTask) Do(worker, i int) {
	if worker == 0 {
		for !c.joined.Load() {
			runtime.Gosched()
		}
		panic("the caller's share")
	}
	c.joined.Store(true)
	for c.p.region.Load()&1 != 0 {
		runtime.Gosched()
	}
	c.p.Run(c, 2)
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}

func TestPoolMisuse(t *testing.T) {
	p := NewPool(2)
	mustPanic(t, "Run inside a region", func() { p.Run(&nestedTask{p}, 2) })
	mustPanic(t, "Run inside a region that a panic has closed", func() { p.Run(&lateTask{p: p}, 2) })
	p.Close()
	p.Close()
	mustPanic(t, "Run after Close", func() { p.Run(&countTask{counts: make([]int32, 2)}, 2) })
}

func TestPoolCloseEndsWorkers(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, idle := range []time.Duration{0, 2 * yieldTime} {
		for range 20 {
			p := NewPool(4)
			time.Sleep(idle)
			p.Close()
		}
	}
	for range 10000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

func TestPoolManySmallRegions(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	rounds := 100_000
	if testing.Short() {
		rounds = 10_000
	}
	c := &countTask{counts: make([]int32, 3), threads: 3}
	for range rounds {
		p.Run(c, 3)
	}
	for i, k := range c.counts {
		if int(k) != rounds {
			t.Errorf("index %d ran %d times in %d regions", i, k, rounds)
		}
	}
}

// BenchmarkPoolRegion is the cost of a region without work.
func BenchmarkPoolRegion(b *testing.B) {
	for _, threads := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(threads), func(b *testing.B) {
			p := NewPool(threads)
			defer p.Close()
			c := &emptyTask{}
			b.ReportAllocs()
			for b.Loop() {
				p.Run(c, threads)
			}
		})
	}
}

type emptyTask struct{}

func (*emptyTask) Do(_, _ int) {}

// BenchmarkPoolHandover is a region whose indices take a fixed time each, one
// for every thread: what it takes longer than that time is the handover.
func BenchmarkPoolHandover(b *testing.B) {
	for _, work := range []time.Duration{2 * time.Microsecond, 20 * time.Microsecond} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%v/%d", work, threads), func(b *testing.B) {
				p := NewPool(threads)
				defer p.Close()
				c := &timedTask{work}
				for b.Loop() {
					p.Run(c, threads)
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)-float64(work), "ns-over-work")
			})
		}
	}
}

type timedTask struct{ work time.Duration }

func (c *timedTask) Do(_, _ int) {
	for start := time.Now(); time.Since(start) < c.work; {
	}
}
