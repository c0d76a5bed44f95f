package eval

import "slices"

// copyFinder finds runs of n tokens of some sequences in documents, which it sees
// one after the other. All runs of n tokens of a document are looked up by their
// hash, and compared where one fits. What is in memory is less than 100 bytes for
// each token of the sequences.
type copyFinder struct {
	n         int
	sequences [][]int32
	at        map[uint64][]run
}

// run is where a run of n tokens stands.
type run struct{ sequence, from int32 }

func newCopyFinder(sequences [][]int32, n int) *copyFinder {
	c := &copyFinder{n: n, sequences: sequences, at: map[uint64][]run{}}
	for s, ids := range sequences {
		c.hashes(ids, func(from int, hash uint64) {
			if varied(ids[from : from+n]) {
				c.at[hash] = append(c.at[hash], run{int32(s), int32(from)})
			}
		})
	}
	return c
}

// varied says that a run has more than a tenth as many different tokens as it has
// tokens: a row of spaces or dashes is no copy of anything.
func varied(ids []int32) bool {
	different := map[int32]bool{}
	for _, id := range ids {
		if different[id] = true; len(different) > len(ids)/10 {
			return true
		}
	}
	return false
}

// find calls found with each run that the ids of a document hold, and did not
// before, of which sequence it is and the tokens that both share from there on.
func (c *copyFinder) find(ids []int32, found func(sequence int, copied []int32)) {
	if len(c.at) == 0 {
		return
	}
	c.hashes(ids, func(from int, hash uint64) {
		runs, ok := c.at[hash]
		if !ok {
			return
		}
		runs = slices.DeleteFunc(runs, func(r run) bool {
			n := common32(c.sequences[r.sequence][r.from:], ids[from:])
			if n < c.n {
				return false // another run of the same hash
			}
			found(int(r.sequence), ids[from:from+n])
			return true
		})
		if c.at[hash] = runs; len(runs) == 0 {
			delete(c.at, hash)
		}
	})
}

// hashes calls f with the hash of each run of n ids: a polynomial that rolls.
func (c *copyFinder) hashes(ids []int32, f func(from int, hash uint64)) {
	const base = 0x9e3779b97f4a7c15
	first := uint64(1) // base^n
	for range c.n {
		first *= base
	}
	hash := uint64(0)
	for i, id := range ids {
		hash = hash*base + uint64(id) + 1
		if i >= c.n {
			hash -= first * (uint64(ids[i-c.n]) + 1)
		}
		if i >= c.n-1 {
			f(i-c.n+1, hash)
		}
	}
}

// common32 is how many ids two sequences share at their beginning.
func common32(a, b []int32) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
