package tensor

import (
	"math"

	"wenmo/kernel"
)

// Attention says how queries look at keys.
type Attention struct {
	Heads, KVHeads int
	Dim, VDim      int // elements of a query or key, and of a value
	Scale          float32
	Causal         bool
	Window         int       // a causal query at i sees keys j with i−Window < j ≤ i; 0: no limit
	SoftCap        float32   // scores become cap·tanh(score/cap); 0: off
	Slopes         []float32 // ALiBi, a slope a head (Press et al. 2022); nil: off
	Sinks          []float32 // a logit a head that takes part in the softmax and carries no value; nil: off
}

// queryRows is the number of (query, head) rows that a task treats at once.
const queryRows = 48

// Attend returns softmax(scale·q·kᵀ)·v, [tokens, Heads·VDim], for the queries q
// [tokens, Heads·Dim] over the stored keys and values of their spans. Each
// tile of 64 keys, counted from position 0, is treated on its own and the
// tiles are folded in order, so the numbers do not depend on how a sequence
// came in (DESIGN: pages). probs, if not nil, takes the probabilities of span
// 0: [Heads][queries][keys].
func (g *Graph) Attend(a *Attention, kv *KV, layer int, q *Tensor, spans []Span, probs []float32) *Tensor {
	out := g.New(q.Rows, a.Heads*a.VDim)
	t := &g.tasks.attention
	threads := g.pool.Threads()
	*t = attentionTask{Attention: a, kv: kv, layer: layer, q: q, out: out, spans: spans, probs: probs, scratch: t.scratch[:0]}
	group := a.Heads / a.KVHeads
	t.queries = max(1, queryRows/group)
	for _, s := range spans {
		t.items += (s.Len + t.queries - 1) / t.queries * a.KVHeads
	}
	for range threads {
		t.scratch = append(t.scratch, g.newScratch(a, kv, t.queries*group))
	}
	if q.Rows*a.Heads*a.Dim < inlineWork/8 && t.items < 2*threads {
		for i := range t.items {
			t.Do(0, i)
		}
		return out
	}
	g.pool.Run(t, t.items)
	return out
}

type attentionTask struct {
	*Attention
	kv      *KV
	layer   int
	q, out  *Tensor
	spans   []Span
	probs   []float32
	queries int // of a task
	items   int
	scratch []attentionScratch
}

// attentionScratch is a worker's memory for up to rows = queries·group rows.
type attentionScratch struct {
	q, acc, tile []float32 // [rows, Dim], [rows, VDim], [rows, VDim]
	s            []float32 // [rows, PageTokens]
	m, l         []float32 // running maximum and sum of a row
	tm, tl       []float32 // the same of the tile
	q16, s16     []uint16  // q and s for bfloat16 pages
}

func (g *Graph) newScratch(a *Attention, kv *KV, rows int) attentionScratch {
	sc := attentionScratch{
		q: alloc[float32](&g.mem, rows*a.Dim), acc: alloc[float32](&g.mem, rows*a.VDim),
		tile: alloc[float32](&g.mem, rows*a.VDim), s: alloc[float32](&g.mem, rows*PageTokens),
		m: alloc[float32](&g.mem, rows), l: alloc[float32](&g.mem, rows),
		tm: alloc[float32](&g.mem, rows), tl: alloc[float32](&g.mem, rows),
	}
	if kv.BF16 {
		sc.q16 = alloc[uint16](&g.mem, rows*((a.Dim+1)&^1))
		sc.s16 = alloc[uint16](&g.mem, rows*PageTokens)
	}
	return sc
}

func (t *attentionTask) Do(worker, i int) {
	for _, s := range t.spans {
		n := (s.Len + t.queries - 1) / t.queries * t.KVHeads
		if i < n {
			first := i / t.KVHeads * t.queries
			t.block(&t.scratch[worker], &s, i%t.KVHeads, first, min(t.queries, s.Len-first))
			return
		}
		i -= n
	}
}

// block computes n queries of a span, from its query first, for the heads that
// share a key/value head. Row r of the scratch is query r/group, head r%group.
func (t *attentionTask) block(sc *attentionScratch, s *Span, kvHead, first, n int) {
	group := t.Heads / t.KVHeads
	rows := n * group
	t.gather(sc, s, kvHead, first, rows)
	clear(sc.acc[:rows*t.VDim])
	clear(sc.l[:rows])
	for r := range rows {
		sc.m[r] = negInf
	}
	firstKey, lastKey := t.visible(s, first, n)
	for tile := firstKey / PageTokens; tile*PageTokens <= lastKey; tile++ {
		t.scores(sc, s, kvHead, first, rows, tile, lastKey)
		t.weigh(sc, s, kvHead, rows, tile)
	}
	t.finish(sc, s, kvHead, first, rows)
	if t.probs != nil && s.Start == 0 {
		t.keepProbs(sc, s, kvHead, first, rows, lastKey)
	}
}

// visible returns the first and last key position that n queries from first see.
func (t *attentionTask) visible(s *Span, first, n int) (from, to int) {
	if !t.Causal {
		return 0, s.Pos + s.Len - 1
	}
	if t.Window > 0 {
		from = max(0, s.Pos+first-t.Window+1)
	}
	return from, s.Pos + first + n - 1
}

// gather copies the queries of a block side by side.
func (t *attentionTask) gather(sc *attentionScratch, s *Span, kvHead, first, rows int) {
	group := t.Heads / t.KVHeads
	ld := (t.Dim + 1) &^ 1
	for r := range rows {
		head := kvHead*group + r%group
		q := t.q.Row(s.Start + first + r/group)[head*t.Dim : (head+1)*t.Dim]
		if t.kv.BF16 {
			dst := sc.q16[r*ld : (r+1)*ld]
			dst[ld-1] = 0
			kernel.RoundBF16(dst[:t.Dim], q)
			continue
		}
		copy(sc.q[r*t.Dim:], q)
	}
}

// scores fills sc.s with the rows' scores over a tile; keys that a row does not
// see, and those after lastKey, are −Inf.
func (t *attentionTask) scores(sc *attentionScratch, s *Span, kvHead, first, rows, tileIndex, lastKey int) {
	n := min(PageTokens, lastKey+1-tileIndex*PageTokens)
	panels := (n + 15) / 16
	if t.kv.BF16 {
		k, _ := tile[uint16](t.kv, s.Pages[tileIndex], t.layer, kvHead)
		kernel.MatMulBF16(sc.s, PageTokens, sc.q16, (t.Dim+1)&^1, rows, k, t.Dim, PageTokens, 0, panels, false)
	} else {
		k, _ := tile[float32](t.kv, s.Pages[tileIndex], t.layer, kvHead)
		kernel.MatMulF32(sc.s, PageTokens, sc.q, t.Dim, rows, k, t.Dim, PageTokens, 0, panels, false)
	}
	group := t.Heads / t.KVHeads
	for r := range rows {
		row := sc.s[r*PageTokens : (r+1)*PageTokens]
		query := s.Pos + first + r/group
		from, to := 0, n
		if t.Causal {
			to = min(n, query+1-tileIndex*PageTokens)
			if t.Window > 0 {
				from = max(0, query-t.Window+1-tileIndex*PageTokens)
			}
		}
		t.adjust(row, from, max(from, to), kvHead*group+r%group, query-tileIndex*PageTokens)
	}
}

var negInf = float32(math.Inf(-1))

// adjust turns products into the scores of one row, keys from..to of a tile
// being visible; query is the query's position from the tile's start.
func (t *attentionTask) adjust(row []float32, from, to, head, query int) {
	from, to = min(from, PageTokens), min(to, PageTokens)
	seen := row[from:to]
	kernel.Scale(seen, seen, t.Scale)
	if t.SoftCap > 0 {
		kernel.SoftCap(seen, seen, t.SoftCap)
	}
	if t.Slopes != nil {
		for i := range seen {
			seen[i] += float32(t.Slopes[head] * float32(from+i-query))
		}
	}
	for i := range row[:from] {
		row[i] = negInf
	}
	for i := to; i < PageTokens; i++ {
		row[i] = negInf
	}
}

// weigh takes the softmax of a tile's scores, multiplies it with the tile's
// values and folds the result into the running one.
func (t *attentionTask) weigh(sc *attentionScratch, s *Span, kvHead, rows, tileIndex int) {
	for r := range rows {
		row := sc.s[r*PageTokens : (r+1)*PageTokens]
		sc.tm[r], sc.tl[r] = kernel.TileSoftmax(row)
	}
	if t.kv.BF16 {
		_, v := tile[uint16](t.kv, s.Pages[tileIndex], t.layer, kvHead)
		kernel.RoundBF16(sc.s16[:rows*PageTokens], sc.s[:rows*PageTokens])
		kernel.MatMulBF16(sc.tile, t.VDim, sc.s16, PageTokens, rows, v, PageTokens, t.VDim, 0, (t.VDim+15)/16, false)
	} else {
		_, v := tile[float32](t.kv, s.Pages[tileIndex], t.layer, kvHead)
		kernel.MatMulF32(sc.tile, t.VDim, sc.s, PageTokens, rows, v, PageTokens, t.VDim, 0, (t.VDim+15)/16, false)
	}
	for r := range rows {
		m := max(sc.m[r], sc.tm[r])
		if m == negInf {
			continue
		}
		// What was summed so far is worth a of it, the tile b.
		a, b := kernel.Exp32(sc.m[r]-m), kernel.Exp32(sc.tm[r]-m)
		sc.m[r] = m
		sc.l[r] = kernel.FMA32(sc.l[r], a, float32(sc.tl[r]*b))
		kernel.FoldTile(sc.acc[r*t.VDim:(r+1)*t.VDim], a, sc.tile[r*t.VDim:(r+1)*t.VDim], b)
	}
}

// finish divides by the softmax's sum and writes the block's output.
func (t *attentionTask) finish(sc *attentionScratch, s *Span, kvHead, first, rows int) {
	group := t.Heads / t.KVHeads
	for r := range rows {
		head := kvHead*group + r%group
		out := t.out.Row(s.Start + first + r/group)[head*t.VDim : (head+1)*t.VDim]
		a := float32(1)
		if t.Sinks != nil {
			m := max(sc.m[r], t.Sinks[head])
			a = kernel.Exp32(sc.m[r] - m)
			sc.l[r] = kernel.FMA32(sc.l[r], a, kernel.Exp32(t.Sinks[head]-m))
			sc.m[r] = m
		}
		kernel.Scale(out, sc.acc[r*t.VDim:(r+1)*t.VDim], float32(a/sc.l[r]))
	}
}

// keepProbs computes the block's scores once more and stores the probabilities.
func (t *attentionTask) keepProbs(sc *attentionScratch, s *Span, kvHead, first, rows, lastKey int) {
	group := t.Heads / t.KVHeads
	keys := s.Pos + s.Len
	for tile := 0; tile*PageTokens <= lastKey; tile++ {
		t.scores(sc, s, kvHead, first, rows, tile, lastKey)
		for r := range rows {
			head, query := kvHead*group+r%group, first+r/group
			dst := t.probs[(head*s.Len+query)*keys:]
			for i, x := range sc.s[r*PageTokens : (r+1)*PageTokens] {
				if key := tile*PageTokens + i; key < keys {
					dst[key] = kernel.Exp32(x-sc.m[r]) / sc.l[r]
				}
			}
		}
	}
}
