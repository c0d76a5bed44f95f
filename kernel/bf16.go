package kernel

import "math"

// A panel of bfloat16 holds pairs: for each pair of k sixteen times two
// values, one 64-byte row. Odd k is padded with a zero.
const bf16Row = 2 * panelWidth

// PanelLenBF16 returns the length of the bfloat16 panels of n outputs over k.
func PanelLenBF16(n, k int) int { return panels(n) * pairs(k) * bf16Row }

func pairs(k int) int { return (k + 1) / 2 }

// PackBF16 rounds src, n rows of k (row stride ld), to bfloat16 and lays it
// out as panels: dst[(p·⌈k/2⌉ + i)·32 + 2j + h] = src[(16p + j)·ld + 2i + h].
// What is missing in the last panel or the last pair is zero.
func PackBF16(dst []uint16, src []float32, n, k, ld int) {
	var part [panelWidth * packRun]uint16
	clearPadding(dst, n, k)
	for row := 0; row < n; row += panelWidth {
		rows := min(panelWidth, n-row)
		for i := 0; i < k; i += packRun {
			run := min(packRun, k-i)
			for j := range rows {
				RoundBF16(part[j*packRun:][:run], src[(row+j)*ld+i:][:run])
			}
			packRowsBF16(dst, part[:], packRun, row, rows, i, k, run)
		}
	}
}

// PackBF16Bits is PackBF16 for values that are stored as bfloat16.
func PackBF16Bits(dst, src []uint16, n, k, ld int) {
	clearPadding(dst, n, k)
	for row := 0; row < n; row += panelWidth {
		for i := 0; i < k; i += packRun {
			packRowsBF16(dst, src[row*ld+i:], ld, row, min(panelWidth, n-row), i, k, min(packRun, k-i))
		}
	}
}

// packRowsBF16 puts the rows of a panel, which begins at a row of the matrix,
// in their places: run values of each, from its value i (even) on.
func packRowsBF16(dst, src []uint16, ld, row, rows, i, k, run int) {
	to := dst[(row/panelWidth*pairs(k)+i/2)*bf16Row:]
	done := 0
	if rows == panelWidth {
		done = 2 * sideBySide(to, src, 2*ld, run/2)
	}
	for j := range rows {
		for at := done; at < run; at++ {
			to[at/2*bf16Row+2*j+at%2] = src[j*ld+at]
		}
	}
}

// clearPadding zeroes the panels that values do not fill.
func clearPadding(dst []uint16, n, k int) {
	size := pairs(k) * bf16Row
	switch {
	case k%2 != 0:
		clear(dst[:panels(n)*size])
	case n%panelWidth != 0:
		clear(dst[n/panelWidth*size:][:size])
	}
}

// PackBF16T is PackBF16 for the transpose of src, which has k rows of n.
func PackBF16T(dst []uint16, src []float32, n, k, ld int) {
	for p := range panels(n) {
		w, done := min(panelWidth, n-p*panelWidth), 0
		if w == panelWidth && k > 1 {
			done = runPackPairs(dst[p*pairs(k)*bf16Row:], src[p*panelWidth:], ld, k/2)
		}
		for i := done; i < pairs(k); i++ {
			var even, odd [panelWidth]uint16
			RoundBF16(even[:w], src[2*i*ld+p*panelWidth:][:w])
			if 2*i+1 < k {
				RoundBF16(odd[:w], src[(2*i+1)*ld+p*panelWidth:][:w])
			}
			to := (*[bf16Row]uint16)(dst[(p*pairs(k)+i)*bf16Row:])
			for j := range panelWidth {
				to[2*j], to[2*j+1] = even[j], odd[j]
			}
		}
	}
}

// RoundBF16 rounds src to bfloat16, to nearest even. A NaN stays a NaN and
// becomes quiet.
func RoundBF16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i := runRoundBF16(dst, src); i < len(src); i++ {
		dst[i] = toBF16(src[i])
	}
}

// MatMulBF16 is MatMulF32 for bfloat16. Rows of x are padded with a zero to
// even k, and ldx is even. The chain takes the odd element of each pair first:
// acc = step(w[2i], x[2i], step(w[2i+1], x[2i+1], acc)), with step as in
// bf16Step.
func MatMulBF16(dst []float32, ldd int, x []uint16, ldx, m int, w []uint16, k, n, p0, p1 int, acc bool) {
	if m == 0 || p0 >= p1 {
		return
	}
	steps := pairs(k)
	checkProduct(dst, ldd, x, ldx, m, 2*steps, n, p1, len(w), p1*steps*bf16Row)
	bf16Plans[active].tiles(m, steps, n, p0, p1, acc, func(b block) {
		bf16Tile(&tile[uint16]{
			dst: dst[b.row*ldd+b.p*panelWidth:], ldd: ldd,
			x: x[b.row*ldx+2*b.k:], ldx: ldx,
			w: w[(b.p*steps+b.k)*bf16Row:], step: steps * bf16Row,
			k: b.run, rows: b.rows, panels: b.panels, width: b.width, acc: b.acc,
		})
	})
}

// bf16TilePortable is the definition of a tile.
func bf16TilePortable(t *tile[uint16]) {
	for p := range t.panels {
		for r := range t.rows {
			out := t.dst[r*t.ldd+p*panelWidth:][:t.width]
			bf16Chains(out, t.x[r*t.ldx:][:2*t.k], t.w[p*t.step:][:t.k*bf16Row], t.acc)
		}
	}
}

// bf16Chains multiplies one row with one panel. It is bf16Step, step for step,
// with the common case written out: a weight and a sum that are not tiny, and a
// sum that is not half-way between two float32.
func bf16Chains(out []float32, x, panel []uint16, acc bool) {
	const tinyExponent = 1023 - 100 // float64's, well above float32's subnormals
	var a [panelWidth]float32
	if acc {
		copy(a[:], out)
	}
	if len(x) > 0 {
		for j, v := range a { // no step leaves a subnormal
			a[j] = flushed(v)
		}
	}
	for i := range x {
		at := i ^ 1 // the odd element of each pair first
		v := float64(flushed(fromBF16(x[at])))
		w := panel[i/2*bf16Row+at%2:]
		for j, c := range a {
			s := float64(fromBF16(w[2*j]))*v + float64(c)
			if b := math.Float64bits(s); b<<35 == 1<<63 || b<<1>>53 < tinyExponent || w[2*j]&0x7f80 == 0 {
				a[j] = bf16Step(w[2*j], x[at], c)
				continue
			}
			a[j] = float32(s)
		}
	}
	copy(out, a[:])
}
