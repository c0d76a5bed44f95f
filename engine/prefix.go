package engine

import (
	"encoding/binary"
	"hash/maphash"

	"wenmo/tensor"
)

// prefixCache remembers full pages by the tokens they and all pages before them
// hold, and by who computed them. The cache holds a reference to each; the
// longest unused go first when pages are needed. A page of a group with a window
// may go before those that follow it: what ends near it is then found no more.
type prefixCache struct {
	groups []pageGroup
	seed   maphash.Seed
	nodes  map[uint64]*prefixNode
	clock  int64
	made   uint64
}

// prefixOwner is for whom a prefix holds.
type prefixOwner struct {
	tenant string
	set    int // of frequencies
}

type prefixNode struct {
	owner    prefixOwner
	parent   *prefixNode
	key      uint64
	number   uint64 // in the order of making
	ids      [tensor.PageTokens]int32
	pages    []int32 // by group; noPage: gone
	used     int64
	children int
}

func newPrefixCache(groups []pageGroup) *prefixCache {
	return &prefixCache{groups: groups, seed: maphash.MakeSeed(), nodes: map[uint64]*prefixNode{}}
}

// find sets the tables to the longest run of cached pages that hold the first
// tokens of ids, leaving at least one token to compute, each with a new
// reference, and returns how many tokens that is. It counts only if every group
// has the pages that the next token sees.
func (c *prefixCache) find(owner prefixOwner, ids []int32, tables []pageTable) int {
	c.clock++
	var chain []*prefixNode
	var parent *prefixNode
	for n := tensor.PageTokens; n < len(ids); n += tensor.PageTokens {
		part := ids[n-tensor.PageTokens : n]
		node := c.nodes[c.keyOf(owner, parent, part)]
		if !node.holds(owner, parent, part) {
			break
		}
		chain = append(chain, node)
		parent = node
	}
	for len(chain) > 0 && !c.whole(chain) {
		chain = chain[:len(chain)-1]
	}
	for _, node := range chain {
		node.used = c.clock
	}
	n := len(chain) * tensor.PageTokens
	for g := range c.groups {
		group, t := &c.groups[g], &tables[g]
		for i, node := range chain {
			if i < group.first(n) {
				t.pages = append(t.pages, noPage)
				t.gone++
				continue
			}
			group.kv.Share(node.pages[g])
			t.pages = append(t.pages, node.pages[g])
		}
	}
	return n
}

// whole says that every group has the pages which the token after the chain sees.
func (c *prefixCache) whole(chain []*prefixNode) bool {
	for g := range c.groups {
		for _, node := range chain[c.groups[g].first(len(chain)*tensor.PageTokens):] {
			if node.pages[g] == noPage {
				return false
			}
		}
	}
	return true
}

// add remembers the full pages among the first n tokens of a sequence. Where
// another sequence has computed the same page, the table takes that one and gives
// its own back: so whoever uses a page uses all before it, and no page that only
// the cache holds stands before one that somebody uses.
func (c *prefixCache) add(owner prefixOwner, ids []int32, n int, tables []pageTable) {
	c.clock++
	var parent *prefixNode
	for i := 0; (i+1)*tensor.PageTokens <= n; i++ {
		part := ids[i*tensor.PageTokens : (i+1)*tensor.PageTokens]
		key := c.keyOf(owner, parent, part)
		node := c.nodes[key]
		if node == nil {
			node = c.grow(key, owner, parent, part)
		} else if !node.holds(owner, parent, part) {
			return // another prefix has the same hash
		}
		for g := range tables {
			own, kept, kv := tables[g].pages[i], node.pages[g], c.groups[g].kv
			switch {
			case own == noPage || own == kept:
			case kept == noPage:
				kv.Share(own)
				node.pages[g] = own
			default:
				kv.Share(kept)
				kv.Release(own)
				tables[g].pages[i] = kept
			}
		}
		node.used = c.clock
		parent = node
	}
	c.prune(parent)
}

func (c *prefixCache) grow(key uint64, owner prefixOwner, parent *prefixNode, ids []int32) *prefixNode {
	c.made++
	node := &prefixNode{owner: owner, parent: parent, key: key, number: c.made, pages: make([]int32, len(c.groups))}
	for g := range node.pages {
		node.pages[g] = noPage
	}
	copy(node.ids[:], ids)
	c.nodes[key] = node
	if parent != nil {
		parent.children++
	}
	return node
}

// evict frees the page of a group that was unused for longest and that no
// sequence uses; false if there is none.
func (c *prefixCache) evict(g int) bool {
	group := &c.groups[g]
	var oldest *prefixNode
	for _, n := range c.nodes {
		if n.pages[g] == noPage || group.kv.Shared(n.pages[g]) || group.window == 0 && n.children > 0 {
			continue
		}
		if oldest == nil || n.used < oldest.used || n.used == oldest.used && n.number < oldest.number {
			oldest = n
		}
	}
	if oldest == nil {
		return false
	}
	for i := range c.groups { // without what sees everything the rest is of no use
		if i == g || group.window == 0 {
			c.release(oldest, i)
		}
	}
	c.prune(oldest)
	return true
}

func (c *prefixCache) release(n *prefixNode, g int) {
	if n.pages[g] != noPage {
		c.groups[g].kv.Release(n.pages[g])
		n.pages[g] = noPage
	}
}

// prune removes a node that has neither pages nor children, and then its parent.
func (c *prefixCache) prune(n *prefixNode) {
	for ; n != nil && n.children == 0; n = n.parent {
		for _, p := range n.pages {
			if p != noPage {
				return
			}
		}
		delete(c.nodes, n.key)
		if n.parent != nil {
			n.parent.children--
		}
	}
}

func (c *prefixCache) keyOf(owner prefixOwner, parent *prefixNode, ids []int32) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	h.WriteString(owner.tenant)
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(owner.set))
	if parent != nil {
		binary.LittleEndian.PutUint64(b[8:], parent.number)
	}
	h.Write(b[:])
	for _, id := range ids {
		binary.LittleEndian.PutUint32(b[:4], uint32(id))
		h.Write(b[:4])
	}
	return h.Sum64()
}

func (n *prefixNode) holds(owner prefixOwner, parent *prefixNode, ids []int32) bool {
	return n != nil && n.owner == owner && n.parent == parent && n.ids == [tensor.PageTokens]int32(ids)
}
