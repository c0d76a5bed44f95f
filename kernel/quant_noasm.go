//go:build purego || race || !(amd64 || arm64)

package kernel

var quantPlans = [...][len(quantFormats)]tilePlan{portable: quantPlansOf(4, 4)}

// widen is not needed: portable tiles unpack for all their rows.
func widen(*quantFormat, *qWiden) { panic("kernel: there is no assembly") }

func quantTile(t *qTile) { quantTilePortable(t) }
