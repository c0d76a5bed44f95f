package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
	"wenmo/kernel"
)

func slim(name string) string {
	return filepath.Join(testkit.Root(), "testdata", "fixtures", name)
}

// openWith opens a slim fixture with some keys of its config.json changed.
func openWith(t testing.TB, name string, change map[string]any) (*Model, error) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(slim(name), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	raw := map[string]any{}
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	maps.Copy(raw, change)
	file, err := checkpoint.Open(slim(name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pool := kernel.NewPool(1)
	defer pool.Close()
	return Load(t.Context(), NewConfig(raw, "config.json"), file, F32, pool)
}

// A key that config.json lacks means what transformers' class of the family
// assumes; null means none.
func TestConfigDefaults(t *testing.T) {
	for _, c := range []struct {
		modelType, key string
		want           float64
	}{
		{"llama", "rope_theta", 1e4}, {"mistral", "sliding_window", 4096}, {"mistral", "num_key_value_heads", 8},
		{"mixtral", "rope_theta", 1e6}, {"smollm3", "rope_theta", 2e6}, {"qwen3", "head_dim", 128}, {"gemma", "head_dim", 256},
		{"gemma2", "attn_logit_softcapping", 50}, {"gemma2", "final_logit_softcapping", 30}, {"gemma3_text", "rope_theta", 1e6},
		{"phi3", "max_position_embeddings", 4096}, {"llama", "sliding_window", 0}, {"no such", "rope_theta", 0},
	} {
		config := NewConfig(map[string]any{}, "config.json")
		config.defaults = checkpoint.ConfigDefaults(c.modelType, "")
		if got := config.FloatOr(c.key, 0); got != c.want {
			t.Errorf("%s: %s is %v, want %v", c.modelType, c.key, got, c.want)
		}
		config.raw[c.key] = nil
		if config.Has(c.key) {
			t.Errorf("%s: null %s counts", c.modelType, c.key)
		}
	}
	if checkpoint.ConfigDefaults("", "Gemma2ForCausalLM")["sliding_window"] != 4096.0 {
		t.Error("the architecture does not tell the family")
	}
}

// What is wrong with a config is said with the file, the key, what was wanted
// and what was found.
func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		fixture, key string
		value        any
		want         string
	}{
		{"decoder_llama_mha", "hidden_size", nil, "config.json: hidden_size is missing"},
		{"decoder_llama_mha", "hidden_size", -3.0, "config.json: hidden_size is -3, want an integer from 1"},
		{"decoder_gemma2", "query_pre_attn_scalar", -1.0, "query_pre_attn_scalar is -1, want a number from"},
		{"decoder_gemma2", "final_logit_softcapping", 1e30, "final_logit_softcapping is 1e+30, want a number from"},
		{"decoder_llama_mha", "head_dim", 16777216.0, "head_dim has 16777216 rotated elements"},
		{"decoder_llama_mha", "hidden_size", 1.5, "hidden_size is 1.5"},
		{"decoder_llama_mha", "hidden_size", "x", "hidden_size is x"},
		{"decoder_llama_mha", "hidden_size", 1e300, "hidden_size is 1e+300"},
		{"decoder_llama_mha", "hidden_size", 64.0, `has shape [32 32], want [64 64]`},
		{"decoder_llama_mha", "num_hidden_layers", 1e7, `no tensor "model.layers.2.`},
		{"decoder_llama_mha", "num_hidden_layers", 1.0, `does not belong to this family`},
		{"decoder_llama_mha", "num_key_value_heads", 3.0, "num_key_value_heads is 3, want a divisor of num_attention_heads 4"},
		{"decoder_llama_mha", "hidden_act", "mish", `hidden_act "mish" is not supported (known: gelu,`},
		{"decoder_llama_mha", "architectures", []any{"FooForCausalLM"}, `architecture "FooForCausalLM" is not supported (known: Bert`},
		{"decoder_llama_mha", "rope_scaling", map[string]any{"rope_type": "foo"}, `config.json: rope_scaling: rope_type "foo" is not supported (known: default, linear`},
		{"decoder_llama_mha", "rope_scaling", map[string]any{"rope_type": "linear"}, "rope_scaling: factor is missing"},
		{"decoder_llama_mha", "rope_theta", -1.0, "rope_theta is -1"},
		{"decoder_llama_mha", "attn_logit_softcapping", 30.0, `attn_logit_softcapping is 30: not supported for model_type "llama"`},
		{"decoder_llama_mha", "quantization_config", map[string]any{"bits": 4.0}, "quantization_config is"},
		{"decoder_phi3", "rope_scaling", map[string]any{"type": "longrope", "short_factor": []any{1.0}}, "short_factor has 1 numbers, want 4"},
		{"decoder_llama_mha", "rms_norm_eps", 1e30, "rms_norm_eps is 1e+30, want a number from 0 to 1"},
		{"decoder_llama_mha", "partial_rotary_factor", 5.0, "partial_rotary_factor is 5, want more than 0, up to 1"},
		{"decoder_gpt_neox", "partial_rotary_factor", 5.0, "is 5, want more than 0, up to 1"},
		{"decoder_opt", "layer_norm_elementwise_affine", false, "layer_norm_elementwise_affine is false, only true is supported"},
		{"decoder_opt", "do_layer_norm_before", false, `"model.decoder.final_layer_norm.`},
		{"decoder_opt", "word_embed_proj_dim", 16.0, "model.decoder.project_in.weight"},
		{"decoder_llama_mha", "rope_scaling", map[string]any{"rope_type": "linear", "factor": 1e30}, "rope_scaling: factor is 1e+30, want a number from 0.001 to 1000000"},
		{"decoder_llama_mha", "rope_scaling", map[string]any{"rope_type": "dynamic", "factor": 1e-30}, "factor is 1e-30"},
		{"decoder_llama_mha", "rope_scaling", map[string]any{"rope_type": "yarn", "factor": 2.0, "attention_factor": 1e30}, "attention_factor is 1e+30"},
		{"decoder_llama_mha", "rope_scaling", map[string]any{"rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1e30}, "low_freq_factor is 1e+30"},
		{"decoder_llama_mha", "rope_scaling", map[string]any{"rope_type": "yarn", "factor": 2.0, "mscale": 1e30, "mscale_all_dim": 1.0}, "mscale 1e+30 and"},
		{"decoder_llama_mha", "rope_theta", 1e30, "rope_theta is 1e+30"},
		{"decoder_phi3", "rope_scaling", map[string]any{"type": "longrope", "short_factor": []any{1.0, 1.0, 1e30, 1.0}}, "short_factor holds 1e+30"},
		{"decoder_mixtral", "num_experts_per_tok", 9.0, "num_experts_per_tok is 9 of 5 experts"},
		{"encoder_bert_mlm", "position_embedding_type", "relative_key", "position_embedding_type is relative_key"},
	} {
		_, err := openWith(t, c.fixture, map[string]any{c.key: c.value})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s = %v: error %v, want %q", c.fixture, c.key, c.value, err, c.want)
		}
	}
}

func TestParseConfigErrors(t *testing.T) {
	for _, text := range []string{"", "null", "[]", "{", `{"a":`} {
		if _, err := ParseConfig([]byte(text), "config.json"); err == nil || !strings.HasPrefix(err.Error(), "config.json: ") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// rope_parameters is transformers 5's spelling of rope_theta, rope_scaling and
// the like.
func TestRopeParameters(t *testing.T) {
	for text, want := range map[string]map[string]any{
		`{"rope_parameters":{"rope_type":"default","rope_theta":5}}`: {
			"rope_theta": 5.0, "rope_scaling": map[string]any{"rope_type": "default"}},
		`{"rope_parameters":{"rope_type":"linear","factor":2,"rope_theta":5,"partial_rotary_factor":0.5}}`: {
			"rope_theta": 5.0, "partial_rotary_factor": 0.5, "rope_scaling": map[string]any{"rope_type": "linear", "factor": 2.0}},
		`{"rope_parameters":{"sliding_attention":{"rope_type":"default","rope_theta":3},"full_attention":{"rope_type":"linear","factor":8,"rope_theta":5}}}`: {
			"rope_theta": 5.0, "rope_local_base_freq": 3.0, "rope_scaling": map[string]any{"rope_type": "linear", "factor": 8.0}},
	} {
		c, err := ParseConfig([]byte(text), "config.json")
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Raw(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]string{
		`{"rope_parameters":{"rope_theta":5}}`:                             "config.json: rope_parameters: rope_type is missing",
		`{"rope_parameters":{"sliding_attention":{"rope_type":"linear"}}}`: "config.json: rope_parameters: sliding_attention: rope_type is linear, only default is supported",
		`{"rope_parameters":5}`:                                            "config.json: rope_parameters is 5, want an object",
	} {
		if _, err := ParseConfig([]byte(text), "config.json"); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
}

// A row that stays in the file is looked at when it is used, and named.
func TestTableNaN(t *testing.T) {
	const name = "model.embed_tokens.weight"
	file, err := checkpoint.Open(slim("decoder_llama_mha"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stored, _ := file.Tensor(name)
	data := slices.Clone(stored.Data)
	const row, col = 5, 3
	binary.LittleEndian.PutUint32(data[4*(row*stored.Shape[1]+col):], math.Float32bits(float32(math.NaN())))
	dir := t.TempDir()
	out := []checkpoint.Out{{Name: name, DType: checkpoint.F32, Shape: stored.Shape, Data: data}}
	if err := checkpoint.WriteSafetensorsDir(dir, out, nil, 1<<30); err != nil {
		t.Fatal(err)
	}
	bad, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	table := NewLoader(bad, F32, nil).Table(name, stored.Shape[0], stored.Shape[1])
	dst := make([]float32, stored.Shape[1])
	if err := table.Row(dst, row-1); err != nil {
		t.Error(err)
	}
	want := `tensor "` + name + `": element [5, 3] is NaN`
	if err := table.Row(dst, row); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestPackingScratch: weights are packed one after the other in the same memory.
func TestPackingScratch(t *testing.T) {
	file, err := checkpoint.Open(slim("decoder_llama_mha"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pool := kernel.NewPool(1)
	defer pool.Close()
	l := NewLoader(file, F32, pool)
	var scratch *float32
	for i := range l.Layers(2) {
		name := fmt.Sprintf("model.layers.%d.self_attn.q_proj.weight", i)
		stored, _ := file.Tensor(name)
		l.Weight(name, stored.Shape[0], stored.Shape[1], Layout{})
		if l.Err() != nil {
			t.Fatal(l.Err())
		}
		p := &l.work[0].values[0]
		if scratch != nil && p != scratch {
			t.Error("each weight takes scratch of its own")
		}
		scratch = p
	}
	if err := free(l.memory); err != nil {
		t.Error(err)
	}
}

// Checkpoints that hold a tied embedding twice, and those with TensorFlow's
// names of LayerNorm, are the same models.
func TestOtherNames(t *testing.T) {
	for fixture, rename := range map[string]func(name string) []string{
		"decoder_gpt2_bare_names": func(name string) []string {
			if name == "wte.weight" {
				return []string{name, "lm_head.weight"}
			}
			return []string{name}
		},
		"encoder_bert_mlm": func(name string) []string {
			return []string{strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(name)}
		},
	} {
		file, err := checkpoint.Open(slim(fixture))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var out []checkpoint.Out
		for _, name := range file.Names() {
			tensor, _ := file.Tensor(name)
			for _, n := range rename(name) {
				o := tensor.As(tensor.DType)
				o.Name = n
				out = append(out, o)
			}
		}
		dir := t.TempDir()
		if err := checkpoint.WriteSafetensorsDir(dir, out, nil, 1<<30); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(slim(fixture), "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseConfig(data, "config.json")
		if err != nil {
			t.Fatal(err)
		}
		renamed, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer renamed.Close()
		pool := kernel.NewPool(1)
		defer pool.Close()
		m, err := Load(t.Context(), c, renamed, F32, pool)
		if err != nil {
			t.Errorf("%s: %v", fixture, err)
			continue
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func FuzzConfig(f *testing.F) {
	for _, name := range []string{"decoder_llama_mha", "decoder_gemma3", "decoder_mixtral", "decoder_phi3", "encoder_bert_mlm"} {
		data, err := os.ReadFile(filepath.Join(slim(name), "config.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	file, err := checkpoint.Open(slim("decoder_llama_mha"))
	if err != nil {
		f.Fatal(err)
	}
	pool := kernel.NewPool(1)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data, "config.json")
		if err != nil {
			return
		}
		m, err := Load(t.Context(), c, file, F32, pool)
		if (m == nil) == (err == nil) {
			t.Errorf("model %v, error %v", m, err)
		}
	})
}
