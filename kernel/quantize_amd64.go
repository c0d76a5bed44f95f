//go:build amd64 && !purego && !race

package kernel

//go:noescape
func quantizeAVX2(a *quantizeArgs)

// quantizeArgs is the argument of the assembly; internal/asmgen reads it by
// offset.
type quantizeArgs struct {
	x      *float32
	q      *int8
	scale  *float32
	sum    *int32
	halves *[2]int16
	blocks int // at least one
}

// quantizeMaxBlocks bounds one call to some 20 µs.
const quantizeMaxBlocks = 2048

// quantizeWhole does the work of quantizeBlock for as many blocks of a row as
// assembly takes, the whole ones, and returns their number. Blocks first and
// after of dst are the row's.
func quantizeWhole(dst *QRows, first int, row []float32) int {
	if active != avx2 && active != avx512 {
		return 0
	}
	done := 0
	for rest := len(row) / qBlock; rest > 0; rest -= quantizeMaxBlocks {
		n, at := min(rest, quantizeMaxBlocks), first+done
		quantizeAVX2(&quantizeArgs{
			x:      &row[done*qBlock],
			q:      &dst.Q[at*qBlock : (at+n)*qBlock][0],
			scale:  &dst.Scale[at : at+n][0],
			sum:    &dst.Sum[at : at+n][0],
			halves: &dst.Halves[at : at+n][0],
			blocks: n,
		})
		done += n
	}
	return done
}
