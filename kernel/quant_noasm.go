//go:build purego || race || !amd64

package kernel

var quantPlans = quantPlansOf(4, 4)

func quantPlan(t QuantType) *tilePlan { return &quantPlans[t] }

func quantTile(t *qTile) { quantTilePortable(t) }
