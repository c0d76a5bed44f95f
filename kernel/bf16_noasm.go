//go:build purego || race || !amd64

package kernel

func bf16Plan() *tilePlan { return &portablePlan }

func bf16Tile(t *tile[uint16]) { bf16TilePortable(t) }
