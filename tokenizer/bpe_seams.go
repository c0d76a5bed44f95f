package tokenizer

import (
	"math/bits"
	"unicode/utf8"
)

// seams tells where in a piece no merge can join two tokens: between most
// Chinese characters, and before most of SentencePiece's ▁. Then merging goes
// on in what lies before the place as if nothing came after it, and the other
// way round: of all merges the one of lowest rank and then the leftmost is
// next, and among those of one side that order is the same with and without
// the other side. A merge across a place leaves its trace, which is made of
// the last three bytes of its left token, or all of them, and the first three
// of its right token. Only places before a character outside ASCII count.
type seams struct {
	left1, right1 [256]bool // some trace has this one byte alone on the side
	left2, right2 []uint64  // a bit for two bytes alone
	traces        []uint64  // bits by hash: of all traces, and by chance of others
	shift         uint8
}

func newSeams(m *bpe, asBytes bool) *seams {
	size := bits.Len(uint(4*len(m.Merges) + 63))
	q := &seams{
		left2: make([]uint64, 1<<10), right2: make([]uint64, 1<<10),
		traces: make([]uint64, 1<<(size-6)), shift: uint8(64 - size),
	}
	for _, mg := range m.Merges {
		right := firstBytes(m.Vocab[mg.right], asBytes)
		if len(right) > 0 && right[0] < 0xc0 {
			continue // no place that counts
		}
		q.add(lastBytes(m.Vocab[mg.left], asBytes), right)
	}
	return q
}

// add notes the trace of a merge of left and right.
func (q *seams) add(left, right string) {
	if left == "" || right == "" {
		return // letters that no piece of bytes has
	}
	switch len(left) {
	case 1:
		q.left1[left[0]] = true
	case 2:
		setBit(q.left2, uint(left[0])<<8|uint(left[1]))
	}
	switch len(right) {
	case 1:
		q.right1[right[0]] = true
	case 2:
		setBit(q.right2, uint(right[0])<<8|uint(right[1]))
	}
	setBit(q.traces, q.trace(sideOf(left), sideOf(right)))
}

// firstBytes returns the first three bytes that a token stands for, or all.
func firstBytes(token string, asBytes bool) string {
	if !asBytes {
		return token[:min(len(token), 3)]
	}
	var b [3]byte
	n := 0
	for _, r := range token {
		c, ok := letterByte(r)
		if !ok {
			return ""
		}
		b[n] = c
		if n++; n == len(b) {
			break
		}
	}
	return string(b[:n])
}

// lastBytes returns the last three.
func lastBytes(token string, asBytes bool) string {
	if !asBytes {
		return token[max(len(token)-3, 0):]
	}
	var b [3]byte
	n := len(b)
	for token != "" && n > 0 {
		r, size := utf8.DecodeLastRuneInString(token)
		c, ok := letterByte(r)
		if !ok {
			return ""
		}
		n--
		b[n] = c
		token = token[:len(token)-size]
	}
	return string(b[n:])
}

// sideOf packs up to three bytes and their number.
func sideOf(s string) uint32 {
	v := uint32(len(s))
	for i := range len(s) {
		v = v<<8 | uint32(s[i])
	}
	return v
}

func setBit(to []uint64, at uint) { to[at>>6] |= 1 << (at & 63) }

func hasBit(in []uint64, at uint) bool { return in[at>>6]>>(at&63)&1 != 0 }

func (q *seams) trace(left, right uint32) uint {
	return uint(mixKey(uint64(left)<<32|uint64(right)) >> q.shift)
}

// at reports whether byte at of s begins a character outside ASCII that no
// merge joins to what lies before it.
func (q *seams) at(s string, at int) bool {
	before, after := s[:at], s[at:]
	if q.left1[before[at-1]] && q.joins(sideOf(before[at-1:]), after) {
		return false
	}
	if at >= 2 && hasBit(q.left2, uint(before[at-2])<<8|uint(before[at-1])) && q.joins(sideOf(before[at-2:]), after) {
		return false
	}
	return at < 3 || !q.joins(sideOf(before[at-3:]), after)
}

// joins reports whether left has a trace together with the beginning of after.
func (q *seams) joins(left uint32, after string) bool {
	if q.right1[after[0]] && hasBit(q.traces, q.trace(left, sideOf(after[:1]))) {
		return true
	}
	if len(after) < 2 {
		return false
	}
	if hasBit(q.right2, uint(after[0])<<8|uint(after[1])) && hasBit(q.traces, q.trace(left, sideOf(after[:2]))) {
		return true
	}
	return len(after) >= 3 && hasBit(q.traces, q.trace(left, sideOf(after[:3])))
}
