package engine

import (
	"fmt"

	"wenmo/model"
	"wenmo/tensor"
)

// pageGroup is the pages of the layers that see equally far.
type pageGroup struct {
	window int // 0: everything before
	kv     *tensor.KV
}

// newPageGroups returns the groups of a model, each with room for limit pages.
func newPageGroups(m *model.Model, bf16 bool, limit int) []pageGroup {
	groups := m.Groups
	if groups == nil {
		groups = []model.LayerGroup{{Layers: m.KV.Layers}}
	}
	out := make([]pageGroup, len(groups))
	for i, g := range groups {
		shape := m.KV
		shape.BF16, shape.Layers = bf16, g.Layers
		out[i] = pageGroup{g.Window, tensor.NewKV(shape, limit)}
	}
	return out
}

// first returns the first page that a query at position pos, and those after it,
// see.
func (g *pageGroup) first(pos int) int {
	if g.window == 0 {
		return 0
	}
	return max(0, pos-g.window+1) / tensor.PageTokens
}

// need returns how many pages a sequence comes to use at most that has maxLen
// tokens, of which a pass computes up to atOnce.
func (g *pageGroup) need(maxLen, atOnce int) int {
	all := pagesFor(maxLen)
	if g.window == 0 {
		return all
	}
	return min(all, pagesFor(g.window+atOnce)+1)
}

// pageTable is a group's pages of one sequence; page i holds positions from
// 64·i, and the first ones, which nobody sees any more, are gone.
type pageTable struct {
	pages []int32
	gone  int
}

// noPage stands for a page that is gone.
const noPage = -1

// reserve makes the table reach position end and makes its page of position
// from, where writing begins, its own (copy on write).
func (t *pageTable) reserve(kv *tensor.KV, from, end int) error {
	if i := from / tensor.PageTokens; i < len(t.pages) && kv.Shared(t.pages[i]) {
		p, err := kv.Alloc()
		if err != nil {
			return err
		}
		kv.Copy(p, t.pages[i])
		kv.Release(t.pages[i])
		t.pages[i] = p
	}
	for len(t.pages) < pagesFor(end) {
		p, err := kv.Alloc()
		if err != nil {
			return err
		}
		t.pages = append(t.pages, p)
	}
	return nil
}

// drop gives the pages before page first back.
func (t *pageTable) drop(kv *tensor.KV, first int) {
	for ; t.gone < min(first, len(t.pages)); t.gone++ {
		kv.Release(t.pages[t.gone])
		t.pages[t.gone] = noPage
	}
}

// fork returns a table that shares all pages.
func (t *pageTable) fork(kv *tensor.KV) pageTable {
	for _, p := range t.pages[t.gone:] {
		kv.Share(p)
	}
	return pageTable{append([]int32(nil), t.pages...), t.gone}
}

// release gives all pages back.
func (t *pageTable) release(kv *tensor.KV) {
	for _, p := range t.pages[t.gone:] {
		kv.Release(p)
	}
	t.pages, t.gone = t.pages[:0], 0
}

// errTooLarge says that a request can never fit.
func errTooLarge(tokens, limit int) error {
	return fmt.Errorf("the request needs room for %d tokens, the KV cache holds %d", tokens, limit)
}
