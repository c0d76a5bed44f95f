package train

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
	"wenmo/dataset"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/nn"
)

// BenchmarkStep makes whole steps of a GPT-2 of 12 million parameters (6 layers,
// 384 wide), forward, backward, clipping and update, over 4 texts of 256 tokens.
func BenchmarkStep(b *testing.B) {
	dir := b.TempDir()
	const layers, width, vocab, context, texts = 6, 384, 4096, 256, 4
	writeGPT2(b, dir, layers, width, vocab, context)
	batch := make([]dataset.Sequence, texts)
	for i := range batch {
		ids := make([]int32, context)
		for j := range ids {
			ids[j] = int32((i*7919 + j*j*31 + j) % vocab)
		}
		batch[i] = dataset.Sequence{IDs: ids, Labels: ids}
	}
	for _, dtype := range []model.DType{model.F32, model.BF16} {
		for _, name := range []string{"adamw", "muon"} {
			b.Run(string(dtype)+"/"+name, func(b *testing.B) {
				p, pool := openPass(b, dir, dtype, 2)
				params := p.Model.Params
				o, err := optimizers[name](params)
				if err != nil {
					b.Fatal(err)
				}
				defer o.Close()
				clip := NewClip(params)
				objective, err := HeadObjective(p.Model, ObjectiveOptions{})
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if _, err := p.Gradients(b.Context(), objective, [][]dataset.Sequence{batch}); err != nil {
						b.Fatal(err)
					}
					clip.To(pool, 1)
					o.Step(pool, 1e-4)
					for _, param := range params {
						param.Update(p.Graph)
					}
				}
				b.ReportMetric(float64(texts*context)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

// BenchmarkOptimizer makes updates of 124 million parameters, GPT-2's.
func BenchmarkOptimizer(b *testing.B) {
	var params []*nn.Param
	add := func(name string, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		p := &nn.Param{Name: name, Shape: shape, Value: make([]float32, n), Grad: make([]float32, n)}
		for i := range p.Grad {
			p.Value[i], p.Grad[i] = float32(i%13)-6, float32(i%7)-3
		}
		params = append(params, p)
	}
	add("wte.weight", 50257, 768)
	for i := range 12 {
		add(fmt.Sprintf("h.%d.qkv.weight", i), 3*768, 768)
		add(fmt.Sprintf("h.%d.proj.weight", i), 768, 768)
		add(fmt.Sprintf("h.%d.up.weight", i), 4*768, 768)
		add(fmt.Sprintf("h.%d.down.weight", i), 768, 4*768)
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	for name, make := range optimizers {
		b.Run(name, func(b *testing.B) {
			o, err := make(params)
			if err != nil {
				b.Fatal(err)
			}
			defer o.Close()
			o.Step(pool, 1e-4)
			for b.Loop() {
				o.Step(pool, 1e-4)
			}
		})
	}
	b.Run("clip", func(b *testing.B) {
		clip := NewClip(params)
		for b.Loop() {
			clip.To(pool, 1)
		}
	})
}

// writeGPT2 writes a model with small random weights.
func writeGPT2(t testing.TB, dir string, layers, width, vocab, context int) {
	t.Helper()
	config, err := json.Marshal(map[string]any{
		"architectures": []string{"GPT2LMHeadModel"}, "model_type": "gpt2", "n_embd": width, "n_layer": layers,
		"n_head": width / 64, "n_positions": context, "vocab_size": vocab,
		"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0,
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
