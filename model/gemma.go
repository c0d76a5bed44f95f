package model

import (
	"fmt"
	"math"

	"wenmo/nn"
)

// gemma builds GemmaForCausalLM (Gemma Team 2024): norms stored less one, scaled
// embedding, GeGLU. Reference: transformers/models/gemma/modeling_gemma.py.
func gemma(m *Model, c *Config, l *Loader) {
	s := readGemma(m, c)
	rope := ropeOf(m, c, s.dim)
	s.build(m, c, l, func(int) (*nn.Rope, int) { return rope, 0 })
}

// gemma2 builds Gemma2ForCausalLM: norms around both parts, soft caps, every
// other layer with a sliding window. Reference:
// transformers/models/gemma2/modeling_gemma2.py.
func gemma2(m *Model, c *Config, l *Loader) {
	s := readGemma(m, c)
	s.sandwich = true
	rope := ropeOf(m, c, s.dim)
	window := c.IntOr("sliding_window", 4096)
	local := s.localLayers(c, func(i int) bool { return i%2 == 0 })
	s.build(m, c, l, func(i int) (*nn.Rope, int) {
		if local(i) {
			return rope, window
		}
		return rope, 0
	})
}

// gemma3 builds Gemma3ForCausalLM: q and k normed, five of six layers local
// with a RoPE of their own. Reference:
// transformers/models/gemma3/modeling_gemma3.py.
func gemma3(m *Model, c *Config, l *Loader) {
	s := readGemma(m, c)
	s.sandwich, s.qkNorm = true, true
	global := ropeOf(m, c, s.dim)
	nearby := scaledRope(m, c, nil, s.dim, c.FloatOr("rope_local_base_freq", 10000))
	window := c.IntOr("sliding_window", 4096)
	pattern := c.IntOr("sliding_window_pattern", 6)
	local := s.localLayers(c, func(i int) bool { return (i+1)%pattern != 0 })
	c.Only("use_bidirectional_attention", false)
	s.build(m, c, l, func(i int) (*nn.Rope, int) {
		if local(i) {
			return nearby, window
		}
		return global, 0
	})
}

// gemmaSizes are the numbers of a Gemma and what its generation has.
type gemmaSizes struct {
	sizes
	softCap, logitCap float32
	sandwich, qkNorm  bool
}

func readGemma(m *Model, c *Config) *gemmaSizes {
	c.Only("attention_bias", false)
	s := &gemmaSizes{sizes: readSizes(m, c)}
	s.offset = 1
	if scalar := c.between("query_pre_attn_scalar", 1e-6, 1e6); scalar != 0 {
		s.scale = float32(1 / math.Sqrt(scalar))
	}
	s.softCap = float32(c.between("attn_logit_softcapping", 1e-3, 1e6))
	s.logitCap = float32(c.between("final_logit_softcapping", 1e-3, 1e6))
	return s
}

// localLayers tells which layers have the sliding window.
func (s *gemmaSizes) localLayers(c *Config, def func(int) bool) func(int) bool {
	types := c.Strings("layer_types")
	if types == nil {
		return def
	}
	return func(i int) bool { return i < len(types) && types[i] == "sliding_attention" }
}

func (s *gemmaSizes) build(m *Model, c *Config, l *Loader, position func(layer int) (*nn.Rope, int)) {
	inner := c.Int("intermediate_size")
	act := c.Activation("hidden_activation", c.StringOr("hidden_act", "gelu_pytorch_tanh"))
	// The reference multiplies in the type of the weights, float32 here.
	d := &decoder{embedScale: float32(math.Sqrt(float64(m.Hidden))), logitCap: s.logitCap}
	m.body = d
	if c.Err() != nil {
		return
	}
	p := l.Prefix("embed_tokens.weight", "model.", "")
	for i := range l.Layers(m.Layers) {
		lp := fmt.Sprintf("%slayers.%d.", p, i)
		a := s.attention(m, i)
		a.SoftCap = s.softCap
		a.Rope, a.Window = position(i)
		a.QKV = l.Linear([]string{lp + "self_attn.q_proj", lp + "self_attn.k_proj", lp + "self_attn.v_proj"},
			[]int{s.heads * s.dim, s.kvHeads * s.dim, s.kvHeads * s.dim}, m.Hidden, false)
		a.Output = l.Linear([]string{lp + "self_attn.o_proj"}, []int{m.Hidden}, s.heads*s.dim, false)
		if s.qkNorm {
			a.QNorm, a.KNorm = s.norm(l, lp+"self_attn.q_norm", s.dim), s.norm(l, lp+"self_attn.k_norm", s.dim)
		}
		b := nn.Block{
			InputNorm: s.norm(l, lp+"input_layernorm", m.Hidden),
			Attention: a,
			MLP:       gatedMLP(l, lp+"mlp.", m.Hidden, inner, act, false),
		}
		if s.sandwich {
			b.PostAttention = s.norm(l, lp+"post_attention_layernorm", m.Hidden)
			b.MLPNorm = s.norm(l, lp+"pre_feedforward_layernorm", m.Hidden)
			b.PostMLP = s.norm(l, lp+"post_feedforward_layernorm", m.Hidden)
		} else {
			b.MLPNorm = s.norm(l, lp+"post_attention_layernorm", m.Hidden)
		}
		d.blocks = append(d.blocks, b)
	}
	d.norm = s.norm(l, p+"norm", m.Hidden)
	d.heads(m, l, p+"embed_tokens.weight", "lm_head.weight", c.BoolOr("tie_word_embeddings", true))
	fixPadding(d.embed, c)
	l.Rest("rotary_emb.inv_freq")
}
