//go:build purego || race || !amd64

package kernel

var portablePlan = tilePlan{rows: 4, stream: 4, limit: streamLimit, run: 256, panels: 16}

func f32Plan() *tilePlan { return &portablePlan }

func f32Tile(t *tile[float32]) { f32TilePortable(t) }
