package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// hashDocument returns 64 bits of the SHA-256 of the document's text, in NFC and
// with every run of white space as one space. A conversation counts with its
// roles. Among ten million documents two different ones have the same hash with
// a probability of 3·10⁻⁶.
func hashDocument(d *Document) uint64 {
	text := d.Text
	if text == "" {
		var all strings.Builder
		for i := range d.Messages {
			all.WriteString(d.Messages[i].Role + "\x00" + d.Messages[i].Text() + "\x00")
		}
		text = all.String()
	}
	if !plainlyNFC(text) {
		text = norm.NFC.String(text)
	}
	plain := oneSpace(text)
	sum := sha256.Sum256(plain)
	return binary.LittleEndian.Uint64(sum[:])
}

// plainlyNFC says that a text is in NFC because all its characters come from
// blocks in which none is ever changed or combined with another: Latin, general
// punctuation, Chinese punctuation and characters, full-width forms.
func plainlyNFC(text string) bool {
	for _, r := range text {
		if !(r < 0x300 || r >= 0x4e00 && r <= 0x9fff || r >= 0x2010 && r <= 0x206f ||
			r >= 0x3000 && r <= 0x3029 || r >= 0xff01 && r <= 0xffef) {
			return false
		}
	}
	return true
}

// oneSpace returns the text with one space for every run of white space, and
// none at its ends.
func oneSpace(text string) []byte {
	plain := make([]byte, 0, len(text))
	space := false
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if unicode.IsSpace(r) {
			space = len(plain) > 0
			i += size
			continue
		}
		if space {
			plain = append(plain, ' ')
			space = false
		}
		end := i + size
		for end < len(text) && !mayBeSpace[text[end]] {
			end++
		}
		plain = append(plain, text[i:end]...)
		i = end
	}
	return plain
}

// mayBeSpace has the bytes with which a white space character begins in UTF-8.
var mayBeSpace = [256]bool{
	'\t': true, '\n': true, '\v': true, '\f': true, '\r': true, ' ': true,
	0xc2: true, 0xe1: true, 0xe2: true, 0xe3: true,
}

// hashSet is a set of hashes: 16 to 32 bytes for each.
type hashSet struct {
	slots []uint64 // a power of two; 0: free
	n     int
}

// newHashSet makes a set that takes n hashes without growing.
func newHashSet(n int) *hashSet {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return &hashSet{slots: make([]uint64, size)}
}

// find returns where h is, or where it goes. 0 counts as 1.
func (s *hashSet) find(h uint64) (int, uint64) {
	h = max(h, 1)
	mask := len(s.slots) - 1
	i := int(h) & mask
	for s.slots[i] != 0 && s.slots[i] != h {
		i = (i + 1) & mask
	}
	return i, h
}

func (s *hashSet) has(h uint64) bool {
	i, _ := s.find(h)
	return s.slots[i] != 0
}

// add reports whether h was not there yet.
func (s *hashSet) add(h uint64) bool {
	i, h := s.find(h)
	if s.slots[i] != 0 {
		return false
	}
	s.slots[i] = h
	s.n++
	if 2*s.n > len(s.slots) {
		old := s.slots
		s.slots = make([]uint64, 2*len(old))
		for _, h := range old {
			if h != 0 {
				i, _ := s.find(h)
				s.slots[i] = h
			}
		}
	}
	return true
}

// bitset is a set of small numbers.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bitset) count() int {
	n := 0
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}
