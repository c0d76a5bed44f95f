package tensor

import (
	"fmt"
	"unsafe"

	"wenmo/internal/mmap"
	"wenmo/kernel"
)

// PageTokens is the number of tokens in a page: four panels of keys.
const PageTokens = 64

// KVShape says what a page holds: keys and values of all layers.
type KVShape struct {
	Layers, Heads int // key/value heads
	Dim, VDim     int // elements of a key and of a value
	BF16          bool
}

func (s KVShape) keyLen() int {
	if s.BF16 {
		return kernel.PanelLenBF16(PageTokens, s.Dim)
	}
	return kernel.PanelLenF32(PageTokens, s.Dim)
}

func (s KVShape) valueLen() int {
	if s.BF16 {
		return kernel.PanelLenBF16(s.VDim, PageTokens)
	}
	return kernel.PanelLenF32(s.VDim, PageTokens)
}

// PageBytes is the size of a page.
func (s KVShape) PageBytes() int {
	n := s.Layers * s.Heads * (s.keyLen() + s.valueLen())
	if s.BF16 {
		return 2 * n
	}
	return 4 * n
}

// KV is a store of pages. Keys lie in panels with outputs = 16 tokens and
// k = Dim; values in panels with outputs = 16 elements and k = 64 tokens, so
// that attention is two panel products (DESIGN: one panel). Pages are counted
// by reference, and zeroed when handed out. It is not safe for concurrent use.
type KV struct {
	KVShape
	pages [][]byte
	refs  []int32
	free  []int32
	limit int
}

// NewKV returns a store of at most limit pages; memory is taken as needed.
func NewKV(shape KVShape, limit int) *KV { return &KV{KVShape: shape, limit: limit} }

// Free returns how many pages can still be handed out.
func (kv *KV) Free() int { return kv.limit - len(kv.pages) + len(kv.free) }

// Bytes returns the memory taken so far.
func (kv *KV) Bytes() int { return len(kv.pages) * kv.PageBytes() }

// Alloc hands out a zeroed page with one reference.
func (kv *KV) Alloc() (int32, error) {
	if n := len(kv.free); n > 0 {
		p := kv.free[n-1]
		kv.free = kv.free[:n-1]
		clear(kv.pages[p])
		kv.refs[p] = 1
		return p, nil
	}
	if len(kv.pages) >= kv.limit {
		return 0, fmt.Errorf("%w: all %d pages of the KV cache are in use", ErrMemory, kv.limit)
	}
	b, err := mmap.Anonymous(kv.PageBytes())
	if err != nil {
		return 0, fmt.Errorf("%w: KV cache: %w", ErrMemory, err)
	}
	kv.pages = append(kv.pages, b)
	kv.refs = append(kv.refs, 1)
	return int32(len(kv.pages) - 1), nil
}

// Share adds a reference to a page.
func (kv *KV) Share(p int32) { kv.refs[p]++ }

// Shared says whether a page has more than one reference.
func (kv *KV) Shared(p int32) bool { return kv.refs[p] > 1 }

// Release drops a reference; the last one frees the page.
func (kv *KV) Release(p int32) {
	kv.refs[p]--
	switch {
	case kv.refs[p] == 0:
		kv.free = append(kv.free, p)
	case kv.refs[p] < 0:
		panic("tensor: KV page released twice")
	}
}

// Copy copies the contents of a page.
func (kv *KV) Copy(dst, src int32) { copy(kv.pages[dst], kv.pages[src]) }

// Close returns all memory.
func (kv *KV) Close() error {
	for _, p := range kv.pages {
		if err := mmap.Free(p); err != nil {
			return err
		}
	}
	*kv = KV{KVShape: kv.KVShape}
	return nil
}

// tile returns the key and value panels of a head in a page.
func tile[T float32 | uint16](kv *KV, page int32, layer, head int) (k, v []T) {
	b := kv.pages[page]
	all := unsafe.Slice((*T)(unsafe.Pointer(&b[0])), kv.Layers*kv.Heads*(kv.keyLen()+kv.valueLen()))
	kl, vl := kv.keyLen(), kv.valueLen()
	at := (layer*kv.Heads + head) * (kl + vl)
	return all[at : at+kl], all[at+kl : at+kl+vl]
}

// Span is a run of rows of a batch that belong to one sequence: Len rows from
// row Start, at positions Pos, Pos+1, …; Pages holds its keys and values, of
// this pass's tokens too, page i from position 64·i.
type Span struct {
	Start, Len, Pos int
	Total           int // length that frequencies depend on, where they do (nn.Rope)
	Keys            int // number of keys, where the queries are not the last of them; else 0
	Pages           []int32
}

// keys returns the number of keys up to the end of the span.
func (s *Span) keys() int {
	if s.Keys > 0 {
		return s.Keys
	}
	return s.Pos + s.Len
}

// Keys are what queries look at: the keys and values of a layer in their pages.
type Keys struct {
	KV    *KV
	Layer int

	k, v  *Tensor // what was stored, for a tape
	spans []Span
}

// Store writes the keys and values of a layer, [tokens, heads·dim], into the
// pages of their spans. Layers share the pages of a store that has fewer: in
// training keys are not looked at again.
func (g *Graph) Store(kv *KV, layer int, k, v *Tensor, spans []Span) Keys {
	layer %= kv.Layers
	keys := Keys{KV: kv, Layer: layer, k: k, v: v, spans: spans}
	t := &g.tasks.store
	*t = storeTask{kv: kv, layer: layer, k: k, v: v, spans: spans}
	if k.Rows*k.Cols < inlineWork {
		for h := range kv.Heads {
			t.Do(0, h)
		}
		return keys
	}
	g.pool.Run(t, kv.Heads)
	return keys
}

type storeTask struct {
	kv    *KV
	layer int
	k, v  *Tensor
	spans []Span
}

func (t *storeTask) Do(_, head int) {
	kv := t.kv
	for _, s := range t.spans {
		for i := range s.Len {
			pos := s.Pos + i
			k := t.k.Row(s.Start + i)[head*kv.Dim : (head+1)*kv.Dim]
			v := t.v.Row(s.Start + i)[head*kv.VDim : (head+1)*kv.VDim]
			page, lane := s.Pages[pos/PageTokens], pos%PageTokens
			if kv.BF16 {
				storeBF16(kv, page, t.layer, head, lane, k, v)
				continue
			}
			keys, values := tile[float32](kv, page, t.layer, head)
			keys = keys[lane/16*16*len(k)+lane%16:]
			for d, x := range k {
				keys[d*16] = x
			}
			for d := 0; d < len(v); d += 16 {
				copy(values[(d/16*PageTokens+lane)*16:], v[d:min(d+16, len(v))])
			}
		}
	}
}

func storeBF16(kv *KV, page int32, layer, head, lane int, k, v []float32) {
	keys, values := tile[uint16](kv, page, layer, head)
	keys = keys[lane/16*kernel.PanelLenBF16(16, len(k))+lane%16*2:]
	for d, x := range k {
		keys[d/2*32+d%2] = kernel.ToBF16(x)
	}
	for d, x := range v {
		values[(d/16*PageTokens+lane&^1)*16+d%16*2+lane%2] = kernel.ToBF16(x)
	}
}
