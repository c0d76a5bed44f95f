package kernel

import "math"

// panelWidth is the number of outputs that lie side by side in a panel.
const panelWidth = 16

func panels(n int) int { return (n + panelWidth - 1) / panelWidth }

// PanelLenF32 returns the length of the float32 panels of n outputs over k.
func PanelLenF32(n, k int) int { return panels(n) * panelWidth * k }

// PackF32 lays src, n rows of k (row stride ld), out as panels:
// dst[(p·k + i)·16 + j] = src[(16p + j)·ld + i]. Rows that are missing in the
// last panel are zeros.
func PackF32(dst, src []float32, n, k, ld int) {
	for p := range panels(n) {
		panel := dst[p*panelWidth*k:][:panelWidth*k]
		rows, done := min(panelWidth, n-p*panelWidth), 0
		if rows < panelWidth {
			clear(panel)
		} else {
			done = sideBySide(panel, src[p*panelWidth*ld:], 4*ld, k)
		}
		for i := done; i < k; i += packRun {
			run := panel[i*panelWidth : min(i+packRun, k)*panelWidth]
			for j := range rows {
				for at, v := range src[(p*panelWidth+j)*ld+i:][:len(run)/panelWidth] {
					run[at*panelWidth+j] = v
				}
			}
		}
	}
}

// packRun is how much of k is packed at once: a run of a panel stays in the
// innermost cache while its sixteen rows are written.
const packRun = 128

// PackF32T lays src, k rows of n (row stride ld), out as panels of its
// transpose: dst[(p·k + i)·16 + j] = src[i·ld + 16p + j]. Outputs that are
// missing in the last panel are zeros.
func PackF32T(dst, src []float32, n, k, ld int) {
	for p := range panels(n) {
		panel := dst[p*panelWidth*k:][:panelWidth*k]
		w := min(panelWidth, n-p*panelWidth)
		for i := range k {
			row := (*[panelWidth]float32)(panel[i*panelWidth:])
			if from := src[i*ld+p*panelWidth:]; w == panelWidth {
				*row = [panelWidth]float32(from)
			} else {
				copy(row[:], from[:w])
				clear(row[w:])
			}
		}
	}
}

// MatMulF32 multiplies rows 0…m of x (k long, row stride ldx) with the panels
// [p0, p1) of w, which has n outputs over k. Output o of row r goes to
// dst[r·ldd + o], for the outputs of those panels that are below n. It is one
// chain acc = fma(w, x, acc) over ascending k, which begins at +0, or with acc
// at what dst holds.
func MatMulF32(dst []float32, ldd int, x []float32, ldx, m int, w []float32, k, n, p0, p1 int, acc bool) {
	if m == 0 || p0 >= p1 {
		return
	}
	checkProduct(dst, ldd, x, ldx, m, k, n, p1, len(w), p1*panelWidth*k)
	f32Plans[active].tiles(m, k, n, p0, p1, acc, func(b block) {
		f32Tile(&tile[float32]{
			dst: dst[b.row*ldd+b.p*panelWidth:], ldd: ldd,
			x: x[b.row*ldx+b.k:], ldx: ldx,
			w: w[(b.p*k+b.k)*panelWidth:], step: panelWidth * k,
			k: b.run, rows: b.rows, panels: b.panels, width: b.width, acc: b.acc,
		})
	})
}

// f32TilePortable is the definition of a tile: one chain per output.
func f32TilePortable(t *tile[float32]) {
	for p := range t.panels {
		for r := range t.rows {
			out := t.dst[r*t.ldd+p*panelWidth:][:t.width]
			f32Chains(out, t.x[r*t.ldx:][:t.k], t.w[p*t.step:][:t.k*panelWidth], t.acc)
		}
	}
}

// f32Chains multiplies one row with one panel. It is fma32, step for step, with
// the common case written out.
func f32Chains(out, x, panel []float32, acc bool) {
	var a [panelWidth]float32
	if acc {
		copy(a[:], out)
	}
	for i, v := range x {
		w := (*[panelWidth]float32)(panel[i*panelWidth:])
		for j, c := range a {
			s := float64(w[j])*float64(v) + float64(c)
			if math.Float64bits(s)<<36 == 0 {
				a[j] = fma32(w[j], v, c)
				continue
			}
			a[j] = float32(s)
		}
	}
	copy(out, a[:])
}
