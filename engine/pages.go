package engine

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"

	"wenmo/tensor"
)

// pageTable is the pages of one sequence; page i holds positions from 64·i.
type pageTable []int32

// reserve makes the table reach position end and makes its page of position
// from, where writing begins, its own (copy on write).
func (t *pageTable) reserve(kv *tensor.KV, from, end int) error {
	if i := from / tensor.PageTokens; i < len(*t) && kv.Shared((*t)[i]) {
		p, err := kv.Alloc()
		if err != nil {
			return err
		}
		kv.Copy(p, (*t)[i])
		kv.Release((*t)[i])
		(*t)[i] = p
	}
	for len(*t) < pagesFor(end) {
		p, err := kv.Alloc()
		if err != nil {
			return err
		}
		*t = append(*t, p)
	}
	return nil
}

// fork returns a table that shares all pages.
func (t pageTable) fork(kv *tensor.KV) pageTable {
	for _, p := range t {
		kv.Share(p)
	}
	return append(pageTable(nil), t...)
}

// release gives all pages back.
func (t *pageTable) release(kv *tensor.KV) {
	for _, p := range *t {
		kv.Release(p)
	}
	*t = (*t)[:0]
}

// prefixCache remembers full pages by the tokens they and all pages before them
// hold, and by the tenant who computed them. The cache holds a reference to
// each; the longest unused go first when pages are needed.
type prefixCache struct {
	kv    *tensor.KV
	seed  maphash.Seed
	nodes map[uint64]*prefixNode
	clock int64
}

type prefixNode struct {
	tenant   string
	parent   *prefixNode
	ids      [tensor.PageTokens]int32
	page     int32
	used     int64
	children int
}

func newPrefixCache(kv *tensor.KV) *prefixCache {
	return &prefixCache{kv: kv, seed: maphash.MakeSeed(), nodes: map[uint64]*prefixNode{}}
}

// find returns the longest run of cached pages that hold the first tokens of
// ids, leaving at least one token to compute, each with a new reference.
func (c *prefixCache) find(tenant string, ids []int32) (table pageTable) {
	c.clock++
	var parent *prefixNode
	for n := tensor.PageTokens; n < len(ids); n += tensor.PageTokens {
		node := c.nodes[c.key(tenant, parent, ids[n-tensor.PageTokens:n])]
		if !node.holds(tenant, parent, ids[n-tensor.PageTokens:n]) {
			break
		}
		node.used = c.clock
		c.kv.Share(node.page)
		table = append(table, node.page)
		parent = node
	}
	return table
}

// add remembers the full pages among the first n tokens of a sequence.
func (c *prefixCache) add(tenant string, ids []int32, n int, table pageTable) {
	c.clock++
	var parent *prefixNode
	for i := 0; (i+1)*tensor.PageTokens <= n; i++ {
		part := ids[i*tensor.PageTokens : (i+1)*tensor.PageTokens]
		key := c.key(tenant, parent, part)
		node := c.nodes[key]
		if node == nil {
			node = &prefixNode{tenant: tenant, parent: parent, page: table[i]}
			copy(node.ids[:], part)
			c.kv.Share(table[i])
			c.nodes[key] = node
			if parent != nil {
				parent.children++
			}
		} else if !node.holds(tenant, parent, part) {
			return // another prefix has the same hash
		}
		node.used = c.clock
		parent = node
	}
}

// evict frees the page unused for longest that no sequence uses; false if there
// is none.
func (c *prefixCache) evict() bool {
	var oldest *prefixNode
	var key uint64
	for k, n := range c.nodes {
		if n.children > 0 || c.kv.Shared(n.page) {
			continue
		}
		if oldest == nil || n.used < oldest.used || n.used == oldest.used && n.page < oldest.page {
			oldest, key = n, k
		}
	}
	if oldest == nil {
		return false
	}
	delete(c.nodes, key)
	if oldest.parent != nil {
		oldest.parent.children--
	}
	c.kv.Release(oldest.page)
	return true
}

func (c *prefixCache) key(tenant string, parent *prefixNode, ids []int32) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	h.WriteString(tenant)
	var b [8]byte
	if parent != nil {
		binary.LittleEndian.PutUint64(b[:], uint64(parent.page)+1)
	}
	h.Write(b[:])
	for _, id := range ids {
		binary.LittleEndian.PutUint32(b[:4], uint32(id))
		h.Write(b[:4])
	}
	return h.Sum64()
}

func (n *prefixNode) holds(tenant string, parent *prefixNode, ids []int32) bool {
	return n != nil && n.tenant == tenant && n.parent == parent && n.ids == [tensor.PageTokens]int32(ids)
}

// errTooLarge says that a request can never fit.
func errTooLarge(tokens, limit int) error {
	return fmt.Errorf("the request needs room for %d tokens, the KV cache holds %d", tokens, limit)
}
