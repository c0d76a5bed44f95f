//go:build purego || race || !(amd64 || arm64)

package kernel

var quantPlans = [...][len(quantFormats)]tilePlan{portable: quantPlansOf(4, 4)}

func quantTile(t *qTile) { quantTilePortable(t) }
