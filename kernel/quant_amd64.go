//go:build amd64 && !purego && !race

package kernel

//go:noescape
func q8_0TileAVX2(t *qTile)

//go:noescape
func q4_0TileAVX2(t *qTile)

//go:noescape
func q4_1TileAVX2(t *qTile)

//go:noescape
func q5_0TileAVX2(t *qTile)

//go:noescape
func q5_0WideTileAVX2(t *qTile)

//go:noescape
func q5_1TileAVX2(t *qTile)

//go:noescape
func q5_1WideTileAVX2(t *qTile)

//go:noescape
func q4_kTileAVX2(t *qTile)

//go:noescape
func q5_kTileAVX2(t *qTile)

//go:noescape
func q5_kWideTileAVX2(t *qTile)

//go:noescape
func q6_kTileAVX2(t *qTile)

//go:noescape
func q6_kWideTileAVX2(t *qTile)

//go:noescape
func q8_0TileAVX512(t *qTile)

//go:noescape
func q4_0TileAVX512(t *qTile)

//go:noescape
func q4_1TileAVX512(t *qTile)

//go:noescape
func q5_0TileAVX512(t *qTile)

//go:noescape
func q5_0WideTileAVX512(t *qTile)

//go:noescape
func q5_1TileAVX512(t *qTile)

//go:noescape
func q5_1WideTileAVX512(t *qTile)

//go:noescape
func q4_kTileAVX512(t *qTile)

//go:noescape
func q5_kTileAVX512(t *qTile)

//go:noescape
func q5_kWideTileAVX512(t *qTile)

//go:noescape
func q6_kTileAVX512(t *qTile)

//go:noescape
func q6_kWideTileAVX512(t *qTile)

//go:noescape
func widen5AVX2(t *qWiden)

//go:noescape
func widen6AVX2(t *qWiden)

// Five and six bits need more registers for a row than the others
// (internal/asmgen/quant_avx2.go).
var quantPlans = [...][len(quantFormats)]tilePlan{
	portable: quantPlansOf(4, 4),
	avx2:     quantPlansOf(6, 4),
	avx512:   avx512QuantPlans(),
}

// With AVX-512 what was widened needs no more registers than others.
func avx512QuantPlans() [len(quantFormats)]tilePlan {
	plans := quantPlansOf(6, 6)
	for t := range plans {
		if quantFormats[t].upper() {
			plans[t].stream = 4
		}
	}
	return plans
}

func quantTile(t *qTile) {
	switch active {
	case avx2:
		quantTileAVX2(t)
	case avx512:
		quantTileAVX512(t)
	default:
		quantTilePortable(t)
	}
}

func widen(f *quantFormat, t *qWiden) {
	if f.bits == 5 {
		widen5AVX2(t)
	} else {
		widen6AVX2(t)
	}
}

func quantTileAVX2(t *qTile) {
	if t.wide {
		quantTileWideAVX2(t)
		return
	}
	switch t.typ {
	case Q8_0:
		q8_0TileAVX2(t)
	case Q4_0:
		q4_0TileAVX2(t)
	case Q4_1:
		q4_1TileAVX2(t)
	case Q5_0:
		q5_0TileAVX2(t)
	case Q5_1:
		q5_1TileAVX2(t)
	case Q4_K:
		q4_kTileAVX2(t)
	case Q5_K:
		q5_kTileAVX2(t)
	case Q6_K:
		q6_kTileAVX2(t)
	}
}

func quantTileAVX512(t *qTile) {
	if t.wide {
		quantTileWideAVX512(t)
		return
	}
	switch t.typ {
	case Q8_0:
		q8_0TileAVX512(t)
	case Q4_0:
		q4_0TileAVX512(t)
	case Q4_1:
		q4_1TileAVX512(t)
	case Q5_0:
		q5_0TileAVX512(t)
	case Q5_1:
		q5_1TileAVX512(t)
	case Q4_K:
		q4_kTileAVX512(t)
	case Q5_K:
		q5_kTileAVX512(t)
	case Q6_K:
		q6_kTileAVX512(t)
	}
}

func quantTileWideAVX2(t *qTile) {
	switch t.typ {
	case Q5_0:
		q5_0WideTileAVX2(t)
	case Q5_1:
		q5_1WideTileAVX2(t)
	case Q5_K:
		q5_kWideTileAVX2(t)
	case Q6_K:
		q6_kWideTileAVX2(t)
	}
}

func quantTileWideAVX512(t *qTile) {
	switch t.typ {
	case Q5_0:
		q5_0WideTileAVX512(t)
	case Q5_1:
		q5_1WideTileAVX512(t)
	case Q5_K:
		q5_kWideTileAVX512(t)
	case Q6_K:
		q6_kWideTileAVX512(t)
	}
}
