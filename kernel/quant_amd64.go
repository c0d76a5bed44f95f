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
func q5_1TileAVX2(t *qTile)

//go:noescape
func q4_kTileAVX2(t *qTile)

//go:noescape
func q5_kTileAVX2(t *qTile)

//go:noescape
func q6_kTileAVX2(t *qTile)

//go:noescape
func q8_0TileAVX512(t *qTile)

//go:noescape
func q4_0TileAVX512(t *qTile)

//go:noescape
func q4_1TileAVX512(t *qTile)

//go:noescape
func q5_0TileAVX512(t *qTile)

//go:noescape
func q5_1TileAVX512(t *qTile)

//go:noescape
func q4_kTileAVX512(t *qTile)

//go:noescape
func q5_kTileAVX512(t *qTile)

//go:noescape
func q6_kTileAVX512(t *qTile)

// Five and six bits need more registers for a row than the others
// (internal/asmgen/quant_avx2.go).
var quantPlans = [...][len(quantFormats)]tilePlan{
	portable: quantPlansOf(4, 4),
	avx2:     quantPlansOf(6, 4),
	avx512:   quantPlansOf(6, 6),
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

func quantTileAVX2(t *qTile) {
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
