package engine

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/philox"
)

func TestKth(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	w := NewScratch(1)
	for range 3000 {
		values := randomLogits(rng, 1+rng.IntN(300))
		for range rng.IntN(5) {
			values[rng.IntN(len(values))] = []float32{negInf, -negInf, 0, float32(math.Copysign(0, -1))}[rng.IntN(4)]
		}
		k := 1 + rng.IntN(len(values)+2)
		if rng.IntN(3) == 0 {
			slices.Sort(values)
		}
		sorted := slices.Clone(values)
		slices.Sort(sorted)
		want := negInf
		if k < len(values) {
			want = sorted[len(sorted)-k]
		}
		if got := w.kth(values, k); got != want {
			t.Fatalf("%d-th greatest of %v is %g, want %g", k, values, got, want)
		}
	}
}

func TestArgmax(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	nan := float32(math.NaN())
	for range 5000 {
		x := randomLogits(rng, rng.IntN(40))
		wantNaN := false
		for range rng.IntN(3) {
			if len(x) > 0 {
				x[rng.IntN(len(x))] = []float32{nan, negInf, -negInf, -nan}[rng.IntN(4)]
			}
		}
		want, m := -1, negInf
		for i, v := range x {
			if v > m {
				want, m = i, v
			}
			wantNaN = wantNaN || v != v
		}
		got, at := argmax(x)
		if got != want || (at >= 0) != wantNaN || at >= 0 && x[at] == x[at] {
			t.Fatalf("argmax %v = %d, %d; want %d, NaN %v", x, got, at, want, wantNaN)
		}
	}
}

// naiveDraw walks all candidates in order.
func naiveDraw(logits []float32, r uint64) int32 {
	order := naiveOrder(logits)
	mass := func(id int) uint64 { return massOf(float64(logits[id] - logits[order[0]])) }
	total := uint64(0)
	for _, id := range order {
		total += mass(id)
	}
	target, _ := bits.Mul64(r, total)
	sum := uint64(0)
	for _, id := range order {
		if sum += mass(id); sum > target {
			return int32(id)
		}
	}
	panic("unreachable")
}

// The search through buckets gives what a full sort gives, whatever the
// distribution looks like.
func TestDrawAgainstFullSort(t *testing.T) {
	rng := rand.New(rand.NewPCG(25, 26))
	shapes := []func(i int) float32{
		func(int) float32 { return float32(rng.NormFloat64()) },
		func(int) float32 { return float32(rng.NormFloat64() * 20) },
		func(int) float32 { return 1.5 },
		func(i int) float32 { return float32(i) * 1e-6 },
		func(i int) float32 { return -float32(i % 7) },
		func(int) float32 { return float32(rng.NormFloat64() * 1e30) },
		func(i int) float32 { return float32(rng.IntN(2)) * negInf },
		func(int) float32 { return 1e8 + float32(rng.IntN(64)) },
	}
	for _, shape := range shapes {
		for range 60 {
			logits := make([]float32, 1+rng.IntN(3000))
			for i := range logits {
				logits[i] = shape(i)
				if logits[i] != logits[i] {
					logits[i] = 0
				}
			}
			w := NewScratch(len(logits))
			for _, r := range []uint64{0, math.MaxUint64, rng.Uint64(), rng.Uint64(), rng.Uint64() >> 20} {
				w.begin(len(logits))
				got, err := w.draw(logits, r)
				if err != nil {
					t.Fatal(err)
				}
				if want := naiveDraw(logits, r); got != want {
					t.Fatalf("draw with %x: id %d (%g), want %d (%g)", r, got, logits[got], want, logits[want])
				}
			}
		}
	}
}

// chiSquare compares counts with probabilities. The bound is far above the
// 1 - 1e-6 quantile for the given degrees of freedom; the seeds are fixed, so
// the outcome is, too.
func chiSquare(t *testing.T, what string, counts []int, probs []float64) {
	t.Helper()
	n, stat, free := 0, 0.0, -1
	for _, c := range counts {
		n += c
	}
	for i, p := range probs {
		if p == 0 {
			if counts[i] != 0 {
				t.Fatalf("%s: token %d of probability 0 was drawn %d times", what, i, counts[i])
			}
			continue
		}
		want := p * float64(n)
		stat += (float64(counts[i]) - want) * (float64(counts[i]) - want) / want
		free++
	}
	if bound := float64(free) + 6*math.Sqrt(2*float64(free)) + 12; stat > bound {
		t.Errorf("%s: chi-square %.1f of %d degrees of freedom, bound %.1f", what, stat, free, bound)
	}
}

func TestDistribution(t *testing.T) {
	rng := rand.New(rand.NewPCG(27, 28))
	logits := make([]float32, 24)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 1.5)
	}
	for name, set := range map[string]func(p *Params){
		"softmax":     func(p *Params) { p.TopK = 0 },
		"temperature": func(p *Params) { p.TopK, p.Temperature = 0, 1.7 },
		"top_k":       func(p *Params) { p.TopK = 5 },
		"top_p":       func(p *Params) { p.TopK, p.TopP = 0, 0.8 },
		"min_p":       func(p *Params) { p.MinP = 0.1 },
		"typical":     func(p *Params) { p.TypicalP = 0.6 },
	} {
		p := DefaultParams()
		p.DoSample, p.Seed = true, 42
		set(&p)
		w := NewScratch(len(logits))
		s := NewSampler(&p, 0, math.MaxInt, 0)
		want := slices.Clone(logits)
		w.begin(len(logits))
		for _, proc := range s.chain {
			proc.Process(&Context{scratch: w}, want)
		}
		byPosition, bySample := make([]int, len(logits)), make([]int, len(logits))
		const draws = 40000
		ids := make([]int32, draws)
		for i := range draws {
			tok, err := s.Next(w, ids[:i], slices.Clone(logits))
			if err != nil {
				t.Fatal(err)
			}
			byPosition[tok.ID]++
			s2 := NewSampler(&p, 0, math.MaxInt, i)
			if tok, err = s2.Next(w, ids[:3], slices.Clone(logits)); err != nil {
				t.Fatal(err)
			}
			bySample[tok.ID]++
		}
		chiSquare(t, name+" over positions", byPosition, naiveProbs(want))
		chiSquare(t, name+" over samples", bySample, naiveProbs(want))
	}
}

func TestXTCProbability(t *testing.T) {
	p := DefaultParams()
	p.DoSample, p.XTCProbability, p.XTCThreshold = true, 0.3, 0.2
	s := NewSampler(&p, 0, math.MaxInt, 0)
	w := NewScratch(3)
	ids := make([]int32, 20000)
	counts := make([]int, 3)
	for i := range ids {
		tok, err := s.Next(w, ids[:i], []float32{2, 1.5, -3}) // 0.622, 0.374, 0.004
		if err != nil {
			t.Fatal(err)
		}
		counts[tok.ID]++
	}
	q := naiveProbs([]float32{2, 1.5, -3})
	rest := naiveProbs([]float32{1.5, -3})
	chiSquare(t, "xtc", counts, []float64{0.7 * q[0], 0.7*q[1] + 0.3*rest[0], 0.7*q[2] + 0.3*rest[1]})
}

// The words of a position share nothing visible with their neighbours'.
func TestPhiloxUniform(t *testing.T) {
	for stream := range uint32(2) {
		pairs := make([]int, 256)
		last := uint64(0)
		for i := range 100000 {
			r := random(7, i%3, i, stream)
			pairs[last>>60<<4|r>>60]++
			last = r
		}
		flat := make([]float64, 256)
		for i := range flat {
			flat[i] = 1.0 / 256
		}
		chiSquare(t, "pairs of successive draws", pairs, flat)
	}
}

// sampleAll generates n tokens with a model whose logits depend on the context.
func sampleAll(t *testing.T, p *Params, w *Scratch, sample, n int) []int32 {
	t.Helper()
	ids := []int32{1, 2, 3}
	s := NewSampler(p, len(ids), math.MaxInt, sample)
	for range n {
		tok, err := s.Next(w, ids, fakeLogits(ids, 50))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, tok.ID)
	}
	return ids
}

// fakeLogits is a model: logits that depend on the last two tokens.
func fakeLogits(ids []int32, vocab int) []float32 {
	seed := uint64(len(ids))
	for _, id := range ids[max(0, len(ids)-2):] {
		seed = seed<<8 ^ uint64(id)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 2)
	}
	return logits
}

func TestSameSeedSameTokens(t *testing.T) {
	p := DefaultParams()
	p.DoSample, p.Seed, p.TopP, p.RepetitionPenalty = true, 5, 0.95, 1.1
	w := NewScratch(50)
	first := sampleAll(t, &p, w, 0, 60)
	if again := sampleAll(t, &p, NewScratch(1000), 0, 60); !slices.Equal(first, again) {
		t.Errorf("%v, then %v", first, again)
	}
	if other := sampleAll(t, &p, w, 1, 60); slices.Equal(first, other) {
		t.Error("another sample gave the same tokens")
	}
	p.Seed = 5 + 1<<40
	if other := sampleAll(t, &p, w, 0, 60); slices.Equal(first, other) {
		t.Error("another seed gave the same tokens")
	}
	p.Temperature = 0
	greedy := sampleAll(t, &p, w, 0, 60)
	p.Seed, p.DoSample = 6, false
	if again := sampleAll(t, &p, w, 1, 60); !slices.Equal(greedy, again) {
		t.Error("temperature 0 is not greedy decoding")
	}
}

// The tokens of a seed are a promise: they must not change between versions or
// processors. The logits are exact fractions.
func TestGoldenTokens(t *testing.T) {
	p := everything()
	p.TopK, p.Temperature = 40, 1.25
	s := NewSampler(&p, 2, math.MaxInt, 3)
	w := NewScratch(500)
	ids := []int32{7, 8}
	for range 24 {
		logits := make([]float32, 500)
		for i := range logits {
			x := philox.Words([2]uint32{uint32(len(ids)), uint32(ids[len(ids)-1])}, [4]uint32{uint32(i)})
			logits[i] = float32(x[0]%8192)/1024 - 4
		}
		tok, err := s.Next(w, ids, logits)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, tok.ID)
	}
	want := []int32{131, 311, 175, 375, 101, 116, 438, 289, 335, 407, 390, 480, 282, 398, 496, 258, 1, 98, 230, 274, 55, 82, 100, 265}
	if !slices.Equal(ids[2:], want) {
		t.Errorf("%v, want %v", ids[2:], want)
	}
}

func TestLogprobs(t *testing.T) {
	rng := rand.New(rand.NewPCG(29, 30))
	for range 500 {
		p := DefaultParams()
		p.Logprobs, p.TopLogprobs, p.DoSample = true, rng.IntN(6), rng.IntN(2) == 0
		if rng.IntN(2) == 0 {
			p.RepetitionPenalty = 1.5
		}
		logits := randomLogits(rng, 1+rng.IntN(30))
		probs, order := naiveProbs(logits), naiveOrder(logits)
		ids := []int32{0}
		tok, err := NewSampler(&p, 1, 9, 0).Next(NewScratch(len(logits)), ids, slices.Clone(logits))
		if err != nil {
			t.Fatal(err)
		}
		if want := math.Log(probs[tok.ID]); math.Abs(float64(tok.Logprob)-want) > 2e-6 {
			t.Fatalf("logprob %g, want %g", tok.Logprob, want)
		}
		if len(tok.Top) != min(p.TopLogprobs, len(logits)) {
			t.Fatalf("%d top logprobs, want %d", len(tok.Top), p.TopLogprobs)
		}
		for i, top := range tok.Top {
			if want := math.Log(probs[order[i]]); int(top.ID) != order[i] || math.Abs(float64(top.Logprob)-want) > 2e-6 {
				t.Fatalf("top %d is %v, want %d with %g", i, top, order[i], want)
			}
		}
	}
}

// excludeAll is a caller's processor.
type excludeAll struct{ but int }

func (p excludeAll) Process(c *Context, logits []float32) {
	for i := range logits {
		if i != p.but {
			logits[i] = negInf
		}
	}
}

type makeNaN struct{}

func (makeNaN) Process(c *Context, logits []float32) { logits[1] = float32(math.NaN()) }

func TestSamplerErrors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name    string
		logits  []float32
		callers []Processor
		want    string
	}{
		{"nan", []float32{1, nan, 2}, nil, "the logit of id 1 is NaN"},
		{"nan alone", []float32{nan}, nil, "the logit of id 0 is NaN"},
		{"inf", []float32{1, inf}, nil, "the model's logit of id 1 is +Inf"},
		{"all excluded", []float32{negInf, negInf}, nil, "every token is excluded"},
		{"no logits", nil, nil, "every token is excluded"},
		{"excluded by a processor", []float32{1, 2}, []Processor{excludeAll{-1}}, "every token is excluded"},
		{"nan of a processor", []float32{1, 2}, []Processor{makeNaN{}}, "the logit of id 1 is NaN"},
	} {
		for _, sampling := range []bool{false, true} {
			p := DefaultParams()
			p.DoSample, p.TopP, p.MinP, p.TypicalP, p.EtaCutoff, p.XTCProbability = sampling, 0.9, 0.1, 0.9, 0.1, 1
			p.EpsilonCutoff, p.RenormalizeLogits = 0.1, sampling
			s := NewSampler(&p, 2, 9, 0, c.callers...)
			_, err := s.Next(NewScratch(4), []int32{0, 0, 0}, slices.Clone(c.logits))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "new token 2 (position 3)") {
				t.Errorf("%s, sampling %v: %v, want %q", c.name, sampling, err, c.want)
			}
		}
	}
}

// The order of the chain: callers' processors see penalties and constraints,
// not filters.
func TestCallersProcessors(t *testing.T) {
	p := DefaultParams()
	p.DoSample, p.TopK, p.SuppressTokens = true, 1, []int32{2}
	tok, err := NewSampler(&p, 0, 9, 0, excludeAll{1}).Next(NewScratch(3), nil, []float32{5, 0, 9})
	if err != nil || tok.ID != 1 {
		t.Errorf("token %d, %v", tok.ID, err)
	}
	chain := p.processors(0, 9, []Processor{excludeAll{1}})
	names := fmt.Sprintf("%T", chain)
	if own, _ := chain[1].(callersOwn); own.Processor != (excludeAll{1}) || len(chain) != 3 {
		t.Errorf("%d processors %s", len(chain), names)
	}
}

func everything() Params {
	p := DefaultParams()
	p.DoSample, p.Seed, p.Temperature, p.TopK, p.TopP, p.MinP = true, 9, 0.8, 200, 0.95, 0.001
	p.TypicalP, p.EpsilonCutoff, p.EtaCutoff, p.XTCProbability = 0.98, 1e-4, 1e-4, 0.5
	p.RepetitionPenalty, p.PresencePenalty, p.FrequencyPenalty, p.DRYMultiplier = 1.1, 0.1, 0.1, 0.8
	p.NoRepeatNgramSize, p.BadWordsIDs, p.LogitBias = 5, [][]int32{{3, 4}, {7}}, []LogitBias{{5, 1}}
	p.SequenceBias, p.RenormalizeLogits = []SequenceBias{{[]int32{1, 2}, 3}}, true
	return p
}

func TestNextDoesNotAllocate(t *testing.T) {
	p := everything()
	s := NewSampler(&p, 10, math.MaxInt, 0)
	w := NewScratch(5000)
	rng := rand.New(rand.NewPCG(31, 32))
	ids := make([]int32, 0, 1000)
	base := make([]float32, 5000)
	for i := range base {
		base[i] = float32(rng.NormFloat64() * 2)
	}
	for range 100 {
		ids = append(ids, int32(rng.IntN(5000)))
	}
	logits := slices.Clone(base)
	step := func() {
		copy(logits, base)
		tok, err := s.Next(w, ids, logits)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, tok.ID)
	}
	for range 200 {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%g allocations a token", n)
	}
}

func FuzzSampler(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, uint64(3), uint8(255), 0.5, 0.9)
	f.Add([]byte{0, 0, 192, 127, 0, 0, 128, 255}, uint64(1), uint8(7), 1.0, 0.1)
	f.Add([]byte{0, 0, 128, 127, 0, 0, 128, 127, 0, 0, 0, 0}, uint64(1), uint8(128), 1e-20, 1e-9)
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, on uint8, x, y float64) {
		logits := make([]float32, len(data)/4)
		ids := make([]int32, len(logits))
		for i := range logits {
			bits := binary.LittleEndian.Uint32(data[4*i:])
			logits[i] = math.Float32frombits(bits)
			ids[i] = int32(bits) % int32(len(logits)+2)
		}
		p := everything()
		p.Temperature, p.TopP, p.MinP, p.TypicalP, p.EpsilonCutoff = x, y, y, y, y
		p.Seed, p.RepetitionPenalty, p.DRYBase = seed, x, x
		p.TopK = int(on)
		p.DoSample, p.RemoveInvalidValues = on&1 == 0, on&2 != 0
		p.ExponentialDecayLengthPenalty, p.EOSTokenID = ExponentialDecay{0, x}, []int32{1}
		p.Logprobs, p.TopLogprobs = true, int(on>>4)
		if p.Validate() != nil {
			return
		}
		w := NewScratch(len(logits))
		raw := slices.Clone(logits)
		s := NewSampler(&p, len(ids)/2, math.MaxInt, 0)
		tok, err := s.Next(w, ids, logits)
		if err != nil {
			return
		}
		if tok.ID < 0 || int(tok.ID) >= len(logits) || logits[tok.ID] == negInf || tok.Logprob > 0 || tok.Logprob != tok.Logprob {
			t.Fatalf("token %v of %v", tok, raw)
		}
		tok2, err := s.Next(NewScratch(len(logits)), ids, raw)
		if err != nil || tok2.ID != tok.ID {
			t.Fatalf("token %d, then %d, %v", tok.ID, tok2.ID, err)
		}
	})
}

func benchmarkNext(b *testing.B, set func(p *Params)) {
	const vocab = 151936
	p := DefaultParams()
	set(&p)
	rng := rand.New(rand.NewPCG(33, 34))
	base := make([]float32, vocab)
	for i := range base {
		base[i] = float32(rng.NormFloat64() * 2.5)
	}
	s := NewSampler(&p, 0, math.MaxInt, 0)
	w := NewScratch(vocab)
	logits := make([]float32, vocab)
	ids := make([]int32, 1000)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	b.ReportAllocs()
	copying := !(len(s.chain) == 0)
	copy(logits, base)
	i := 0
	for b.Loop() {
		if copying {
			copy(logits, base) // about 15 µs of the time
		}
		i++
		if _, err := s.Next(w, ids[:i%1000], logits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for _, c := range []struct {
		name string
		set  func(p *Params)
	}{
		{"greedy", func(p *Params) {}},
		{"greedy+penalties", func(p *Params) { p.RepetitionPenalty, p.FrequencyPenalty, p.DRYMultiplier = 1.1, 0.1, 0.8 }},
		{"greedy+logprobs", func(p *Params) { p.TopLogprobs = 5 }},
		{"top_k 50", func(p *Params) { p.DoSample = true }},
		{"temperature top_k 50 top_p min_p", func(p *Params) { p.DoSample, p.Temperature, p.TopP, p.MinP = true, 0.8, 0.95, 0.05 }},
		{"top_p alone", func(p *Params) { p.DoSample, p.TopK, p.TopP = true, 0, 0.95 }},
		{"softmax", func(p *Params) { p.DoSample, p.TopK = true, 0 }},
		{"everything", func(p *Params) { *p = everything() }},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkNext(b, c.set) })
	}
}
