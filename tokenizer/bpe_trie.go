package tokenizer

// tokenTrie finds the longest token that a text begins with, in as few looks
// into memory as can be: a node that is a token has the token's id plus one
// for its number, and what leads to a node says which bytes may go on from it.
type tokenTrie struct {
	tokens uint32 // nodes from 1 to here are tokens
	nodes  uint32
	root   [256]trieRef
	edges  []tokenEdge
	// threes holds where three bytes lead to, which make one character of
	// U+0800 to U+FFFF: one look for most of Chinese. Nil where few do.
	threes []trieRef
}

// trieRef is a node and, in the lowest byte, the bits b&7 of the bytes b that
// go on from it.
type trieRef uint32

func (r trieRef) node() uint32 { return uint32(r) >> 8 }

func (r trieRef) mayGoOn(b byte) bool { return uint32(r)>>(b&7)&1 != 0 }

type tokenEdge struct {
	key uint32 // node<<8 | byte
	ref trieRef
}

// newTokenTrie makes a trie of those tokens whose names are not empty; nil if
// they are too many.
func newTokenTrie(names []string) *tokenTrie {
	byLength := [][]int32{}
	total := 0
	for id, name := range names {
		for len(byLength) <= len(name) {
			byLength = append(byLength, nil)
		}
		byLength[len(name)] = append(byLength[len(name)], int32(id))
		total += len(name)
	}
	if total+len(names) >= maxTrieNodes {
		return nil
	}
	t := &tokenTrie{tokens: uint32(len(names)), nodes: uint32(len(names))}
	t.edges = make([]tokenEdge, len(names)*3+64)
	// The short ones first: so no token's node is made as part of another.
	for length := 1; length < len(byLength); length++ {
		for _, id := range byLength[length] {
			t.add(names[id], uint32(id)+1)
		}
	}
	t.resize(int(t.nodes)*5/3 + 16)
	t.findThrees()
	return t
}

func (t *tokenTrie) slot(key uint32) *tokenEdge {
	edges := t.edges
	for at := home(key, len(edges)); ; at++ {
		if at == len(edges) {
			at = 0
		}
		if e := &edges[at]; e.key == key || e.ref == 0 {
			return e
		}
	}
}

func (t *tokenTrie) add(name string, number uint32) {
	if int(t.nodes)*3 > len(t.edges)*2-3*len(name) {
		t.resize(2 * len(t.edges))
	}
	ref := &t.root[name[0]]
	for i := 1; ; i++ {
		if *ref == 0 { // a new node
			node := number
			if i < len(name) {
				t.nodes++
				node = t.nodes
			}
			*ref = trieRef(node << 8)
		}
		if i == len(name) {
			return
		}
		*ref |= 1 << (name[i] & 7)
		key := ref.node()<<8 | uint32(name[i])
		e := t.slot(key)
		e.key = key
		ref = &e.ref
	}
}

func (t *tokenTrie) resize(n int) {
	old := t.edges
	t.edges = make([]tokenEdge, n)
	for _, e := range old {
		if e.ref != 0 {
			*t.slot(e.key) = e
		}
	}
}

func (t *tokenTrie) findThrees() {
	const worthwhile = 256
	threes := make([]trieRef, 1<<16)
	n := 0
	for c := uint32(0x800); c < 1<<16; c++ {
		ref := t.root[0xe0|c>>12]
		if ref != 0 {
			ref = t.slot(ref.node()<<8 | 0x80 | c>>6&0x3f).ref
		}
		if ref != 0 {
			ref = t.slot(ref.node()<<8 | 0x80 | c&0x3f).ref
		}
		if ref != 0 {
			threes[c] = ref
			n++
		}
	}
	if n >= worthwhile {
		t.threes = threes
	}
}

// longest returns the longest token that s begins with, and its length; -1 if
// there is none. s must not be empty.
func (t *tokenTrie) longest(s string) (id int32, n int) {
	ref, i := trieRef(0), 0
	id = -1
	if s[0]>>4 == 0xe && len(s) >= 3 && t.threes != nil && s[1]>>6 == 2 && s[2]>>6 == 2 {
		ref = t.threes[uint32(s[0]&0xf)<<12|uint32(s[1]&0x3f)<<6|uint32(s[2]&0x3f)]
		if number := ref.node(); number-1 < t.tokens {
			id, n, i = int32(number)-1, 3, 3
		}
	}
	if i == 0 {
		ref, i = t.root[s[0]], 1
		if number := ref.node(); number-1 < t.tokens {
			id, n = int32(number)-1, 1
		}
	}
	for i < len(s) && ref.mayGoOn(s[i]) {
		ref = t.slot(ref.node()<<8 | uint32(s[i])).ref
		i++
		if number := ref.node(); number-1 < t.tokens {
			id, n = int32(number)-1, i
		}
	}
	return id, n
}

// found is a token that a text begins with, and its length.
type found struct{ id, n int32 }

// all appends the tokens that s begins with, the shortest first.
func (t *tokenTrie) all(to []found, s string) []found {
	if s == "" {
		return to
	}
	ref := t.root[s[0]]
	for i := 1; ; i++ {
		if number := ref.node(); number-1 < t.tokens {
			to = append(to, found{int32(number) - 1, int32(i)})
		}
		if i >= len(s) || !ref.mayGoOn(s[i]) {
			return to
		}
		ref = t.slot(ref.node()<<8 | uint32(s[i])).ref
	}
}
