package model

import (
	"fmt"
	"math"

	"wenmo/nn"
	"wenmo/tensor"
)

// opt builds OPTForCausalLM (Zhang et al. 2022). Its learned positions begin at
// row 2. The model of 350m norms after its parts, and has an embedding of another
// width. Reference: transformers/models/opt/modeling_opt.py.
func opt(m *Model, c *Config, l *Loader) {
	m.Hidden = c.Int("hidden_size")
	m.Layers = c.Int("num_hidden_layers")
	m.Heads = c.Int("num_attention_heads")
	m.Context = c.Int("max_position_embeddings")
	inner := c.Int("ffn_dim")
	act := c.Activation("activation_function", "relu")
	before := c.BoolOr("do_layer_norm_before", true)
	c.Only("layer_norm_elementwise_affine", true)
	finalNorm := before && !c.BoolOr("_remove_final_layer_norm", false)
	width := c.IntOr("word_embed_proj_dim", m.Hidden)
	bias := c.BoolOr("enable_bias", true)
	dim := headDim(m, c, "num_attention_heads")
	ln := layerNorms{l: l, eps: 1e-5, hidden: m.Hidden}
	const firstPosition = 2
	d := &decoder{positionOffset: firstPosition}
	m.body = d
	if c.Err() != nil {
		return
	}
	p := l.Prefix("embed_tokens.weight", "model.decoder.", "decoder.")
	for i := range l.Layers(m.Layers) {
		lp := fmt.Sprintf("%slayers.%d.", p, i)
		block := nn.Block{
			Attention: &nn.Attention{
				Attention: tensor.Attention{Heads: m.Heads, KVHeads: m.Heads, Dim: dim, VDim: dim,
					Scale: float32(1 / math.Sqrt(float64(dim))), Causal: true},
				QKV: l.Linear([]string{lp + "self_attn.q_proj", lp + "self_attn.k_proj", lp + "self_attn.v_proj"},
					[]int{m.Hidden, m.Hidden, m.Hidden}, m.Hidden, bias),
				Output: l.Linear([]string{lp + "self_attn.out_proj"}, []int{m.Hidden}, m.Hidden, bias),
				Layer:  i,
			},
			MLP: &nn.MLP{
				Up:   l.Linear([]string{lp + "fc1"}, []int{inner}, m.Hidden, bias),
				Down: l.Linear([]string{lp + "fc2"}, []int{m.Hidden}, inner, bias),
				Act:  act,
			},
		}
		first, second := ln.norm(lp+"self_attn_layer_norm"), ln.norm(lp+"final_layer_norm")
		if before {
			block.InputNorm, block.MLPNorm = first, second
		} else {
			block.AttentionSum, block.MLPSum = first, second
		}
		d.blocks = append(d.blocks, block)
	}
	d.positions = l.Table(p+"embed_positions.weight", m.Context+firstPosition, m.Hidden)
	if finalNorm {
		d.norm = ln.norm(p + "final_layer_norm")
	}
	if width != m.Hidden {
		in := l.Linear([]string{p + "project_in"}, []int{m.Hidden}, width, false)
		out := l.Linear([]string{p + "project_out"}, []int{width}, m.Hidden, false)
		d.projectIn, d.projectOut = &in, &out
	}
	d.headsOf(width, m, l, p+"embed_tokens.weight", "lm_head.weight", c.BoolOr("tie_word_embeddings", true))
	fixPadding(d.embed, c)
	l.Rest()
}
