package model

import (
	"fmt"
	"math"

	"wenmo/nn"
	"wenmo/tensor"
)

// bloom builds BloomForCausalLM (BigScience 2022): positions by ALiBi.
// Reference: transformers/models/bloom/modeling_bloom.py.
func bloom(m *Model, c *Config, l *Loader) {
	m.Hidden = c.IntOr("hidden_size", c.IntOr("n_embed", 64))
	m.Layers = c.IntOr("n_layer", c.IntOr("num_hidden_layers", 2))
	m.Heads = c.IntOr("n_head", c.IntOr("num_attention_heads", 8))
	m.Context, m.MaxLength = c.IntOr("seq_length", 2048), unlimited
	fromNorm := c.BoolOr("apply_residual_connection_post_layernorm", false)
	dim := headDim(m, c, "n_head")
	ln := layerNorms{l: l, eps: c.epsilon("layer_norm_epsilon", 1e-5), hidden: m.Hidden}
	d := &decoder{}
	m.body = d
	if c.Err() != nil {
		return
	}
	p := l.Prefix("word_embeddings.weight", "transformer.", "")
	for i := range l.Layers(m.Layers) {
		lp := fmt.Sprintf("%sh.%d.", p, i)
		d.blocks = append(d.blocks, nn.Block{
			InputNorm: ln.norm(lp + "input_layernorm"),
			MLPNorm:   ln.norm(lp + "post_attention_layernorm"),
			Attention: &nn.Attention{
				Attention: tensor.Attention{Heads: m.Heads, KVHeads: m.Heads, Dim: dim, VDim: dim,
					Scale: float32(1 / math.Sqrt(float64(dim))), Causal: true, Slopes: alibiSlopes(m.Heads)},
				QKV:    headwiseQKV(l, lp+"self_attention.query_key_value", m.Heads, dim, m.Hidden, true),
				Output: l.Linear([]string{lp + "self_attention.dense"}, []int{m.Hidden}, m.Hidden, true),
				Layer:  i,
			},
			MLP: &nn.MLP{
				Up:   l.Linear([]string{lp + "mlp.dense_h_to_4h"}, []int{4 * m.Hidden}, m.Hidden, true),
				Down: l.Linear([]string{lp + "mlp.dense_4h_to_h"}, []int{m.Hidden}, 4*m.Hidden, true),
				Act:  tensor.GELUTanh,
			},
			FromNorm: fromNorm,
		})
	}
	d.embedNorm = ln.norm(p + "word_embeddings_layernorm")
	d.norm = ln.norm(p + "ln_f")
	d.heads(m, l, p+"word_embeddings.weight", "lm_head.weight", c.BoolOr("tie_word_embeddings", true))
	l.Rest()
}

// alibiSlopes returns the slope of each head: a geometric sequence over the
// largest power of two, and every other value of the next one for the rest
// (Press et al. 2022).
func alibiSlopes(heads int) []float32 {
	n := 1
	for n*2 <= heads {
		n *= 2
	}
	slopes := make([]float32, heads)
	for i := range slopes {
		if i < n {
			slopes[i] = float32(math.Exp2(-8 * float64(i+1) / float64(n)))
		} else {
			slopes[i] = float32(math.Exp2(-4 * float64(2*(i-n)+1) / float64(n)))
		}
	}
	return slopes
}
