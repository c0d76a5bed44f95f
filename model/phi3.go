package model

import (
	"fmt"

	"wenmo/nn"
)

// phi3 builds Phi3ForCausalLM (Abdin et al. 2024): Llama with q, k, v and gate,
// up in one matrix each. Reference: transformers/models/phi3/modeling_phi3.py.
func phi3(m *Model, c *Config, l *Loader) {
	s := readSizes(m, c)
	inner := c.Int("intermediate_size")
	act := c.Activation("hidden_act", "silu")
	window := c.IntOr("sliding_window", 0)
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
		a.Rope, a.Window = rope, window
		a.QKV = l.Linear([]string{lp + "self_attn.qkv_proj"}, []int{(s.heads + 2*s.kvHeads) * s.dim}, m.Hidden, false)
		a.Output = l.Linear([]string{lp + "self_attn.o_proj"}, []int{m.Hidden}, s.heads*s.dim, false)
		d.blocks = append(d.blocks, nn.Block{
			InputNorm: s.norm(l, lp+"input_layernorm", m.Hidden),
			MLPNorm:   s.norm(l, lp+"post_attention_layernorm", m.Hidden),
			Attention: a,
			MLP: &nn.MLP{
				Up:    l.Linear([]string{lp + "mlp.gate_up_proj"}, []int{2 * inner}, m.Hidden, false),
				Down:  l.Linear([]string{lp + "mlp.down_proj"}, []int{m.Hidden}, inner, false),
				Act:   act,
				Gated: true,
			},
		})
	}
	d.norm = s.norm(l, p+"norm", m.Hidden)
	d.heads(m, l, p+"embed_tokens.weight", "lm_head.weight", c.BoolOr("tie_word_embeddings", false))
	fixPadding(d.embed, c)
	l.Rest("rotary_emb.inv_freq")
}
