package bench

import (
	"context"
	"time"
	"unsafe"

	"wenmo/internal/mmap"
	"wenmo/kernel"
)

const (
	memoryBytes = 512 << 20 // far more than any cache
	memoryChunk = 256 << 10
)

// Memory measures how fast the threads read memory in a stream: what a decode
// step, which reads every weight once, cannot exceed.
func Memory(ctx context.Context, threads, repeat int) (ProductResult, error) {
	if err := kernel.Err(); err != nil {
		return ProductResult{}, err
	}
	b, err := mmap.Anonymous(memoryBytes)
	if err != nil {
		return ProductResult{}, err
	}
	defer func() { _ = mmap.Free(b) }() // nothing can be done about it at the end
	t := &readTask{data: unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), memoryBytes/4)}
	for i := 0; i < len(t.data); i += 1024 {
		t.data[i] = float32(i) // a page that was never written is not memory yet
	}
	pool := kernel.NewPool(threads)
	defer pool.Close()
	var runs []float64
	for i := 0; i <= repeat; i++ {
		if err := ctx.Err(); err != nil {
			return ProductResult{}, err
		}
		start := time.Now()
		pool.Run(t, memoryBytes/memoryChunk)
		if i > 0 {
			runs = append(runs, memoryBytes/time.Since(start).Seconds()/1e9)
		}
	}
	r := runsOf(runs)
	return ProductResult{GBS: &r, Kernel: kernel.Path(), Threads: threads}, nil
}

// readTask reads a chunk an item.
type readTask struct {
	data []float32
	most [256]float32 // by worker, so that reading is not in vain
}

func (t *readTask) Do(worker, i int) {
	const n = memoryChunk / 4
	t.most[worker%len(t.most)] = kernel.Max(t.data[i*n : (i+1)*n])
}
