package checkpoint

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// tinyCheckpoint writes a Llama of two layers under names that rename changes
// ("" leaves one out), and returns it with its config.
func tinyCheckpoint(t *testing.T, rename func(string) string) (map[string]any, *File) {
	t.Helper()
	var outs []Out
	add := func(name string, shape ...int) {
		if name = rename(name); name == "" {
			return
		}
		n, _ := elements(shape)
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(i) / 64
		}
		outs = append(outs, Out{Name: name, DType: F32, Shape: shape, Data: asBytes(x)})
	}
	add("model.embed_tokens.weight", 10, 16)
	add("model.norm.weight", 16)
	for i := range 2 {
		for _, name := range []string{"q_proj", "k_proj", "v_proj", "o_proj"} {
			add(fmt.Sprintf("model.layers.%d.self_attn.%s.weight", i, name), 16, 16)
		}
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := WriteSafetensors(path, outs, nil); err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"model_type": "llama", "hidden_size": 16.0, "intermediate_size": 32.0, "num_hidden_layers": 2.0, "num_attention_heads": 2.0,
		"max_position_embeddings": 64.0, "tie_word_embeddings": true,
	}, mustOpen(t, path)
}

func unchanged(name string) string { return name }

func TestToGGUFBad(t *testing.T) {
	for _, c := range []struct {
		name   string
		rename func(string) string
		config map[string]any
		want   string
	}{
		{"good", unchanged, nil, ""},
		{"activation", unchanged, map[string]any{"hidden_act": "relu"}, "hidden_act"},
		{"model type", unchanged, map[string]any{"model_type": "opt"}, `"opt"`},
		{"no size", unchanged, map[string]any{"hidden_size": nil}, "hidden_size"},
		{"no heads", unchanged, map[string]any{"num_attention_heads": 0.0}, "num_attention_heads"},
		{"size of another kind", unchanged, map[string]any{"intermediate_size": "x"}, "intermediate_size"},
		{"fraction of layers", unchanged, map[string]any{"num_hidden_layers": 1.5}, "num_hidden_layers"},
		{"dynamic rope", unchanged, map[string]any{"rope_scaling": map[string]any{"type": "dynamic", "factor": 2.0}}, "rope_scaling"},
		{"partial rope", unchanged, map[string]any{"partial_rotary_factor": 0.5}, "partial_rotary_factor"},
		{"untied without head", unchanged, map[string]any{"tie_word_embeddings": false}, "lm_head.weight"},
		{"fewer layers", unchanged, map[string]any{"num_hidden_layers": 1.0}, "layer 1 of 1"},
		{"more layers", unchanged, map[string]any{"num_hidden_layers": 3.0}, "2 of 3 layers"},
		{"heads do not divide", unchanged, map[string]any{"num_attention_heads": 3.0}, "_proj"},
		{"layer lacks a tensor", func(n string) string { return strings.ReplaceAll(n, "model.layers.1.self_attn.v_proj.weight", "") }, nil, "v_proj"},
		{"unknown tensor", func(n string) string { return strings.Replace(n, "v_proj", "w_proj", 1) }, nil, "w_proj"},
		{"no embedding", func(n string) string { return strings.ReplaceAll(n, "model.embed_tokens.weight", "") }, nil, "embedding"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, f := tinyCheckpoint(t, c.rename)
			maps.Copy(config, c.config)
			_, _, _, err := ToGGUF(config, "config.json", f)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v names not %q", err, c.want)
			}
		})
	}
}

// TestGemmaActivation: an activation that GGUF cannot tell is refused, under the
// older key, too.
func TestGemmaActivation(t *testing.T) {
	for _, c := range []struct {
		config map[string]any
		ok     bool
	}{
		{map[string]any{}, true},
		{map[string]any{"hidden_activation": nil}, true},
		{map[string]any{"hidden_activation": nil, "hidden_act": "gelu_pytorch_tanh"}, true},
		{map[string]any{"hidden_activation": "gelu_pytorch_tanh", "hidden_act": "gelu"}, true},
		{map[string]any{"hidden_act": "gelu"}, false},
		{map[string]any{"hidden_activation": nil, "hidden_act": "gelu"}, false},
	} {
		c.config["model_type"] = "gemma"
		if _, _, err := writable(c.config, "config.json"); (err == nil) != c.ok {
			t.Errorf("%v: error %v", c.config, err)
		}
	}
}

// TestLlama3Factors: what rope_scaling does not say is what it is in transformers.
func TestLlama3Factors(t *testing.T) {
	config := map[string]any{"rope_theta": 10000.0, "head_dim": 16.0, "max_position_embeddings": 64.0}
	short := map[string]any{"factor": 8.0}
	whole := map[string]any{"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64.0}
	if got, want := llama3Factors(config, short), llama3Factors(config, whole); !slices.Equal(got, want) || want[0] != 1 || want[7] != 8 {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestToGGUFMultimodal drops what is not the language model of a Gemma 3.
func TestToGGUFMultimodal(t *testing.T) {
	config, f := tinyCheckpoint(t, func(n string) string {
		if strings.HasSuffix(n, "norm.weight") {
			return "vision_tower." + n
		}
		return "language_model." + n
	})
	config["model_type"], config["head_dim"], config["query_pre_attn_scalar"] = "gemma3_text", 8.0, 8.0
	config["num_key_value_heads"] = 2.0
	pairs, sources, _, err := ToGGUF(map[string]any{"model_type": "gemma3", "text_config": config}, "config.json", f)
	if err != nil {
		t.Fatal(err)
	}
	if pairs[0] != (KV{keyArchitecture, "gemma3"}) || len(sources) != 9 || sources[0].Name != tensorEmbedding {
		t.Errorf("%v, %d tensors", pairs[0], len(sources))
	}
}

// TestYarnAttention: llama.cpp multiplies the factor in the file with its own
// default, so the file holds the quotient, and the config gets the whole back.
func TestYarnAttention(t *testing.T) {
	config, f := tinyCheckpoint(t, unchanged)
	config["rope_scaling"] = map[string]any{"rope_type": "yarn", "factor": 4.0, "attention_factor": 1.5, "beta_fast": 16.0}
	pairs, sources, _, err := ToGGUF(config, "config.json", f)
	if err != nil {
		t.Fatal(err)
	}
	pairs, outs, err := EncodeGGUF("f16", pairs, sources)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := WriteGGUF(path, pairs, outs); err != nil {
		t.Fatal(err)
	}
	g := mustOpen(t, path)
	if x := number(g.Metadata()["llama.rope.scaling.yarn_attn_factor"]); math.Abs(x*(1+0.1*math.Log(4))-1.5) > 1e-6 {
		t.Errorf("the file says %v", x)
	}
	_, back, err := FromGGUF(g)
	if err != nil {
		t.Fatal(err)
	}
	scaling := back["rope_scaling"].(map[string]any)
	if x := number(scaling["attention_factor"]); math.Abs(x-1.5) > 1e-6 || scaling["beta_fast"] != 16.0 || scaling["original_max_position_embeddings"] != 64.0 {
		t.Errorf("rope_scaling %v", scaling)
	}
}

// TestToGGUFTellsOfHeads demands that a head which GGUF has no place for is named.
func TestToGGUFTellsOfHeads(t *testing.T) {
	dir := filepath.Join(testkit.Root(), "testdata", "fixtures", "encoder_bert_mlm")
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, _, left, err := ToGGUF(config, "config.json", f)
	if err != nil || !slices.Equal(left, []string{"cls.predictions"}) {
		t.Errorf("%q, %v", left, err)
	}
}
