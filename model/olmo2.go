package model

import (
	"fmt"

	"wenmo/nn"
)

// olmo2 builds Olmo2ForCausalLM (OLMo Team 2024): norms after the parts, q and k
// normed over their whole width. Reference:
// transformers/models/olmo2/modeling_olmo2.py.
func olmo2(m *Model, c *Config, l *Loader) {
	s := readSizes(m, c)
	s.eps = float32(c.epsilon("rms_norm_eps", 1e-5))
	inner := c.Int("intermediate_size")
	act := c.Activation("hidden_act", "silu")
	bias := c.BoolOr("attention_bias", false)
	rope := ropeOf(m, c, s.dim)
	d := &decoder{}
	m.body = d
	if c.Err() != nil {
		return
	}
	p := l.Prefix("embed_tokens.weight", "model.", "")
	for i := range l.Layers(m.Layers) {
		lp := fmt.Sprintf("%slayers.%d.", p, i)
		a := s.attention(m, i)
		a.Rope = rope
		a.QKV = l.Linear([]string{lp + "self_attn.q_proj", lp + "self_attn.k_proj", lp + "self_attn.v_proj"},
			[]int{s.heads * s.dim, s.kvHeads * s.dim, s.kvHeads * s.dim}, m.Hidden, bias)
		a.Output = l.Linear([]string{lp + "self_attn.o_proj"}, []int{m.Hidden}, s.heads*s.dim, bias)
		a.QNorm = s.norm(l, lp+"self_attn.q_norm", s.heads*s.dim)
		a.KNorm = s.norm(l, lp+"self_attn.k_norm", s.kvHeads*s.dim)
		d.blocks = append(d.blocks, nn.Block{
			PostAttention: s.norm(l, lp+"post_attention_layernorm", m.Hidden),
			PostMLP:       s.norm(l, lp+"post_feedforward_layernorm", m.Hidden),
			Attention:     a,
			MLP:           gatedMLP(l, lp+"mlp.", m.Hidden, inner, act, false),
		})
	}
	d.norm = s.norm(l, p+"norm", m.Hidden)
	d.heads(m, l, p+"embed_tokens.weight", "lm_head.weight", c.BoolOr("tie_word_embeddings", false))
	fixPadding(d.embed, c)
	l.Rest("rotary_emb.inv_freq")
}
