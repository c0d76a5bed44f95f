package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/nn"
	"wenmo/tensor"
)

func (r *training) checkGradients(t *testing.T, path string, want map[string]stored) {
	t.Helper()
	seen := map[string]bool{}
	for _, p := range r.m.Params {
		w, ok := want["grad."+p.Name]
		if !ok {
			t.Errorf("no gradient of %s to compare with", p.Name)
			continue
		}
		seen["grad."+p.Name] = true
		if !slices.Equal(p.Shape, w.shape) {
			t.Errorf("%s has shape %v, want %v", p.Name, p.Shape, w.shape)
			continue
		}
		got := make([]float32, len(p.Grad))
		p.Store(got, p.Grad)
		near(t, path+": gradient of "+p.Name, got, w.floats, 1e-5, 1e-3)
	}
	for name := range want {
		if strings.HasPrefix(name, "grad.") && !seen[name] {
			t.Errorf("%s belongs to no parameter", name)
		}
	}
}

// TestTapeSplits demands the same gradients, bit for bit, from any number of
// threads and any split into micro-batches of an even number of tokens.
func TestTapeSplits(t *testing.T) {
	for _, name := range []string{"train_llama", "train_gpt2", "train_qwen3", "train_bert_mlm"} {
		for _, dtype := range []DType{F32, BF16} {
			t.Run(name+"_"+string(dtype), func(t *testing.T) {
				dir := testkit.SharedFile(t, "fixtures", name)
				want := readTensors(t, filepath.Join(dir, "expected.safetensors"))
				var first *training
				for _, threads := range []int{1, 2, 3} {
					for _, micro := range []int{4, 1, 2} {
						r := newTraining(t, dir, dtype, threads)
						all := even(slices.Repeat(labelled(t, r.m, want, ""), 2))[:4]
						total := 0
						for _, s := range all {
							total += s.count()
						}
						r.total = float32(total)
						for i := 0; i < len(all); i += micro {
							r.step(all[i : i+micro])
						}
						r.finish()
						if first == nil {
							first = r
							continue
						}
						for i, p := range r.m.Params {
							what := fmt.Sprintf("%d threads, micro-batches of %d: gradient of %s", threads, micro, p.Name)
							near(t, what, p.Grad, first.m.Params[i].Grad, 0, 0)
						}
					}
				}
			})
		}
	}
}

// TestTapeFamilies changes each parameter of every family along its gradient,
// and demands that the loss changes by the gradient's length.
func TestTapeFamilies(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, dir string) {
		want := readTensors(t, filepath.Join(dir, "expected.safetensors"))
		r := newTraining(t, dir, F32, 1)
		ids := want["input_ids"].ints[:want["input_ids"].shape[1]]
		text := []sequence{{ids: ids, labels: ids}}
		r.step(text)
		r.finish()
		checkSlopes(t, r, func() float64 { return float64(r.forward(text).Data[0]) })
	}, "decoder_", "encoder_bert_mlm")
}

// checkSlopes changes each parameter along its gradient, and demands that the
// loss changes by the gradient's length.
func checkSlopes(t *testing.T, r *training, loss func() float64) {
	t.Helper()
	for _, p := range r.m.Params {
		length := 0.0
		for _, x := range p.Grad {
			length += float64(x) * float64(x)
		}
		length = math.Sqrt(length)
		if length < 3e-2 {
			continue // too little to be seen in float32
		}
		h := 2e-3 / max(1, length)
		value := slices.Clone(p.Value)
		at := func(step float64) float64 {
			for i, x := range p.Grad {
				p.Value[i] = value[i] + float32(step*float64(x)/length)
			}
			p.Update(r.g)
			defer copy(p.Value, value)
			return loss()
		}
		slope := (at(h) - at(-h)) / (2 * h)
		p.Update(r.g)
		if math.Abs(slope-length) > 0.02*length {
			t.Errorf("%s: the loss changes by %v, the gradient is %v long", p.Name, slope, length)
		}
	}
}

// TestTapeAllocates demands that a step, once it has run, leaves nothing to
// collect.
func TestTapeAllocates(t *testing.T) {
	for _, name := range []string{"train_llama", "train_gpt2", "train_bert_mlm"} {
		for _, dtype := range []DType{F32, BF16} {
			t.Run(name+"_"+string(dtype), func(t *testing.T) {
				dir := testkit.SharedFile(t, "fixtures", name)
				r := newTraining(t, dir, dtype, 2)
				b, labels, release := r.batch(labelled(t, r.m, readTensors(t, filepath.Join(dir, "expected.safetensors")), ""))
				defer release()
				step := func() {
					r.g.Reset()
					logits := r.m.Logits(r.g, r.m.Forward(r.g, b))
					r.g.Backward(r.g.CrossEntropy(logits, labels, tensor.CrossEntropy{}), nil)
					for _, p := range r.m.Params {
						p.Finish()
						p.Update(r.g)
					}
				}
				step()
				step() // in memory of one piece
				if n := testing.AllocsPerRun(5, step); n > 0 {
					t.Errorf("%v allocations a step", n)
				}
			})
		}
	}
}

// even cuts sequences to an even number of tokens.
func even(s []sequence) []sequence {
	for i := range s {
		n := len(s[i].ids) &^ 1
		s[i].ids, s[i].labels = s[i].ids[:n], s[i].labels[:n]
		if s[i].types != nil {
			s[i].types = s[i].types[:n]
		}
	}
	return s
}

// TestTapeBF16 demands that gradients in bfloat16 point where those in float32
// do.
func TestTapeBF16(t *testing.T) {
	for _, name := range []string{"train_llama", "train_gpt2", "train_bert_mlm"} {
		t.Run(name, func(t *testing.T) {
			dir := testkit.SharedFile(t, "fixtures", name)
			want := readTensors(t, filepath.Join(dir, "expected.safetensors"))
			r := newTraining(t, dir, BF16, 2)
			loss := r.step(labelled(t, r.m, want, ""))
			r.finish()
			near(t, "loss", []float32{loss}, want["loss"].floats, 5e-2, 0)
			for _, p := range r.m.Params {
				got := make([]float32, len(p.Grad))
				p.Store(got, p.Grad)
				if c := cosine(got, want["grad."+p.Name].floats); c < 0.998 {
					t.Errorf("gradient of %s: cosine %v", p.Name, c)
				}
			}
		})
	}
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	if bb < 1e-12*float64(len(b)) {
		return 1 // 0 but for rounding: the gradient of a bias of keys
	}
	return ab / math.Sqrt(aa*bb)
}

// training is a model that is trained.
type training struct {
	m     *Model
	g     *tensor.Graph
	kv    *tensor.KV
	total float32 // labels of all micro-batches; 0: of each
	token uint32  // that the micro-batch begins with
}

// sequence is a text with its labels: for each position the id that stands
// there, or at masked positions stood there.
type sequence struct {
	ids, types, labels []int32
}

func (s *sequence) count() (n int) {
	for _, y := range s.labels {
		if y >= 0 {
			n++
		}
	}
	return n
}

func newTraining(t testing.TB, dir string, dtype DType, threads int) *training {
	t.Helper()
	return newTrainingOf(t, readConfig(t, dir), dir, dtype, threads)
}

func readConfig(t testing.TB, dir string) *Config {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseConfig(data, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newTrainingOf(t testing.TB, c *Config, dir string, dtype DType, threads int) *training {
	t.Helper()
	file, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pool := kernel.NewPool(threads)
	m, err := LoadNewHead(c, file, dtype, pool, 1)
	if err != nil {
		t.Fatal(err)
	}
	shape := m.KV
	shape.Layers, shape.BF16 = 1, dtype == BF16
	r := &training{m: m, g: tensor.NewGraph(pool), kv: tensor.NewKV(shape, 64)}
	r.g.Record(true)
	t.Cleanup(func() {
		r.kv.Close()
		r.g.Close()
		m.Close()
		pool.Close()
	})
	return r
}

// step adds the gradients of some sequences and returns their loss.
func (r *training) step(sequences []sequence) float32 {
	loss := r.forward(sequences)
	value := loss.Data[0]
	r.g.Backward(loss, nil)
	return value
}

// finish completes the gradients.
func (r *training) finish() {
	for _, p := range r.m.Params {
		p.Finish()
	}
}

// forward returns the mean loss of sequences: a causal model's labels are those
// of the next position.
func (r *training) forward(sequences []sequence) *tensor.Tensor {
	b, labels, release := r.batch(sequences)
	defer release()
	r.g.Reset()
	r.g.Randomize(1, 2, 3+r.token) // the same dropout in every pass
	logits := r.m.Logits(r.g, r.m.Forward(r.g, b))
	return r.g.CrossEntropy(logits, labels, tensor.CrossEntropy{Total: r.total})
}

// batch returns sequences as a batch with its labels.
func (r *training) batch(sequences []sequence) (b *nn.Batch, labels []int32, release func()) {
	b = &nn.Batch{KV: r.kv}
	for _, s := range sequences {
		span := tensor.Span{Start: len(b.IDs), Len: len(s.ids), Total: len(s.ids)}
		for i := range s.ids {
			b.Positions = append(b.Positions, int32(i))
			if i%tensor.PageTokens == 0 {
				p, err := r.kv.Alloc()
				if err != nil {
					panic(err)
				}
				span.Pages = append(span.Pages, p)
			}
		}
		b.IDs, b.TypeIDs, labels = append(b.IDs, s.ids...), append(b.TypeIDs, s.types...), append(labels, s.labels...)
		b.Spans = append(b.Spans, span)
	}
	if r.m.Head == CausalHead {
		shifted := make([]int32, len(labels))
		tensor.ShiftLabels(shifted, labels, b.Spans)
		labels = shifted
	}
	return b, labels, func() {
		for _, s := range b.Spans {
			for _, p := range s.Pages {
				r.kv.Release(p)
			}
		}
	}
}

// labelled returns the sequences of a fixture without their padding.
func labelled(t *testing.T, m *Model, want map[string]stored, prefix string) []sequence {
	t.Helper()
	ids, mask, types, labels := want[prefix+"input_ids"], want[prefix+"attention_mask"], want[prefix+"token_type_ids"], want[prefix+"labels"]
	n := ids.shape[1]
	var out []sequence
	for r := range ids.shape[0] {
		var s sequence
		for i := r * n; i < (r+1)*n; i++ {
			if mask.ints[i] == 0 {
				continue
			}
			s.ids, s.labels = append(s.ids, ids.ints[i]), append(s.labels, labels.ints[i])
			if types.ints != nil {
				s.types = append(s.types, types.ints[i])
			}
		}
		out = append(out, s)
	}
	return out
}

// stored is a tensor of a fixture.
type stored struct {
	shape  []int
	floats []float32
	ints   []int32
}

func readTensors(t *testing.T, path string) map[string]stored {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]stored{}
	for _, name := range f.Names() {
		s, _ := f.Tensor(name)
		v := stored{shape: slices.Clone(s.Shape)}
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

func near(t *testing.T, what string, got, want []float32, abs, rel float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= abs+rel*math.Abs(float64(want[i]))) {
			t.Errorf("%s[%d] = %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}
