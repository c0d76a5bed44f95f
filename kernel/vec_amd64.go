//go:build amd64 && !purego && !race

package kernel

// call runs the operation and says whether the path in use has it.
func (op vecOp) call(v *vec) bool {
	switch active {
	case avx2:
		op.callAVX2(v)
	case avx512:
		op.callAVX512(v)
	default:
		return false
	}
	return true
}

func (op vecOp) callAVX2(v *vec) {
	switch op {
	case opAdd:
		addAVX2(v)
	case opMul:
		mulAVX2(v)
	case opScale:
		scaleAVX2(v)
	case opAXPY:
		axpyAVX2(v)
	case opMulAdd:
		mulAddAVX2(v)
	case opFoldTile:
		foldTileAVX2(v)
	case opSum:
		sumAVX2(v)
	case opSumSquares:
		sumSquaresAVX2(v)
	case opSumSquaresAround:
		sumSquaresAroundAVX2(v)
	case opDot:
		dotAVX2(v)
	case opMax:
		maxAVX2(v)
	case opExp:
		expAVX2(v)
	case opExpSum:
		expSumAVX2(v)
	case opTileSoftmax:
		tileSoftmaxAVX2(v)
	case opRMSScale:
		rmsScaleAVX2(v)
	case opCenter:
		centerAVX2(v)
	case opSiLU:
		siluAVX2(v)
	case opGELU:
		geluAVX2(v)
	case opGELUTanh:
		geluTanhAVX2(v)
	case opTanh:
		tanhAVX2(v)
	case opSoftCap:
		softCapAVX2(v)
	case opSwiGLU:
		swiGLUAVX2(v)
	case opGeGLU:
		geGLUAVX2(v)
	case opGeGLUTanh:
		geGLUTanhAVX2(v)
	case opRope:
		ropeAVX2(v)
	case opRoundBF16:
		roundBF16AVX2(v)
	case opSiLUBackward:
		siluBackwardAVX2(v)
	case opGELUBackward:
		geluBackwardAVX2(v)
	case opGELUTanhBackward:
		geluTanhBackwardAVX2(v)
	case opSwiGLUBackward:
		swiGLUBackwardAVX2(v)
	case opGeGLUBackward:
		geGLUBackwardAVX2(v)
	case opGeGLUTanhBackward:
		geGLUTanhBackwardAVX2(v)
	case opNormSums:
		normSumsAVX2(v)
	case opNormBackward:
		normBackwardAVX2(v)
	case opAdamW:
		adamWAVX2(v)
	case opPackPairs:
		packPairsAVX2(v)
	}
}

func (op vecOp) callAVX512(v *vec) {
	switch op {
	case opAdd:
		addAVX512(v)
	case opMul:
		mulAVX512(v)
	case opScale:
		scaleAVX512(v)
	case opAXPY:
		axpyAVX512(v)
	case opMulAdd:
		mulAddAVX512(v)
	case opFoldTile:
		foldTileAVX512(v)
	case opSum:
		sumAVX512(v)
	case opSumSquares:
		sumSquaresAVX512(v)
	case opSumSquaresAround:
		sumSquaresAroundAVX512(v)
	case opDot:
		dotAVX512(v)
	case opMax:
		maxAVX512(v)
	case opExp:
		expAVX512(v)
	case opExpSum:
		expSumAVX512(v)
	case opTileSoftmax:
		tileSoftmaxAVX512(v)
	case opRMSScale:
		rmsScaleAVX512(v)
	case opCenter:
		centerAVX512(v)
	case opSiLU:
		siluAVX512(v)
	case opGELU:
		geluAVX512(v)
	case opGELUTanh:
		geluTanhAVX512(v)
	case opTanh:
		tanhAVX512(v)
	case opSoftCap:
		softCapAVX512(v)
	case opSwiGLU:
		swiGLUAVX512(v)
	case opGeGLU:
		geGLUAVX512(v)
	case opGeGLUTanh:
		geGLUTanhAVX512(v)
	case opRope:
		ropeAVX512(v)
	case opRoundBF16:
		roundBF16AVX512(v)
	case opSiLUBackward:
		siluBackwardAVX512(v)
	case opGELUBackward:
		geluBackwardAVX512(v)
	case opGELUTanhBackward:
		geluTanhBackwardAVX512(v)
	case opSwiGLUBackward:
		swiGLUBackwardAVX512(v)
	case opGeGLUBackward:
		geGLUBackwardAVX512(v)
	case opGeGLUTanhBackward:
		geGLUTanhBackwardAVX512(v)
	case opNormSums:
		normSumsAVX512(v)
	case opNormBackward:
		normBackwardAVX512(v)
	case opAdamW:
		adamWAVX512(v)
	case opPackPairs:
		packPairsAVX512(v)
	}
}

//go:noescape
func addAVX2(v *vec)

//go:noescape
func mulAVX2(v *vec)

//go:noescape
func scaleAVX2(v *vec)

//go:noescape
func axpyAVX2(v *vec)

//go:noescape
func mulAddAVX2(v *vec)

//go:noescape
func foldTileAVX2(v *vec)

//go:noescape
func sumAVX2(v *vec)

//go:noescape
func sumSquaresAVX2(v *vec)

//go:noescape
func sumSquaresAroundAVX2(v *vec)

//go:noescape
func dotAVX2(v *vec)

//go:noescape
func maxAVX2(v *vec)

//go:noescape
func expAVX2(v *vec)

//go:noescape
func expSumAVX2(v *vec)

//go:noescape
func tileSoftmaxAVX2(v *vec)

//go:noescape
func rmsScaleAVX2(v *vec)

//go:noescape
func centerAVX2(v *vec)

//go:noescape
func siluAVX2(v *vec)

//go:noescape
func geluAVX2(v *vec)

//go:noescape
func geluTanhAVX2(v *vec)

//go:noescape
func tanhAVX2(v *vec)

//go:noescape
func softCapAVX2(v *vec)

//go:noescape
func swiGLUAVX2(v *vec)

//go:noescape
func geGLUAVX2(v *vec)

//go:noescape
func geGLUTanhAVX2(v *vec)

//go:noescape
func ropeAVX2(v *vec)

//go:noescape
func roundBF16AVX2(v *vec)

//go:noescape
func siluBackwardAVX2(v *vec)

//go:noescape
func geluBackwardAVX2(v *vec)

//go:noescape
func geluTanhBackwardAVX2(v *vec)

//go:noescape
func swiGLUBackwardAVX2(v *vec)

//go:noescape
func geGLUBackwardAVX2(v *vec)

//go:noescape
func geGLUTanhBackwardAVX2(v *vec)

//go:noescape
func normSumsAVX2(v *vec)

//go:noescape
func normBackwardAVX2(v *vec)

//go:noescape
func adamWAVX2(v *vec)

//go:noescape
func packPairsAVX2(v *vec)

//go:noescape
func addAVX512(v *vec)

//go:noescape
func mulAVX512(v *vec)

//go:noescape
func scaleAVX512(v *vec)

//go:noescape
func axpyAVX512(v *vec)

//go:noescape
func mulAddAVX512(v *vec)

//go:noescape
func foldTileAVX512(v *vec)

//go:noescape
func sumAVX512(v *vec)

//go:noescape
func sumSquaresAVX512(v *vec)

//go:noescape
func sumSquaresAroundAVX512(v *vec)

//go:noescape
func dotAVX512(v *vec)

//go:noescape
func maxAVX512(v *vec)

//go:noescape
func expAVX512(v *vec)

//go:noescape
func expSumAVX512(v *vec)

//go:noescape
func tileSoftmaxAVX512(v *vec)

//go:noescape
func rmsScaleAVX512(v *vec)

//go:noescape
func centerAVX512(v *vec)

//go:noescape
func siluAVX512(v *vec)

//go:noescape
func geluAVX512(v *vec)

//go:noescape
func geluTanhAVX512(v *vec)

//go:noescape
func tanhAVX512(v *vec)

//go:noescape
func softCapAVX512(v *vec)

//go:noescape
func swiGLUAVX512(v *vec)

//go:noescape
func geGLUAVX512(v *vec)

//go:noescape
func geGLUTanhAVX512(v *vec)

//go:noescape
func ropeAVX512(v *vec)

//go:noescape
func roundBF16AVX512(v *vec)

//go:noescape
func siluBackwardAVX512(v *vec)

//go:noescape
func geluBackwardAVX512(v *vec)

//go:noescape
func geluTanhBackwardAVX512(v *vec)

//go:noescape
func swiGLUBackwardAVX512(v *vec)

//go:noescape
func geGLUBackwardAVX512(v *vec)

//go:noescape
func geGLUTanhBackwardAVX512(v *vec)

//go:noescape
func normSumsAVX512(v *vec)

//go:noescape
func normBackwardAVX512(v *vec)

//go:noescape
func adamWAVX512(v *vec)

//go:noescape
func packPairsAVX512(v *vec)
