package model

import (
	"fmt"
	"slices"

	"wenmo/nn"
)

// qwen2 builds Qwen2ForCausalLM: Llama with biases on q, k and v. Reference:
// transformers/models/qwen2/modeling_qwen2.py.
func qwen2(m *Model, c *Config, l *Loader) {
	bias := c.BoolOr("attention_bias", true) // GGUF files tell of the biases that they have
	llamaLike(m, c, l, llamaOptions{qkvBias: bias, window: upperWindow(c)})
}

// upperWindow reads the window of Qwen's layers from max_window_layers up.
func upperWindow(c *Config) func(int) int {
	first := 0
	if v := c.FloatOr("max_window_layers", 28); v > 0 {
		first = int(v)
	}
	return windowOf(c, func(layer int) bool { return layer >= first })
}

// windowOf reads the window of the layers that layer_types names or, without
// it, of those for which has is true, if use_sliding_window is.
func windowOf(c *Config, has func(layer int) bool) func(int) int {
	on := c.BoolOr("use_sliding_window", false)
	window := c.IntOr("sliding_window", 0)
	types := c.Strings("layer_types")
	return func(layer int) int {
		switch {
		case types != nil:
			if layer >= len(types) || types[layer] != "sliding_attention" {
				return 0
			}
		case !on || !has(layer):
			return 0
		}
		return window
	}
}

// qwen3 builds Qwen3ForCausalLM: q and k are normed head by head. Reference:
// transformers/models/qwen3/modeling_qwen3.py.
func qwen3(m *Model, c *Config, l *Loader) {
	bias := c.BoolOr("attention_bias", false)
	llamaLike(m, c, l, llamaOptions{qkvBias: bias, outBias: bias, qkNorm: true, window: upperWindow(c)})
}

// qwen3Moe builds Qwen3MoeForCausalLM. Reference:
// transformers/models/qwen3_moe/modeling_qwen3_moe.py.
func qwen3Moe(m *Model, c *Config, l *Loader) {
	bias := c.BoolOr("attention_bias", false)
	act := c.Activation("hidden_act", "silu")
	dense, inner := c.Int("intermediate_size"), c.Int("moe_intermediate_size")
	experts, topK := c.Int("num_experts"), c.Int("num_experts_per_tok")
	normalize := c.BoolOr("norm_topk_prob", false)
	step, only := c.IntOr("decoder_sparse_step", 1), c.Ints("mlp_only_layers")
	if topK > experts {
		c.fail("num_experts_per_tok", "is %d of %d experts", topK, experts)
	}
	window := c.IntOr("sliding_window", 0)
	if !c.BoolOr("use_sliding_window", false) {
		window = 0
	}
	llamaLike(m, c, l, llamaOptions{
		qkvBias: bias, outBias: bias, qkNorm: true,
		window: func(int) int { return window },
		mlp: func(prefix string, layer int) nn.FeedForward {
			if slices.Contains(only, layer) || (layer+1)%step != 0 {
				return gatedMLP(l, prefix, m.Hidden, dense, act, false)
			}
			moe := &nn.MoE{Router: l.Router(prefix+"gate", experts, m.Hidden), TopK: topK, Normalize: normalize}
			for e := range l.Layers(experts) {
				p := fmt.Sprintf("%sexperts.%d.", prefix, e)
				moe.Experts = append(moe.Experts, expert(l, p+"gate_proj", p+"up_proj", p+"down_proj", m.Hidden, inner, act))
			}
			return moe
		},
	})
}

// smolLM3 builds SmolLM3ForCausalLM: some layers do not rotate positions, and
// those have the window where there is one.
// Reference: transformers/models/smollm3/modeling_smollm3.py.
func smolLM3(m *Model, c *Config, l *Loader) {
	bias := c.BoolOr("attention_bias", false)
	rotates := c.Ints("no_rope_layers") // 1: the layer has RoPE
	every := c.IntOr("no_rope_layer_interval", 4)
	noRope := func(layer int) bool {
		if rotates == nil {
			return (layer+1)%every == 0
		}
		return layer >= len(rotates) || rotates[layer] == 0
	}
	llamaLike(m, c, l, llamaOptions{
		qkvBias: bias, outBias: bias, mlpBias: c.BoolOr("mlp_bias", false),
		window: windowOf(c, noRope),
		noRope: noRope,
	})
}
