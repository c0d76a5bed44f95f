package tokenizer

import "math/bits"

// mergeTable finds merges by their two tokens.
type mergeTable struct {
	entries []mergeEntry // with open addressing
	// some holds a bit for every merge, and by chance for some other pairs:
	// most pairs that are asked for have none, and the bits stay in the cache.
	some  []uint64
	shift uint8
}

type mergeEntry struct {
	key      uint64 // left<<32 | right, plus 1; 0 is empty
	rank, id int32
}

func newMergeTable(n int) *mergeTable {
	size := bits.Len(uint(8*n + 63)) // bits of some: 8 to 16 a merge
	return &mergeTable{entries: make([]mergeEntry, n*5/3+16), some: make([]uint64, 1<<(size-6)), shift: uint8(64 - size)}
}

func mergeKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) + 1 }

// mixKey spreads a key over 64 bits, of which the highest are the best.
func mixKey(key uint64) uint64 {
	key *= 0x9e3779b97f4a7c15
	return (key ^ key>>32) * 0xd6e8feb86659fd93
}

func (t *mergeTable) slot(key, hash uint64) *mergeEntry {
	at, _ := bits.Mul64(hash, uint64(len(t.entries)))
	for ; ; at++ {
		if at == uint64(len(t.entries)) {
			at = 0
		}
		if e := &t.entries[at]; e.key == key || e.key == 0 {
			return e
		}
	}
}

// set notes a merge; of one that comes twice the last rank counts.
func (t *mergeTable) set(m merge, rank, id int32) {
	key := mergeKey(m.left, m.right)
	hash := mixKey(key)
	bit := hash >> t.shift
	t.some[bit>>6] |= 1 << (bit & 63)
	*t.slot(key, hash) = mergeEntry{key, rank, id}
}

// get returns the rank of the merge of two tokens and the token it makes;
// rank is -1 if there is none.
func (t *mergeTable) get(left, right int32) (rank, id int32) {
	key := mergeKey(left, right)
	hash := mixKey(key)
	if bit := hash >> t.shift; t.some[bit>>6]>>(bit&63)&1 == 0 {
		return -1, -1
	}
	e := t.slot(key, hash)
	if e.key == 0 {
		return -1, -1
	}
	return e.rank, e.id
}
