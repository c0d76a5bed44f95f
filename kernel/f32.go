package kernel

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
		for j := range panelWidth {
			row := p*panelWidth + j
			if row >= n {
				for i := range k {
					panel[i*panelWidth+j] = 0
				}
				continue
			}
			for i, v := range src[row*ld:][:k] {
				panel[i*panelWidth+j] = v
			}
		}
	}
}

// PackF32T lays src, k rows of n (row stride ld), out as panels of its
// transpose: dst[(p·k + i)·16 + j] = src[i·ld + 16p + j]. Outputs that are
// missing in the last panel are zeros.
func PackF32T(dst, src []float32, n, k, ld int) {
	for p := range panels(n) {
		panel := dst[p*panelWidth*k:][:panelWidth*k]
		w := min(panelWidth, n-p*panelWidth)
		for i := range k {
			row := panel[i*panelWidth:][:panelWidth]
			copy(row, src[i*ld+p*panelWidth:][:w])
			clear(row[w:])
		}
	}
}

// MatMulF32 multiplies rows 0…m of x (k long, row stride ldx) with the panels
// [p0, p1) of w, which has n outputs over k. Output o of row r goes to
// dst[r·ldd + o], for the outputs of those panels that are below n. It is one
// chain acc = fma(w, x, acc) over ascending k, which begins at +0, or with acc
// at what dst holds.
func MatMulF32(dst []float32, ldd int, x []float32, ldx, m int, w []float32, k, n, p0, p1 int, acc bool) {
	for p := p0; p < p1; p++ {
		panel := w[p*panelWidth*k:][:panelWidth*k]
		width := min(panelWidth, n-p*panelWidth)
		for r := range m {
			out := dst[r*ldd+p*panelWidth:][:width]
			dotF32(out, x[r*ldx:][:k], panel, acc)
		}
	}
}

// dotF32 is the portable product of one row with one panel.
func dotF32(out, x, panel []float32, acc bool) {
	var a [panelWidth]float32
	if acc {
		copy(a[:], out)
	}
	for i, v := range x {
		w := (*[panelWidth]float32)(panel[i*panelWidth:])
		for j := range a {
			a[j] = fma32(w[j], v, a[j])
		}
	}
	copy(out, a[:])
}
