//go:build arm64 && !purego && !race

package kernel

//go:noescape
func f32TileNEON(t *tile[float32])

var f32Plans = [...]tilePlan{
	portable: {rows: 4, stream: 4, limit: streamLimit, run: 256, panels: 16},
	neon:     {rows: 4, stream: 4, limit: streamLimit, run: 256, panels: 16},
}

func f32Tile(t *tile[float32]) {
	if active == neon {
		f32TileNEON(t)
		return
	}
	f32TilePortable(t)
}
