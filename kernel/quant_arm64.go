//go:build arm64 && !purego && !race

package kernel

//go:noescape
func q8_0TileNEON(t *qTile)

//go:noescape
func q8_0TileNEONDot(t *qTile)

//go:noescape
func q4_0TileNEON(t *qTile)

//go:noescape
func q4_0TileNEONDot(t *qTile)

//go:noescape
func q4_1TileNEON(t *qTile)

//go:noescape
func q4_1TileNEONDot(t *qTile)

//go:noescape
func q5_0TileNEON(t *qTile)

//go:noescape
func q5_0WideTileNEON(t *qTile)

//go:noescape
func q5_0TileNEONDot(t *qTile)

//go:noescape
func q5_0WideTileNEONDot(t *qTile)

//go:noescape
func q5_1TileNEON(t *qTile)

//go:noescape
func q5_1WideTileNEON(t *qTile)

//go:noescape
func q5_1TileNEONDot(t *qTile)

//go:noescape
func q5_1WideTileNEONDot(t *qTile)

//go:noescape
func q4_kTileNEON(t *qTile)

//go:noescape
func q4_kTileNEONDot(t *qTile)

//go:noescape
func q5_kTileNEON(t *qTile)

//go:noescape
func q5_kWideTileNEON(t *qTile)

//go:noescape
func q5_kTileNEONDot(t *qTile)

//go:noescape
func q5_kWideTileNEONDot(t *qTile)

//go:noescape
func q6_kTileNEON(t *qTile)

//go:noescape
func q6_kWideTileNEON(t *qTile)

//go:noescape
func q6_kTileNEONDot(t *qTile)

//go:noescape
func q6_kWideTileNEONDot(t *qTile)

//go:noescape
func widen5NEON(t *qWiden)

//go:noescape
func widen6NEON(t *qWiden)

// Q6_K keeps two sums (internal/asmgen/neon_quant.go), so its tiles are half
// as high.
var quantPlans = [...][len(quantFormats)]tilePlan{
	portable: quantPlansOf(4, 4),
	neon:     neonQuantPlans(),
}

func neonQuantPlans() [len(quantFormats)]tilePlan {
	plans := quantPlansOf(4, 4)
	plans[Q6_K].rows, plans[Q6_K].stream = 2, 2
	return plans
}

func quantTile(t *qTile) {
	switch {
	case active != neon:
		quantTilePortable(t)
	case hasDot:
		quantTileNEONDot(t)
	default:
		quantTileNEON(t)
	}
}

func widen(f *quantFormat, t *qWiden) {
	if f.bits == 5 {
		widen5NEON(t)
	} else {
		widen6NEON(t)
	}
}

func quantTileNEON(t *qTile) {
	if t.wide {
		quantTileWideNEON(t)
		return
	}
	switch t.typ {
	case Q8_0:
		q8_0TileNEON(t)
	case Q4_0:
		q4_0TileNEON(t)
	case Q4_1:
		q4_1TileNEON(t)
	case Q5_0:
		q5_0TileNEON(t)
	case Q5_1:
		q5_1TileNEON(t)
	case Q4_K:
		q4_kTileNEON(t)
	case Q5_K:
		q5_kTileNEON(t)
	case Q6_K:
		q6_kTileNEON(t)
	}
}

func quantTileNEONDot(t *qTile) {
	if t.wide {
		quantTileWideNEONDot(t)
		return
	}
	switch t.typ {
	case Q8_0:
		q8_0TileNEONDot(t)
	case Q4_0:
		q4_0TileNEONDot(t)
	case Q4_1:
		q4_1TileNEONDot(t)
	case Q5_0:
		q5_0TileNEONDot(t)
	case Q5_1:
		q5_1TileNEONDot(t)
	case Q4_K:
		q4_kTileNEONDot(t)
	case Q5_K:
		q5_kTileNEONDot(t)
	case Q6_K:
		q6_kTileNEONDot(t)
	}
}

func quantTileWideNEON(t *qTile) {
	switch t.typ {
	case Q5_0:
		q5_0WideTileNEON(t)
	case Q5_1:
		q5_1WideTileNEON(t)
	case Q5_K:
		q5_kWideTileNEON(t)
	case Q6_K:
		q6_kWideTileNEON(t)
	}
}

func quantTileWideNEONDot(t *qTile) {
	switch t.typ {
	case Q5_0:
		q5_0WideTileNEONDot(t)
	case Q5_1:
		q5_1WideTileNEONDot(t)
	case Q5_K:
		q5_kWideTileNEONDot(t)
	case Q6_K:
		q6_kWideTileNEONDot(t)
	}
}
