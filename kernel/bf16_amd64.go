//go:build amd64 && !purego && !race

package kernel

import (
	"runtime"
	"sync"
)

//go:noescape
func bf16TileAVX2(t *tile[uint16])

func resetMXCSR()

//go:noescape
func bf16WidenAVX2(t *tile[uint16])

//go:noescape
func bf16TileAVX512(t *tile[uint16])

var bf16Plans = [...]tilePlan{
	portable: {rows: 4, stream: 4, limit: streamLimit, run: 256, panels: 16},
	avx2:     {rows: 6, stream: 3, limit: streamLimit, run: 256, panels: 16},
	avx512:   {rows: 6, stream: 6, limit: streamLimit, run: 768, panels: 12},
}

func bf16Tile(t *tile[uint16]) {
	switch active {
	case avx2:
		if t.rows <= bf16Plans[avx2].stream {
			bf16AVX2(t)
		} else {
			bf16Tall(t)
		}
	case avx512:
		bf16TileAVX512(t)
	default:
		bf16TilePortable(t)
	}
}

// bf16AVX2 flushes subnormals while it runs. Where it faults instead of returning,
// since weights are a mapped file that has gone, the thread must not go on so.
// It is locked for that: the panic may otherwise move to another thread before
// the reset, or start one, which inherits the flag.
func bf16AVX2(t *tile[uint16]) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	returned := false
	defer func() {
		if !returned {
			resetMXCSR()
		}
	}()
	bf16TileAVX2(t)
	returned = true
}

// bf16Tall widens the activations of a tile once for all its panels.
func bf16Tall(t *tile[uint16]) {
	wide := wideRows.Get().(*wideTile)
	t.wide = wide[:]
	bf16WidenAVX2(t)
	bf16AVX2(t)
	wideRows.Put(wide)
}

// wideTile is the widened activations of a tile of six rows and a run of k.
type wideTile [6 * 2 * 256]float32

var wideRows = sync.Pool{New: func() any { return new(wideTile) }}
