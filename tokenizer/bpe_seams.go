package tokenizer

import "math/bits"

// seams tells where in a word of characters outside ASCII no merge can join
// two tokens: between most Chinese characters. The parts of a word between
// seams can be merged alone. A merge across a place leaves its trace, which is
// made of the last three bytes of its left token, or all of them, and the
// first three of its right token.
type seams struct {
	left1, right1 [256]bool // some trace has this one byte alone on the side
	left2, right2 []uint64  // a bit for two bytes alone
	traces        []uint64  // bits by hash: of all traces, and by chance of others
	shift         uint8
}

func newSeams(merges []merge, names []string) *seams {
	size := bits.Len(uint(4*len(merges) + 63))
	q := &seams{
		left2: make([]uint64, 1<<10), right2: make([]uint64, 1<<10),
		traces: make([]uint64, 1<<(size-6)), shift: uint8(64 - size),
	}
	for _, mg := range merges {
		l, r := names[mg.left], names[mg.right]
		if l == "" || r == "" || !isSeam(l[len(l)-1], r[0]) {
			continue // one of them is never there, or no place for a seam
		}
		switch len(l) {
		case 1:
			q.left1[l[0]] = true
		case 2:
			setBit(q.left2, uint(l[0])<<8|uint(l[1]))
		}
		switch len(r) {
		case 1:
			q.right1[r[0]] = true
		case 2:
			setBit(q.right2, uint(r[0])<<8|uint(r[1]))
		}
		setBit(q.traces, q.trace(lastBytes(l, min(len(l), 3)), firstBytes(r, min(len(r), 3))))
	}
	return q
}

// isSeam reports whether the bytes before and after a place are those of a
// seam: both characters are outside ASCII.
func isSeam(before, after byte) bool { return before >= 0x80 && after >= 0xc0 }

func setBit(to []uint64, at uint) { to[at>>6] |= 1 << (at & 63) }

func hasBit(in []uint64, at uint) bool { return in[at>>6]>>(at&63)&1 != 0 }

// lastBytes and firstBytes return the last and the first n bytes of s and their
// number.
func lastBytes(s string, n int) uint32 {
	v := uint32(n)
	for i := len(s) - n; i < len(s); i++ {
		v = v<<8 | uint32(s[i])
	}
	return v
}

func firstBytes(s string, n int) uint32 {
	v := uint32(n)
	for i := range n {
		v = v<<8 | uint32(s[i])
	}
	return v
}

func (q *seams) trace(left, right uint32) uint {
	return uint(mixKey(uint64(left)<<32|uint64(right)) >> q.shift)
}

// at reports whether the place before byte at of s, which isSeam holds for, is
// one that no merge goes across.
func (q *seams) at(s string, at int) bool {
	before, after := s[:at], s[at:]
	if q.left1[before[at-1]] && q.joins(lastBytes(before, 1), after) {
		return false
	}
	if at >= 2 && hasBit(q.left2, uint(before[at-2])<<8|uint(before[at-1])) && q.joins(lastBytes(before, 2), after) {
		return false
	}
	return at < 3 || !q.joins(lastBytes(before, 3), after)
}

// joins reports whether left has a trace together with the beginning of after.
func (q *seams) joins(left uint32, after string) bool {
	if q.right1[after[0]] && hasBit(q.traces, q.trace(left, firstBytes(after, 1))) {
		return true
	}
	if len(after) < 2 {
		return false
	}
	if hasBit(q.right2, uint(after[0])<<8|uint(after[1])) && hasBit(q.traces, q.trace(left, firstBytes(after, 2))) {
		return true
	}
	return len(after) >= 3 && hasBit(q.traces, q.trace(left, firstBytes(after, 3)))
}
