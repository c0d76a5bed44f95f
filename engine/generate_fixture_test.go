package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/model"
)

// generationCase is a case of a model fixture's expected.json.
type generationCase struct {
	Name            string
	Kind            string
	InputIDs        [][]int32       `json:"input_ids"`
	AttentionMask   [][]int32       `json:"attention_mask"`
	Params          json.RawMessage `json:"params"`
	NewIDs          [][]int32       `json:"new_ids"`
	SequencesScores []float64       `json:"sequences_scores"`
}

// prompt returns the ids of row r without padding.
func (c *generationCase) prompt(r int) []int32 {
	if c.AttentionMask == nil {
		return c.InputIDs[r]
	}
	var ids []int32
	for i, m := range c.AttentionMask[r] {
		if m != 0 {
			ids = append(ids, c.InputIDs[r][i])
		}
	}
	return ids
}

func TestFixtureGenerate(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		data, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var want struct{ Cases []generationCase }
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		if len(want.Cases) == 0 {
			t.Fatal("no cases")
		}
		base := DefaultParams()
		if data, err := os.ReadFile(filepath.Join(dir, "generation_config.json")); err == nil {
			if base, err = ParseGenerationConfig(data, "generation_config.json"); err != nil {
				t.Fatal(err)
			}
		}
		f := openFixture(t, dir, model.F32)
		for _, path := range kernel.Paths() {
			for _, chunk := range []int{0, 3} {
				e := newTestEngine(t, f.m, path, chunk)
				for _, c := range want.Cases {
					t.Run(fmt.Sprintf("%s/%s/%d", c.Name, path, chunk), func(t *testing.T) { c.check(t, e, base) })
				}
				e.Close()
			}
		}
	}, "decoder_")
}

func newTestEngine(t *testing.T, m *model.Model, path string, chunk int) *Engine {
	t.Helper()
	old := kernel.Path()
	if err := kernel.SetPath(path); err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	t.Cleanup(func() { pool.Close(); kernel.SetPath(old) })
	return New(m, pool, new(sync.Mutex), Options{PrefillChunk: chunk, CacheTokens: 1 << 14})
}

func (c *generationCase) check(t *testing.T, e *Engine, base Params) {
	own, err := ParseGenerationConfig(c.Params, "params")
	if err != nil {
		t.Fatal(err)
	}
	p := base.With(own)
	row := 0
	for r := range c.InputIDs {
		prompt := c.prompt(r)
		// max_length counts the padding of the reference's batch.
		q := p
		if q.MaxLength > 0 && q.MaxNewTokens == 0 {
			q.MaxLength -= len(c.InputIDs[r]) - len(prompt)
		}
		for _, got := range c.run(t, e, q, prompt) {
			want := c.NewIDs[row]
			if len(got.IDs) > len(want) || !slices.Equal(got.IDs, want[:len(got.IDs)]) || !onlyPadding(want[len(got.IDs):], p) {
				t.Errorf("row %d: %v, want %v", row, got.IDs, want)
			}
			if c.SequencesScores != nil {
				if d := math.Abs(float64(got.Score) - c.SequencesScores[row]); !(d <= 1e-3) {
					t.Errorf("row %d: score %v, want %v", row, got.Score, c.SequencesScores[row])
				}
			}
			row++
		}
	}
	if row != len(c.NewIDs) {
		t.Errorf("%d sequences, want %d", row, len(c.NewIDs))
	}
}

// onlyPadding says that the rest of an expected row is padding: the pad id, or
// the end token where there is none.
func onlyPadding(ids []int32, p Params) bool {
	for _, id := range ids {
		if id != p.PadTokenID && !(p.PadTokenID < 0 && slices.Contains(p.EOSTokenID, id)) {
			return false
		}
	}
	return true
}

func (c *generationCase) run(t *testing.T, e *Engine, p Params, prompt []int32) []Hypothesis {
	t.Helper()
	if p.NumBeams > 1 {
		h, err := e.Beam(context.Background(), Request{IDs: prompt, Params: p})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	var h Hypothesis
	for ev, err := range e.Generate(context.Background(), Request{IDs: prompt, Params: p}) {
		if err != nil {
			t.Fatal(err)
		}
		h.IDs = append(h.IDs, ev.ID)
	}
	return []Hypothesis{h}
}
