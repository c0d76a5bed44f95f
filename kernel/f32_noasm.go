//go:build purego || race || !(amd64 || arm64)

package kernel

var f32Plans = [...]tilePlan{portable: {rows: 4, stream: 4, limit: streamLimit, run: 256, panels: 16}}

func f32Tile(t *tile[float32]) { f32TilePortable(t) }
