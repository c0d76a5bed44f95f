package tensor

import (
	"errors"
	"fmt"

	"wenmo/internal/mmap"
)

// arena hands out memory that is taken back all at once, or back to a mark. It
// grows by chunks; reset replaces several chunks by one of their size, so that a
// repeated pass finds everything in one run and allocates nothing.
type arena struct {
	chunks [][]byte
	at     int // the chunk in use
	used   int // of that chunk
}

const (
	arenaAlign = 64
	arenaMin   = 1 << 20
)

func (a *arena) alloc(n int) []byte {
	n = (n + arenaAlign - 1) &^ (arenaAlign - 1)
	for a.at < len(a.chunks) && a.used+n > len(a.chunks[a.at]) {
		a.at, a.used = a.at+1, 0
	}
	if a.at == len(a.chunks) {
		a.grow(n)
	}
	b := a.chunks[a.at][a.used : a.used+n : a.used+n]
	a.used += n
	return b
}

// grow adds a chunk at the end, where at stands.
func (a *arena) grow(n int) {
	size := arenaMin
	if k := len(a.chunks); k > 0 {
		size = 2 * len(a.chunks[k-1])
	}
	for size < n {
		size *= 2
	}
	a.chunks = append(a.chunks, anonymous(size))
}

func (a *arena) reset() {
	if len(a.chunks) > 1 {
		total := 0
		for _, c := range a.chunks {
			total += len(c)
		}
		a.close()
		a.chunks = append(a.chunks, anonymous(total))
	}
	a.at, a.used = 0, 0
}

func (a *arena) close() {
	for _, c := range a.chunks {
		if err := mmap.Free(c); err != nil {
			panic(fmt.Sprintf("tensor: %v", err))
		}
	}
	a.chunks, a.at, a.used = a.chunks[:0], 0, 0
}

// anonymous panics with ErrMemory when the system has no more to give: a pass
// cannot go on then, and whoever runs it turns that into an error.
func anonymous(n int) []byte {
	b, err := mmap.Anonymous(n)
	if err != nil {
		panic(fmt.Errorf("%w: %w", ErrMemory, err))
	}
	return b
}

// ErrMemory is in the panic of an operation that found no memory.
var ErrMemory = errors.New("out of memory")
