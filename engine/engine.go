package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"wenmo/kernel"
	"wenmo/model"
	"wenmo/nn"
	"wenmo/tensor"
)

// Options of an Engine. Zero values mean the defaults.
type Options struct {
	PrefillChunk int  // tokens of prompts in a pass; default DefaultChunk
	CacheTokens  int  // room of the KV cache; default one sequence of the greatest length
	MaxSequences int  // that are computed at once; default 64
	BF16         bool // keys and values in bfloat16 instead of float32
	NoReuse      bool // do not keep prefixes for later requests
}

// maxCacheTokens is more than any memory holds, and few enough to count with.
const maxCacheTokens = 1 << 40

// DefaultChunk is how many tokens of a prompt are computed in a pass.
const DefaultChunk = 256

// Request asks for the continuation of a prompt.
type Request struct {
	IDs        []int32
	Params     Params
	Processors []Processor // of the caller: constraints, biases, token masks
	Sample     int         // number of this sample among those of one request
	Tenant     string      // prefixes are shared within a tenant only
}

// Event is a new token, or the end.
type Event struct {
	Token
	Finish Finish // of the last token; otherwise ""
	Reused int    // prompt tokens that came from the prefix cache
}

// Stats is a picture of an engine.
type Stats struct {
	Running, Waiting int
	PagesUsed        int // of all groups of layers together
	PagesLimit       int
	PrefillTokens    uint64 // computed since the start
	DecodeTokens     uint64
	ReusedTokens     uint64
	Steps            uint64
}

// ErrClosed is the error of an engine used after Close.
var ErrClosed = errors.New("the engine is closed")

// Engine generates for many requests at once: they join and leave at any step.
// The same request gives the same tokens whatever runs beside it, however its
// prompt is cut and whatever was cached. Its methods may be called from many
// goroutines.
type Engine struct {
	m      *model.Model
	opt    Options
	g      *tensor.Graph
	groups []pageGroup
	cache  *prefixCache
	w      *Scratch
	pool   sync.Locker // held while the pool works

	mu      sync.Mutex
	wake    *sync.Cond
	queue   []job
	running []job
	closed  bool
	ended   chan struct{}
	stats   Stats

	committed []int // by group: pages that running jobs may come to use
	limit     int   // of the pages of each group
	batch     stepBatch
}

// job is what runs: a sample or a beam search.
type job interface {
	base() *jobBase
	// begin takes what the prefix cache has.
	begin(e *Engine)
	// prepare readies the sequences for a pass: it makes those begin again whose
	// frequencies have changed, and gives back pages that are no longer seen.
	prepare(e *Engine)
	// next returns the sequences that want a pass now.
	next() []*sequence
	// take uses the logits of the sequences that came to their end, row by row in
	// the order of next, and says whether the job is over.
	take(e *Engine, rows [][]float32) (over bool, err error)
	// finish reports the job's end, err being nil or why it failed, and gives its
	// pages back.
	finish(e *Engine, err error)
	// blocked says that the job waits for its reader.
	blocked() bool
}

type jobBase struct {
	ctx   context.Context
	quiet func() bool // ends the watch over ctx
	req   *Request
	max   int   // greatest length
	pages []int // by group: how many it may come to use
}

func (b *jobBase) base() *jobBase { return b }

// New returns an engine that runs m on pool, whose lock it takes for each step.
func New(m *model.Model, pool *kernel.Pool, lock sync.Locker, opt Options) *Engine {
	e := newIdle(m, pool, lock, opt)
	go e.loop()
	return e
}

// newIdle returns an engine whose steps somebody else calls.
func newIdle(m *model.Model, pool *kernel.Pool, lock sync.Locker, opt Options) *Engine {
	if opt.PrefillChunk <= 0 {
		opt.PrefillChunk = DefaultChunk
	}
	if opt.CacheTokens <= 0 {
		opt.CacheTokens = m.MaxLength
	}
	if opt.MaxSequences <= 0 {
		opt.MaxSequences = 64
	}
	limit := pagesFor(min(opt.CacheTokens, maxCacheTokens))
	groups := newPageGroups(m, opt.BF16, limit)
	e := &Engine{
		m: m, opt: opt, g: tensor.NewGraph(pool), groups: groups, committed: make([]int, len(groups)), limit: limit,
		w: NewScratch(m.Vocab), pool: lock, ended: make(chan struct{}),
	}
	e.cache = newPrefixCache(groups)
	e.batch.Out = make([]int32, 0, min(opt.MaxSequences, 1024)) // nil would ask for all rows
	e.wake = sync.NewCond(&e.mu)
	return e
}

// Close waits for the work under way, ends the engine and frees its memory.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	e.wake.Signal()
	e.mu.Unlock()
	<-e.ended
}

// Stats returns a picture of the engine.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Running, s.Waiting = len(e.running), len(e.queue)
	s.PagesLimit = len(e.groups) * e.limit
	return s
}

// Generate yields the tokens of one sequence as they come. Leaving the loop
// cancels the request.
func (e *Engine) Generate(ctx context.Context, req Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if req.Params.NumBeams > 1 {
			yield(Event{}, errors.New("num_beams is more than 1: a beam search has no stream, only whole sequences"))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		j, err := e.newSample(ctx, &req)
		if err == nil {
			err = e.submit(j)
		}
		if err != nil {
			yield(Event{}, err)
			return
		}
		for ev := range j.out {
			if !yield(ev, nil) {
				return
			}
			e.resume(j)
		}
		if j.err != nil {
			yield(Event{}, j.err)
		}
	}
}

// Beam runs a beam search (Params.NumBeams) and returns its best sequences.
func (e *Engine) Beam(ctx context.Context, req Request) ([]Hypothesis, error) {
	j, err := e.newBeam(ctx, &req)
	if err == nil {
		err = e.submit(j)
	}
	if err != nil {
		return nil, err
	}
	<-j.done
	return j.result, j.err
}

// check returns the greatest length of a request, or why it cannot run.
func (e *Engine) check(req *Request) (int, error) {
	if e.m.Head != model.CausalHead {
		return 0, fmt.Errorf("%s does not generate text", e.m.Architecture)
	}
	if err := checkLength(e.m, len(req.IDs)); err != nil {
		return 0, err
	}
	for i, id := range req.IDs {
		if id < 0 || int(id) >= e.m.Vocab {
			return 0, fmt.Errorf("id %d at position %d is not in the vocabulary of %d", id, i, e.m.Vocab)
		}
	}
	if err := req.Params.Validate(); err != nil {
		return 0, err
	}
	if err := req.Params.CheckVocab(e.m.Vocab); err != nil {
		return 0, err
	}
	context := e.m.Context
	if req.Params.MaxNewTokens > 0 || req.Params.MaxLength > 0 {
		context = e.m.MaxLength
	}
	return req.Params.MaxLen(len(req.IDs), context)
}

func (e *Engine) submit(j job) error {
	if n := slices.Max(j.base().pages); n > e.limit {
		return errTooLarge(n*tensor.PageTokens, e.limit*tensor.PageTokens)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	j.base().quiet = context.AfterFunc(j.base().ctx, e.signal)
	e.queue = append(e.queue, j)
	e.wake.Signal()
	return nil
}

// signal wakes the loop.
func (e *Engine) signal() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wake.Signal()
}

// resume wakes the loop for a job that may have waited for its reader.
func (e *Engine) resume(j *sampleJob) {
	if j.waiting.Load() {
		j.waiting.Store(false)
		e.signal()
	}
}

// loop runs steps while there is work, and sleeps otherwise.
func (e *Engine) loop() {
	defer close(e.ended)
	debug.SetPanicOnFault(true) // see recoverMemory
	for e.admit() {
		e.step()
		runtime.Gosched() // let readers take their tokens
	}
	e.g.Close()
	if err := e.closePages(); err != nil {
		panic(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.PagesUsed = 0
}

func (e *Engine) closePages() error {
	var errs []error
	for g := range e.groups {
		errs = append(errs, e.groups[g].kv.Close())
	}
	return errors.Join(errs...)
}

// pagesUsed counts the pages of all groups.
func (e *Engine) pagesUsed() int {
	n := 0
	for g := range e.groups {
		n += e.limit - e.groups[g].kv.Free()
	}
	return n
}

// fits says that there is room for a job beside those that run.
func (e *Engine) fits(b *jobBase) bool {
	for g, n := range b.pages {
		if e.committed[g]+n > e.limit {
			return false
		}
	}
	return true
}

// commit notes that a job takes (1) or gives back (-1) its room.
func (e *Engine) commit(b *jobBase, sign int) {
	for g, n := range b.pages {
		e.committed[g] += sign * n
	}
}

// admit moves waiting jobs that fit to the running ones, in order, and waits
// while there is nothing to do; false at the end.
func (e *Engine) admit() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		e.dropCancelled()
		for len(e.queue) > 0 && len(e.running) < e.opt.MaxSequences {
			j := e.queue[0]
			if !e.fits(j.base()) {
				break
			}
			e.queue = append(e.queue[:0], e.queue[1:]...)
			e.commit(j.base(), 1)
			e.running = append(e.running, j)
			j.begin(e)
		}
		for _, j := range e.running {
			if !j.blocked() || j.base().ctx.Err() != nil {
				return true
			}
		}
		if e.closed && len(e.running) == 0 && len(e.queue) == 0 {
			return false
		}
		e.wake.Wait()
	}
}

// dropCancelled ends the waiting jobs whose context is over, wherever they
// stand: none waits for room that it no longer wants. The lock is held.
func (e *Engine) dropCancelled() {
	e.queue = slices.DeleteFunc(e.queue, func(j job) bool {
		err := j.base().ctx.Err()
		if err != nil {
			j.base().quiet()
			j.finish(e, err)
		}
		return err != nil
	})
}

// stepBatch is the memory of a step.
type stepBatch struct {
	nn.Batch
	running []job       // a copy of the engine's
	jobs    []job       // that have a part in the step
	seqs    []*sequence // of all jobs in turn
	ends    []int       // per job: where its seqs end
	done    []bool      // per seq: its last token is computed
	rows    [][]float32
}

// step computes one token of every decoding sequence and a chunk of the
// prompts, oldest first.
func (e *Engine) step() {
	b := &e.batch
	b.gather(e)
	if len(b.seqs) > 0 {
		if j, err := e.makeRoom(); err != nil {
			e.remove(j, err) // the others go on in the next step
			return
		}
		if err := e.forward(); err != nil {
			for _, j := range b.jobs {
				e.remove(j, err)
			}
			return
		}
	}
	first, row := 0, 0
	for i, j := range b.jobs {
		rows := b.rows[row:row]
		ready := true
		for s := first; s < b.ends[i]; s++ {
			ready = ready && b.done[s]
			if b.done[s] {
				n := 1 + len(b.seqs[s].draft)
				rows = b.rows[row-len(rows) : row+n]
				row += n
			}
		}
		first = b.ends[i]
		if !ready || len(rows) == 0 {
			continue
		}
		if over, err := j.take(e, rows); over || err != nil {
			e.remove(j, err)
		}
	}
}

// remove ends a job.
func (e *Engine) remove(j job, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(e.running, j); i >= 0 {
		e.running = slices.Delete(e.running, i, i+1)
	}
	e.commit(j.base(), -1)
	j.base().quiet()
	j.finish(e, err)
	e.stats.PagesUsed = e.pagesUsed()
}

// gather chooses what the step computes, and removes jobs that were cancelled.
func (b *stepBatch) gather(e *Engine) {
	b.jobs, b.seqs, b.ends, b.done = b.jobs[:0], b.seqs[:0], b.ends[:0], b.done[:0]
	b.IDs, b.Positions, b.Spans, b.Out = b.IDs[:0], b.Positions[:0], b.Spans[:0], b.Out[:0]
	b.running = append(b.running[:0], e.running...)
	budget := e.opt.PrefillChunk
	share := b.share(e)
	for _, j := range b.running {
		if err := j.base().ctx.Err(); err != nil {
			e.remove(j, err)
			continue
		}
		if j.blocked() {
			continue
		}
		j.prepare(e)
		seqs := j.next()
		for _, s := range seqs {
			if len(seqs) > 1 {
				b.add(s, len(s.ids)) // beams go on together
			} else {
				budget -= b.add(s, min(budget, share))
			}
		}
		b.jobs = append(b.jobs, j)
		b.ends = append(b.ends, len(b.seqs))
	}
}

// minShare is how much of a prompt a step computes at least.
const minShare = 64

// share returns how many tokens of each prompt a step may compute, so that a
// long one does not hold the others' first tokens back.
func (b *stepBatch) share(e *Engine) int {
	prompts := 0
	for _, j := range b.running {
		if seqs := j.next(); len(seqs) == 1 && len(seqs[0].ids)-seqs[0].computed > 1 {
			prompts++
		}
	}
	return max(minShare, e.opt.PrefillChunk/max(prompts, 1))
}

// add puts the next tokens of a sequence into the batch: all that is left of a
// decoding one, at most budget tokens of a prompt. It returns what it took of
// the budget.
func (b *stepBatch) add(s *sequence, budget int) int {
	left := len(s.ids) - s.computed
	n, taken := left, 0
	s.pending = 0
	if left > 1 {
		n = min(left, max(budget, 0))
		taken = n
		if n == 0 {
			b.seqs, b.done = append(b.seqs, s), append(b.done, false)
			return 0
		}
	}
	done := n == left
	s.draft = s.draft[:0]
	if done && s.lookup != nil {
		s.draft = s.lookup(s.draft)
	}
	start := len(b.IDs)
	b.IDs = append(append(b.IDs, s.ids[s.computed:s.computed+n]...), s.draft...)
	for i := range n + len(s.draft) {
		b.Positions = append(b.Positions, int32(s.computed+i))
	}
	if done {
		for i := range 1 + len(s.draft) {
			b.Out = append(b.Out, int32(start+n-1+i))
		}
	}
	s.pending = n
	b.seqs, b.done = append(b.seqs, s), append(b.done, done)
	b.Spans = append(b.Spans, tensor.Span{Start: start, Len: n + len(s.draft), Pos: s.computed, Total: len(s.ids)})
	return taken
}

// makeRoom gets the pages that the step writes to. An error is that of the job
// which it returns.
func (e *Engine) makeRoom() (j job, err error) {
	b := &e.batch
	defer recoverMemory(&err)
	b.divide(e)
	span, first := 0, 0
	for i, end := range b.ends {
		j = b.jobs[i]
		for _, s := range b.seqs[first:end] {
			if s.pending == 0 {
				continue
			}
			to := b.Spans[span].Pos + b.Spans[span].Len
			for g := range e.groups {
				if err := e.reserve(g, &s.tables[g], s.computed, to); err != nil {
					return j, err
				}
				b.spans(g)[span].Pages = s.tables[g].pages
			}
			span++
		}
		first = end
	}
	return nil, nil
}

// forward computes the batch; its logits are b.rows.
func (e *Engine) forward() (err error) {
	b := &e.batch
	b.rows = b.rows[:0]
	if len(b.IDs) == 0 {
		return nil
	}
	defer recoverMemory(&err)
	e.pool.Lock()
	defer e.pool.Unlock()
	e.g.Reset()
	hidden := e.m.Forward(e.g, &b.Batch)
	if len(b.Out) > 0 {
		logits := e.m.Logits(e.g, hidden)
		for i := range logits.Rows {
			b.rows = append(b.rows, logits.Row(i))
		}
	}
	if err := e.g.Err(); err != nil {
		return err // what lies in the pages is not to be kept
	}
	e.count(len(b.IDs), len(b.Out))
	for _, s := range b.seqs {
		s.computed += s.pending
		s.pending = 0
	}
	return nil
}

func (e *Engine) count(tokens, decoded int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Steps++
	e.stats.DecodeTokens += uint64(decoded)
	e.stats.PrefillTokens += uint64(tokens - decoded)
	e.stats.PagesUsed = e.pagesUsed()
}

// divide makes the groups of the batch.
func (b *stepBatch) divide(e *Engine) {
	b.KV = e.groups[0].kv
	if len(e.groups) == 1 {
		return
	}
	if b.Groups == nil {
		b.Groups = make([]nn.Group, len(e.groups))
	}
	for g := range b.Groups {
		b.Groups[g].KV = e.groups[g].kv
		b.Groups[g].Spans = append(b.Groups[g].Spans[:0], b.Spans...)
	}
}

// spans returns the spans of a group.
func (b *stepBatch) spans(g int) []tensor.Span {
	if b.Groups == nil {
		return b.Spans
	}
	return b.Groups[g].Spans
}

// reserve gets pages of a group for a table, from the prefix cache where none is
// free.
func (e *Engine) reserve(g int, t *pageTable, from, end int) error {
	for {
		err := t.reserve(e.groups[g].kv, from, end)
		if err == nil || !errors.Is(err, tensor.ErrMemory) || !e.cache.evict(g) {
			return err
		}
	}
}
