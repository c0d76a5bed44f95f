package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// search runs a beam search with a model that is a function of the ids.
func search(t *testing.T, p *Params, prompt []int32, maxLen int, model func(ids []int32) []float32) []Hypothesis {
	t.Helper()
	b := NewBeams(p, prompt, maxLen)
	w := NewScratch(1)
	beams := [][]int32{slices.Clone(prompt)} // kept as an engine keeps its caches
	for b.Live() > 0 {
		rows := make([][]float32, b.Live())
		for i := range rows {
			if !slices.Equal(beams[i], b.IDs(i)) {
				t.Fatalf("beam %d is %v by its continuations, %v by IDs", i, beams[i], b.IDs(i))
			}
			rows[i] = model(b.IDs(i))
		}
		next, err := b.Step(w, rows)
		if err != nil {
			t.Fatal(err)
		}
		var now [][]int32
		for _, c := range next {
			now = append(now, append(slices.Clone(beams[c.Parent]), c.ID))
		}
		beams = now
	}
	out, err := b.Results()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// reference is transformers' beam search (GenerationMixin._beam_search and its
// parts, 4.54) for one prompt, step by step, with its placeholders of -1e9.
type reference struct {
	p      *Params
	prompt []int32
	maxLen int
	vocab  int
	model  func(ids []int32) []float32

	running, done       [][]int32
	runScores, scores   []float32
	finished            []bool
	improvementPossible bool
}

const excluded = float32(-1e9)

func (r *reference) search() ([][]int32, []float32) {
	n := r.p.NumBeams
	for i := range n {
		r.running = append(r.running, slices.Clone(r.prompt))
		r.done = append(r.done, slices.Clone(r.prompt))
		r.runScores = append(r.runScores, excluded)
		r.scores = append(r.scores, excluded)
		r.finished = append(r.finished, false)
		if i == 0 {
			r.runScores[0] = 0
		}
	}
	r.improvementPossible = true
	for length := len(r.prompt); r.step(length); length++ {
	}
	k := r.p.NumReturnSequences
	return r.done[:k], r.scores[:k]
}

// topIndices is torch.topk.
func topIndices(values []float32, k int) []int {
	order := naiveOrder(values)
	return order[:min(k, len(order))]
}

func (r *reference) step(length int) (more bool) {
	n := r.p.NumBeams
	flat := make([]float32, 0, n*r.vocab)
	for i, ids := range r.running {
		logits := r.model(ids)
		probs := naiveProbs(logits)
		row := make([]float32, r.vocab)
		for id, q := range probs {
			row[id] = float32(math.Log(q))
		}
		chain := r.p.processors(len(r.prompt), r.maxLen, nil)
		w := NewScratch(r.vocab)
		w.begin(r.vocab)
		for _, proc := range chain {
			proc.Process(&Context{IDs: ids, PromptLen: len(r.prompt), scratch: w}, row)
		}
		for _, l := range row {
			flat = append(flat, l+r.runScores[i])
		}
	}
	var seqs [][]int32
	var sums, running, ended []float32
	var hits []bool
	keep := max(2, 1+len(r.p.EOSTokenID)) * n
	for _, at := range topIndices(flat, keep) {
		id := int32(at % r.vocab)
		seqs = append(seqs, append(slices.Clone(r.running[at/r.vocab]), id))
		sums = append(sums, flat[at])
		hits = append(hits, slices.Contains(r.p.EOSTokenID, id) || length+1 >= r.maxLen)
	}
	penalty := float32(math.Pow(float64(length+1-len(r.prompt)), r.p.LengthPenalty))
	full := !slices.Contains(r.finished, false) && r.p.EarlyStopping == EarlyStop
	for i, s := range sums {
		run, end := s, s/penalty
		if hits[i] {
			run += excluded
		}
		if full {
			end += excluded
		}
		if !r.improvementPossible {
			end += excluded
		}
		if !hits[i] || i >= n {
			end += excluded
		}
		running, ended = append(running, run), append(ended, end)
	}
	r.finish(seqs, ended, hits)
	r.running, r.runScores = nil, nil
	for _, at := range topIndices(running, n) {
		r.running, r.runScores = append(r.running, seqs[at]), append(r.runScores, running[at])
	}
	return r.goesOn(length+1, hits)
}

func (r *reference) finish(seqs [][]int32, ended []float32, hits []bool) {
	n := r.p.NumBeams
	just := slices.Clone(hits)
	for i := n; i < len(just); i++ {
		just[i] = false
	}
	allSeqs, allScores := append(r.done, seqs...), append(r.scores, ended...)
	allFinished := append(r.finished, just...)
	r.done, r.scores, r.finished = nil, nil, nil
	for _, at := range topIndices(allScores, n) {
		r.done, r.scores = append(r.done, allSeqs[at]), append(r.scores, allScores[at])
		r.finished = append(r.finished, allFinished[at])
	}
}

func (r *reference) goesOn(length int, hits []bool) bool {
	best := length - len(r.prompt)
	if r.p.EarlyStopping == EarlyNever && r.p.LengthPenalty > 0 {
		best = r.maxLen - len(r.prompt)
	}
	possible := r.runScores[0] / float32(math.Pow(float64(best), r.p.LengthPenalty))
	better := false
	for _, done := range r.finished {
		worst := excluded
		if done {
			worst = slices.Min(r.scores)
		}
		better = better || possible > worst
	}
	r.improvementPossible = r.improvementPossible && better
	open := slices.Contains(r.finished, false) || r.p.EarlyStopping != EarlyStop
	return r.improvementPossible && open && slices.Contains(hits, false)
}

func randomBeamParams(rng *rand.Rand, vocab int) Params {
	p := DefaultParams()
	p.NumBeams = 1 + rng.IntN(5)
	p.NumReturnSequences = 1 + rng.IntN(p.NumBeams)
	p.EarlyStopping = EarlyStopping(rng.IntN(3))
	p.LengthPenalty = []float64{1, 0, 0.5, 2, -1, 0.6}[rng.IntN(6)]
	for range rng.IntN(3) {
		p.EOSTokenID = append(p.EOSTokenID, int32(rng.IntN(vocab)))
	}
	slices.Sort(p.EOSTokenID)
	p.EOSTokenID = slices.Compact(p.EOSTokenID)
	switch rng.IntN(6) {
	case 0:
		p.NoRepeatNgramSize = 2
	case 1:
		p.MinNewTokens = 3
	case 2:
		p.BadWordsIDs = [][]int32{{1}, {2, 3}}
	case 3:
		p.RepetitionPenalty = 1.3
	case 4:
		p.ForcedEOSTokenID = []int32{2}
	}
	return p
}

func TestBeamsAgainstReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	for n := range 1500 {
		const vocab = 24 // enough for every beam to have continuations that do not end
		p := randomBeamParams(rng, vocab)
		sharp := 1 + rng.Float64()*2
		model := func(ids []int32) []float32 {
			logits := fakeLogits(append([]int32{int32(n)}, ids...), vocab)
			for i := range logits {
				logits[i] *= float32(sharp)
			}
			return logits
		}
		prompt := []int32{int32(rng.IntN(vocab)), int32(n % vocab)}
		maxLen := len(prompt) + 1 + rng.IntN(9)
		got := search(t, &p, prompt, maxLen, model)
		ref := &reference{p: &p, prompt: prompt, maxLen: maxLen, vocab: vocab, model: model}
		seqs, scores := ref.search()
		for len(seqs) > 0 && scores[len(seqs)-1] < -1e6 { // placeholders: see TestDifferenceFewerSequences
			seqs = seqs[:len(seqs)-1]
		}
		if len(got) != len(seqs) {
			t.Fatalf("case %d: %d sequences, want %d", n, len(got), len(seqs))
		}
		for i, h := range got {
			if !slices.Equal(h.IDs, seqs[i][len(prompt):]) || math.Abs(float64(h.Score-scores[i])) > 1e-4 {
				t.Fatalf("case %d (%+v): sequence %d is %v with %g, want %v with %g", n, p, i, h.IDs, h.Score, seqs[i][len(prompt):], scores[i])
			}
		}
	}
}

// With as many beams as there are sequences, and never stopping early, the
// search is exhaustive.
func TestBeamsExhaustive(t *testing.T) {
	rng := rand.New(rand.NewPCG(43, 44))
	const vocab, steps = 4, 4
	for n := range 60 {
		p := DefaultParams()
		p.NumBeams, p.NumReturnSequences, p.EarlyStopping = 256, 3, EarlyNever
		p.LengthPenalty, p.EOSTokenID = rng.Float64()*2, []int32{3}
		model := func(ids []int32) []float32 { return fakeLogits(append([]int32{int32(n)}, ids...), vocab) }
		got := search(t, &p, []int32{0}, 1+steps, model)

		var all []Hypothesis
		var walk func(ids []int32, sum float64)
		walk = func(ids []int32, sum float64) {
			length := len(ids) - 1
			if length > 0 && (ids[length] == 3 || length == steps) {
				all = append(all, Hypothesis{slices.Clone(ids[1:]), float32(sum / math.Pow(float64(length), p.LengthPenalty))})
				return
			}
			for id, q := range naiveProbs(model(ids)) {
				walk(append(slices.Clone(ids), int32(id)), sum+math.Log(q))
			}
		}
		walk([]int32{0}, 0)
		slices.SortFunc(all, func(a, b Hypothesis) int {
			if a.Score > b.Score {
				return -1
			}
			return 1
		})
		for i, h := range got {
			if !slices.Equal(h.IDs, all[i].IDs) || math.Abs(float64(h.Score-all[i].Score)) > 1e-4 {
				t.Fatalf("case %d: sequence %d is %v, want %v", n, i, h, all[i])
			}
		}
	}
}

// One beam is greedy decoding.
func TestOneBeamIsGreedy(t *testing.T) {
	p := DefaultParams()
	p.EOSTokenID = []int32{7}
	model := func(ids []int32) []float32 { return fakeLogits(ids, 30) }
	got := search(t, &p, []int32{4}, 20, model)
	ids := []int32{4}
	s := NewSampler(&p, 1, 20, 0)
	for p.Finish(ids[len(ids)-1], len(ids), 20) == "" {
		tok, err := s.Next(NewScratch(30), ids, model(ids))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, tok.ID)
	}
	if !slices.Equal(got[0].IDs, ids[1:]) {
		t.Errorf("one beam %v, greedy %v", got[0].IDs, ids[1:])
	}
}

func TestBeamErrors(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		row  []float32
		want string
	}{
		{[]float32{0, nan}, "new token 1 (position 2): the logit of id 1 is NaN"},
		{[]float32{negInf, negInf}, "new token 1 (position 2): every token is excluded"},
		{[]float32{1, -negInf}, "+Inf"},
	} {
		p := DefaultParams()
		p.NumBeams = 2
		b := NewBeams(&p, []int32{0, 0}, 9)
		_, err := b.Step(NewScratch(2), [][]float32{c.row})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.row, err, c.want)
		}
		if _, err := b.Results(); err == nil {
			t.Error("results of a search that has not ended")
		}
		if _, err := b.Step(NewScratch(2), nil); err == nil {
			t.Error("a step without logits")
		}
	}
}

// Constraints that leave fewer sequences than were asked for give those there
// are (transformers fills up with sequences of score -1e9).
func TestDifferenceFewerSequences(t *testing.T) {
	p := DefaultParams()
	p.NumBeams, p.NumReturnSequences, p.EOSTokenID = 3, 3, []int32{1}
	p.SuppressTokens = []int32{0}
	got := search(t, &p, []int32{0}, 9, func([]int32) []float32 { return []float32{1, 2} })
	if len(got) != 1 || fmt.Sprint(got[0].IDs) != "[1]" {
		t.Errorf("%v", got)
	}
}

func FuzzBeams(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(5), 1.0)
	f.Add(uint64(2), uint8(1), uint8(1), -1e30)
	f.Fuzz(func(t *testing.T, seed uint64, beams, vocab uint8, penalty float64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		p := randomBeamParams(rng, int(vocab)+1)
		p.NumBeams, p.NumReturnSequences, p.LengthPenalty = int(beams)%9+1, 1, penalty
		if p.Validate() != nil {
			return
		}
		w := NewScratch(int(vocab))
		b := NewBeams(&p, []int32{0}, 8)
		for b.Live() > 0 {
			rows := make([][]float32, b.Live())
			for i := range rows {
				rows[i] = randomLogits(rng, int(vocab))
				if len(rows[i]) > 0 && rng.IntN(3) == 0 {
					rows[i][rng.IntN(len(rows[i]))] = negInf
				}
			}
			if _, err := b.Step(w, rows); err != nil {
				return
			}
		}
		got, err := b.Results()
		if err != nil || len(got) > 1 || len(got) == 1 && len(got[0].IDs) > 7 {
			t.Fatalf("%v, %v", got, err)
		}
	})
}
