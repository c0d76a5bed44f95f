//go:build amd64 && !purego && !race

package kernel

//go:noescape
func bf16TileAVX2(t *tile[uint16])

//go:noescape
func bf16WidenAVX2(t *tile[uint16])

//go:noescape
func bf16TileAVX512(t *tile[uint16])

var bf16Plans = [...]tilePlan{
	portable: {rows: 4, stream: 4, limit: streamLimit, run: 256, panels: 16},
	avx2:     {rows: 6, stream: 3, limit: streamLimit, run: 256, panels: 16},
	avx512:   {rows: 12, stream: 12, limit: streamLimit, run: 256, panels: 32},
}

func bf16Tile(t *tile[uint16]) {
	switch active {
	case avx2:
		switch {
		case t.rows <= bf16Plans[avx2].stream:
			bf16TileAVX2(t)
		case t.k <= 64:
			bf16TallShort(t)
		default:
			bf16Tall(t)
		}
	case avx512:
		bf16TileAVX512(t)
	default:
		bf16TilePortable(t)
	}
}

// bf16Tall widens the activations of a tile on the stack, where that is done
// once for all its panels.
func bf16Tall(t *tile[uint16]) {
	var wide [6 * 2 * 256]float32
	t.wide = wide[:]
	bf16WidenAVX2(t)
	bf16TileAVX2(t)
}

// bf16TallShort is bf16Tall for k that is as short as a head: most of the
// larger array would be cleared for nothing.
func bf16TallShort(t *tile[uint16]) {
	var wide [6 * 2 * 64]float32
	t.wide = wide[:]
	bf16WidenAVX2(t)
	bf16TileAVX2(t)
}
