package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"wenmo/checkpoint"
	"wenmo/tensor"
)

// BenchmarkTrain runs forward and backward of a GPT-2 of 12 million parameters
// (6 layers, 384 wide) over 4 texts of 256 tokens.
func BenchmarkTrain(b *testing.B) {
	dir := b.TempDir()
	const layers, width, vocab, context, texts = 6, 384, 4096, 256, 4
	writeGPT2(b, dir, layers, width, vocab, context)
	for _, dtype := range []DType{F32, BF16} {
		b.Run(string(dtype), func(b *testing.B) {
			r := newTraining(b, dir, dtype, 2)
			var all []sequence
			for i := range texts {
				s := sequence{ids: make([]int32, context)}
				for j := range s.ids {
					s.ids[j] = int32((i*7919 + j*j*31 + j) % vocab)
				}
				s.labels = s.ids
				all = append(all, s)
			}
			batch, labels, release := r.batch(all)
			defer release()
			for b.Loop() {
				r.g.Reset()
				logits := r.m.Logits(r.g, r.m.Forward(r.g, batch))
				r.g.Backward(r.g.CrossEntropy(logits, labels, tensor.CrossEntropy{}), nil)
				for _, p := range r.m.Params {
					p.Finish()
					p.Update(r.g)
				}
			}
			b.ReportMetric(float64(texts*context)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

// writeGPT2 writes a model with small random weights.
func writeGPT2(t testing.TB, dir string, layers, width, vocab, context int) {
	t.Helper()
	config, err := json.Marshal(map[string]any{
		"architectures": []string{"GPT2LMHeadModel"}, "model_type": "gpt2", "n_embd": width, "n_layer": layers,
		"n_head": width / 64, "n_positions": context, "vocab_size": vocab,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o666); err != nil {
		t.Fatal(err)
	}
	var outs []checkpoint.Out
	add := func(name string, shape ...int) {
		outs = append(outs, checkpoint.Out{Name: name, DType: checkpoint.F32, Shape: shape, Write: func(w io.Writer) error {
			n := shape[0]
			for _, d := range shape[1:] {
				n *= d
			}
			data := make([]byte, 4*n)
			seed := uint32(len(name))
			for i := range n {
				seed = seed*1664525 + 1013904223
				binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(float32(int32(seed))/(1<<31)/25))
			}
			_, err := w.Write(data)
			return err
		}})
	}
	add("wte.weight", vocab, width)
	add("wpe.weight", context, width)
	for i := range layers {
		p := fmt.Sprintf("h.%d.", i)
		for _, v := range []struct {
			name    string
			in, out int
		}{{"attn.c_attn", width, 3 * width}, {"attn.c_proj", width, width}, {"mlp.c_fc", width, 4 * width}, {"mlp.c_proj", 4 * width, width}} {
			add(p+v.name+".weight", v.in, v.out)
			add(p+v.name+".bias", v.out)
		}
		for _, v := range []string{"ln_1", "ln_2"} {
			add(p+v+".weight", width)
			add(p+v+".bias", width)
		}
	}
	add("ln_f.weight", width)
	add("ln_f.bias", width)
	if err := checkpoint.WriteSafetensors(filepath.Join(dir, "model.safetensors"), outs, nil); err != nil {
		t.Fatal(err)
	}
}
