package nn

import (
	"sync"

	"wenmo/tensor"
)

// Rope gives the rotary embedding of a sequence. Its frequencies may depend on
// the sequence's length: dynamic NTK and long RoPE. It is safe for concurrent
// use.
type Rope struct {
	// Make returns the frequencies of a frequency set.
	Make func(set int) *tensor.Rope
	// Set returns the frequency set of a sequence of length tokens; nil: there is
	// one set, 0.
	Set func(length int) int

	mu     sync.Mutex
	tables map[int]*tensor.Rope
}

// setsKept bounds the tables of length-dependent frequencies.
const setsKept = 4

// For returns the embedding for a sequence of length tokens, with tables for
// positions below end.
func (r *Rope) For(length, end int) *tensor.Rope {
	set := 0
	if r.Set != nil {
		set = r.Set(length)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tables[set]
	if t == nil {
		if r.tables == nil || len(r.tables) >= setsKept {
			r.tables = map[int]*tensor.Rope{}
		}
		t = r.Make(set)
	}
	r.tables[set] = t.Grown(end)
	return r.tables[set]
}

// rotate rotates the heads of q and k, each dim wide, in place.
func (r *Rope) rotate(g *tensor.Graph, q, k *tensor.Tensor, b *Batch, dim int) {
	end := 0
	for _, p := range b.Positions {
		end = max(end, int(p)+1)
	}
	if r.Set == nil {
		t := r.For(0, end)
		g.Rotate(q, t, b.Positions, dim)
		g.Rotate(k, t, b.Positions, dim)
		return
	}
	for _, s := range b.Spans {
		t := r.For(s.Total, end)
		pos := b.Positions[s.Start : s.Start+s.Len]
		g.Rotate(g.RowRange(q, s.Start, s.Len), t, pos, dim)
		g.Rotate(g.RowRange(k, s.Start, s.Len), t, pos, dim)
	}
}
