//go:build arm64 && !purego && !race

package kernel

import "runtime"

func resetFPCR()

//go:noescape
func bf16TileNEON(t *tile[uint16])

var bf16Plans = [...]tilePlan{
	portable: {rows: 4, stream: 4, limit: streamLimit, run: 256, panels: 16},
	neon:     {rows: 4, stream: 4, limit: streamLimit, run: 256, panels: 16},
}

func bf16Tile(t *tile[uint16]) {
	if active == neon {
		bf16NEON(t)
		return
	}
	bf16TilePortable(t)
}

// bf16NEON leaves to the portable definition what assembly stops at: a panel
// in which a sum was tiny. Where assembly faults instead of returning, since
// weights are a mapped file that has gone, the thread must not go on flushing
// subnormals. It is locked for that: the panic may otherwise move to another
// thread before the reset, or start one, which inherits the flag.
func bf16NEON(t *tile[uint16]) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	returned := false
	defer func() {
		if !returned {
			resetFPCR()
		}
	}()
	for {
		bf16TileNEON(t)
		if t.done == t.panels {
			break
		}
		t.skip(t.done)
		one := *t
		one.panels = 1
		bf16TilePortable(&one)
		if t.panels == 1 {
			break
		}
		t.skip(1)
	}
	returned = true
}

// skip makes the tile begin n panels later.
func (t *tile[T]) skip(n int) {
	t.dst = t.dst[n*panelWidth:]
	t.w = t.w[n*t.step:]
	t.panels -= n
}
