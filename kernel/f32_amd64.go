//go:build amd64 && !purego && !race

package kernel

//go:noescape
func f32TileAVX2(t *tile[float32])

//go:noescape
func f32TileAVX512(t *tile[float32])

var f32Plans = [...]tilePlan{
	portable: {rows: 4, stream: 4, limit: streamLimit, run: 256, panels: 16},
	avx2:     {rows: 6, stream: 6, limit: streamLimit, run: 768, panels: 6},
	avx512:   {rows: 6, stream: 6, limit: streamLimit, run: 768, panels: 12},
}

func f32Tile(t *tile[float32]) {
	switch active {
	case avx2:
		f32TileAVX2(t)
	case avx512:
		f32TileAVX512(t)
	default:
		f32TilePortable(t)
	}
}
