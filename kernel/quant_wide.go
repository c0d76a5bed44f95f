package kernel

import (
	"sync"
	"unsafe"
)

// widePanels is panels with a byte for each weight, in rows of 64 as those of Q8_0:
// what many rows are multiplied with instead of nibbles and upper bits, which
// would be put together anew for every few rows. The last place is for a panel
// that is not whole.
type widePanels [quantGroup + 1][quantRun * panelWidth * qBlock]byte

var widePanelsPool = sync.Pool{New: func() any { return new(widePanels) }}

// widens says whether a product of m rows does so. The portable tile unpacks
// for all its rows.
func (plan *tilePlan) widens(f *quantFormat, m int) bool {
	return f.upper() && m > plan.stream && active != portable
}

// take gives t the weights of s, which for the first rows it writes.
func (s *widePanels) take(t *qTile, f *quantFormat, first bool) {
	at := s[:quantGroup]
	if t.width < panelWidth {
		at = s[quantGroup:]
	}
	if first {
		for p := range t.panels {
			src := t.w[p*t.wStep:][:t.units*f.unitQuants()]
			dst := at[p][:t.units*panelWidth*qBlock]
			if t.units > 0 {
				widen(f, &qWiden{dst: unsafe.Pointer(&dst[0]), src: unsafe.Pointer(&src[0]), units: t.units})
			}
		}
	}
	t.w, t.wStep, t.wide = unsafe.Slice(&at[0][0], len(at)*len(at[0])), len(at[0]), true
}

// qWiden is units of a panel to be widened. Assembly reads the fields by offset.
type qWiden struct {
	dst, src unsafe.Pointer
	units    int // at least one
}

// widenPortable is the definition of widening.
func widenPortable(dst, src []byte, f *quantFormat) {
	var u quantUnit
	for n := f.unitQuants(); len(src) > 0; src, dst = src[n:], dst[panelWidth*qBlock:] {
		for j := range panelWidth {
			u.gatherWeights(f, src, j)
			u.putBytes(dst, j)
		}
	}
}
