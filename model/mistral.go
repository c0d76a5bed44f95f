package model

import (
	"fmt"

	"wenmo/nn"
	"wenmo/tensor"
)

// mistral builds MistralForCausalLM (Jiang et al. 2023): Llama with a sliding
// window. Reference: transformers/models/mistral/modeling_mistral.py.
func mistral(m *Model, c *Config, l *Loader) {
	llamaLike(m, c, l, llamaOptions{window: slidingWindow(c)})
}

// slidingWindow reads the window of all layers.
func slidingWindow(c *Config) func(int) int {
	w := c.IntOr("sliding_window", 0)
	return func(int) int { return w }
}

// mixtral builds MixtralForCausalLM (Jiang et al. 2024): Mistral whose
// feed-forward parts are mixtures of experts. Reference:
// transformers/models/mixtral/modeling_mixtral.py.
func mixtral(m *Model, c *Config, l *Loader) {
	act := c.Activation("hidden_act", "silu")
	inner := c.Int("intermediate_size")
	experts, topK := c.Int("num_local_experts"), c.Int("num_experts_per_tok")
	if topK > experts {
		c.fail("num_experts_per_tok", "is %d of %d experts", topK, experts)
	}
	llamaLike(m, c, l, llamaOptions{
		window: slidingWindow(c),
		mlp: func(prefix string, _ int) nn.FeedForward {
			prefix = prefix[:len(prefix)-len("mlp.")] + "block_sparse_moe."
			moe := &nn.MoE{Router: l.Router(prefix+"gate", experts, m.Hidden), TopK: topK, Normalize: true}
			for e := range l.Layers(experts) {
				p := fmt.Sprintf("%sexperts.%d.", prefix, e)
				moe.Experts = append(moe.Experts, expert(l, p+"w1", p+"w3", p+"w2", m.Hidden, inner, act))
			}
			return moe
		},
	})
}

// expert takes a gated MLP without biases by the names of its projections.
func expert(l *Loader, gate, up, down string, hidden, inner int, act tensor.Activation) nn.MLP {
	return nn.MLP{
		Up:    l.Linear([]string{gate, up}, []int{inner, inner}, hidden, false),
		Down:  l.Linear([]string{down}, []int{hidden}, inner, false),
		Act:   act,
		Gated: true,
	}
}
