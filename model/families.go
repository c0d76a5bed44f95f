package model

// builder reads the config and takes the weights of a family.
type builder func(m *Model, c *Config, l *Loader)

// families maps architectures to what builds them.
var families = map[string]builder{
	"BertForMaskedLM":                bertForMaskedLM,
	"BertForQuestionAnswering":       bertForQuestionAnswering,
	"BertForSequenceClassification":  withLabels(SequenceHead, bertClassifier),
	"BertForTokenClassification":     withLabels(TokenHead, bertClassifier),
	"BertModel":                      bertModel,
	"BloomForCausalLM":               bloom,
	"GPT2ForSequenceClassification":  withLabels(SequenceHead, gpt2),
	"GPT2LMHeadModel":                gpt2,
	"GPTNeoXForCausalLM":             gptNeoX,
	"Gemma2ForCausalLM":              gemma2,
	"Gemma3ForCausalLM":              gemma3,
	"GemmaForCausalLM":               gemma,
	"LlamaForCausalLM":               llama,
	"LlamaForSequenceClassification": withLabels(SequenceHead, llama),
	"MistralForCausalLM":             mistral,
	"MixtralForCausalLM":             mixtral,
	"OPTForCausalLM":                 opt,
	"Olmo2ForCausalLM":               olmo2,
	"Phi3ForCausalLM":                phi3,
	"Qwen2ForCausalLM":               qwen2,
	"Qwen2ForSequenceClassification": withLabels(SequenceHead, qwen2),
	"Qwen3ForCausalLM":               qwen3,
	"Qwen3ForSequenceClassification": withLabels(SequenceHead, qwen3),
	"Qwen3MoeForCausalLM":            qwen3Moe,
	"SmolLM3ForCausalLM":             smolLM3,
}

// defaultArchitecture is for configs that name only a model_type.
var defaultArchitecture = map[string]string{
	"bert":        "BertModel",
	"bloom":       "BloomForCausalLM",
	"gemma":       "GemmaForCausalLM",
	"gemma2":      "Gemma2ForCausalLM",
	"gemma3_text": "Gemma3ForCausalLM",
	"gpt2":        "GPT2LMHeadModel",
	"gpt_neox":    "GPTNeoXForCausalLM",
	"llama":       "LlamaForCausalLM",
	"mistral":     "MistralForCausalLM",
	"mixtral":     "MixtralForCausalLM",
	"olmo2":       "Olmo2ForCausalLM",
	"opt":         "OPTForCausalLM",
	"phi3":        "Phi3ForCausalLM",
	"qwen2":       "Qwen2ForCausalLM",
	"qwen3":       "Qwen3ForCausalLM",
	"qwen3_moe":   "Qwen3MoeForCausalLM",
	"smollm3":     "SmolLM3ForCausalLM",
}
