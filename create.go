package wenmo

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"wenmo/checkpoint"
	"wenmo/internal/philox"
	"wenmo/tokenizer"
)

// CreateOptions say what Create makes.
type CreateOptions struct {
	Shape    string // one of Shapes
	Seed     uint64
	DType    string // "f32" (default), "bf16"
	Progress func(done, total int64)
}

// shape is a model that Create can make: its config.json and its weights.
type shape struct {
	config  map[string]any
	tensors func(c map[string]any) []weightShape
}

// weightShape is a weight of a new model: normal values of deviation 0.02, or
// one value everywhere.
type weightShape struct {
	name  string
	shape []int
	fixed bool
	value float32
}

var shapes = map[string]shape{
	"tiny-llama":   {llamaConfig(4, 256, 704, 4, 2, 512, 512, 10000), llamaTensors},
	"smollm2-135m": {llamaConfig(30, 576, 1536, 9, 3, 49152, 8192, 100000), llamaTensors},
	"qwen2.5-0.5b": {qwenConfig(), llamaTensors},
	"gpt2-124m":    {gpt2Config(768, 12, 12, 1024, 50257), gpt2Tensors},
	"bert-base":    {bertConfig("BertForMaskedLM", 768, 12, 12, 512, 30522), bertTensors},

	// What the training benchmarks measure.
	"gpt-12m":      {gpt2Config(384, 6, 6, 256, 4096), gpt2Tensors},
	"mlm-12m":      {bertConfig("BertForMaskedLM", 384, 6, 6, 256, 4096), bertTensors},
	"classify-12m": {bertClassifierConfig(384, 6, 6, 256, 4096, 4), bertTensors},
}

// Shapes returns the names that Create knows, sorted.
func Shapes() []string {
	names := make([]string, 0, len(shapes))
	for n := range shapes {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func llamaConfig(layers, hidden, inner, heads, kvHeads, vocab, context int, theta float64) map[string]any {
	return map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama",
		"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
		"num_attention_heads": heads, "num_key_value_heads": kvHeads, "vocab_size": vocab,
		"max_position_embeddings": context, "rope_theta": theta, "rms_norm_eps": 1e-5,
		"hidden_act": "silu", "tie_word_embeddings": true, "attention_bias": false, "mlp_bias": false,
		"initializer_range": 0.02, "bos_token_id": nil, "eos_token_id": 0,
	}
}

func qwenConfig() map[string]any {
	c := llamaConfig(24, 896, 4864, 14, 2, 151936, 32768, 1e6)
	c["architectures"], c["model_type"], c["rms_norm_eps"] = []string{"Qwen2ForCausalLM"}, "qwen2", 1e-6
	c["use_sliding_window"] = false
	delete(c, "attention_bias")
	delete(c, "mlp_bias")
	return c
}

func gpt2Config(hidden, layers, heads, context, vocab int) map[string]any {
	return map[string]any{
		"architectures": []string{"GPT2LMHeadModel"}, "model_type": "gpt2",
		"n_embd": hidden, "n_layer": layers, "n_head": heads, "n_positions": context, "n_ctx": context, "vocab_size": vocab,
		"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": true,
		"initializer_range": 0.02, "bos_token_id": 0, "eos_token_id": 0,
	}
}

func bertConfig(architecture string, hidden, layers, heads, context, vocab int) map[string]any {
	return map[string]any{
		"architectures": []string{architecture}, "model_type": "bert",
		"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": 4 * hidden,
		"vocab_size": vocab, "max_position_embeddings": context, "type_vocab_size": 2, "hidden_act": "gelu",
		"layer_norm_eps": 1e-12, "tie_word_embeddings": true, "initializer_range": 0.02, "pad_token_id": 0,
	}
}

func bertClassifierConfig(hidden, layers, heads, context, vocab, classes int) map[string]any {
	c := bertConfig("BertForSequenceClassification", hidden, layers, heads, context, vocab)
	labels := map[string]any{}
	for i := range classes {
		labels[strconv.Itoa(i)] = fmt.Sprintf("LABEL_%d", i)
	}
	c["id2label"] = labels
	return c
}

func matrix(name string, rows, cols int) weightShape {
	return weightShape{name: name, shape: []int{rows, cols}}
}

func vector(name string, n int, value float32) weightShape {
	return weightShape{name: name, shape: []int{n}, fixed: true, value: value}
}

// layerNorm returns the two vectors of a LayerNorm.
func layerNorm(name string, n int) []weightShape {
	return []weightShape{vector(name+".weight", n, 1), vector(name+".bias", n, 0)}
}

// affine returns a projection [out, in] and its bias.
func affine(name string, out, in int) []weightShape {
	return []weightShape{matrix(name+".weight", out, in), vector(name+".bias", out, 0)}
}

func llamaTensors(c map[string]any) []weightShape {
	n := func(key string) int { return c[key].(int) }
	hidden, inner := n("hidden_size"), n("intermediate_size")
	dim := hidden / n("num_attention_heads")
	kv := dim * n("num_key_value_heads")
	out := []weightShape{matrix("model.embed_tokens.weight", n("vocab_size"), hidden)}
	for i := range n("num_hidden_layers") {
		p := fmt.Sprintf("model.layers.%d.", i)
		out = append(out, vector(p+"input_layernorm.weight", hidden, 1))
		for _, proj := range []struct {
			name string
			rows int
		}{{"q", hidden}, {"k", kv}, {"v", kv}} {
			name := p + "self_attn." + proj.name + "_proj"
			out = append(out, matrix(name+".weight", proj.rows, hidden))
			if c["model_type"] == "qwen2" {
				out = append(out, vector(name+".bias", proj.rows, 0))
			}
		}
		out = append(out,
			matrix(p+"self_attn.o_proj.weight", hidden, hidden),
			vector(p+"post_attention_layernorm.weight", hidden, 1),
			matrix(p+"mlp.gate_proj.weight", inner, hidden),
			matrix(p+"mlp.up_proj.weight", inner, hidden),
			matrix(p+"mlp.down_proj.weight", hidden, inner))
	}
	return append(out, vector("model.norm.weight", hidden, 1))
}

func gpt2Tensors(c map[string]any) []weightShape {
	hidden := c["n_embd"].(int)
	out := []weightShape{
		matrix("transformer.wte.weight", c["vocab_size"].(int), hidden),
		matrix("transformer.wpe.weight", c["n_positions"].(int), hidden),
	}
	// Conv1D weights are stored [in, out].
	conv := func(name string, in, n int) []weightShape {
		return []weightShape{matrix(name+".weight", in, n), vector(name+".bias", n, 0)}
	}
	for i := range c["n_layer"].(int) {
		p := fmt.Sprintf("transformer.h.%d.", i)
		out = slices.Concat(out, layerNorm(p+"ln_1", hidden), conv(p+"attn.c_attn", hidden, 3*hidden),
			conv(p+"attn.c_proj", hidden, hidden), layerNorm(p+"ln_2", hidden),
			conv(p+"mlp.c_fc", hidden, 4*hidden), conv(p+"mlp.c_proj", 4*hidden, hidden))
	}
	return append(out, layerNorm("transformer.ln_f", hidden)...)
}

func bertTensors(c map[string]any) []weightShape {
	hidden, inner := c["hidden_size"].(int), c["intermediate_size"].(int)
	const e = "bert.embeddings."
	out := []weightShape{
		matrix(e+"word_embeddings.weight", c["vocab_size"].(int), hidden),
		matrix(e+"position_embeddings.weight", c["max_position_embeddings"].(int), hidden),
		matrix(e+"token_type_embeddings.weight", c["type_vocab_size"].(int), hidden),
	}
	out = append(out, layerNorm(e+"LayerNorm", hidden)...)
	for i := range c["num_hidden_layers"].(int) {
		p := fmt.Sprintf("bert.encoder.layer.%d.", i)
		a := p + "attention."
		out = slices.Concat(out, affine(a+"self.query", hidden, hidden), affine(a+"self.key", hidden, hidden),
			affine(a+"self.value", hidden, hidden), affine(a+"output.dense", hidden, hidden),
			layerNorm(a+"output.LayerNorm", hidden), affine(p+"intermediate.dense", inner, hidden),
			affine(p+"output.dense", hidden, inner), layerNorm(p+"output.LayerNorm", hidden))
	}
	if labels, ok := c["id2label"].(map[string]any); ok {
		return slices.Concat(out, affine("bert.pooler.dense", hidden, hidden), affine("classifier", len(labels), hidden))
	}
	const head = "cls.predictions."
	out = slices.Concat(out, affine(head+"transform.dense", hidden, hidden), layerNorm(head+"transform.LayerNorm", hidden))
	return append(out, vector(head+"bias", c["vocab_size"].(int), 0))
}

// Create writes a new model with random weights, untrained, into dir:
// config.json, generation_config.json, model.safetensors and a byte-level
// tokenizer.json. The same seed gives the same bytes on every machine.
func Create(ctx context.Context, dir string, opt CreateOptions) error {
	s, ok := shapes[opt.Shape]
	if !ok {
		return fmt.Errorf("shape %q is not one of %s", opt.Shape, strings.Join(Shapes(), ", "))
	}
	dtype := checkpoint.F32
	switch opt.DType {
	case "", "auto", "f32":
	case "bf16":
		dtype = checkpoint.BF16
	default:
		return fmt.Errorf("dtype %q is not one of f32, bf16 (quantize the model afterwards)", opt.DType)
	}
	return writeDraftDir(dir, func(dir string) error { return s.write(ctx, dir, dtype, opt) })
}

// write writes the files of a new model.
func (s *shape) write(ctx context.Context, dir string, dtype checkpoint.DType, opt CreateOptions) error {
	tok, err := tokenizer.ByteLevel(s.config["vocab_size"].(int))
	if err != nil {
		return err
	}
	if err := tok.Save(filepath.Join(dir, "tokenizer.json")); err != nil {
		return err
	}
	config := withoutNulls(s.config)
	config["torch_dtype"] = torchNames[dtype]
	if err := writeJSON(filepath.Join(dir, "config.json"), config); err != nil {
		return err
	}
	generation := map[string]any{}
	if eos := config["eos_token_id"]; eos != nil {
		generation["eos_token_id"] = eos
	}
	if padding := tok.Padding(); len(padding) <= maxSuppressed {
		generation["suppress_tokens"] = padding // they stand for no text
	}
	if err := writeJSON(filepath.Join(dir, "generation_config.json"), generation); err != nil {
		return err
	}
	return writeRandom(ctx, filepath.Join(dir, "model.safetensors"), s.tensors(s.config), dtype, opt)
}

// maxSuppressed is how many padding tokens a generation_config.json may name.
const maxSuppressed = 4096

func withoutNulls(m map[string]any) map[string]any {
	out := make(map[string]any, len(m)+1)
	for k, v := range m {
		if v != nil {
			out[k] = v
		}
	}
	return out
}

func writeJSON(path string, v map[string]any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o666)
}

func writeRandom(ctx context.Context, path string, tensors []weightShape, dtype checkpoint.DType, opt CreateOptions) error {
	var total, done int64
	for _, t := range tensors {
		total += int64(product(t.shape))
	}
	var out []checkpoint.Out
	for i, t := range tensors {
		out = append(out, checkpoint.Out{Name: t.name, DType: dtype, Shape: t.shape, Write: func(w io.Writer) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := t.write(w, dtype, opt.Seed, uint32(i)); err != nil {
				return err
			}
			done += int64(product(t.shape))
			if opt.Progress != nil {
				opt.Progress(done, total)
			}
			return nil
		}})
	}
	return checkpoint.WriteSafetensors(path, out, map[string]string{"format": "pt"})
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// write writes the values of tensor number index, computed in parts side by
// side.
func (t weightShape) write(w io.Writer, dtype checkpoint.DType, seed uint64, index uint32) error {
	const part = 1 << 16
	n := product(t.shape)
	bufs := make([][]byte, runtime.GOMAXPROCS(0))
	errs := make([]error, len(bufs))
	for at := 0; at < n; at += part * len(bufs) {
		var wait sync.WaitGroup
		for i := range bufs {
			from := at + i*part
			count := max(0, min(part, n-from))
			bufs[i] = slices.Grow(bufs[i][:0], dtype.RowBytes(part))[:dtype.RowBytes(count)]
			wait.Go(func() { errs[i] = t.fill(bufs[i], dtype, seed, index, from, count) })
		}
		wait.Wait()
		for i, b := range bufs {
			if errs[i] != nil {
				return errs[i]
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill encodes count values from number from on.
func (t weightShape) fill(b []byte, dtype checkpoint.DType, seed uint64, index uint32, from, count int) error {
	values := make([]float32, count)
	for i := range values {
		values[i] = t.value
		if !t.fixed {
			values[i] = normal(seed, index, uint64(from+i))
		}
	}
	return checkpoint.Quantize(dtype, b, values)
}

// normal is a value of deviation 0.02: the sum of sixteen uniform bytes is near
// enough to normal here, and the same on every machine.
func normal(seed uint64, index uint32, i uint64) float32 {
	r := philox.Words([2]uint32{uint32(seed), uint32(seed >> 32)}, [4]uint32{uint32(i), uint32(i >> 32), index, 0})
	var b [16]byte
	for j, x := range r {
		binary.LittleEndian.PutUint32(b[4*j:], x)
	}
	sum := 0
	for _, x := range b {
		sum += int(x)
	}
	return float32((float64(sum) - 16*127.5) * normalScale)
}

// normalScale makes the deviation 0.02: a uniform byte has the variance
// (256² − 1)/12.
var normalScale = 0.02 / math.Sqrt(16*(256*256-1)/12.0)
