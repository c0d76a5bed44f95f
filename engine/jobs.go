package engine

import (
	"context"
	"sync/atomic"

	"wenmo/model"
)

// sequence is a row of tokens whose keys and values lie in pages.
type sequence struct {
	ids      []int32 // prompt and new tokens
	computed int     // how many of them have keys and values
	pending  int     // how many the step under way computes
	table    pageTable
	draft    []int32 // guessed tokens that the step computes, too
	lookup   func(dst []int32) []int32
	set      int // frequency set of what is computed
}

// restart drops what was computed with frequencies that no longer hold for the
// sequence's length (dynamic NTK, long RoPE).
func (s *sequence) restart(m *model.Model) {
	if m.FrequencySet == nil {
		return
	}
	if set := m.FrequencySet(len(s.ids)); set != s.set {
		s.set, s.computed = set, 0
	}
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
		jobBase: jobBase{ctx: ctx, req: req, max: maxLen, pages: pagesFor(maxLen)},
		sampler: NewSampler(p, len(req.IDs), maxLen, req.Sample, req.Processors...),
		out:     make(chan Event, outBuffer),
		draft:   min(p.PromptLookupNumTokens, maxDraft),
	}
	j.seq.ids = append(make([]int32, 0, min(maxLen, len(req.IDs)+1<<12)), req.IDs...)
	j.one[0] = &j.seq
	if j.draft > 0 && e.m.FrequencySet == nil {
		j.seq.lookup = func(dst []int32) []int32 {
			room := maxLen - len(j.seq.ids) - 1
			return Lookup(dst, j.seq.ids, p.MaxMatchingNgramSize, min(j.draft, room))
		}
	}
	return j, nil
}

func (j *sampleJob) begin(e *Engine) {
	if e.opt.NoReuse || e.m.FrequencySet != nil {
		return
	}
	j.seq.table = e.cache.find(j.req.Tenant, j.seq.ids)
	j.seq.computed = len(j.seq.table) * pageTokens
	j.reused = j.seq.computed
	e.stats.ReusedTokens += uint64(j.reused)
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
	if !e.opt.NoReuse && e.m.FrequencySet == nil {
		e.cache.add(j.req.Tenant, j.seq.ids, j.seq.computed, j.seq.table)
	}
}

func (j *sampleJob) finish(e *Engine, err error) {
	j.remember(e)
	j.seq.table.release(e.kv)
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
	j := &beamJob{
		jobBase: jobBase{ctx: ctx, req: req, max: maxLen, pages: req.Params.NumBeams * pagesFor(maxLen)},
		beams:   NewBeams(&req.Params, req.IDs, maxLen, req.Processors...),
		done:    make(chan struct{}),
	}
	j.seqs = []*sequence{{ids: append([]int32(nil), req.IDs...)}}
	return j, nil
}

func (j *beamJob) begin(e *Engine) {
	if e.opt.NoReuse || e.m.FrequencySet != nil {
		return
	}
	s := j.seqs[0]
	s.table = e.cache.find(j.req.Tenant, s.ids)
	s.computed = len(s.table) * pageTokens
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
		j.seqs = append(j.seqs, &sequence{
			ids: append([]int32(nil), j.beams.IDs(i)...), computed: parent.computed, set: parent.set,
			table: parent.table.fork(e.kv),
		})
	}
	for _, s := range old {
		s.table.release(e.kv)
	}
	return false, nil
}

func (j *beamJob) finish(e *Engine, err error) {
	for _, s := range j.seqs {
		s.table.release(e.kv)
	}
	j.err = err
	close(j.done)
}
