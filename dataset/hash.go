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
	text = norm.NFC.String(text)
	plain := make([]byte, 0, len(text))
	space := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			space = len(plain) > 0
			continue
		}
		if space {
			plain = append(plain, ' ')
			space = false
		}
		plain = utf8.AppendRune(plain, r)
	}
	sum := sha256.Sum256(plain)
	return binary.LittleEndian.Uint64(sum[:])
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
