package model

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"wenmo/checkpoint"
	"wenmo/kernel"
	"wenmo/tensor"
)

// weights64 are the weights of a small model by name, for computing it again in
// float64, a loop for each formula.
type weights64 map[string]stored

func (w weights64) linear(name string, x []float64) []float64 {
	m, bias := w[name+".weight"], w[name+".bias"].floats
	y := make([]float64, m.shape[0])
	for i := range y {
		for k, v := range x {
			y[i] += float64(m.floats[i*len(x)+k]) * v
		}
		if bias != nil {
			y[i] += float64(bias[i])
		}
	}
	return y
}

func (w weights64) norm(name string, x []float64) []float64 {
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v-mean)/math.Sqrt(variance+1e-5)*float64(w[name+".weight"].floats[i]) + float64(w[name+".bias"].floats[i])
	}
	return y
}

func (w weights64) row(name string, i int) []float64 {
	m := w[name]
	y := make([]float64, m.shape[1])
	for k := range y {
		y[k] = float64(m.floats[i*len(y)+k])
	}
	return y
}

func sum64(x, y []float64) []float64 {
	z := make([]float64, len(x))
	for i := range z {
		z[i] = x[i] + y[i]
	}
	return z
}

// attend64 is causal attention of the last of the positions; slopes may be nil.
func attend64(q []float64, keys, values [][]float64, heads int, slopes []float64) []float64 {
	dim := len(q) / heads
	out := make([]float64, len(q))
	for h := range heads {
		p, total := make([]float64, len(keys)), 0.0
		for j, k := range keys {
			for d := h * dim; d < (h+1)*dim; d++ {
				p[j] += q[d] * k[d] / math.Sqrt(float64(dim))
			}
			if slopes != nil {
				p[j] += slopes[h] * float64(j)
			}
			p[j] = math.Exp(p[j])
			total += p[j]
		}
		for j, v := range values {
			for d := h * dim; d < (h+1)*dim; d++ {
				out[d] += p[j] / total * v[d]
			}
		}
	}
	return out
}

// variant is a fixture with other weights and another config.
type variant struct {
	w      weights64
	config map[string]any
}

func newVariant(t *testing.T, name string, change map[string]any) *variant {
	raw := readConfig(t, slim(name)).Raw()
	for k, v := range change {
		raw[k] = v
	}
	return &variant{w: readTensors(t, filepath.Join(slim(name), "model.safetensors")), config: raw}
}

// random puts a matrix of random values under a name.
func (v *variant) random(name string, rows, cols int, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, rows*cols)
	for i := range x {
		x[i] = float32(rng.NormFloat64()) / 4
	}
	v.w[name] = stored{shape: []int{rows, cols}, floats: x}
}

// check compares the model's logits of ids with want.
func (v *variant) check(t *testing.T, ids []int32, want func(pos int) []float64) {
	t.Helper()
	var outs []checkpoint.Out
	for name, s := range v.w {
		data := make([]byte, checkpoint.F32.RowBytes(len(s.floats)))
		if err := checkpoint.Quantize(checkpoint.F32, data, s.floats); err != nil {
			t.Fatal(err)
		}
		outs = append(outs, checkpoint.Out{Name: name, DType: checkpoint.F32, Shape: s.shape, Data: data})
	}
	dir := t.TempDir()
	if err := checkpoint.WriteSafetensorsDir(dir, outs, nil, 1<<30); err != nil {
		t.Fatal(err)
	}
	file, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pool := kernel.NewPool(1)
	defer pool.Close()
	m, err := Load(t.Context(), NewConfig(v.config, "config.json"), file, F32, pool)
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, m, pool, false).logits([]sequence{{ids: ids, labels: ids}})
	for pos := range ids {
		row := want(pos)
		for i, x := range row {
			if y := got[pos*len(row)+i]; !(math.Abs(float64(y)-x) <= 2e-4) {
				t.Fatalf("logits[%d,%d] = %v, want %v", pos, i, y, x)
			}
		}
	}
}

// TestOPT350m compares OPT with norms after its parts and an embedding of another
// width (do_layer_norm_before, word_embed_proj_dim) with its formulas.
func TestOPT350m(t *testing.T) {
	const width = 20
	v := newVariant(t, "decoder_opt", map[string]any{"do_layer_norm_before": false, "word_embed_proj_dim": float64(width)})
	const p = "model.decoder."
	hidden := v.w[p+"layers.0.fc2.weight"].shape[0]
	vocab := v.w[p+"embed_tokens.weight"].shape[0]
	delete(v.w, p+"final_layer_norm.weight")
	delete(v.w, p+"final_layer_norm.bias")
	delete(v.w, "lm_head.weight")
	v.random(p+"embed_tokens.weight", vocab, width, 1)
	v.random(p+"project_in.weight", hidden, width, 2)
	v.random(p+"project_out.weight", width, hidden, 3)
	ids := []int32{5, 17, 3, 60, 17, 42, 8}
	w := v.w
	const layers, heads, firstPosition = 2, 4, 2
	var keys, values [layers][][]float64
	v.check(t, ids, func(pos int) []float64 {
		x := sum64(w.linear(p+"project_in", w.row(p+"embed_tokens.weight", int(ids[pos]))), w.row(p+"embed_positions.weight", pos+firstPosition))
		for l := range layers {
			lp := p + "layers." + string(rune('0'+l)) + "."
			keys[l] = append(keys[l], w.linear(lp+"self_attn.k_proj", x))
			values[l] = append(values[l], w.linear(lp+"self_attn.v_proj", x))
			a := attend64(w.linear(lp+"self_attn.q_proj", x), keys[l], values[l], heads, nil)
			x = w.norm(lp+"self_attn_layer_norm", sum64(x, w.linear(lp+"self_attn.out_proj", a)))
			inner := w.linear(lp+"fc1", x)
			for i := range inner {
				inner[i] = max(0, inner[i])
			}
			x = w.norm(lp+"final_layer_norm", sum64(x, w.linear(lp+"fc2", inner)))
		}
		return w.linear(p+"embed_tokens", w.linear(p+"project_out", x))
	})
}

// TestBloomResidualOfNorm compares BLOOM whose parts are added to what they read
// (apply_residual_connection_post_layernorm) with its formulas.
func TestBloomResidualOfNorm(t *testing.T) {
	v := newVariant(t, "decoder_bloom", map[string]any{"apply_residual_connection_post_layernorm": true})
	const p, layers, heads = "transformer.", 2, 6
	slopes := []float64{1. / 4, 1. / 16, 1. / 64, 1. / 256, 1. / 2, 1. / 8}
	ids := []int32{5, 17, 3, 60, 17, 42, 8}
	w := v.w
	var keys, values [layers][][]float64
	v.check(t, ids, func(pos int) []float64 {
		x := w.norm(p+"word_embeddings_layernorm", w.row(p+"word_embeddings.weight", int(ids[pos])))
		for l := range layers {
			lp := p + "h." + string(rune('0'+l)) + "."
			in := w.norm(lp+"input_layernorm", x)
			fused, dim := w.linear(lp+"self_attention.query_key_value", in), len(x)/heads
			var qkv [3][]float64
			for i, y := range fused { // [heads, 3, dim]
				qkv[i/dim%3] = append(qkv[i/dim%3], y)
			}
			keys[l], values[l] = append(keys[l], qkv[1]), append(values[l], qkv[2])
			a := attend64(qkv[0], keys[l], values[l], heads, slopes)
			x = sum64(in, w.linear(lp+"self_attention.dense", a))
			in = w.norm(lp+"post_attention_layernorm", x)
			inner := w.linear(lp+"mlp.dense_h_to_4h", in)
			for i, y := range inner {
				inner[i] = y / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(y+0.044715*y*y*y)))
			}
			x = sum64(in, w.linear(lp+"mlp.dense_4h_to_h", inner))
		}
		return w.linear(p+"word_embeddings", w.norm(p+"ln_f", x))
	})
}

// TestSmolLM3Windows demands the layers of transformers' configuration: without
// layer_types those that do not rotate have the window.
func TestSmolLM3Windows(t *testing.T) {
	change := map[string]any{"layer_types": nil, "use_sliding_window": true, "sliding_window": 5.0, "no_rope_layers": []any{1.0, 0.0, 1.0, 0.0}}
	m, err := openWith(t, "decoder_smollm3", change)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i, b := range m.body.(*decoder).blocks {
		if want := 5 * (i % 2); b.Attention.Window != want {
			t.Errorf("layer %d has the window %d, want %d", i, b.Attention.Window, want)
		}
	}
}

// TestYarnTakesItsFactor is a difference from transformers 4.54, which takes the
// quotient of the contexts although the file names a factor; later versions,
// llama.cpp and vLLM take the factor, and the quotient where there is none.
func TestYarnTakesItsFactor(t *testing.T) {
	frequencies := func(context int, scaling map[string]any) *tensor.Rope {
		scaling["rope_type"] = "yarn"
		m := &Model{Context: context}
		c := NewConfig(map[string]any{"rope_scaling": scaling}, "config.json")
		r := scaledRope(m, c, c.Object("rope_scaling"), 32, 10000)
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
		return r.For(0, 1)
	}
	const original = "original_max_position_embeddings"
	want := frequencies(4096, map[string]any{"factor": 4.0, original: 1024.0})
	for name, got := range map[string]*tensor.Rope{
		"another quotient": frequencies(1024, map[string]any{"factor": 4.0, original: 1024.0}),
		"no factor":        frequencies(4096, map[string]any{original: 1024.0}),
	} {
		for i, f := range want.InvFreq {
			if got.InvFreq[i] != f || got.Factor != want.Factor {
				t.Fatalf("%s: frequency %d is %v by %v, want %v by %v", name, i, got.InvFreq[i], got.Factor, f, want.Factor)
			}
		}
	}
}
