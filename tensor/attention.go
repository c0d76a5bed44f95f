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
	Window         int       // a query at i sees keys j with |i−j| < Window; 0: no limit
	SoftCap        float32   // scores become cap·tanh(score/cap); 0: off
	Slopes         []float32 // ALiBi, a slope a head (Press et al. 2022); nil: off

	// Bias is added to the scores: row head·n + i is for queries at position i < n,
	// column j for the key there. nil: none.
	Bias *Tensor

	// Sinks [1, Heads] are logits that take part in the softmax and carry no
	// value; nil: none.
	Sinks *Tensor
}

// queryRows is the number of (query, head) rows that a task treats at once.
const queryRows = 48

// Attend returns softmax(scale·q·kᵀ)·v, [tokens, Heads·VDim], for the queries q
// [tokens, Heads·Dim] over the stored keys and values of their spans. Each
// tile of 64 keys, counted from position 0, is treated on its own and the
// tiles are folded in order, so the numbers do not depend on how a sequence
// came in (DESIGN: pages). probs, if not nil, takes the probabilities of span
// 0: [Heads][queries][keys].
func (g *Graph) Attend(a *Attention, q *Tensor, keys Keys, spans []Span, probs []float32) *Tensor {
	out := g.New(q.Rows, a.Heads*a.VDim)
	kv := keys.KV
	t := &g.tasks.attention
	threads := g.pool.Threads()
	*t = attentionTask{Attention: a, kv: kv, layer: keys.Layer, q: q, out: out, spans: spans, probs: probs, scratch: t.scratch[:0]}
	if g.tape != nil {
		t.stats = alloc[float32](&g.mem, 2*q.Rows*a.Heads)
		g.record(node{back: attendBack, x: q, out: out, att: a, keys: keys, spans: spans, stats: t.stats})
	}
	group := a.Heads / a.KVHeads
	t.queries = max(1, queryRows/group)
	work := 0
	for _, s := range spans {
		t.items += (s.Len + t.queries - 1) / t.queries * a.KVHeads
		work += s.Len * (s.Pos + s.Len) * a.Heads * (a.Dim + a.VDim)
	}
	if work < inlineProduct {
		threads = 1
	}
	for range threads {
		t.scratch = append(t.scratch, g.newScratch(a, kv, t.queries*group))
	}
	if t.splits(threads) {
		g.attendTiles(t)
		return out
	}
	g.run(t, t.items, threads)
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
		tiles += pages(s.keys())
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
	for i := range t.spans {
		n += pages(t.spans[i].keys()) * t.KVHeads
	}
	t.parts = alloc[float32](&g.mem, n*t.partSize)
	g.pool.Run((*tileTask)(t), n)
	n = 0
	for i := range t.spans {
		s := &t.spans[i]
		for head := range t.KVHeads {
			t.foldParts(&t.scratch[0], s, head, n)
			n += pages(s.keys())
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
		tiles := pages(s.keys())
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
	stats   []float32 // per token and head, for the backward: maximum and sum of the softmax

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
	to = s.keys() - 1
	if t.Window > 0 {
		from = max(0, s.Pos+first-t.Window+1)
	}
	return from, min(to, s.Pos+first+n-1+t.ahead())
}

// ahead returns how far a query sees beyond its own position.
func (a *Attention) ahead() int {
	switch {
	case a.Causal:
		return 0
	case a.Window > 0:
		return a.Window - 1
	}
	return math.MaxInt / 2
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
		from, to := 0, min(n, query+1+t.ahead()-tileIndex*PageTokens)
		if t.Window > 0 {
			from = max(0, query-t.Window+1-tileIndex*PageTokens)
		}
		t.adjust(row, from, max(from, to), kvHead*group+r%group, query, tileIndex*PageTokens)
	}
}

var negInf = float32(math.Inf(-1))

// adjust turns products into the scores of one row, keys from..to of a tile
// being visible; query is the query's position, first that of the tile.
func (t *attentionTask) adjust(row []float32, from, to, head, query, first int) {
	from, to = min(from, PageTokens), min(to, PageTokens)
	seen := row[from:to]
	kernel.Scale(seen, seen, t.Scale)
	if t.SoftCap > 0 {
		kernel.SoftCap(seen, seen, t.SoftCap)
	}
	if t.Slopes != nil {
		for i := range seen {
			seen[i] += float32(t.Slopes[head] * float32(first+from+i-query))
		}
	}
	if t.Bias != nil && len(seen) > 0 {
		addTo(seen, t.Bias.Row(head*(t.Bias.Rows/t.Heads) + query)[first+from:][:len(seen)])
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
			sink := t.Sinks.Data[head]
			m := max(sc.m[r], sink)
			a = kernel.Exp32(sc.m[r] - m)
			sc.l[r] = kernel.FMA32(sc.l[r], a, kernel.Exp32(sink-m))
			sc.m[r] = m
		}
		if t.stats != nil {
			at := 2 * ((s.Start+first+r/group)*t.Heads + head)
			t.stats[at], t.stats[at+1] = sc.m[r], sc.l[r]
		}
		if sc.l[r] == 0 { // no key was visible
			clear(out)
			continue
		}
		kernel.Scale(out, sc.acc[r*t.VDim:(r+1)*t.VDim], float32(a/sc.l[r]))
	}
}

// keepProbs computes the block's scores once more and stores the probabilities.
func (t *attentionTask) keepProbs(sc *attentionScratch, s *Span, kvHead, first, rows, lastKey int) {
	group := t.Heads / t.KVHeads
	keys := s.keys()
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

// attendBack goes through the scores once more, tile by tile (Dao et al. 2022).
// With p = exp(s − m)/l, where s are the scores and m, l what the forward kept,
// and d = Σ dout·out of a query and head:
// dv = pᵀ·dout, ds = p·(dout·vᵀ − d), dq = scale·ds·k, dk = scale·dsᵀ·q,
// and ds passes the soft cap before. dk and dv are chains over the heads of the
// group, then the queries; dq over the keys.
func attendBack(g *Graph, n *node) {
	k, v := n.keys.k, n.keys.v
	for _, s := range n.keys.spans {
		if k == nil || s.Pos != 0 {
			panic("tensor: no way back to keys that were stored before this pass")
		}
	}
	dq, dk, dv := g.grad(n.x), g.zeroedGrad(k), g.zeroedGrad(v)
	if n.keys.KV.BF16 {
		attendBackOf(g, &g.tasks.attention16, n, dq, dk, dv)
	} else {
		attendBackOf(g, &g.tasks.attention32, n, dq, dk, dv)
	}
	if wanted(n.att.Sinks) {
		g.loop(n, n.att.Heads, n.out.Rows*n.out.Cols, sinkBack)
	}
}

// sinkBack: dsink = −Σ exp(sink − m)/l·d, a chain over the queries.
func sinkBack(_ *Graph, n *node, _, head int) {
	a := n.att
	sink, grad := a.Sinks.Data[head], &a.Sinks.Grad[head]
	for r := range n.out.Rows {
		m, l := n.stats[2*(r*a.Heads+head)], n.stats[2*(r*a.Heads+head)+1]
		d := kernel.Dot(n.out.gradRow(r)[head*a.VDim:(head+1)*a.VDim], n.out.Row(r)[head*a.VDim:(head+1)*a.VDim])
		*grad = kernel.FMA32(-kernel.Exp32(sink-m)/l, d, *grad)
	}
}

func attendBackOf[T element](g *Graph, t *attentionBack[T], n *node, dq, dk, dv gradient) {
	*t = attentionBack[T]{Attention: n.att, n: n, dq: dq, dk: dk, dv: dv, scratch: t.scratch[:0]}
	queries := 0
	for _, s := range n.spans {
		queries = max(queries, s.Len)
	}
	for range g.pool.Threads() {
		t.scratch = append(t.scratch, newBackScratch[T](g, n.att, (queries+PageTokens-1)/PageTokens))
	}
	items := len(n.spans) * n.att.KVHeads
	if wanted(n.att.Bias) {
		items = n.att.KVHeads // spans share the bias
	}
	g.pool.Run(t, items)
	for i := range t.scratch {
		t.scratch[i].give(g)
	}
}

// attentionBack is the region of attendBack: an item is a key/value head, of a
// span or of all spans.
type attentionBack[T element] struct {
	*Attention
	n          *node
	dq, dk, dv gradient
	scratch    []backScratch[T]
}

// backScratch is a worker's memory: of all queries of a span and head, in tiles
// of 64, and of one tile of keys.
type backScratch[T element] struct {
	q, dout   []T       // panels whose outputs are queries
	qT, doutT []T       // panels over the queries
	m, l, d   []float32 // −maximum, 1/sum and −Σ dout·out of a query
	dqT       []float32 // [Dim][queries], rows ld apart
	ld        int

	k, v, kT left[T]   // [keys][Dim], [keys][VDim], [Dim][keys]
	s, dp    []float32 // [keys][queries]: scores, then weights; their gradients
	p, ds    left[T]   // the same as operands
	dsT      []T       // dp as panels over the keys
	slope    []float32 // of the soft cap, a row
	f        []float32 // [Dim][keys]
}

// left is a left operand: float32 lies where it is, bfloat16 in mem.
type left[T element] struct {
	x   []T
	ld  int
	mem []T
}

const pageSquare = PageTokens * PageTokens

func newBackScratch[T element](g *Graph, a *Attention, tiles int) backScratch[T] {
	n := tiles * PageTokens
	mem := func(rows, k int) left[T] { return left[T]{mem: take[T](g, operandLen[T](rows, k))} }
	return backScratch[T]{
		q: take[T](g, tiles*panelLen[T](PageTokens, a.Dim)), dout: take[T](g, tiles*panelLen[T](PageTokens, a.VDim)),
		qT: take[T](g, tiles*panelLen[T](a.Dim, PageTokens)), doutT: take[T](g, tiles*panelLen[T](a.VDim, PageTokens)),
		m: g.take(n), l: g.take(n), d: g.take(n), dqT: g.take(a.Dim * n),
		k: mem(PageTokens, a.Dim), v: mem(PageTokens, a.VDim), kT: mem(a.Dim, PageTokens),
		s: g.take(pageSquare), dp: g.take(pageSquare), p: mem(PageTokens, PageTokens), ds: mem(PageTokens, PageTokens),
		dsT: take[T](g, panelLen[T](PageTokens, PageTokens)), slope: g.take(PageTokens), f: g.take(a.Dim * PageTokens),
	}
}

func (sc *backScratch[T]) give(g *Graph) {
	for _, b := range [][]T{sc.q, sc.dout, sc.qT, sc.doutT, sc.k.mem, sc.v.mem, sc.kT.mem, sc.p.mem, sc.ds.mem, sc.dsT} {
		give(g, b)
	}
	for _, b := range [][]float32{sc.m, sc.l, sc.d, sc.dqT, sc.s, sc.dp, sc.slope, sc.f} {
		g.give(b)
	}
}

func (t *attentionBack[T]) Do(worker, i int) {
	sc := &t.scratch[worker]
	kvHead, first, end := i%t.KVHeads, i/t.KVHeads, i/t.KVHeads+1
	if wanted(t.Bias) {
		first, end = 0, len(t.n.spans)
	}
	group := t.Heads / t.KVHeads
	for i := first; i < end; i++ {
		for head := kvHead * group; head < (kvHead+1)*group; head++ {
			t.head(sc, &t.n.spans[i], t.n.keys.spans[i].Start, head)
		}
	}
}

// head takes a span's queries of one head back; its keys begin at row keyRow.
func (t *attentionBack[T]) head(sc *backScratch[T], s *Span, keyRow, head int) {
	t.queries(sc, s, head)
	keys := s.keys()
	for first := 0; first < keys; first += PageTokens {
		n := min(PageTokens, keys-first)
		from, _ := t.seers(s, first)
		_, to := t.seers(s, first+n-1)
		if from >= to {
			continue
		}
		t.keys(sc, keyRow+first, n, head)
		for tile := from / PageTokens; tile*PageTokens < to; tile++ {
			t.tile(sc, s, tile, first, n, keyRow, head)
		}
	}
	if t.dq.data == nil {
		return
	}
	for i := range s.Len {
		dst := t.dq.row(s.Start + i)[head*t.Dim : (head+1)*t.Dim]
		for d := range dst {
			if x := sc.dqT[d*sc.ld+i]; t.dq.fresh {
				dst[d] = x
			} else {
				dst[d] += x
			}
		}
	}
}

// seers returns the queries of a span that see a key.
func (t *attentionBack[T]) seers(s *Span, key int) (from, to int) {
	from, to = max(0, key-t.ahead()-s.Pos), s.Len
	if t.Window > 0 {
		to = min(to, key+t.Window-s.Pos)
	}
	return from, max(from, to)
}

// queries packs the queries of a head and the gradients of their outputs.
func (t *attentionBack[T]) queries(sc *backScratch[T], s *Span, head int) {
	q, out := t.n.x, t.n.out
	for i := range s.Len {
		r := s.Start + i
		stats := t.n.stats[2*(r*t.Heads+head):]
		sc.m[i], sc.l[i] = -stats[0], 1/stats[1]
		at := head * t.VDim
		sc.d[i] = -kernel.Dot(out.gradRow(r)[at:at+t.VDim], out.Row(r)[at:at+t.VDim])
	}
	tiles := (s.Len + PageTokens - 1) / PageTokens
	for tile := range tiles {
		r := s.Start + tile*PageTokens
		n := min(PageTokens, s.Len-tile*PageTokens)
		src := q.Data[r*q.Stride+head*t.Dim:]
		pack(sc.q[tile*panelLen[T](PageTokens, t.Dim):], src, n, t.Dim, q.Stride)
		packT(sc.qT[tile*panelLen[T](t.Dim, PageTokens):], src, t.Dim, n, q.Stride)
		src = out.Grad[r*out.Stride+head*t.VDim:]
		pack(sc.dout[tile*panelLen[T](PageTokens, t.VDim):], src, n, t.VDim, out.Stride)
		packT(sc.doutT[tile*panelLen[T](t.VDim, PageTokens):], src, t.VDim, n, out.Stride)
	}
	sc.ld = tiles * PageTokens
	clear(sc.dqT[:sc.ld*t.Dim])
}

// keys makes the operands of n keys and values from row.
func (t *attentionBack[T]) keys(sc *backScratch[T], row, n, head int) {
	k, v, kvHead := t.n.keys.k, t.n.keys.v, head/(t.Heads/t.KVHeads)
	src := k.Data[row*k.Stride+kvHead*t.Dim:]
	sc.k.x, sc.k.ld = rowsOf(sc.k.mem, src, k.Stride, n, t.Dim)
	kernel.Transpose(sc.f, PageTokens, src, k.Stride, n, t.Dim)
	sc.kT.x, sc.kT.ld = rowsOf(sc.kT.mem, sc.f, PageTokens, t.Dim, n)
	sc.v.x, sc.v.ld = rowsOf(sc.v.mem, v.Data[row*v.Stride+kvHead*t.VDim:], v.Stride, n, t.VDim)
}

// tile takes a tile of queries back to n keys from position first.
func (t *attentionBack[T]) tile(sc *backScratch[T], s *Span, tile, first, n, keyRow, head int) {
	queries := min(PageTokens, s.Len-tile*PageTokens)
	panels, kvHead := (queries+15)/16, head/(t.Heads/t.KVHeads)
	q, dout := sc.q[tile*panelLen[T](PageTokens, t.Dim):], sc.dout[tile*panelLen[T](PageTokens, t.VDim):]
	matMul(sc.s, PageTokens, sc.k.x, sc.k.ld, n, q, t.Dim, queries, 0, panels, false)
	matMul(sc.dp, PageTokens, sc.v.x, sc.v.ld, n, dout, t.VDim, queries, 0, panels, false)
	for r := range n {
		t.row(sc, s, tile, queries, first+r, r, head)
	}
	if d := t.dv; d.data != nil {
		p, ld := rowsOf(sc.p.mem, sc.s, PageTokens, n, queries)
		doutT := sc.doutT[tile*panelLen[T](t.VDim, PageTokens):]
		matMul(d.data[(keyRow+first)*d.stride+kvHead*t.VDim:], d.stride, p, ld, n, doutT, queries, t.VDim, 0, (t.VDim+15)/16, true)
	}
	if d := t.dk; d.data != nil {
		ds, ld := rowsOf(sc.ds.mem, sc.dp, PageTokens, n, queries)
		qT := sc.qT[tile*panelLen[T](t.Dim, PageTokens):]
		matMul(d.data[(keyRow+first)*d.stride+kvHead*t.Dim:], d.stride, ds, ld, n, qT, queries, t.Dim, 0, (t.Dim+15)/16, true)
	}
	packT(sc.dsT, sc.dp, queries, n, PageTokens)
	matMul(sc.dqT[tile*PageTokens:], sc.ld, sc.kT.x, sc.kT.ld, t.Dim, sc.dsT, n, queries, 0, panels, true)
}

// row turns row r of a tile, whose key is at position key, from products into
// the weights and the gradients of the scores.
func (t *attentionBack[T]) row(sc *backScratch[T], s *Span, tile, n, key, r, head int) {
	at := tile * PageTokens
	from, to := t.seers(s, key)
	from, to = min(max(from-at, 0), n), min(max(to-at, 0), n)
	p, d := sc.s[r*PageTokens:][:n], sc.dp[r*PageTokens:][:n]
	for _, x := range [][]float32{p, d} {
		clear(x[:from])
		clear(x[to:])
	}
	if p, d = p[from:to], d[from:to]; len(p) == 0 {
		return
	}
	at += from
	kernel.Scale(p, p, t.Scale)
	slope := sc.slope[:len(p)]
	if t.SoftCap > 0 {
		kernel.SoftCap(p, p, t.SoftCap)
		for i, x := range p {
			tanh := x / t.SoftCap
			slope[i] = 1 - float32(tanh*tanh)
		}
	}
	for i := range p {
		query := s.Pos + at + i
		if t.Slopes != nil {
			p[i] += float32(t.Slopes[head] * float32(key-query))
		}
		if t.Bias != nil {
			p[i] += t.Bias.Row(head*(t.Bias.Rows/t.Heads) + query)[key]
		}
	}
	addTo(p, sc.m[at:][:len(p)])
	kernel.Exp(p, p)
	kernel.Mul(p, p, sc.l[at:][:len(p)])
	addTo(d, sc.d[at:][:len(p)])
	kernel.Mul(d, d, p)
	if wanted(t.Bias) {
		for i, x := range d {
			t.Bias.Grad[(head*(t.Bias.Rows/t.Heads)+s.Pos+at+i)*t.Bias.Stride+key] += x
		}
	}
	if t.SoftCap > 0 {
		kernel.Mul(d, d, slope)
	}
	kernel.Scale(d, d, t.Scale)
}
