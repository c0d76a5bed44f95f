package tokenizer

import (
	"testing"
	"unicode"
)

func TestClasses(t *testing.T) {
	u := loadUnicode()
	for _, c := range []struct {
		r       rune
		has, no uint16
	}{
		{'a', isLetter | isLower | isWord, isUpper | isNumber | isSpace},
		{'Z', isLetter | isUpper, isLower},
		{'5', isNumber | isNumeric | isWord, isLetter},
		{' ', isSpace, isLetter},
		{0x85, isSpace, 0},
		{'。', isPunct | isBertPunct, isLetter},
		{'$', isSymbol | isBertPunct, isPunct},
		{'中', isLetter | isWord, isUpper | isLower | isNFC},
		{0x4dc0, isSymbol, isLetter},
		{0x301, isMark | isNonspacing | isCombining | isNFC | isNormal, isLetter},
		{'é', isLetter | isNormal, isNFC},
		{0x11938, isMark, isNormal}, // newer than the tables of the normal forms
		{0x10d4a, isLetter, 0},      // Unicode 16
		{0xe000, isControl, isLetter},
		{0x10ffff, 0, 0xffff},
		{badByte + 0xff, 0, 0xffff},
	} {
		if got := u.class(c.r); got&c.has != c.has || got&c.no != 0 {
			t.Errorf("class(%#x) = %#x, want %#x and none of %#x", c.r, got, c.has, c.no)
		}
	}
	// Go's tables are those of an older Unicode: what they know must agree.
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.IsLetter(r) != (u.class(r)&isLetter != 0) && unicode.IsLetter(r) || unicode.IsSpace(r) != (u.class(r)&isSpace != 0) {
			t.Fatalf("class(%#x) = %#x", r, u.class(r))
		}
	}
}

func TestToLower(t *testing.T) {
	u := loadUnicode()
	for in, want := range map[rune]rune{'A': 'a', 'z': 'z', 'É': 'é', 'Σ': 'σ', 0x2160: 0x2170, 0x24b6: 0x24d0, 0x16ea0: 0x16ebb, 0x10d50: 0x10d70, '中': '中'} {
		if got := u.toLower(in); got != want {
			t.Errorf("toLower(%#x) = %#x, want %#x", in, got, want)
		}
	}
}

func BenchmarkLoadUnicode(b *testing.B) {
	for b.Loop() {
		u := &unicodeData{ranges: map[string][]runeRange{}}
		for name := range classBits {
			u.ranges[name] = loadUnicode().ranges[name]
		}
		u.buildClasses()
	}
}
