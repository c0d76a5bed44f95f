package kernel

// A qTile is a tile of a quantised product; k counts in units of 32 weights.
// Assembly reads the fields by offset (internal/asmgen/quant.go), and moves w
// and s on as it goes.
type qTile struct {
	dst    []float32 // begins at the first output
	ldd    int       // elements between rows of dst
	q      []int8    // begins at the first activation
	ldq    int       // between rows of q
	scale  []float32 // begin at the first unit
	sum    []int32
	halves [][2]int16
	lds    int    // between rows of these three
	w      []byte // begins at the first panel
	wStep  int    // between panels
	s      []byte // begins at the first panel's scales
	sStep  int    // between panels
	units  int
	rows   int
	panels int
	width  int // outputs of a panel; below 16 only where panels is 1
	acc    bool

	typ  QuantType
	wide bool // w has a byte for each weight, see widePanels
}

// MatMulQ multiplies rows r0…r0+m of x with the panels [p0, p1) of w. Output o
// of row r goes to dst[r·ldd + o], for the outputs of those panels that are
// below N. Each is one chain over the blocks of 32, in ascending order.
func MatMulQ(dst []float32, ldd int, x *QRows, r0, m int, w *QPanels, p0, p1 int) {
	if m == 0 || p0 >= p1 {
		return
	}
	f := &quantFormats[w.Type]
	checkQuantRows(x, r0, m, w.K)
	quants, scales := QPanelSizes(w.Type, w.N, w.K)
	checkProduct(dst, ldd, x.Q[r0*x.K:], x.K, m, x.K, w.N, p1, min(len(w.Quants)-quants, len(w.Scales)-scales), 0)
	blocks := x.K / qBlock
	plan := &quantPlans[active][w.Type]
	var scratch *widePanels
	if plan.widens(f, m) {
		scratch = widePanelsPool.Get().(*widePanels)
		defer widePanelsPool.Put(scratch)
	}
	plan.tiles(m, w.K/f.block, w.N, p0, p1, false, func(b block) {
		unit := b.k * f.units()
		at := (r0+b.row)*blocks + unit
		t := qTile{
			dst: dst[b.row*ldd+b.p*panelWidth:], ldd: ldd,
			q: x.Q[at*qBlock:], ldq: x.K,
			scale: x.Scale[at:], sum: x.Sum[at:], halves: x.Halves[at:], lds: blocks,
			w: w.Quants[b.p*f.panelQuants(w.K)+unit*f.unitQuants():], wStep: f.panelQuants(w.K),
			s: w.Scales[b.p*f.panelScales(w.K)+b.k*f.groupScales():], sStep: f.panelScales(w.K),
			units: b.run * f.units(), rows: b.rows, panels: b.panels, width: b.width, acc: b.acc,
			typ: w.Type,
		}
		if scratch != nil {
			scratch.take(&t, f, b.row == 0)
		}
		quantTile(&t)
	})
}

// quantPlansOf returns the plans of all types, whose tiles are rows high, or
// for weights of five and six bits so many rows. Runs of 1024 weights
// take 16 kB of a panel; 512 units keep a call below about 50 µs.
func quantPlansOf(rows, rowsMid int) (plans [len(quantFormats)]tilePlan) {
	for t := range plans {
		f := &quantFormats[t]
		h := rows
		if f.upper() {
			h = rowsMid
		}
		plans[t] = tilePlan{rows: h, stream: h, limit: 512 / f.units(), run: quantRun / f.units(), panels: quantGroup}
	}
	return plans
}

// Products of many rows take so many panels, over so many units, at a time.
const (
	quantRun   = 32
	quantGroup = 16
)

// checkQuantRows panics where the activations do not fit weights of k or are
// shorter than they say.
func checkQuantRows(x *QRows, r0, m, k int) {
	q, blocks := QRowSizes(x.M, x.K)
	switch {
	case x.K != k || k%qBlock != 0:
		panic("kernel: activations and weights of a quantised product differ in length")
	case r0 < 0 || r0+m > x.M:
		panic("kernel: rows beyond the last quantised one")
	case len(x.Q) < q || len(x.Scale) < blocks || len(x.Sum) < blocks || len(x.Halves) < blocks:
		panic("kernel: quantised rows are shorter than they say")
	}
}

// quantTilePortable is the definition of a tile. The weights of an output are
// unpacked once for all rows.
func quantTilePortable(t *qTile) {
	f := &quantFormats[t.typ]
	var u quantUnit
	for p := range t.panels {
		for j := range t.width {
			out := t.dst[p*panelWidth+j:]
			if !t.acc {
				for r := range t.rows {
					out[r*t.ldd] = 0
				}
			}
			for b := range t.units {
				group := t.s[p*t.sStep+b/f.units()*f.groupScales():]
				u.gather(f, t.w[p*t.wStep+b*f.unitQuants():], group, group[f.head+b%f.units()*f.sub:], j)
				weights := u.weights(f)
				for r := range t.rows {
					at := r*t.lds + b
					sums := dotUnit(&weights, t.q[r*t.ldq+b*qBlock:])
					out[r*t.ldd] = u.step(t.typ, out[r*t.ldd], t.scale[at], sums, t.halves[at])
				}
			}
		}
	}
}

// weights returns the true weights of a unit.
func (u *quantUnit) weights(f *quantFormat) (w [qBlock]int32) {
	for i := range w {
		w[i] = int32(u.w(i)) - f.offset
	}
	return w
}

// dotUnit multiplies 32 weights with a block of activations and returns the
// sums over its halves.
func dotUnit(w *[qBlock]int32, q []int8) (sums [2]int32) {
	q = q[:qBlock]
	for i := range qBlock / 2 {
		sums[0] += w[i] * int32(q[i])
		sums[1] += w[i+qBlock/2] * int32(q[i+qBlock/2])
	}
	return sums
}

// step continues a chain with the products of 32 weights and a block of
// activations, and what the sums of the activations add where there are
// minimums. All integers are below 2²⁴, so that they are exact as float32.
func (u *quantUnit) step(t QuantType, acc, scale float32, products [2]int32, halves [2]int16) float32 {
	d, m := float32(scale*fromF16(u.d)), float32(scale*fromF16(u.m))
	product := products[0] + products[1]
	sum := int32(halves[0]) + int32(halves[1])
	switch t {
	case Q4_1, Q5_1:
		acc = fma32(float32(product), d, acc)
		return fma32(float32(sum), m, acc)
	case Q4_K, Q5_K:
		acc = fma32(float32(int32(u.s0)*product), d, acc)
		return fma32(float32(-int32(u.s1)*sum), m, acc)
	case Q6_K:
		product = int32(int8(u.s0))*products[0] + int32(int8(u.s1))*products[1]
	}
	return fma32(float32(product), d, acc)
}
