package tokenizer

import "sync"

// graphemeClass is Grapheme_Cluster_Break of UAX #29, with the two properties
// that its rules 9c and 11 need.
type graphemeClass uint8

const (
	graphemeOther graphemeClass = iota
	graphemeCR
	graphemeLF
	graphemeControl
	graphemeExtend
	graphemeZWJ
	graphemeSpacingMark
	graphemePrepend
	graphemePictographic
	graphemeConsonant
	graphemeRegional
	graphemeL
	graphemeV
	graphemeT
	graphemeLV
	graphemeLVT
)

var loadGraphemes = sync.OnceValue(func() map[rune]graphemeClass {
	classes := map[rune]graphemeClass{'\r': graphemeCR, '\n': graphemeLF, 0x200d: graphemeZWJ}
	for line, class := range map[string]graphemeClass{
		"Control": graphemeControl, "Extend": graphemeExtend, "SpacingMark": graphemeSpacingMark,
		"Prepend": graphemePrepend, "Extended_Pictographic": graphemePictographic,
		"InCB_Consonant": graphemeConsonant, "Regional_Indicator": graphemeRegional,
		"L": graphemeL, "V": graphemeV, "T": graphemeT,
	} {
		for _, r := range loadUnicode().ranges["grapheme:"+line] {
			for c := r.lo; c <= r.hi; c++ {
				classes[c] = class
			}
		}
	}
	return classes
})

func graphemeClassOf(classes map[rune]graphemeClass, r rune) graphemeClass {
	switch {
	case ' ' <= r && r < 0x7f, 0x3400 <= r && r <= 0xa000:
		return graphemeOther
	case hangulS <= r && r < hangulS+hangulSs:
		if (r-hangulS)%hangulTs == 0 {
			return graphemeLV
		}
		return graphemeLVT
	}
	return classes[r]
}

// isLinker lists the viramas that join consonants (Indic_Conjunct_Break).
func isLinker(r rune) bool {
	switch r {
	case 0x94d, 0x9cd, 0xacd, 0xb4d, 0xc4d, 0xd4d, 0x1039, 0x17d2, 0x1a60, 0x1b44, 0x1bab, 0xa9c0, 0xaaf6,
		0x10a3f, 0x11133, 0x113d0, 0x1193e, 0x11a47, 0x11a99, 0x11f42:
		return true
	}
	return false
}

// graphemeLen returns the length of the first grapheme cluster of s.
func graphemeLen(classes map[rune]graphemeClass, s string) int {
	r, end := decodeRune(s)
	before := graphemeClassOf(classes, r)
	pictographic := before == graphemePictographic // then Extend*
	consonant := before == graphemeConsonant       // then Extend and linkers
	linked, regionals := false, 0
	for end < len(s) {
		if before == graphemeRegional {
			regionals++
		}
		r, size := decodeRune(s[end:])
		after := graphemeClassOf(classes, r)
		joined := joins(before, after) ||
			before == graphemeZWJ && pictographic && after == graphemePictographic ||
			consonant && linked && after == graphemeConsonant ||
			before == graphemeRegional && after == graphemeRegional && regionals%2 == 1
		if !joined {
			return end
		}
		extends := after == graphemeExtend || after == graphemeZWJ
		pictographic = after == graphemePictographic || pictographic && extends
		linked = consonant && extends && (linked || isLinker(r))
		consonant = after == graphemeConsonant || consonant && extends
		before = after
		end += size
	}
	return end
}

// joins holds the rules 3 to 9b, which look at two characters alone.
func joins(before, after graphemeClass) bool {
	switch before {
	case graphemeCR:
		return after == graphemeLF
	case graphemeLF, graphemeControl:
		return false
	}
	switch after {
	case graphemeCR, graphemeLF, graphemeControl:
		return false
	case graphemeExtend, graphemeZWJ, graphemeSpacingMark:
		return true
	}
	switch before {
	case graphemePrepend:
		return true
	case graphemeL:
		return after == graphemeL || after == graphemeV || after == graphemeLV || after == graphemeLVT
	case graphemeLV, graphemeV:
		return after == graphemeV || after == graphemeT
	case graphemeLVT, graphemeT:
		return after == graphemeT
	}
	return false
}
