package model

import (
	"fmt"
	"math"

	"wenmo/nn"
	"wenmo/tensor"
)

// gptNeoX builds GPTNeoXForCausalLM (Black et al. 2022): Pythia and relatives.
// Reference: transformers/models/gpt_neox/modeling_gpt_neox.py.
func gptNeoX(m *Model, c *Config, l *Loader) {
	m.Hidden = c.Int("hidden_size")
	m.Layers = c.Int("num_hidden_layers")
	m.Heads = c.Int("num_attention_heads")
	m.Context = c.IntOr("max_position_embeddings", 2048)
	inner := c.Int("intermediate_size")
	act := c.Activation("hidden_act", "gelu")
	parallel := c.BoolOr("use_parallel_residual", true)
	bias := c.BoolOr("attention_bias", true)
	dim := headDim(m, c, "num_attention_heads")
	partial := c.FloatOr("rotary_pct", 0.25)
	partial = c.FloatOr("partial_rotary_factor", partial)
	if partial <= 0 || partial > 1 {
		c.fail("rotary_pct", "is %v, want more than 0, up to 1", partial)
		return
	}
	theta := c.FloatOr("rope_theta", c.FloatOr("rotary_emb_base", 10000))
	rope := scaledRope(m, c, c.Object("rope_scaling"), int(float64(dim)*partial), theta)
	ln := layerNorms{l: l, eps: c.epsilon("layer_norm_eps", 1e-5), hidden: m.Hidden}
	d := &decoder{}
	m.body = d
	if c.Err() != nil {
		return
	}
	p := l.Prefix("embed_in.weight", "gpt_neox.", "")
	for i := range l.Layers(m.Layers) {
		lp := fmt.Sprintf("%slayers.%d.", p, i)
		d.blocks = append(d.blocks, nn.Block{
			InputNorm: ln.norm(lp + "input_layernorm"),
			MLPNorm:   ln.norm(lp + "post_attention_layernorm"),
			Attention: &nn.Attention{
				Attention: tensor.Attention{Heads: m.Heads, KVHeads: m.Heads, Dim: dim, VDim: dim,
					Scale: float32(1 / math.Sqrt(float64(dim))), Causal: true},
				QKV:    headwiseQKV(l, lp+"attention.query_key_value", m.Heads, dim, m.Hidden, bias),
				Output: l.Linear([]string{lp + "attention.dense"}, []int{m.Hidden}, m.Hidden, bias),
				Rope:   rope,
				Layer:  i,
			},
			MLP: &nn.MLP{
				Up:   l.Linear([]string{lp + "mlp.dense_h_to_4h"}, []int{inner}, m.Hidden, true),
				Down: l.Linear([]string{lp + "mlp.dense_4h_to_h"}, []int{m.Hidden}, inner, true),
				Act:  act,
			},
			Parallel: parallel,
		})
	}
	d.norm = ln.norm(p + "final_layer_norm")
	d.heads(m, l, p+"embed_in.weight", "embed_out.weight", c.BoolOr("tie_word_embeddings", false))
	l.Rest("attention.bias", "attention.masked_bias", "rotary_emb.inv_freq")
}

// headwiseQKV takes a matrix whose rows are q, k and v of head 0, then of head
// 1, and so on, and puts them as all of q, all of k, all of v.
func headwiseQKV(l *Loader, name string, heads, dim, in int, bias bool) nn.Linear {
	n := heads * dim
	stored := func(out int) int {
		part, head, i := out/n, out%n/dim, out%dim
		return (head*3+part)*dim + i
	}
	w := l.Weight(name+".weight", 3*n, in, Layout{Row: stored})
	if bias {
		return l.layer(l.PermutedVector(name+".bias", 3*n, stored), w)
	}
	return l.layer(nil, w)
}
