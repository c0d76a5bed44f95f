package tokenizer

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"strings"
)

// vocab holds the tokens by id; an id without a token holds "".
type vocab []string

// compact puts all tokens into one string of their own.
func (v vocab) compact() {
	n := 0
	for _, t := range v {
		n += len(t)
	}
	var b strings.Builder
	b.Grow(n)
	for _, t := range v {
		b.WriteString(t)
	}
	all := b.String()
	for i, t := range v {
		v[i], all = all[:len(t)], all[len(t):]
	}
}

// vocabIndex finds the ids of tokens: a table with open addressing, since it
// is made at every start and a map takes several times as long.
type vocabIndex struct {
	tokens vocab
	table  []int32 // id + 1; 0 is empty
	seed   maphash.Seed
}

// newVocabIndex fails on a token with two ids, unless the last of them counts.
func newVocabIndex(tokens vocab, lastCounts bool) (*vocabIndex, error) {
	x := &vocabIndex{tokens: tokens, seed: maphash.MakeSeed()}
	x.table = make([]int32, 1<<bits.Len(uint(2*len(tokens)+1)))
	for id, t := range tokens {
		if t == "" {
			continue
		}
		at := x.slot(t)
		if x.table[at] != 0 && !lastCounts {
			return nil, fmt.Errorf("token %s has the ids %d and %d", shorten(t), x.table[at]-1, id)
		}
		x.table[at] = int32(id) + 1
	}
	return x, nil
}

// slot returns where in the table t is, or would be.
func (x *vocabIndex) slot(t string) int {
	mask := len(x.table) - 1
	at := int(maphash.String(x.seed, t)) & mask
	for x.table[at] != 0 && x.tokens[x.table[at]-1] != t {
		at = (at + 1) & mask
	}
	return at
}

// id returns the id of t, -1 if it is no token.
func (x *vocabIndex) id(t string) int32 { return x.table[x.slot(t)] - 1 }

// token returns the token of id, "" if there is none.
func (v vocab) token(id int32) string {
	if id < 0 || int(id) >= len(v) {
		return ""
	}
	return v[id]
}
