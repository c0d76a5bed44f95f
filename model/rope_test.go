package model

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/tensor"
)

// ropeCase is a case of ops_rope with scaled frequencies.
type ropeCase struct {
	Name   string
	Params struct {
		RotaryDim        int            `json:"rotary_dim"`
		Theta            float64        `json:"theta"`
		Context          int            `json:"max_position_embeddings"`
		SeqLen           int            `json:"seq_len"`
		Scaling          map[string]any `json:"rope_scaling"`
		AttentionScaling float32        `json:"attention_scaling"`
		Interleaved      bool           `json:"interleaved"`
	}
}

// TestFixtureOps compares the frequencies of scaled rotary embeddings, and
// what they rotate, with the reference. Package tensor has the other cases.
func TestFixtureOps(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		data, err := os.ReadFile(path + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var f struct{ Cases []ropeCase }
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		want := readTensors(t, path+".safetensors")
		for _, c := range f.Cases {
			if c.Params.Scaling != nil {
				t.Run(c.Name, func(t *testing.T) { c.check(t, want) })
			}
		}
	}, "ops_rope")
}

func (c *ropeCase) check(t *testing.T, want map[string]stored) {
	p := &c.Params
	m := &Model{Context: p.Context}
	config := NewConfig(map[string]any{"rope_scaling": p.Scaling}, "config.json")
	rope := scaledRope(m, config, config.Object("rope_scaling"), p.RotaryDim, p.Theta)
	config.CheckUnread()
	if err := config.Err(); err != nil {
		t.Fatal(err)
	}
	pos, x := want[c.Name+".pos"].ints, want[c.Name+".x"]
	r := rope.For(p.SeqLen, int(slices.Max(pos))+1)
	freq := make([]float32, len(r.InvFreq))
	for i, f := range r.InvFreq {
		freq[i] = float32(f)
	}
	near(t, "inv_freq", freq, want[c.Name+".inv_freq"].floats, 0, 1e-6)
	near(t, "attention scaling", []float32{r.Factor}, []float32{p.AttentionScaling}, 0, 1e-6)
	if p.Interleaved || x.shape[0] != 1 {
		t.Fatalf("interleaved is %v, batch %d, want false and 1", p.Interleaved, x.shape[0])
	}
	defer kernel.SetPath(kernel.Path())
	for _, path := range kernel.Paths() {
		if err := kernel.SetPath(path); err != nil {
			t.Fatal(err)
		}
		pool := kernel.NewPool(1)
		g := tensor.NewGraph(pool)
		// A head after the other, each with all tokens.
		dim := x.shape[3]
		y := tensor.FromSlice(slices.Clone(x.floats), len(x.floats)/dim, dim)
		g.Rotate(y, r, slices.Repeat(pos, x.shape[1]), dim)
		near(t, path+": y", y.Data, want[c.Name+".y"].floats, 1e-5, 1e-5)
		g.Close()
		pool.Close()
	}
}
