//go:build purego || race || !(amd64 || arm64)

package kernel

var bf16Plans = [...]tilePlan{portable: {rows: 4, stream: 4, limit: streamLimit, run: 256, panels: 16}}

func bf16Tile(t *tile[uint16]) { bf16TilePortable(t) }
