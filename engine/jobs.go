package engine

import (
	"context"
	"sync/atomic"
)

// sequence is a row of tokens whose keys and values lie in pages.
type sequence struct {
	ids      []int32     // prompt and new tokens
	computed int         // how many of them have keys and values
	pending  int         // how many the step under way computes
	tables   []pageTable // by group
	draft    []int32     // guessed tokens that the step computes, too
	lookup   func(dst []int32) []int32
	set      int // frequency set of what is computed
}

// frequencySet returns the set of a sequence of length tokens.
func (e *Engine) frequencySet(length int) int {
	if e.m.FrequencySet == nil {
		return 0
	}
	return e.m.FrequencySet(length)
}

// start takes what the prefix cache has of a sequence.
func (e *Engine) start(s *sequence, tenant string) {
	s.set, s.computed = e.frequencySet(len(s.ids)), 0
	if !e.opt.NoReuse {
		s.computed = e.cache.find(prefixOwner{tenant, s.set}, s.ids, s.tables)
	}
}

// restart drops what was computed with frequencies that no longer hold for the
// sequence's length (dynamic NTK, long RoPE).
func (e *Engine) restart(s *sequence, tenant string) {
	if e.frequencySet(len(s.ids)) != s.set {
		e.release(s)
		e.start(s, tenant)
	}
}

// release gives the pages of a sequence back.
func (e *Engine) release(s *sequence) {
	for g := range s.tables {
		s.tables[g].release(e.groups[g].kv)
	}
}

// outOfSight says that a sequence has pages which it sees no more.
func (e *Engine) outOfSight(s *sequence) bool {
	for g := range s.tables {
		if e.groups[g].first(s.computed) > s.tables[g].gone {
			return true
		}
	}
	return false
}

// drop gives those pages back.
func (e *Engine) drop(s *sequence) {
	for g := range s.tables {
		s.tables[g].drop(e.groups[g].kv, e.groups[g].first(s.computed))
	}
}

// need returns how many pages of each group so many sequences come to use.
func (e *Engine) need(sequences, maxLen, atOnce int) []int {
	pages := make([]int, len(e.groups))
	for g := range pages {
		pages[g] = sequences * e.groups[g].need(maxLen, atOnce)
	}
	return pages
}

// outBuffer is how many tokens a reader may lag behind before its sequence
// waits for it.
const outBuffer = 256

// maxDraft bounds the draft of prompt lookup, all of whose tokens must find
// room in the buffer at once. The tokens are the same for any bound.
const maxDraft = 64

// sampleJob is one sequence: greedy or drawn at random.
type sampleJob struct {
	jobBase
	seq     sequence
	one     [1]*sequence
	sampler *Sampler
	out     chan Event
	waiting atomic.Bool // for the reader
	draft   int         // tokens of the longest draft
	reused  int
	err     error // valid once out is closed
}

func (e *Engine) newSample(ctx context.Context, req *Request) (*sampleJob, error) {
	maxLen, err := e.check(req)
	if err != nil {
		return nil, err
	}
	p := &req.Params
	j := &sampleJob{
		jobBase: jobBase{ctx: ctx, req: req, max: maxLen, pages: e.need(1, maxLen, max(e.opt.PrefillChunk, 1+maxDraft))},
		sampler: NewSampler(p, len(req.IDs), maxLen, req.Sample, req.Processors...),
		out:     make(chan Event, outBuffer),
		draft:   min(p.PromptLookupNumTokens, maxDraft),
	}
	j.seq.ids = append(make([]int32, 0, min(maxLen, len(req.IDs)+1<<12)), req.IDs...)
	j.seq.tables = make([]pageTable, len(e.groups))
	j.one[0] = &j.seq
	if j.draft > 0 {
		j.seq.lookup = func(dst []int32) []int32 {
			n := min(j.draft, maxLen-len(j.seq.ids)-1)
			for n > 0 && e.frequencySet(len(j.seq.ids)+n) != j.seq.set {
				n-- // one by one those would have other frequencies
			}
			return Lookup(dst, j.seq.ids, p.MaxMatchingNgramSize, n)
		}
	}
	return j, nil
}

func (j *sampleJob) begin(e *Engine) {
	e.start(&j.seq, j.req.Tenant)
	j.reused = j.seq.computed
	e.stats.ReusedTokens += uint64(j.reused)
}

// prepare keeps what is about to go of a prompt for others that begin as it does.
func (j *sampleJob) prepare(e *Engine) {
	e.restart(&j.seq, j.req.Tenant)
	if j.seq.computed <= len(j.req.IDs) && e.outOfSight(&j.seq) {
		j.remember(e)
	}
	e.drop(&j.seq)
}

func (j *sampleJob) next() []*sequence { return j.one[:] }

// blocked reserves room in the channel for a whole draft.
func (j *sampleJob) blocked() bool {
	if cap(j.out)-len(j.out) > 1+j.draft {
		return false
	}
	j.waiting.Store(true)
	return cap(j.out)-len(j.out) <= 1+j.draft
}

func (j *sampleJob) take(e *Engine, rows [][]float32) (over bool, err error) {
	if len(j.seq.ids) == len(j.req.IDs) {
		j.remember(e) // others may begin with the same prompt
	}
	if len(j.seq.draft) == 0 {
		t, err := j.sampler.Next(e.w, j.seq.ids, rows[0])
		if err != nil {
			return false, err
		}
		return j.emit(t), nil
	}
	row := func(i int) []float32 { return rows[i] }
	accepted, err := j.sampler.Verify(e.w, j.seq.ids, j.seq.draft, row, func(t Token) bool {
		over = j.emit(t)
		return !over
	})
	j.seq.computed += accepted
	return over, err
}

// emit hands a token over and says whether it was the last.
func (j *sampleJob) emit(t Token) (last bool) {
	j.seq.ids = append(j.seq.ids, t.ID)
	t.Top = append([]TokenLogprob(nil), t.Top...)
	fin := j.req.Params.Finish(t.ID, len(j.seq.ids), j.max)
	j.out <- Event{Token: t, Finish: fin, Reused: j.reused}
	return fin != ""
}

// remember puts the full pages of the sequence into the prefix cache.
func (j *sampleJob) remember(e *Engine) {
	if !e.opt.NoReuse {
		e.cache.add(prefixOwner{j.req.Tenant, j.seq.set}, j.seq.ids, j.seq.computed, j.seq.tables)
	}
}

func (j *sampleJob) finish(e *Engine, err error) {
	j.remember(e)
	e.release(&j.seq)
	j.err = err
	close(j.out)
}

// beamJob is a beam search: as many sequences as it has live beams.
type beamJob struct {
	jobBase
	beams  *Beams
	seqs   []*sequence
	done   chan struct{}
	result []Hypothesis
	err    error
}

func (e *Engine) newBeam(ctx context.Context, req *Request) (*beamJob, error) {
	maxLen, err := e.check(req)
	if err != nil {
		return nil, err
	}
	atOnce := e.opt.PrefillChunk
	if e.m.FrequencySet != nil {
		atOnce = maxLen // beams begin again together
	}
	j := &beamJob{
		jobBase: jobBase{ctx: ctx, req: req, max: maxLen, pages: e.need(req.Params.NumBeams, maxLen, atOnce)},
		beams:   NewBeams(&req.Params, req.IDs, maxLen, req.Processors...),
		done:    make(chan struct{}),
	}
	j.seqs = []*sequence{{ids: append([]int32(nil), req.IDs...), tables: make([]pageTable, len(e.groups))}}
	return j, nil
}

func (j *beamJob) begin(e *Engine) { e.start(j.seqs[0], j.req.Tenant) }

func (j *beamJob) prepare(e *Engine) {
	for _, s := range j.seqs {
		e.restart(s, j.req.Tenant)
		e.drop(s)
	}
}

func (j *beamJob) next() []*sequence { return j.seqs }
func (j *beamJob) blocked() bool     { return false }

func (j *beamJob) take(e *Engine, rows [][]float32) (over bool, err error) {
	next, err := j.beams.Step(e.w, rows)
	if err != nil {
		return false, err
	}
	if len(next) == 0 {
		j.result, err = j.beams.Results()
		return true, err
	}
	old := j.seqs
	j.seqs = nil
	for i, c := range next {
		parent := old[c.Parent]
		s := &sequence{
			ids: append([]int32(nil), j.beams.IDs(i)...), computed: parent.computed, set: parent.set,
			tables: make([]pageTable, len(parent.tables)),
		}
		for g := range s.tables {
			s.tables[g] = parent.tables[g].fork(e.groups[g].kv)
		}
		j.seqs = append(j.seqs, s)
	}
	for _, s := range old {
		e.release(s)
	}
	return false, nil
}

func (j *beamJob) finish(e *Engine, err error) {
	for _, s := range j.seqs {
		e.release(s)
	}
	j.err = err
	close(j.done)
}
