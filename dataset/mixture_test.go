package dataset

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestPermutation(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 16, 17, 1000, 4096, 70000} {
		p := newPermutation(n, 7, 1, 2)
		seen, fixed := newBitset(n), 0
		for i := range n {
			k := p.at(i)
			if k < 0 || k >= n || seen.has(k) {
				t.Fatalf("%d of %d goes to %d", i, n, k)
			}
			seen.set(k)
			if k == i {
				fixed++
			}
		}
		if n >= 1000 && fixed > 10 { // one is expected
			t.Errorf("%d of %d stay where they are", fixed, n)
		}
	}
	a, b := newPermutation(1000, 7, 0, 0), newPermutation(1000, 7, 0, 1)
	c := newPermutation(1000, 1<<40|7, 0, 0)
	if a.at(5) == b.at(5) && a.at(6) == b.at(6) || a.at(5) == c.at(5) && a.at(6) == c.at(6) {
		t.Error("epoch or seed changes nothing")
	}
}

// mixed returns a corpus of three sources, the last of which is masked.
func mixed(t testing.TB, weights ...float64) *Corpus {
	enc := byteEncoder(t)
	masked := enc
	masked.Key = "masked"
	masked.Encode = func(d *Document) ([]Sequence, Cut, error) {
		seqs, cut, err := enc.Encode(d)
		for i := range seqs {
			seqs[i].Labels = slices.Clone(seqs[i].IDs)
			seqs[i].Labels[0] = NoLabel
		}
		return seqs, cut, err
	}
	sources := []Source{
		{Name: "en", Path: jsonl(t, "a.jsonl", texts("en", 300, 400)), Encoder: enc},
		{Name: "zh", Path: jsonl(t, "b.jsonl", append(texts("中文", 90, 200), strings.Repeat("很长的一本书。", 900))), Encoder: enc},
		{Name: "chat", Path: jsonl(t, "c.jsonl", texts("chat", 150, 120)), Encoder: masked},
	}
	for i, w := range weights {
		sources[i].Weight = w
	}
	return mustPrepare(t, sources, PrepareOptions{HeldOut: 0.05}, 30000)
}

func mustMix(t testing.TB, c *Corpus, opt MixtureOptions) *Mixture {
	t.Helper()
	m, err := NewMixture(c, opt)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustSample(t testing.TB, m *Mixture, s State) ([][]Sequence, State) {
	t.Helper()
	batch, next, err := m.Sample(s)
	if err != nil {
		t.Fatal(err)
	}
	return batch, next
}

// TestMixtureRows checks what every row keeps to.
func TestMixtureRows(t *testing.T) {
	for _, weights := range [][]float64{{1, 1, 1}, {0, 0, 1}, {1, 0, 0}} {
		c := mixed(t, weights...)
		m := mustMix(t, c, MixtureOptions{Seed: 1, Rows: 4, Context: 256})
		s := m.Start()
		used, room := 0, 0
		for range 100 {
			var batch [][]Sequence
			batch, s = mustSample(t, m, s)
			if len(batch) != 4 {
				t.Fatalf("%d rows", len(batch))
			}
			for _, row := range batch {
				n := 0
				for _, seq := range row {
					n += len(seq.IDs)
					if len(seq.IDs) == 0 || len(seq.Labels) != len(seq.IDs) {
						t.Fatalf("%d ids with %d labels", len(seq.IDs), len(seq.Labels))
					}
				}
				if n > 256 || n%2 != 0 || weights[2] == 0 && n != 256 {
					t.Fatalf("a row of %d tokens", n)
				}
				used, room = used+n, room+256
			}
		}
		if share := float64(used) / float64(room); share < 0.93 {
			t.Errorf("weights %v: rows are only %.3f full", weights, share)
		} else {
			t.Logf("weights %v: rows are %.4f full", weights, share)
		}
	}
}

// TestMixtureJoins checks that joined conversations are the tokens of the rows
// without joining, as many of them as asked for, and texts stay alone.
func TestMixtureJoins(t *testing.T) {
	c := mixed(t, 1, 1, 1)
	sample := func(join float64) (rows [][]Sequence) {
		m := mustMix(t, c, MixtureOptions{Seed: 1, Rows: 4, Context: 1024, Join: join})
		s := m.Start()
		for range 50 {
			var batch [][]Sequence
			batch, s = mustSample(t, m, s)
			rows = append(rows, batch...)
		}
		return rows
	}
	apart := sample(0)
	talk := func(s Sequence) bool { return s.Labels[0] == NoLabel }
	places := 0 // where a conversation follows another
	for _, row := range apart {
		for i := range row[1:] {
			if talk(row[i]) && talk(row[i+1]) {
				places++
			}
		}
	}
	for _, join := range []float64{0.3, 1} {
		joined := 0
		for i, row := range sample(join) {
			if flatIDs(row) != flatIDs(apart[i]) {
				t.Fatalf("row %d has other tokens", i)
			}
			joined += len(apart[i]) - len(row)
			for _, s := range row {
				if len(s.Labels) != len(s.IDs) {
					t.Fatalf("%d ids with %d labels", len(s.IDs), len(s.Labels))
				}
			}
		}
		if got := float64(joined) / float64(places); math.Abs(got-join) > 0.1 {
			t.Errorf("join %v: %d of %d are", join, joined, places)
		}
	}
}

func flatIDs(row []Sequence) string {
	var ids []int32
	for _, s := range row {
		ids = append(ids, s.IDs...)
	}
	return fmt.Sprint(ids)
}

// TestMixtureOncePerEpoch counts every token of every document over several
// epochs: with what still waits, each has been seen once an epoch.
func TestMixtureOncePerEpoch(t *testing.T) {
	c := mixed(t)
	m := mustMix(t, c, MixtureOptions{Seed: 3, Rows: 2, Context: 128})
	// The ids tell where a piece is from: compare the multiset of tokens.
	counts := map[int32]int64{}
	s := m.Start()
	for s.Sources[0].Epoch < 3 {
		var batch [][]Sequence
		batch, s = mustSample(t, m, s)
		for _, row := range batch {
			for _, seq := range row {
				for k, id := range seq.IDs {
					if k+1 < len(seq.IDs) || seq.Labels[k] != NoLabel { // not the one that makes it even
						counts[id]++
					}
				}
			}
		}
	}
	want := map[int32]int64{}
	given := []int64{}
	for i := range c.sources {
		source, at := &c.sources[i], s.Sources[i]
		add := func(k, from, times int) int64 {
			one, n := source.at(k)
			seq, err := one.read(n, from, one.length(n))
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range seq.IDs {
				want[id] += int64(times)
			}
			return int64(times * len(seq.IDs))
		}
		sum := int64(0)
		order := newPermutation(source.len(), 3, uint32(i), uint32(at.Epoch))
		for p := range source.len() {
			k, times := order.at(p), at.Epoch
			if p < at.Position {
				times++
			}
			if source.train.has(k) {
				sum += add(k, 0, times)
			}
		}
		for _, w := range at.Waiting {
			sum += add(w[0], w[1], -1)
		}
		given = append(given, sum)
		if sum != at.Tokens {
			t.Errorf("source %d: %d tokens given, want %d", i, at.Tokens, sum)
		}
	}
	if !reflect.DeepEqual(counts, want) {
		t.Errorf("other tokens than those of the documents, %v given", given)
	}
}

// TestMixtureShares checks that shares follow the weights, and phases.
func TestMixtureShares(t *testing.T) {
	c := mixed(t, 0.5, 0.2, 0.3)
	m := mustMix(t, c, MixtureOptions{Seed: 1, Rows: 4, Context: 128, Steps: 300, Phases: []Phase{
		{From: 0.5, Weights: map[string]float64{"en": 3, "chat": 1}},
		{From: 0.9, Weights: map[string]float64{"chat": 1}},
	}})
	s := m.Start()
	check := func(want ...float64) {
		t.Helper()
		total := int64(0)
		for _, at := range s.Sources {
			total += at.InPhase
		}
		for i, at := range s.Sources {
			if share := float64(at.InPhase) / float64(total); math.Abs(share-want[i]) > 0.01 {
				t.Errorf("step %d: source %q has %.4f of the tokens, want %.4f", s.Step, at.Name, share, want[i])
			}
		}
	}
	for s.Step < 300 {
		_, s = mustSample(t, m, s)
		switch {
		case s.Step >= 20 && s.Step <= 150:
			check(0.5, 0.2, 0.3)
		case s.Step >= 170 && s.Step <= 270:
			check(0.75, 0, 0.25)
		case s.Step > 270:
			check(0, 0, 1)
		}
	}
}

// TestMixtureResumes goes on from states that went through JSON.
func TestMixtureResumes(t *testing.T) {
	c := mixed(t, 2, 1, 1)
	opt := MixtureOptions{Seed: 9, Rows: 3, Context: 64, Steps: 60, Phases: []Phase{{From: 0.5, Weights: map[string]float64{"zh": 1, "chat": 1}}}}
	m := mustMix(t, c, opt)
	s := m.Start()
	size := 0
	for s.Step < 60 {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		size = max(size, len(data))
		var again State
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		batch, next := mustSample(t, m, s)
		batch2, next2 := mustSample(t, mustMix(t, c, opt), again)
		if !reflect.DeepEqual(batch, batch2) || fmt.Sprint(next) != fmt.Sprint(next2) {
			t.Fatalf("step %d goes on differently", s.Step)
		}
		s = next
	}
	t.Logf("a state has up to %d bytes", size)
	other, _ := mustSample(t, mustMix(t, c, MixtureOptions{Seed: 10, Rows: 3, Context: 64}), m.Start())
	first, _ := mustSample(t, m, m.Start())
	if reflect.DeepEqual(first, other) {
		t.Error("the seed changes nothing")
	}
}

func TestMixtureErrors(t *testing.T) {
	c := mixed(t)
	for want, opt := range map[string]MixtureOptions{
		"want 1 or more, and an even number": {Rows: 1, Context: 63},
		"0 rows":                             {Context: 64},
		"no known number of steps":           {Rows: 1, Context: 64, Phases: []Phase{{From: 0.5, Weights: map[string]float64{"en": 1}}}},
		`no source is named "x"`:             {Rows: 1, Context: 64, Steps: 9, Phases: []Phase{{From: 0.5, Weights: map[string]float64{"x": 1}}}},
		"no source has a weight":             {Rows: 1, Context: 64, Steps: 9, Phases: []Phase{{From: 0.5}}},
		"ascending fractions":                {Rows: 1, Context: 64, Steps: 9, Phases: []Phase{{From: 1}}},
	} {
		if _, err := NewMixture(c, opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	m := mustMix(t, c, MixtureOptions{Rows: 1, Context: 64})
	for want, change := range map[string]func(*State){
		"have changed":      func(s *State) { s.Corpus = "x" },
		"position 99999":    func(s *State) { s.Sources[0].Position = 99999 },
		"phase 1 of 1":      func(s *State) { s.Phase = 1 },
		"sequence 0 from":   func(s *State) { s.Sources[1].Waiting = [][2]int{{0, 1 << 20}} },
		`source "x": epoch`: func(s *State) { s.Sources[2].Name = "x" },
	} {
		s := m.Start()
		change(&s)
		if _, _, err := m.Sample(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestValidation joins the pieces of held-out documents.
func TestValidation(t *testing.T) {
	c := mixed(t)
	var held int64
	for _, s := range c.Manifest.Sources {
		held += s.HeldOut
	}
	collect := func(tokens int64, context int) (docs []string, bytes int, predicted int) {
		for h, err := range c.Validation(tokens, context) {
			if err != nil {
				t.Fatal(err)
			}
			if len(h.IDs) > context {
				t.Fatalf("a piece of %d tokens", len(h.IDs))
			}
			ids := h.IDs
			if h.Bytes == 0 {
				if h.Labels[0] != NoLabel {
					t.Error("a token counts twice")
				}
				ids = ids[1:]
				docs[len(docs)-1] += fmt.Sprint(ids)
			} else {
				docs = append(docs, fmt.Sprint(ids))
			}
			bytes += h.Bytes
			predicted += len(h.IDs) - 1
		}
		return docs, bytes, predicted
	}
	docs, bytes, predicted := collect(0, 100000)
	if int64(len(docs)) != held || held < 10 || predicted != bytes { // a byte is a token, and an end
		t.Errorf("%d documents of %d bytes, %d tokens predicted; %d are held out", len(docs), bytes, predicted, held)
	}
	cut, cutBytes, cutPredicted := collect(0, 32)
	if len(cut) != len(docs) || cutBytes != bytes || cutPredicted != predicted ||
		strings.ReplaceAll(strings.Join(cut, ""), "][", " ") != strings.ReplaceAll(strings.Join(docs, ""), "][", " ") {
		t.Errorf("%d documents of %d bytes in pieces, %d tokens predicted", len(cut), cutBytes, cutPredicted)
	}
	few, _, predicted := collect(1000, 64)
	if len(few) == 0 || len(few) >= len(docs) || predicted > 1000 || !slices.Equal(few, func() []string {
		first, _, _ := collect(0, 64)
		return first[:len(few)]
	}()) {
		t.Errorf("%d documents in 1000 tokens", len(few))
	}
	for _, err := range c.Validation(0, 1) {
		if err == nil {
			t.Error("a context of 1 is no error")
		}
	}
}

func BenchmarkSample(b *testing.B) {
	c := mixed(b, 0.4, 0.3, 0.3)
	m := mustMix(b, c, MixtureOptions{Seed: 1, Rows: 16, Context: 256})
	s := m.Start()
	for b.Loop() {
		_, s = mustSample(b, m, s)
	}
}
