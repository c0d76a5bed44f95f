package tokenizer

// byteTrie finds the tokens that a text begins with. Its edges lie in one
// table with open addressing: quick to make, and a step is one look-up.
type byteTrie struct {
	edges []trieEdge
	root  [256]int32 // the edges of node 0: node, 0 for none
	ids   []int32    // by node: the token that ends there, -1 for none
}

type trieEdge struct {
	key  uint32 // node<<8 | byte; 0 is empty (the root's edges lie in root)
	node int32
}

func newByteTrie(tokens int) *byteTrie {
	return &byteTrie{edges: make([]trieEdge, 4*tokens+16), ids: []int32{-1}}
}

// maxTrieNodes is what fits into the key of an edge.
const maxTrieNodes = 1 << 24

// home returns the place of a key in a table of n entries, where it or its
// neighbours are to be looked for.
func home(key uint32, n int) int {
	return int(uint64(key*0x9e3779b1) * uint64(n) >> 32)
}

func (t *byteTrie) slot(key uint32) *trieEdge {
	edges := t.edges
	for at := home(key, len(edges)); ; at++ {
		if at == len(edges) {
			at = 0
		}
		if e := &edges[at]; e.key == key || e.key == 0 {
			return e
		}
	}
}

func (t *byteTrie) next(node int32, b byte) int32 {
	if node == 0 {
		return t.root[b]
	}
	return t.slot(uint32(node)<<8 | uint32(b)).node
}

// add makes s a token with id.
func (t *byteTrie) add(s string, id int32) {
	node := int32(0)
	for i := range len(s) {
		next := t.next(node, s[i])
		if next == 0 {
			next = t.grow(node, s[i])
		}
		node = next
	}
	t.ids[node] = id
}

func (t *byteTrie) grow(node int32, b byte) int32 {
	next := int32(len(t.ids))
	t.ids = append(t.ids, -1)
	if node == 0 {
		t.root[b] = next
		return next
	}
	if 3*len(t.ids) > 2*len(t.edges) {
		t.resize(2 * len(t.edges))
	}
	key := uint32(node)<<8 | uint32(b)
	*t.slot(key) = trieEdge{key, next}
	return next
}

func (t *byteTrie) resize(n int) {
	old := t.edges
	t.edges = make([]trieEdge, n)
	for _, e := range old {
		if e.key != 0 {
			*t.slot(e.key) = e
		}
	}
}

// longestSteps returns the longest token that s begins with, -1 if there is
// none, and how many bytes it has looked at.
func (t *byteTrie) longestSteps(s string) (id int32, steps int) {
	id = -1
	node := int32(0)
	for steps < len(s) {
		node = t.next(node, s[steps])
		if steps++; node == 0 {
			break
		}
		if t.ids[node] >= 0 {
			id = t.ids[node]
		}
	}
	return id, steps
}

// longest returns the longest token that s begins with, and its length; -1 if
// there is none.
func (t *byteTrie) longest(s string) (id int32, n int) {
	id = -1
	node := int32(0)
	for i := range len(s) {
		if node = t.next(node, s[i]); node == 0 {
			break
		}
		if t.ids[node] >= 0 {
			id, n = t.ids[node], i+1
		}
	}
	return id, n
}

// find returns the token s, -1 if there is none.
func (t *byteTrie) find(s string) int32 {
	node := int32(0)
	for i := range len(s) {
		if node = t.next(node, s[i]); node == 0 {
			return -1
		}
	}
	return t.ids[node]
}
