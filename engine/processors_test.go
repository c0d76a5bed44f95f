package engine

import (
	"cmp"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"wenmo/internal/testkit"
)

// procCase is a row of proc_*.json.
type procCase struct {
	Name      string
	Params    map[string]json.RawMessage
	Context   []int32
	PromptLen *int `json:"prompt_len"`
	Logits    []*float32
	Out       []*float32
	Probs     []float32
}

func TestFixtureProc(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		data, err := os.ReadFile(path + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Cases []procCase }
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatal(err)
		}
		if len(file.Cases) == 0 {
			t.Fatal("no cases")
		}
		for i, c := range file.Cases {
			c.check(t, i)
		}
	}, "proc_")
}

// check runs the chain that the parameters give, with nothing else on.
func (c *procCase) check(t *testing.T, row int) {
	p, ctx, keep := c.setup(t)
	maxLen := math.MaxInt
	if p.MaxLength > 0 {
		maxLen = p.MaxLength
	}
	logits := fromNull(c.Logits)
	ctx.scratch.begin(len(logits))
	for _, proc := range p.processors(ctx.PromptLen, maxLen, nil) {
		setKeep(t, proc, keep)
		proc.Process(ctx, logits)
	}
	compareRow(t, row, c.Name+" out", logits, fromNull(c.Out))
	if c.Probs != nil {
		ctx.scratch.reset()
		ctx.scratch.weigh(logits)
		probs := make([]float32, len(logits))
		for i, id := range ctx.scratch.ids {
			probs[id] = float32(float64(ctx.scratch.mass[i]) / float64(ctx.scratch.total))
		}
		compareRow(t, row, c.Name+" probs", probs, c.Probs)
	}
}

func (c *procCase) setup(t *testing.T) (*Params, *Context, int) {
	t.Helper()
	ctx := &Context{IDs: c.Context, PromptLen: len(c.Context), scratch: NewScratch(len(c.Logits))}
	if c.PromptLen != nil {
		ctx.PromptLen = *c.PromptLen
	}
	keep := 1
	for key, to := range map[string]any{"encoder_input_ids": &ctx.Encoder, "min_tokens_to_keep": &keep} {
		if value, ok := c.Params[key]; ok {
			if err := json.Unmarshal(value, to); err != nil {
				t.Fatal(err)
			}
			delete(c.Params, key)
		}
	}
	if _, ok := c.Params["top_k"]; !ok {
		c.Params["top_k"] = json.RawMessage("null")
	}
	c.Params["do_sample"] = json.RawMessage("true")
	data, err := json.Marshal(c.Params)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParseGenerationConfig(data, "params")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Unknown) > 0 {
		t.Fatalf("unknown parameters %v", p.Unknown)
	}
	return &p, ctx, keep
}

// setKeep sets transformers' min_tokens_to_keep, which is 1 for every sampler.
func setKeep(t *testing.T, proc Processor, keep int) {
	switch f := proc.(type) {
	case *topK:
		f.keep = keep
	case *topP:
		f.keep = keep
	case *minP:
		f.keep = keep
	case *typical:
		f.keep = keep
	case *epsilon:
		f.keep = keep
	case *eta:
		f.keep = keep
	default:
		if keep != 1 {
			t.Fatalf("%T with min_tokens_to_keep %d", proc, keep)
		}
	}
}

func fromNull(values []*float32) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		if out[i] = negInf; v != nil {
			out[i] = *v
		}
	}
	return out
}

func compareRow(t *testing.T, row int, what string, got, want []float32) {
	t.Helper()
	const tolerance = 1e-5
	if len(got) != len(want) {
		t.Fatalf("row %d, %s: %d values, want %d", row, what, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] && !(math.Abs(float64(got[i]-want[i])) <= tolerance) {
			t.Errorf("row %d, %s: id %d is %g, want %g", row, what, i, got[i], want[i])
		}
	}
}

// process runs one processor on a copy of the logits.
func process(p Processor, ids []int32, promptLen int, logits []float32) []float32 {
	out := slices.Clone(logits)
	w := NewScratch(len(logits))
	w.begin(len(logits))
	p.Process(&Context{IDs: ids, PromptLen: promptLen, scratch: w}, out)
	return out
}

func randomLogits(rng *rand.Rand, n int) []float32 {
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 3)
		if rng.IntN(4) == 0 { // ties
			logits[i] = float32(math.Round(float64(logits[i])))
		}
	}
	return logits
}

// naiveOrder returns the ids sorted by logit, then id.
func naiveOrder(logits []float32) []int {
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if logits[a] > logits[b] {
			return -1
		} else if logits[a] < logits[b] {
			return 1
		}
		return 0
	})
	return order
}

func naiveProbs(logits []float32) []float64 {
	m := float64(slices.Max(logits))
	probs, sum := make([]float64, len(logits)), 0.0
	for i, l := range logits {
		probs[i] = math.Exp(float64(l) - m)
		sum += probs[i]
	}
	for i := range probs {
		probs[i] /= sum
	}
	return probs
}

func TestFiltersAgainstNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		logits := randomLogits(rng, 1+rng.IntN(60))
		order, probs := naiveOrder(logits), naiveProbs(logits)
		k, p := 1+rng.IntN(len(logits)+3), 0.01+0.98*rng.Float64()

		kept := process(&topK{k, 1}, nil, 0, logits)
		for _, id := range order {
			want := k >= len(logits) || logits[id] >= logits[order[k-1]]
			if (kept[id] > negInf) != want {
				t.Fatalf("top_k %d of %v: id %d kept %v", k, logits, id, !want)
			}
		}
		kept = process(&topP{p, 1}, nil, 0, logits)
		before := 0.0
		for _, id := range order {
			if want := before < p; (kept[id] > negInf) != want && math.Abs(before-p) > 1e-9 {
				t.Fatalf("top_p %g of %v: id %d kept %v", p, logits, id, !want)
			}
			before += probs[id]
		}
		kept = process(&minP{p, 1}, nil, 0, logits)
		for _, id := range order {
			limit := p * probs[order[0]]
			if want := probs[id] >= limit; (kept[id] > negInf) != want && math.Abs(probs[id]-limit) > 1e-9 {
				t.Fatalf("min_p %g of %v: id %d kept %v", p, logits, id, !want)
			}
		}
	}
}

// The formulas of transformers' classes, literally.
func TestEntropyFiltersAgainstNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for range 3000 {
		logits := randomLogits(rng, 1+rng.IntN(60))
		order, probs, p := naiveOrder(logits), naiveProbs(logits), 0.01+0.9*rng.Float64()
		entropy := 0.0
		for _, q := range probs {
			entropy -= q * math.Log(q)
		}
		for name, f := range map[string]Processor{"epsilon": &epsilon{p, 1}, "eta": &eta{p, 1}} {
			limit := p
			if name == "eta" {
				limit = min(p, math.Sqrt(p)*math.Exp(-entropy))
			}
			kept := process(f, nil, 0, logits)
			for id, q := range probs {
				want := q >= limit || logits[id] == logits[order[0]]
				if (kept[id] > negInf) != want && math.Abs(q-limit) > 1e-9 {
					t.Fatalf("%s %g of %v: id %d kept %v", name, p, logits, id, !want)
				}
			}
		}
		far := func(id int) float32 { return float32(math.Abs(-math.Log(probs[id]) - entropy)) }
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(far(a), far(b)) })
		sum, farthest := 0.0, float32(0)
		for _, id := range order {
			if sum += probs[id]; sum >= p-1e-9 {
				farthest = far(id)
				break
			}
		}
		kept := process(&typical{p, 1}, nil, 0, logits)
		for id := range logits {
			if want := far(id) <= farthest; (kept[id] > negInf) != want && math.Abs(float64(far(id)-farthest)) > 1e-5 {
				t.Fatalf("typical %g of %v: id %d kept %v", p, logits, id, !want)
			}
		}
	}
}

func TestXTC(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		logits := randomLogits(rng, 2+rng.IntN(20))
		probs, threshold := naiveProbs(logits), rng.Float64()*0.4
		var above []int
		for _, id := range naiveOrder(logits) {
			if probs[id] >= threshold {
				above = append(above, id)
			}
		}
		kept := process(&xtc{1, threshold}, nil, 0, logits)
		for id := range logits {
			at := slices.Index(above, id)
			if want := at < 0 || at == len(above)-1; (kept[id] > negInf) != want {
				t.Fatalf("xtc %g of %v: id %d kept %v", threshold, logits, id, !want)
			}
		}
		if kept := process(&xtc{0, threshold}, nil, 0, logits); !slices.Equal(kept, logits) {
			t.Fatal("xtc with probability 0 changes logits")
		}
	}
}

// Filters one after the other work on what the one before has left, also where
// that has removed the most likely token.
func TestFilterSequence(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		logits := randomLogits(rng, 2+rng.IntN(40))
		var chain []Processor
		for _, f := range []Processor{&topK{1 + rng.IntN(30), 1}, &topP{0.3 + 0.7*rng.Float64(), 1}, &minP{rng.Float64() * 0.3, 1},
			&typical{0.2 + 0.7*rng.Float64(), 1}, &epsilon{rng.Float64() * 0.1, 1}, &eta{rng.Float64() * 0.1, 1}, &xtc{1, rng.Float64() * 0.3}} {
			if rng.IntN(2) == 0 {
				chain = append(chain, f)
			}
		}
		together := slices.Clone(logits)
		w := NewScratch(len(logits))
		w.begin(len(logits))
		alone := logits
		for _, f := range chain {
			f.Process(&Context{scratch: w}, together)
			alone = process(f, nil, 0, alone)
		}
		if !slices.Equal(together, alone) {
			t.Fatalf("%v after the chain, %v with each alone", together, alone)
		}
	}
}

func TestMatchTails(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 5000 {
		ids := make([]int32, rng.IntN(30))
		for i := range ids {
			ids[i] = int32(rng.IntN(3))
		}
		got := matchTails(nil, ids)
		for i := range got {
			n := 0
			for i-n >= 0 && ids[i-n] == ids[len(ids)-1-n] {
				n++
			}
			if int(got[i]) != n {
				t.Fatalf("%v: %d tokens before %d, want %d", ids, got[i], i, n)
			}
		}
	}
}

func TestDRYAgainstNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 3000 {
		ids := make([]int32, rng.IntN(40))
		for i := range ids {
			ids[i] = int32(rng.IntN(5))
		}
		p := DefaultParams()
		p.DRYMultiplier, p.DRYAllowedLength, p.DRYPenaltyLastN = 0.8, 1+rng.IntN(4), rng.IntN(50)-1
		for b := range int32(2) {
			if rng.IntN(3) == 0 {
				p.DRYSequenceBreakerIDs = append(p.DRYSequenceBreakerIDs, 1-b)
			}
		}
		logits := randomLogits(rng, 5)
		got := process(newDRY(&p), ids, 0, logits)
		compareRow(t, 0, "dry", got, naiveDRY(&p, ids, logits))
	}
}

func naiveDRY(p *Params, ids []int32, logits []float32) []float32 {
	if p.DRYPenaltyLastN >= 0 {
		ids = ids[max(0, len(ids)-p.DRYPenaltyLastN):]
	}
	breaks := func(id int32) bool { return slices.Contains(p.DRYSequenceBreakerIDs, id) }
	out, longest := slices.Clone(logits), map[int32]int{}
	for i := 0; i+1 < len(ids); i++ {
		n := 0
		for i-n >= 0 && ids[i-n] == ids[len(ids)-1-n] && !breaks(ids[i-n]) {
			n++
		}
		if n > 0 && !breaks(ids[i+1]) {
			longest[ids[i+1]] = max(longest[ids[i+1]], n)
		}
	}
	for id, n := range longest {
		if n >= p.DRYAllowedLength {
			out[id] -= float32(p.DRYMultiplier * math.Pow(p.DRYBase, float64(n-p.DRYAllowedLength)))
		}
	}
	return out
}

// Ids outside of the vocabulary, contexts without tokens and huge numbers
// change nothing and break nothing.
func TestProcessorsOutOfRange(t *testing.T) {
	p := DefaultParams()
	ids := []int32{-1, 7, 99, 2, 99, 2}
	p.RepetitionPenalty, p.EncoderRepetitionPenalty, p.PresencePenalty = 1.5, 0.5, 1
	p.DRYMultiplier, p.DRYBase, p.DRYAllowedLength = 1e30, 1e30, 1
	p.NoRepeatNgramSize, p.EncoderNoRepeatNgramSize = 3, 1000
	p.SuppressTokens, p.BeginSuppressTokens = []int32{-1, 50}, []int32{99}
	p.EOSTokenID, p.MinLength, p.MinNewTokens = []int32{-1, 3, 1000}, 100, 100
	p.ExponentialDecayLengthPenalty = ExponentialDecay{0, 1e30}
	p.BadWordsIDs = [][]int32{{99}, {99, 2, 99}, {1, 2, 3, 4, 5, 6, 7, 8}}
	p.SequenceBias = []SequenceBias{{[]int32{99}, 1}, {[]int32{2, 4}, 1}}
	p.LogitBias = []LogitBias{{99, 1}}
	for n := range len(ids) + 1 {
		logits := []float32{0, 1, 2, 3, 4, 5, 6, 7}
		w := NewScratch(200) // larger than the row
		w.begin(len(logits))
		for _, proc := range p.processors(0, math.MaxInt, nil) {
			proc.Process(&Context{IDs: ids[:n], scratch: w}, logits)
		}
		for i, c := range w.counts {
			if c != 0 {
				t.Fatalf("count of %d is %d after use", i, c)
			}
		}
		for i, l := range logits {
			if l != l || l > math.MaxFloat32 {
				t.Fatalf("%d tokens: logit of %d is %g", n, i, l)
			}
		}
	}
}

func TestDifferenceExcludedEndTokenUnderDecay(t *testing.T) {
	got := process(&exponentialDecay{0, 1.5, []int32{0}}, []int32{1, 1}, 0, []float32{negInf, 2})
	if got[0] != negInf { // NaN in transformers
		t.Fatalf("%v", got)
	}
}
