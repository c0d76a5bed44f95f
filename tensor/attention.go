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
	if t.splits(threads) {
		g.attendTiles(t)
		return out
	}
	g.pool.Run(t, t.items)
	return out
}

// splits says that there are too few blocks to keep the threads busy, while
// their keys are many: the tiles of a block are then shared out.
func (t *attentionTask) splits(threads int) bool {
	tiles := 0
	for _, s := range t.spans {
		if s.Len > t.queries {
			return false
		}
		tiles += pages(s.Pos + s.Len)
	}
	return threads > 1 && t.items < 4*threads && tiles >= 4*len(t.spans)
}

func pages(tokens int) int { return (tokens + PageTokens - 1) / PageTokens }

// attendTiles computes every tile of every span and head on its own, and then
// folds them in order.
func (g *Graph) attendTiles(t *attentionTask) {
	rows := t.queries * (t.Heads / t.KVHeads)
	t.partSize = rows * (t.VDim + 2)
	n := 0
	for _, s := range t.spans {
		n += pages(s.Pos+s.Len) * t.KVHeads
	}
	t.parts = alloc[float32](&g.mem, n*t.partSize)
	g.pool.Run((*tileTask)(t), n)
	n = 0
	for i := range t.spans {
		s := &t.spans[i]
		for head := range t.KVHeads {
			t.foldParts(&t.scratch[0], s, head, n)
			n += pages(s.Pos + s.Len)
		}
	}
}

// tileTask is an attentionTask whose items are single tiles: of all spans in
// turn, of all heads in turn.
type tileTask attentionTask

func (t *tileTask) Do(worker, i int) {
	a := (*attentionTask)(t)
	item := i
	for j := range a.spans {
		s := &a.spans[j]
		tiles := pages(s.Pos + s.Len)
		if i >= tiles*a.KVHeads {
			i -= tiles * a.KVHeads
			continue
		}
		head, tile := i/tiles, i%tiles
		from, to := a.visible(s, 0, s.Len)
		if tile < from/PageTokens || tile*PageTokens > to {
			return
		}
		sc := a.scratch[worker]
		rows := s.Len * (a.Heads / a.KVHeads)
		sc.tile, sc.tm, sc.tl = a.part(item, rows)
		a.gather(&sc, s, head, 0, rows)
		a.scores(&sc, s, head, 0, rows, tile, to)
		a.weigh(&sc, s, head, rows, tile)
		return
	}
}

// part returns the memory of a tile's result: values, maxima and sums.
func (t *attentionTask) part(i, rows int) (values, m, l []float32) {
	p := t.parts[i*t.partSize : (i+1)*t.partSize]
	n := rows * t.VDim
	return p[:n], p[n : n+rows], p[n+rows : n+2*rows]
}

// foldParts folds the tiles of a head, whose results begin at part first.
func (t *attentionTask) foldParts(sc *attentionScratch, s *Span, head, first int) {
	rows := s.Len * (t.Heads / t.KVHeads)
	sc.begin(rows, t.VDim)
	from, to := t.visible(s, 0, s.Len)
	for tile := from / PageTokens; tile*PageTokens <= to; tile++ {
		values, m, l := t.part(first+tile, rows)
		sc.fold(rows, t.VDim, values, m, l)
	}
	t.finish(sc, s, head, 0, rows)
	if t.probs != nil && s.Start == 0 {
		t.gather(sc, s, head, 0, rows)
		t.keepProbs(sc, s, head, 0, rows, to)
	}
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

	parts    []float32 // results of single tiles, see attendTiles
	partSize int
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
	sc.begin(rows, t.VDim)
	firstKey, lastKey := t.visible(s, first, n)
	for tile := firstKey / PageTokens; tile*PageTokens <= lastKey; tile++ {
		t.scores(sc, s, kvHead, first, rows, tile, lastKey)
		t.weigh(sc, s, kvHead, rows, tile)
		sc.fold(rows, t.VDim, sc.tile, sc.tm, sc.tl)
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

// weigh takes the softmax of a tile's scores and multiplies it with the tile's
// values.
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
}

// begin empties the running softmax of rows.
func (sc *attentionScratch) begin(rows, dim int) {
	clear(sc.acc[:rows*dim])
	clear(sc.l[:rows])
	for r := range rows {
		sc.m[r] = negInf
	}
}

// fold adds a tile's values, maxima and sums to the running ones.
func (sc *attentionScratch) fold(rows, dim int, values, tm, tl []float32) {
	for r := range rows {
		m := max(sc.m[r], tm[r])
		if m == negInf {
			continue
		}
		// What was summed so far is worth a of it, the tile b.
		a, b := kernel.Exp32(sc.m[r]-m), kernel.Exp32(tm[r]-m)
		sc.m[r] = m
		sc.l[r] = kernel.FMA32(sc.l[r], a, float32(tl[r]*b))
		kernel.FoldTile(sc.acc[r*dim:(r+1)*dim], a, values[r*dim:(r+1)*dim], b)
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
