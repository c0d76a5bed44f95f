package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/nn"
	"wenmo/tensor"
)

// fixture is a model folder with its expected numbers.
type fixture struct {
	m        *model.Model
	expected map[string]values
}

// values is an expected tensor.
type values struct {
	shape  []int
	floats []float32
	ints   []int32
}

func openFixture(t *testing.T, dir string, dtype model.DType) fixture {
	t.Helper()
	pool := kernel.NewPool(2)
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.ParseConfig(data, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	file, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(t.Context(), c, file, dtype, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close(); file.Close() })
	return fixture{m: m, expected: readExpected(t, filepath.Join(dir, "expected.safetensors"))}
}

func readExpected(t *testing.T, path string) map[string]values {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]values{}
	for _, name := range f.Names() {
		s, _ := f.Tensor(name)
		v := values{shape: append([]int(nil), s.Shape...)}
		if s.DType == checkpoint.I64 {
			for i := 0; i < len(s.Data); i += 8 {
				v.ints = append(v.ints, int32(binary.LittleEndian.Uint64(s.Data[i:])))
			}
		} else {
			v.floats = make([]float32, s.Len())
			if err := s.Float32(v.floats); err != nil {
				t.Fatal(err)
			}
		}
		out[name] = v
	}
	return out
}

// row returns the last dimension at an index.
func (v values) row(index ...int) []float32 {
	at := 0
	for i, x := range index {
		at = at*v.shape[i] + x
	}
	n := v.shape[len(v.shape)-1]
	return v.floats[at*n : (at+1)*n]
}

// close32 fails unless got is within abs + rel·|want| of want.
func close32(t *testing.T, what string, got, want []float32, abs, rel float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= abs+rel*math.Abs(float64(want[i]))) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, got[i], want[i])
		}
	}
}

// eachPath runs f under every kernel path of this machine.
func eachPath(t *testing.T, f func(t *testing.T)) {
	defer kernel.SetPath(kernel.Path())
	for _, path := range kernel.Paths() {
		if err := kernel.SetPath(path); err != nil {
			t.Fatal(err)
		}
		t.Run(path, f)
	}
}

func TestFixtureDecoder(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		f := openFixture(t, dir, model.F32)
		eachPath(t, func(t *testing.T) {
			batches := 0
			for _, prefix := range []string{"", "short.", "left.", "right."} {
				if _, ok := f.expected[prefix+"input_ids"]; ok {
					f.checkBatch(t, prefix)
					batches++
				}
			}
			if batches == 0 {
				t.Fatal("no input_ids")
			}
		})
	}, "decoder_")
}

// TestFixtureEncoder compares last_hidden_state, pooler_output, logits, hidden
// states and attentions.
func TestFixtureEncoder(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		f := openFixture(t, dir, model.F32)
		eachPath(t, func(t *testing.T) {
			for _, prefix := range []string{"", "left.", "right."} {
				if _, ok := f.expected[prefix+"input_ids"]; ok {
					f.checkEncoder(t, prefix)
					f.checkTogether(t, prefix)
				}
			}
		})
	}, "encoder_")
}

func (f fixture) checkEncoder(t *testing.T, prefix string) {
	in := f.expected[prefix+"input_ids"]
	types := f.expected[prefix+"token_type_ids"]
	pool := kernel.NewPool(2)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	e := &Evaluator{Model: f.m, Graph: g}
	compared := 0
	for r := range in.shape[0] {
		ids, from := f.unpadded(prefix, r)
		var typeIDs []int32
		if types.ints != nil {
			typeIDs = types.ints[r*in.shape[1]+from:][:len(ids)]
		}
		trace := &nn.Trace{WantHidden: true, WantAttentions: true}
		hidden, pooled, err := e.Hidden(t.Context(), ids, typeIDs, trace)
		if err != nil {
			t.Fatal(err)
		}
		if want, ok := f.expected[prefix+"last_hidden_state"]; ok {
			compared++
			for i, h := range hidden {
				close32(t, fmt.Sprintf("%slast_hidden_state[%d,%d]", prefix, r, from+i), h, want.row(r, from+i), 1e-4, 1e-4)
			}
		}
		if want, ok := f.expected[prefix+"pooler_output"]; ok {
			compared++
			close32(t, fmt.Sprintf("%spooler_output[%d]", prefix, r), pooled, want.row(r), 1e-4, 1e-4)
		}
		compared += f.checkLogits(t, e, prefix, r, from, ids, typeIDs)
		f.checkTrace(t, prefix, r, from, len(ids), trace)
	}
	if compared == 0 {
		t.Fatalf("nothing to compare for %sinput_ids", prefix)
	}
}

// checkLogits compares what the head gives for a row, and returns how many
// tensors it has compared.
func (f fixture) checkLogits(t *testing.T, e *Evaluator, prefix string, r, from int, ids, typeIDs []int32) (compared int) {
	rows := 0
	err := e.Logits(t.Context(), ids, typeIDs, nil, func(pos int, got []float32) error {
		rows++
		compared = 0
		if want, ok := f.expected[prefix+"logits"]; ok {
			compared++
			at := []int{r, from + pos}
			if f.m.Head == model.SequenceHead {
				at = at[:1]
			}
			close32(t, fmt.Sprintf("%slogits%d", prefix, at), got, want.row(at...), 1e-4, 1e-4)
		}
		for i, name := range []string{"start_logits", "end_logits"} {
			if want, ok := f.expected[prefix+name]; ok {
				compared++
				close32(t, fmt.Sprintf("%s%s[%d,%d]", prefix, name, r, from+pos), got[i:i+1], want.row(r)[from+pos:][:1], 1e-4, 1e-4)
			}
		}
		return nil
	})
	if f.m.Head == model.NoHead {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := len(ids); rows != want && (f.m.Head != model.SequenceHead || rows != 1) {
		t.Fatalf("%d rows of logits for %d tokens", rows, want)
	}
	return compared
}

// checkTogether computes all rows of a batch side by side and demands the bits
// that each gives alone.
func (f fixture) checkTogether(t *testing.T, prefix string) {
	in, types := f.expected[prefix+"input_ids"], f.expected[prefix+"token_type_ids"]
	pool := kernel.NewPool(2)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	e := &Evaluator{Model: f.m, Graph: g}
	var inputs []Input
	for r := range in.shape[0] {
		ids, from := f.unpadded(prefix, r)
		x := Input{IDs: ids}
		if types.ints != nil {
			x.TypeIDs = types.ints[r*in.shape[1]+from:][:len(ids)]
		}
		inputs = append(inputs, x, x)
		if f.m.Head != model.SequenceHead {
			inputs[len(inputs)-1].Rows = []int32{int32(len(ids)) - 1}
		}
	}
	err := e.Batch(inputs, f.m.Head == model.NoHead, func(i int, rows *tensor.Tensor) error {
		alone, err := f.alone(t.Context(), inputs[i])
		for j := range rows.Rows {
			from := len(alone) - rows.Rows + j // the last ones
			close32(t, fmt.Sprintf("%ssequence %d, row %d", prefix, i, j), rows.Row(j), alone[from], 0, 0)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// alone returns what an input gives by itself.
func (f fixture) alone(ctx context.Context, in Input) (rows [][]float32, err error) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	e := &Evaluator{Model: f.m, Graph: g}
	if f.m.Head == model.NoHead {
		rows, _, err = e.Hidden(ctx, in.IDs, in.TypeIDs, nil)
		return rows, err
	}
	err = e.Logits(ctx, in.IDs, in.TypeIDs, nil, func(_ int, l []float32) error {
		rows = append(rows, append([]float32(nil), l...))
		return nil
	})
	return rows, err
}

// checkBatch compares logits, hidden states and attentions, row by row without
// the padding.
func (f fixture) checkBatch(t *testing.T, prefix string) {
	in := f.expected[prefix+"input_ids"]
	rows, length := in.shape[0], in.shape[1]
	logits, ok := f.expected[prefix+"logits"]
	if !ok {
		t.Fatalf("no %slogits", prefix)
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	g := tensor.NewGraph(pool)
	defer g.Close()
	e := &Evaluator{Model: f.m, Graph: g}
	for r := range rows {
		ids, from := f.unpadded(prefix, r)
		trace := &nn.Trace{WantHidden: true, WantAttentions: true}
		err := e.Logits(t.Context(), ids, nil, trace, func(pos int, got []float32) error {
			close32(t, fmt.Sprintf("%slogits[%d,%d]", prefix, r, from+pos), got, logits.row(r, from+pos), 1e-4, 1e-4)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		f.checkTrace(t, prefix, r, from, len(ids), trace)
		if length-len(ids) == 0 && rows == 1 {
			f.checkChunks(t, e, ids)
		}
	}
}

// unpadded returns the ids of a row and where they begin.
func (f fixture) unpadded(prefix string, r int) (ids []int32, from int) {
	in, mask := f.expected[prefix+"input_ids"], f.expected[prefix+"attention_mask"]
	length := in.shape[1]
	row := in.ints[r*length : (r+1)*length]
	if mask.ints == nil {
		return row, 0
	}
	m := mask.ints[r*length : (r+1)*length]
	for m[from] == 0 {
		from++
	}
	to := length
	for m[to-1] == 0 {
		to--
	}
	return row[from:to], from
}

func (f fixture) checkTrace(t *testing.T, prefix string, r, from, n int, trace *nn.Trace) {
	layers := 0
	for name, want := range f.expected {
		rest, ok := strings.CutPrefix(name, prefix)
		var l int
		switch {
		case !ok:
		case scan(rest, "hidden_states.%d", &l):
			layers++
			if l >= len(trace.Hidden) {
				t.Fatalf("%s: %d hidden states", name, len(trace.Hidden))
			}
			h := f.m.Hidden
			for i := range n {
				close32(t, fmt.Sprintf("%s[%d,%d]", name, r, from+i), trace.Hidden[l][i*h:(i+1)*h], want.row(r, from+i), 1e-4, 1e-4)
			}
		case scan(rest, "attentions.%d", &l):
			for head := range f.m.Heads {
				for i := range n {
					got := trace.Attentions[l][(head*n+i)*n : (head*n+i+1)*n]
					close32(t, fmt.Sprintf("%s[%d,%d,%d]", name, r, head, from+i), got, want.row(r, head, from+i)[from:from+n], 1e-5, 1e-4)
				}
			}
		}
	}
	if prefix == "" && layers != f.m.Layers+1 {
		t.Fatalf("%d expected hidden states of %d layers", layers, f.m.Layers)
	}
}

func scan(name, format string, n *int) bool {
	_, err := fmt.Sscanf(name, format, n)
	return err == nil && fmt.Sprintf(format, *n) == name
}

// checkChunks demands the same bits however a sequence is cut.
func (f fixture) checkChunks(t *testing.T, e *Evaluator, ids []int32) {
	var whole [][]float32
	collect := func(into *[][]float32) func(int, []float32) error {
		return func(_ int, l []float32) error { *into = append(*into, append([]float32(nil), l...)); return nil }
	}
	if err := e.Logits(t.Context(), ids, nil, nil, collect(&whole)); err != nil {
		t.Fatal(err)
	}
	for _, chunk := range []int{1, 5, 16} {
		c := *e
		c.Chunk = chunk
		var parts [][]float32
		if err := c.Logits(t.Context(), ids, nil, nil, collect(&parts)); err != nil {
			t.Fatal(err)
		}
		for i := range whole {
			close32(t, fmt.Sprintf("chunks of %d: logits[%d]", chunk, i), parts[i], whole[i], 0, 0)
		}
	}
}
