package wenmo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"wenmo/engine"
	"wenmo/eval"
	"wenmo/model"
)

const (
	scoreRequests = 512     // encoded and computed at a time
	scoreLogits   = 1 << 24 // logits in memory at a time: 64 MiB
)

// scored is a part of a request that is computed as one sequence.
type scored struct {
	request int
	input   engine.Input
	targets []int32 // what input.Rows are to predict
}

// logLikelihoods implements eval.Model.LogLikelihood. A masked language model
// gives pseudo-log-likelihoods (Salazar et al. 2020): each token is masked on
// its own.
func (m *Model) logLikelihoods(ctx context.Context, requests []eval.Request, done func(n int)) ([]eval.Likelihood, error) {
	frame, err := m.textFrame()
	if err != nil {
		return nil, err
	}
	out := make([]eval.Likelihood, 0, len(requests))
	for part := range slices.Chunk(requests, scoreRequests) {
		found, err := m.scoreRequests(ctx, frame, part)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
		done(len(out))
	}
	return out, nil
}

func (m *Model) scoreRequests(ctx context.Context, frame textFrame, requests []eval.Request) ([]eval.Likelihood, error) {
	out := make([]eval.Likelihood, len(requests))
	parts := make([][]scored, len(requests))
	inParallel(m.opt.Threads, len(requests), func(i int) {
		ids, first := frame.encode(m, requests[i])
		out[i] = eval.Likelihood{Greedy: true, Tokens: max(0, len(ids)-first)}
		if m.m.Head == model.MaskedHead {
			parts[i], out[i].Truncated = frame.masked(m, ids, first)
		} else {
			parts[i], out[i].Truncated = m.windows(ids, first)
		}
		for k := range parts[i] {
			parts[i][k].request = i
		}
	})
	flat := slices.Concat(parts...)
	for len(flat) > 0 {
		n, rows := 0, 0
		for n < len(flat) && (n == 0 || (rows+len(flat[n].targets))*m.m.Vocab <= scoreLogits) {
			rows += len(flat[n].targets)
			n++
		}
		if err := m.scoreParts(ctx, flat[:n], out); err != nil {
			return nil, err
		}
		flat = flat[n:]
	}
	return out, nil
}

// scoreParts adds what parts are found to be to the likelihoods of their requests.
func (m *Model) scoreParts(ctx context.Context, parts []scored, out []eval.Likelihood) error {
	if len(parts) == 1 && len(parts[0].targets)*m.m.Vocab > scoreLogits {
		return m.scoreLong(ctx, &parts[0], out)
	}
	inputs := make([]engine.Input, len(parts))
	for i := range parts {
		inputs[i] = parts[i].input
	}
	return m.BatchLogits(ctx, inputs, func(i int, rows [][]float32) error {
		p := &parts[i]
		logProbs, greedy := make([]float64, len(rows)), make([]bool, len(rows))
		inParallel(m.opt.Threads, len(rows), func(r int) {
			logProbs[r], greedy[r] = judge(rows[r], p.targets[r])
		})
		for r := range rows {
			out[p.request].LogProb += logProbs[r]
			out[p.request].Greedy = out[p.request].Greedy && greedy[r]
		}
		return nil
	})
}

// scoreLong is scoreParts for a text with more logits than should be in memory.
func (m *Model) scoreLong(ctx context.Context, p *scored, out []eval.Likelihood) error {
	next := 0
	return m.Logits(ctx, p.input.IDs, nil, func(pos int, logits []float32) error {
		if next < len(p.targets) && int32(pos) == p.input.Rows[next] {
			l, greedy := judge(logits, p.targets[next])
			out[p.request].LogProb += l
			out[p.request].Greedy = out[p.request].Greedy && greedy
			next++
		}
		return nil
	})
}

// judge returns the log-probability of id, and whether it is the likeliest.
func judge(logits []float32, id int32) (logProb float64, greedy bool) {
	return eval.LogProb(logits, id), int32(largest(logits)) == id
}

// windows cuts a sequence, whose ids from first on are to be predicted, into parts
// that fit the context: each id is predicted once, from as many before it as
// there is room for (lm-evaluation-harness's rolling windows).
func (m *Model) windows(ids []int32, first int) (parts []scored, truncated bool) {
	most := m.longest()
	for pos := first; pos < len(ids); {
		end := min(pos+most, len(ids))
		start := max(0, end-1-most)
		p := scored{input: engine.Input{IDs: ids[start : end-1]}, targets: ids[pos:end]}
		for r := pos; r < end; r++ {
			p.input.Rows = append(p.input.Rows, int32(r-1-start))
		}
		truncated = truncated || pos == first && start > 0
		parts = append(parts, p)
		pos = end
	}
	return parts, truncated
}

// textFrame is what stands around the ids of a text.
type textFrame struct {
	prefix, suffix []int32
	mask           int32
}

// textFrame finds the special tokens that the tokenizer adds. A causal model
// predicts nothing from nothing: where its tokenizer adds no beginning, that is
// its BOS, else its EOS token, as in lm-evaluation-harness.
func (m *Model) textFrame() (textFrame, error) {
	var f textFrame
	bare, full := m.tok.Encode("a", false), m.tok.Encode("a", true)
	for i := 0; i+len(bare) <= len(full); i++ {
		if slices.Equal(full[i:i+len(bare)], bare) {
			f.prefix, f.suffix = full[:i], full[i+len(bare):]
			break
		}
	}
	if m.m.Head == model.MaskedHead {
		id, ok := m.tok.ID(m.tokens.MASK)
		if !ok {
			return f, fmt.Errorf("the tokenizer has no mask token, which a masked language model needs")
		}
		f.mask = id
		return f, nil
	}
	f.suffix = nil
	if len(f.prefix) == 0 {
		switch {
		case m.inVocab(m.params.BOSTokenID):
			f.prefix = []int32{m.params.BOSTokenID}
		case len(m.params.EOSTokenID) > 0 && m.inVocab(m.params.EOSTokenID[0]):
			f.prefix = m.params.EOSTokenID[:1]
		}
	}
	return f, nil
}

func (m *Model) inVocab(id int32) bool { return id >= 0 && int(id) < m.m.Vocab }

// encode returns the ids of a request and where its continuation begins. Context
// and continuation are encoded together and cut where the context's own ids end;
// spaces at the end of the context count for the continuation.
func (f *textFrame) encode(m *Model, r eval.Request) (ids []int32, first int) {
	if r.IDs != nil {
		return slices.Concat(f.prefix, r.IDs), max(1, len(f.prefix)+r.First)
	}
	context := strings.TrimRightFunc(r.Context, unicode.IsSpace)
	continuation := r.Context[len(context):] + r.Continuation
	before := m.tok.Encode(context, false)
	whole := m.tok.Encode(context+continuation, false)
	if len(before) >= len(whole) { // they have grown together
		whole = append(slices.Clone(before), m.tok.Encode(continuation, false)...)
	}
	ids = append(slices.Clone(f.prefix), whole...)
	return ids, max(1, len(f.prefix)+len(before))
}

// masked makes a sequence for each id from first on, in which it is masked. A
// text that does not fit is cut into parts, as windows does it, each framed.
func (f *textFrame) masked(m *Model, ids []int32, first int) (parts []scored, truncated bool) {
	begin := len(f.prefix)
	room := max(1, m.m.MaxLength-begin-len(f.suffix))
	for pos := max(first, begin); pos < len(ids); {
		end := min(pos+room, len(ids))
		start := max(begin, end-room)
		truncated = truncated || pos == first && start > begin
		for ; pos < end; pos++ {
			in := slices.Concat(f.prefix, ids[start:end], f.suffix)
			at := begin + pos - start
			in[at] = f.mask
			parts = append(parts, scored{input: engine.Input{IDs: in, Rows: []int32{int32(at)}}, targets: ids[pos : pos+1]})
		}
	}
	return parts, truncated
}

// inParallel calls f for each i below n, from several goroutines.
func inParallel(threads, n int, f func(i int)) {
	threads = min(threads, n)
	if threads <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range threads {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wait.Wait()
}
