package kernel

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A Task is the body of a parallel region. Do is called once for every index
// of the region; worker is below Pool.Threads, and calls with one worker do
// not overlap, so scratch memory goes by it.
type Task interface {
	Do(worker, i int)
}

// A Pool runs regions on a fixed set of goroutines, the caller among them.
// Between regions its workers spin for some microseconds, then yield, then
// park: an idle pool costs nothing, a busy one hands a region over in about a
// microsecond.
//
// A region never waits for a worker that did not come: the caller takes
// indices too, and returns when all of them are done. One region runs at a
// time; callers serialise.
type Pool struct {
	threads int
	workers []worker       // the threads but the caller, which is thread 0
	done    sync.WaitGroup // counts live workers, for Close

	// The region; written by the caller while it is closed and nobody inside.
	task    Task
	n       int64
	failure any // the first panic of a worker

	_      [64]byte
	region atomic.Uint64 // counts up twice a region: odd while one is open
	_      [56]byte
	next   atomic.Int64 // the next index to take
	_      [56]byte
	inside atomic.Int32 // workers that have joined the region
	asleep atomic.Int32 // workers that are parked
	failed atomic.Bool  // failure is being set
	_      [48]byte
}

// poolClosed is the value of Pool.region that ends the workers.
const poolClosed = ^uint64(0)

type worker struct {
	asleep atomic.Bool
	wake   chan struct{}
	_      [48]byte
}

const (
	spinRounds = 300 // of spinLoads loads each, some 10 µs
	spinLoads  = 64
	waitLoads  = 2000 // of a caller that waits for the last index, then it yields
	// How long a worker yields after spinning, before it parks: longer than
	// what a decode step does on one thread. To wake it takes some 40 µs.
	yieldTime = time.Millisecond
)

// NewPool makes a pool of the given number of threads (at least 1), of which
// the caller of Run is one. Close ends it.
func NewPool(threads int) *Pool {
	threads = max(threads, 1)
	p := &Pool{threads: threads, workers: make([]worker, threads-1)}
	p.done.Add(threads - 1)
	for i := range p.workers {
		p.workers[i].wake = make(chan struct{}, 1)
		go p.work(i + 1)
	}
	return p
}

// Threads returns the number of threads, the caller's included.
func (p *Pool) Threads() int { return p.threads }

// Close ends the workers and waits for them. The pool must be idle and must
// not be used afterwards; a second Close does nothing.
func (p *Pool) Close() {
	p.region.Store(poolClosed)
	for i := range p.workers {
		if w := &p.workers[i]; w.rouse(p) {
			w.wake <- struct{}{}
		}
	}
	p.done.Wait()
}

// Run calls t.Do(worker, i) for every i in [0, n) and returns when all calls
// have. A panic of a call is raised again here, after the calls under way have
// ended; the rest is not begun. Do must not call Run of the same pool.
func (p *Pool) Run(t Task, n int) {
	if n <= 1 || p.threads == 1 {
		for i := range n {
			t.Do(0, i)
		}
		return
	}
	// The task stays until the last worker has left: a worker that nests finds
	// it even where the caller, panicking, has closed the region already.
	if p.task != nil || p.region.Load() == poolClosed {
		panic("kernel: Pool.Run inside a region or after Close")
	}
	p.task, p.n = t, int64(n)
	p.next.Store(0)
	p.region.Add(1)
	p.wake(min(n, p.threads) - 1)
	defer p.finish()
	p.take(0)
}

// take works on the open region until no index is left.
func (p *Pool) take(thread int) {
	for t, n := p.task, p.n; ; {
		i := p.next.Add(1) - 1
		if i >= n {
			return
		}
		t.Do(thread, int(i))
	}
}

// finish closes the region, waits for the workers in it and raises a panic of
// theirs again. It runs deferred, so that a panic of the caller's own share
// passes only when nobody works any more.
func (p *Pool) finish() {
	p.next.Store(p.n)
	p.region.Add(1)
	for i := 0; p.inside.Load() != 0; i++ {
		if i >= waitLoads {
			runtime.Gosched()
		}
	}
	p.task = nil
	if p.failed.Load() {
		v := p.failure
		p.failure = nil
		p.failed.Store(false)
		panic(v)
	}
}

// wake makes sure that k workers are awake.
func (p *Pool) wake(k int) {
	k -= len(p.workers) - int(p.asleep.Load())
	for i := range p.workers {
		if k <= 0 {
			return
		}
		if w := &p.workers[i]; w.rouse(p) {
			w.wake <- struct{}{}
			k--
		}
	}
}

// rouse takes the sleep from a worker; whoever succeeds, the worker itself or
// one who then must send to wake, has ended it.
func (w *worker) rouse(p *Pool) bool {
	if !w.asleep.CompareAndSwap(true, false) {
		return false
	}
	p.asleep.Add(-1)
	return true
}

// work is the life of a worker.
func (p *Pool) work(thread int) {
	defer p.done.Done()
	// A fault on a mapped page is to reach the caller as a panic, on whatever
	// thread it happens.
	debug.SetPanicOnFault(true)
	for region := uint64(0); ; {
		region = p.await(&p.workers[thread-1], region)
		if region == poolClosed {
			return
		}
		p.join(thread, region)
	}
}

// join takes part in a region, if it is still open once this worker counts as
// inside: from then on the caller waits for it and leaves the region as it is.
func (p *Pool) join(thread int, region uint64) {
	p.inside.Add(1)
	defer p.leave()
	if p.region.Load() == region {
		p.take(thread)
	}
}

func (p *Pool) leave() {
	if v := recover(); v != nil {
		if p.failed.CompareAndSwap(false, true) {
			p.failure = v
		}
		p.next.Store(p.n)
	}
	p.inside.Add(-1)
}

// await returns the number of a region other than last that is open, or
// poolClosed.
func (p *Pool) await(w *worker, last uint64) uint64 {
	for {
		for range spinRounds {
			for range spinLoads {
				if r := p.region.Load(); r&1 != 0 && r != last {
					return r
				}
			}
		}
		for start := time.Now(); time.Since(start) < yieldTime; {
			runtime.Gosched()
			if r := p.region.Load(); r&1 != 0 && r != last {
				return r
			}
		}
		w.park(p, last)
	}
}

// park sleeps until the worker is woken, unless a region opened meanwhile: the
// caller opens it first and looks for sleepers then.
func (w *worker) park(p *Pool, last uint64) {
	p.asleep.Add(1)
	w.asleep.Store(true)
	if r := p.region.Load(); r&1 != 0 && r != last && w.rouse(p) {
		return
	}
	<-w.wake
}
