package model

import (
	"fmt"
	"math"

	"wenmo/nn"
	"wenmo/tensor"
)

// llama builds LlamaForCausalLM (Touvron et al. 2023): Llama 2 and 3, SmolLM2,
// TinyLlama. Reference: transformers/models/llama/modeling_llama.py.
func llama(m *Model, c *Config, l *Loader) {
	llamaLike(m, c, l, llamaOptions{
		qkvBias: c.BoolOr("attention_bias", false),
		outBias: c.BoolOr("attention_bias", false),
		mlpBias: c.BoolOr("mlp_bias", false),
	})
}

// llamaOptions says how a family differs from Llama. Functions get a layer.
type llamaOptions struct {
	qkvBias, outBias, mlpBias bool
	qkNorm                    bool                                          // RMSNorm over each head of q and k
	noRope                    func(layer int) bool                          // nil: all layers rotate
	window                    func(layer int) int                           // nil: no sliding window
	mlp                       func(prefix string, layer int) nn.FeedForward // nil: a gated MLP
}

func llamaLike(m *Model, c *Config, l *Loader, o llamaOptions) {
	s := readSizes(m, c)
	inner := c.Int("intermediate_size")
	act := c.Activation("hidden_act", "silu")
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
		a.QKV = l.Linear([]string{lp + "self_attn.q_proj", lp + "self_attn.k_proj", lp + "self_attn.v_proj"},
			[]int{s.heads * s.dim, s.kvHeads * s.dim, s.kvHeads * s.dim}, m.Hidden, o.qkvBias)
		a.Output = l.Linear([]string{lp + "self_attn.o_proj"}, []int{m.Hidden}, s.heads*s.dim, o.outBias)
		if o.qkNorm {
			a.QNorm, a.KNorm = s.norm(l, lp+"self_attn.q_norm", s.dim), s.norm(l, lp+"self_attn.k_norm", s.dim)
		}
		if o.noRope == nil || !o.noRope(i) {
			a.Rope = rope
		}
		if o.window != nil {
			a.Window = o.window(i)
		}
		block := nn.Block{
			InputNorm: s.norm(l, lp+"input_layernorm", m.Hidden),
			MLPNorm:   s.norm(l, lp+"post_attention_layernorm", m.Hidden),
			Attention: a,
		}
		if o.mlp != nil {
			block.MLP = o.mlp(lp+"mlp.", i)
		} else {
			block.MLP = gatedMLP(l, lp+"mlp.", m.Hidden, inner, act, o.mlpBias)
		}
		d.blocks = append(d.blocks, block)
	}
	d.norm = s.norm(l, p+"norm", m.Hidden)
	d.heads(m, l, p+"embed_tokens.weight", "lm_head.weight", c.BoolOr("tie_word_embeddings", false))
	fixPadding(d.embed, c)
	l.Rest("rotary_emb.inv_freq")
}

// sizes are the numbers that Llama's relatives have in common.
type sizes struct {
	heads, kvHeads, dim int
	eps                 float32
	offset              float32 // of norms
	scale               float32 // of attention
}

func readSizes(m *Model, c *Config) sizes {
	m.Hidden = c.Int("hidden_size")
	m.Layers = c.Int("num_hidden_layers")
	m.Heads = c.Int("num_attention_heads")
	m.Context = c.Int("max_position_embeddings")
	s := sizes{heads: m.Heads, kvHeads: c.IntOr("num_key_value_heads", m.Heads)}
	if m.Heads%s.kvHeads != 0 {
		c.fail("num_key_value_heads", "is %d, want a divisor of num_attention_heads %d", s.kvHeads, m.Heads)
	}
	if m.Hidden%m.Heads != 0 && !c.Has("head_dim") {
		c.fail("hidden_size", "is %d, want a multiple of num_attention_heads %d", m.Hidden, m.Heads)
	}
	s.dim = c.IntOr("head_dim", max(1, m.Hidden/m.Heads))
	s.eps = float32(c.epsilon("rms_norm_eps", 1e-6))
	s.scale = float32(1 / math.Sqrt(float64(s.dim)))
	m.KV = tensor.KVShape{Layers: m.Layers, Heads: s.kvHeads, Dim: s.dim, VDim: s.dim}
	return s
}

// attention returns a causal attention layer without its weights.
func (s *sizes) attention(m *Model, layer int) *nn.Attention {
	return &nn.Attention{
		Attention: tensor.Attention{Heads: s.heads, KVHeads: s.kvHeads, Dim: s.dim, VDim: s.dim, Scale: s.scale, Causal: true},
		Layer:     layer,
	}
}

func (s *sizes) norm(l *Loader, name string, n int) *nn.Norm {
	return &nn.Norm{Weight: l.Vector(name+".weight", n), Eps: s.eps, Offset: s.offset}
}

// gatedMLP takes gate_proj, up_proj and down_proj.
func gatedMLP(l *Loader, prefix string, hidden, inner int, act tensor.Activation, bias bool) *nn.MLP {
	return &nn.MLP{
		Up:    l.Linear([]string{prefix + "gate_proj", prefix + "up_proj"}, []int{inner, inner}, hidden, bias),
		Down:  l.Linear([]string{prefix + "down_proj"}, []int{hidden}, inner, bias),
		Act:   act,
		Gated: true,
	}
}
