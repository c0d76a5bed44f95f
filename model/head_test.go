package model

import (
	"path/filepath"
	"slices"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/tensor"
)

// TestHeadAgainstReference compares loss and gradients of a classifier with
// PyTorch's, under every kernel path and for micro-batches of any size.
func TestHeadAgainstReference(t *testing.T) {
	dir := testkit.SharedFile(t, "fixtures", "train_bert_seqcls")
	want := readTensors(t, filepath.Join(dir, "expected.safetensors"))
	defer kernel.SetPath(kernel.Path())
	for _, path := range kernel.Paths() {
		if err := kernel.SetPath(path); err != nil {
			t.Fatal(err)
		}
		for _, micro := range []int{3, 1} {
			r := newTraining(t, dir, F32, 2)
			r.total = 3
			all, classes := sequences(want, ""), want["labels"].ints
			loss := float32(0)
			for i := 0; i < len(all); i += micro {
				var targets Targets
				for j := i; j < i+micro; j++ {
					if err := targets.Add(r.m, []float32{float32(classes[j])}, len(all[j].ids)); err != nil {
						t.Fatal(err)
					}
				}
				loss += r.headStep(all[i:i+micro], &targets)
			}
			r.finish()
			near(t, path+": loss", []float32{loss}, want["loss"].floats, 1e-4, 0)
			r.checkGradients(t, path, want)
		}
	}
}

// headStep adds the gradients of some sequences and returns their loss.
func (r *training) headStep(all []sequence, targets *Targets) float32 {
	loss, release := r.headLoss(all, targets)
	defer release()
	value := loss.Data[0]
	r.g.Backward(loss, nil)
	return value
}

func (r *training) headLoss(all []sequence, targets *Targets) (*tensor.Tensor, func()) {
	b, _, release := r.batch(all)
	r.g.Reset()
	r.g.Randomize(1, 2, 3)
	if r.m.Head == SequenceHead {
		b.Out = r.m.HeadRows(nil, b)
	}
	logits := r.m.Logits(r.g, r.m.Forward(r.g, b))
	if r.m.Head == SpanHead {
		return r.m.SpanLoss(r.g, logits, b.Spans, targets, r.total), release
	}
	return r.m.SequenceLoss(r.g, logits, targets, tensor.CrossEntropy{Total: r.total}), release
}

// sequences returns the sequences of a fixture without their padding.
func sequences(want map[string]stored, prefix string) []sequence {
	ids, mask, types := want[prefix+"input_ids"], want[prefix+"attention_mask"], want[prefix+"token_type_ids"]
	n := ids.shape[1]
	out := make([]sequence, ids.shape[0])
	for i, id := range ids.ints {
		if mask.ints != nil && mask.ints[i] == 0 {
			continue
		}
		s := &out[i/n]
		s.ids, s.labels = append(s.ids, id), append(s.labels, -1)
		if types.ints != nil {
			s.types = append(s.types, types.ints[i])
		}
	}
	return out
}

// TestHeadGradients changes the parameters of every head on every base model
// along their gradient, with dropout as the config has it.
func TestHeadGradients(t *testing.T) {
	for _, test := range []struct {
		base    string
		head    Head
		problem Problem
		targets []float32
	}{
		{"train_bert_mlm", SequenceHead, SingleLabel, []float32{2}},
		{"train_bert_mlm", SequenceHead, MultiLabel, []float32{1, 0, 1}},
		{"train_bert_mlm", SpanHead, "", []float32{3, 5}},
		{"train_gpt2", SequenceHead, Regression, []float32{1, -2, 0.5}},
		{"train_llama", SequenceHead, SingleLabel, []float32{1}},
		{"train_qwen3", SequenceHead, MultiLabel, []float32{0, 0, 1}},
	} {
		t.Run(test.base+"_"+string(test.problem), func(t *testing.T) {
			r := newHeadTraining(t, test.base, test.head, test.problem)
			all := sequences(readTensors(t, filepath.Join(testkit.SharedFile(t, "fixtures", test.base), "expected.safetensors")), "")
			var targets Targets
			for i := range all {
				if err := targets.Add(r.m, test.targets, len(all[i].ids)); err != nil {
					t.Fatal(err)
				}
			}
			r.headStep(all, &targets)
			r.finish()
			checkSlopes(t, r, func() float64 {
				loss, release := r.headLoss(all, &targets)
				defer release()
				return float64(loss.Data[0])
			})
		})
	}
}

func newHeadTraining(t *testing.T, base string, head Head, problem Problem) *training {
	t.Helper()
	dir := testkit.SharedFile(t, "fixtures", base)
	c := readConfig(t, dir)
	for _, key := range []string{"hidden_dropout_prob", "resid_pdrop", "embd_pdrop"} {
		c.raw[key] = 0.2
	}
	c.raw["initializer_range"] = 0.2 // gradients that can be seen
	var labels []string
	if head != SpanHead {
		labels = []string{"bad", "中", "good"}
	}
	c, err := c.WithHead(head, labels, problem)
	if err != nil {
		t.Fatal(err)
	}
	return newTrainingOf(t, c, dir, F32, 1)
}

// TestHeadFresh demands that a new head depends on the seed alone, that the
// body is the checkpoint's, and that names are those that transformers writes.
func TestHeadFresh(t *testing.T) {
	for _, base := range []string{"encoder_bert", "encoder_bert_mlm", "decoder_gpt2", "decoder_gpt2_bare_names", "decoder_llama_mha"} {
		t.Run(base, func(t *testing.T) {
			dir := testkit.SharedFile(t, "fixtures", base)
			file, err := checkpoint.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			pool := kernel.NewPool(1)
			defer pool.Close()
			load := func(seed uint64) *Model {
				c, err := readConfig(t, dir).WithHead(SequenceHead, []string{"a", "b", "c"}, SingleLabel)
				if err != nil {
					t.Fatal(err)
				}
				m, err := LoadNewHead(c, file, F32, pool, seed)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { m.Close() })
				return m
			}
			one, same, other := load(1), load(1), load(2)
			changed := 0
			for i, p := range one.Params {
				if p.Name != same.Params[i].Name || !slices.Equal(p.Value, same.Params[i].Value) {
					t.Errorf("%s differs for the same seed", p.Name)
				}
				if !slices.Equal(p.Value, other.Params[i].Value) {
					changed++
				}
				if prefix, _, _ := cutName(p.Name); prefix != "bert" && prefix != "classifier" && prefix != "transformer" && prefix != "model" && prefix != "score" {
					t.Errorf("%s is no name that transformers writes", p.Name)
				}
			}
			if changed == 0 || changed > 2 { // the pooler, and the classifier
				t.Errorf("the seed changed %d parameters", changed)
			}
		})
	}
}

func cutName(name string) (first, rest string, ok bool) {
	for i := range name {
		if name[i] == '.' {
			return name[:i], name[i+1:], true
		}
	}
	return name, "", false
}
