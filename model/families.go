package model

// builder reads the config and takes the weights of a family.
type builder func(m *Model, c *Config, l *Loader)

// families maps architectures to what builds them.
var families = map[string]builder{
	"LlamaForCausalLM": llama,
}

// defaultArchitecture is for configs that name only a model_type.
var defaultArchitecture = map[string]string{
	"llama": "LlamaForCausalLM",
}
