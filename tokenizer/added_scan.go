package tokenizer

// addedScan goes over one text for addedFinder. It looks for the longest token
// at each byte in the trie; where tokens overlap so much that this takes more
// than a few steps a byte, it goes on with what an automaton finds out about
// all bytes of a stretch at once. Both find the same.
type addedScan struct {
	f    *addedFinder
	s    string
	left int // steps in the trie before the automaton takes over

	from, to int     // the stretch that known is about
	known    []int32 // by byte: the longest token that begins there, -1: none
}

const (
	stepsPerByte = 16
	scanStretch  = 1 << 16
)

func (f *addedFinder) scan(s string) addedScan {
	return addedScan{f: f, s: s, left: stepsPerByte * (len(s) + 64)}
}

// next returns the longest added token at the first place at or after from
// where there is one; nil if none.
func (c *addedScan) next(from int) (t *AddedToken, start, end int) {
	if c.f.trie == nil {
		return nil, 0, 0
	}
	for i := from; i < len(c.s); i++ {
		if !c.f.first[c.s[i]] {
			continue
		}
		var id int32
		if c.left > 0 {
			var steps int
			id, steps = c.f.trie.longestSteps(c.s[i:])
			c.left -= steps
		} else {
			id = c.lookUp(i)
		}
		if id >= 0 {
			return c.f.tokens[id], i, i + len(c.f.texts[id])
		}
	}
	return nil, 0, 0
}

// lookUp returns the longest token at byte i; i does not decrease.
func (c *addedScan) lookUp(i int) int32 {
	if i >= c.to {
		c.from, c.to = i, min(i+scanStretch, len(c.s))
		c.known = c.f.backward().find(c.s, c.from, c.to, resize32(c.known, c.to-c.from))
	}
	return c.known[i-c.from]
}

func resize32(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	return s[:n]
}

// backward returns the automaton, made when it is first wanted.
func (f *addedFinder) backward() *backwardFinder {
	f.once.Do(func() { f.back = newBackwardFinder(f.texts) })
	return f.back
}

// backwardFinder is the automaton of Aho and Corasick (Efficient string
// matching, 1975) over the texts read backwards. Read backwards, too, a text
// takes it to the longest of them that begins at each byte, in linear time.
type backwardFinder struct {
	trie    *byteTrie
	fail    []int32 // by node: that of the longest proper suffix of what was read
	longest []int32 // by node: the longest text that what was read ends with, -1: none
	most    int     // bytes of the longest text
}

func newBackwardFinder(texts []string) *backwardFinder {
	b := &backwardFinder{trie: newByteTrie(len(texts))}
	for i, text := range texts {
		b.trie.add(reversed(text), int32(i))
		b.most = max(b.most, len(text))
	}
	n := len(b.trie.ids)
	b.fail, b.longest = make([]int32, n), make([]int32, n)
	b.longest[0] = -1
	for _, e := range b.trie.byDepth() {
		parent, letter := e.key>>8, byte(e.key)
		if parent != 0 {
			b.fail[e.node] = b.step(b.fail[parent], letter)
		}
		b.longest[e.node] = b.trie.ids[e.node]
		if b.longest[e.node] < 0 {
			b.longest[e.node] = b.longest[b.fail[e.node]]
		}
	}
	return b
}

func reversed(s string) string {
	b := make([]byte, len(s))
	for i := range len(s) {
		b[len(s)-1-i] = s[i]
	}
	return string(b)
}

// step returns where a byte leads to from a node.
func (b *backwardFinder) step(node int32, letter byte) int32 {
	for {
		if next := b.trie.next(node, letter); next != 0 || node == 0 {
			return next
		}
		node = b.fail[node]
	}
}

// find sets to the longest text that begins at each byte of s from from to end.
func (b *backwardFinder) find(s string, from, end int, to []int32) []int32 {
	node := int32(0)
	for i := min(len(s), end+b.most) - 1; i >= from; i-- {
		node = b.step(node, s[i])
		if i < end {
			to[i-from] = b.longest[node]
		}
	}
	return to
}

// byDepth returns the edges, those nearer to the root first.
func (t *byteTrie) byDepth() []trieEdge {
	edges := make([]trieEdge, len(t.ids)) // by node
	for letter, node := range t.root {
		if node != 0 {
			edges[node] = trieEdge{uint32(letter), node}
		}
	}
	for _, e := range t.edges {
		if e.key != 0 {
			edges[e.node] = e
		}
	}
	depth := make([]int32, len(edges))
	deepest := int32(0)
	for _, e := range edges[1:] { // a node comes after its parent
		depth[e.node] = depth[e.key>>8] + 1
		deepest = max(deepest, depth[e.node])
	}
	at := make([]int, deepest+2)
	for _, d := range depth[1:] {
		at[d+1]++
	}
	for d := range deepest {
		at[d+1] += at[d]
	}
	sorted := make([]trieEdge, len(edges)-1)
	for _, e := range edges[1:] {
		d := depth[e.node]
		sorted[at[d]] = e
		at[d]++
	}
	return sorted
}
