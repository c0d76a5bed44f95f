package model

import (
	"fmt"
	"math"

	"wenmo/nn"
	"wenmo/tensor"
)

// gpt2 builds GPT2LMHeadModel (Radford et al. 2019). Its projections are
// Conv1D, stored [in, out]. Reference: transformers/models/gpt2/modeling_gpt2.py.
func gpt2(m *Model, c *Config, l *Loader) {
	m.Hidden = c.Int("n_embd")
	m.Layers = c.Int("n_layer")
	m.Heads = c.Int("n_head")
	m.Context = c.IntOr("n_positions", c.IntOr("n_ctx", 1024))
	inner := c.IntOr("n_inner", 4*m.Hidden)
	act := c.Activation("activation_function", "gelu_new")
	c.Only("add_cross_attention", false)
	scaleByDim := c.BoolOr("scale_attn_weights", true)
	scaleByLayer := c.BoolOr("scale_attn_by_inverse_layer_idx", false)
	dim := headDim(m, c, "n_head")
	ln := layerNorms{l: l, eps: c.epsilon("layer_norm_epsilon", 1e-5), hidden: m.Hidden}
	d := &decoder{dropout: c.Dropout("embd_pdrop", 0.1)}
	dropout := c.Dropout("resid_pdrop", 0.1)
	m.body = d
	if c.Err() != nil {
		return
	}
	p := l.Prefix("wte.weight", "transformer.", "")
	for i := range l.Layers(m.Layers) {
		lp := fmt.Sprintf("%sh.%d.", p, i)
		scale := 1.0
		if scaleByDim {
			scale /= math.Sqrt(float64(dim))
		}
		if scaleByLayer {
			scale /= float64(i + 1)
		}
		d.blocks = append(d.blocks, nn.Block{
			InputNorm: ln.norm(lp + "ln_1"),
			MLPNorm:   ln.norm(lp + "ln_2"),
			Attention: &nn.Attention{
				Attention: tensor.Attention{Heads: m.Heads, KVHeads: m.Heads, Dim: dim, VDim: dim, Scale: float32(scale), Causal: true},
				QKV:       conv1D(l, lp+"attn.c_attn", 3*m.Hidden, m.Hidden),
				Output:    conv1D(l, lp+"attn.c_proj", m.Hidden, m.Hidden),
				Layer:     i,
			},
			MLP: &nn.MLP{
				Up:   conv1D(l, lp+"mlp.c_fc", inner, m.Hidden),
				Down: conv1D(l, lp+"mlp.c_proj", m.Hidden, inner),
				Act:  act,
			},
			Dropout: dropout,
		})
	}
	d.positions = l.Table(p+"wpe.weight", m.Context, m.Hidden)
	d.norm = ln.norm(p + "ln_f")
	d.heads(m, l, p+"wte.weight", "lm_head.weight", c.BoolOr("tie_word_embeddings", true))
	l.Rest(".attn.bias", ".attn.masked_bias")
}

func conv1D(l *Loader, name string, out, in int) nn.Linear {
	w := l.Weight(name+".weight", out, in, Layout{Conv1D: true})
	return l.layer(l.Vector(name+".bias", out), w)
}

// headDim divides the hidden size over the heads, and notes the shape of a KV
// cache with as many key/value heads.
func headDim(m *Model, c *Config, key string) int {
	if m.Hidden%m.Heads != 0 {
		c.fail(key, "is %d, want a divisor of the hidden size %d", m.Heads, m.Hidden)
	}
	dim := max(1, m.Hidden/m.Heads)
	m.KV = tensor.KVShape{Layers: m.Layers, Heads: m.Heads, Dim: dim, VDim: dim}
	return dim
}

// layerNorms takes the LayerNorms of a model.
type layerNorms struct {
	l      *Loader
	eps    float64
	hidden int
}

func (n layerNorms) norm(name string) *nn.Norm {
	weight, bias := name+".weight", name+".bias"
	if gamma := name + ".gamma"; !n.l.Has(weight) && n.l.Has(gamma) {
		weight, bias = gamma, name+".beta" // TensorFlow's names, which the first BERTs have
	}
	return &nn.Norm{
		Weight: n.l.Vector(weight, n.hidden),
		Bias:   n.l.Vector(bias, n.hidden),
		Layer:  true,
		Eps:    float32(n.eps),
	}
}
