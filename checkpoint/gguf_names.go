package checkpoint

import "slices"

// This file and gguf_tensors.go tie the names of GGUF, of tensors and of
// metadata, to those of Hugging Face checkpoints and the keys of config.json.
// Source: llama.cpp's convert_hf_to_gguf.py and gguf-py. {i} stands for the
// number of a layer, {e} for that of an expert; in keys {arch} stands for
// general.architecture.

// transform is what happens to a tensor on its way into a GGUF file.
type transform string

const (
	same         transform = "none"                              // same values
	permuteQ     transform = "permute(num_attention_heads)"      // rope pairs j, j+d/2 of a head come to lie side by side
	permuteK     transform = "permute(num_key_value_heads)"      // the same with the KV heads
	transposed   transform = "transpose"                         // Conv1D [in, out] becomes [out, in]
	addOne       transform = "add 1"                             // a norm's weight w is stored as 1 + w
	stacked      transform = "stack"                             // all experts become one tensor
	deinterleave transform = "deinterleave(num_attention_heads)" // rows [heads, 3, d] become [3, heads, d]
	generated    transform = "generated"                         // made from the config
	dropped      transform = "drop"                              // not written
)

// tensorName is one tensor's pair of names. gguf is empty where the tensor is
// dropped, hf where it is generated from the config.
type tensorName struct {
	gguf, hf string
	how      transform
}

// metaKey is one value's pair of keys. hf is "-" where config.json has none; a
// dot leads into an object.
type metaKey struct {
	gguf, hf string
	kind     kind
	required bool
}

// kind is the type of a value in the metadata.
type kind string

const (
	kindString  kind = "string"
	kindUint    kind = "u32"
	kindFloat   kind = "f32"
	kindBool    kind = "bool"
	kindStrings kind = "array of string"
)

// family ties a model type to a GGUF architecture.
type family struct {
	modelType     string // of config.json
	arch          string // general.architecture
	architectures []string
	classifier    string // that with a head for whole texts; "": none that a file is whole with
	prefix        string // that names in a checkpoint may lack, or have beyond those below
	tied          bool   // tie_word_embeddings where config.json does not say
	tensors       []tensorName
	metadata      []metaKey
	implied       map[string]any // what the architecture says without a key; a config that differs cannot be written
	defaults      map[string]any // of transformers' config class, where config.json lacks a key
}

// families lists what can be read from and written to GGUF. Of those that
// share an architecture a file without further signs is the first.
var families = []family{
	{
		modelType: "gpt2", arch: "gpt2", architectures: []string{"GPT2LMHeadModel"}, prefix: "transformer.", tied: true,
		implied:  map[string]any{"activation_function": "gelu_new", "scale_attn_weights": true, "scale_attn_by_inverse_layer_idx": false},
		defaults: map[string]any{"layer_norm_epsilon": 1e-5},
		tensors:  gpt2Tensors,
		metadata: []metaKey{
			{keyLayers, "n_layer", kindUint, true},
			{"{arch}.context_length", "n_positions", kindUint, true},
			{"{arch}.embedding_length", "n_embd", kindUint, true},
			{"{arch}.feed_forward_length", "n_inner", kindUint, true},
			{"{arch}.attention.head_count", "n_head", kindUint, true},
			{"{arch}.attention.layer_norm_epsilon", "layer_norm_epsilon", kindFloat, true},
		},
	},
	{
		modelType: "llama", arch: "llama", architectures: []string{"LlamaForCausalLM"}, classifier: "LlamaForSequenceClassification",
		implied:  map[string]any{"hidden_act": "silu"},
		defaults: map[string]any{"rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 2048.0},
		tensors:  slices.Concat(outerTensors, generatedFreqs, inputNorm, permutedQK, valueOutput, postNorm, mlpTensors, mlpBiases, dropFreqs, scoreHead),
		metadata: slices.Concat(coreKeys, vocabKey, scalingKeys, labelKeys),
	},
	{
		modelType: "mistral", arch: "llama", architectures: []string{"MistralForCausalLM"},
		implied:  map[string]any{"hidden_act": "silu"},
		defaults: map[string]any{"rms_norm_eps": 1e-6, "rope_theta": 10000.0, "num_key_value_heads": 8.0, "sliding_window": 4096.0, "max_position_embeddings": 131072.0},
		tensors:  slices.Concat(outerTensors, generatedFreqs, inputNorm, permutedQK, valueOutput, postNorm, mlpTensors, dropFreqs),
		// llama.cpp's converter does not write the window, and llama.cpp ignores it.
		metadata: slices.Concat(coreKeys, vocabKey, scalingKeys, []metaKey{{"{arch}.attention.sliding_window", "sliding_window", kindUint, false}}),
	},
	{
		modelType: "mixtral", arch: "llama", architectures: []string{"MixtralForCausalLM"},
		implied:  map[string]any{"hidden_act": "silu", "sliding_window": nil},
		defaults: map[string]any{"rms_norm_eps": 1e-5, "rope_theta": 1e6, "num_key_value_heads": 8.0, "max_position_embeddings": 131072.0, "num_experts_per_tok": 2.0, "num_local_experts": 8.0},
		tensors: slices.Concat(outerTensors, generatedFreqs, inputNorm, permutedQK, valueOutput, postNorm, dropFreqs, []tensorName{
			{"blk.{i}.ffn_gate_inp.weight", "model.layers.{i}.block_sparse_moe.gate.weight", same},
			{"blk.{i}.ffn_gate_exps.weight", "model.layers.{i}.block_sparse_moe.experts.{e}.w1.weight", stacked},
			{"blk.{i}.ffn_down_exps.weight", "model.layers.{i}.block_sparse_moe.experts.{e}.w2.weight", stacked},
			{"blk.{i}.ffn_up_exps.weight", "model.layers.{i}.block_sparse_moe.experts.{e}.w3.weight", stacked},
		}),
		metadata: slices.Concat(coreKeys, vocabKey, scalingKeys, []metaKey{
			{keyExperts, "num_local_experts", kindUint, true},
			{"{arch}.expert_used_count", "num_experts_per_tok", kindUint, true},
		}),
	},
	{
		modelType: "qwen2", arch: "qwen2", architectures: []string{"Qwen2ForCausalLM"}, classifier: "Qwen2ForSequenceClassification",
		implied:  map[string]any{"hidden_act": "silu", "use_sliding_window": false},
		defaults: map[string]any{"rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 32768.0, "num_key_value_heads": 32.0, "sliding_window": 4096.0},
		tensors:  slices.Concat(outerTensors, inputNorm, plainQK, plainQKBias, valueOutput, postNorm, mlpTensors, scoreHead),
		metadata: slices.Concat(coreKeys, scalingKeys, labelKeys),
	},
	{
		modelType: "qwen3", arch: "qwen3", architectures: []string{"Qwen3ForCausalLM"}, classifier: "Qwen3ForSequenceClassification",
		implied:  map[string]any{"hidden_act": "silu", "use_sliding_window": false},
		defaults: map[string]any{"rms_norm_eps": 1e-6, "rope_theta": 10000.0, "head_dim": 128.0, "max_position_embeddings": 32768.0, "num_key_value_heads": 32.0, "sliding_window": 4096.0},
		tensors:  slices.Concat(outerTensors, inputNorm, plainQK, plainQKBias, qkNorm(same), valueOutput, postNorm, mlpTensors, scoreHead),
		metadata: slices.Concat(coreKeys, scalingKeys, labelKeys),
	},
	{
		modelType: "qwen3_moe", arch: "qwen3moe", architectures: []string{"Qwen3MoeForCausalLM"},
		implied:  map[string]any{"hidden_act": "silu", "use_sliding_window": false, "norm_topk_prob": true, "decoder_sparse_step": 1.0, "mlp_only_layers": []any{}},
		defaults: map[string]any{"rms_norm_eps": 1e-6, "rope_theta": 10000.0, "norm_topk_prob": false, "max_position_embeddings": 32768.0, "num_key_value_heads": 4.0, "sliding_window": 4096.0, "num_experts": 128.0, "num_experts_per_tok": 8.0, "moe_intermediate_size": 768.0},
		tensors: slices.Concat(outerTensors, inputNorm, plainQK, plainQKBias, qkNorm(same), valueOutput, postNorm, []tensorName{
			{"blk.{i}.ffn_gate_inp.weight", "model.layers.{i}.mlp.gate.weight", same},
			{"blk.{i}.ffn_gate_exps.weight", "model.layers.{i}.mlp.experts.{e}.gate_proj.weight", stacked},
			{"blk.{i}.ffn_down_exps.weight", "model.layers.{i}.mlp.experts.{e}.down_proj.weight", stacked},
			{"blk.{i}.ffn_up_exps.weight", "model.layers.{i}.mlp.experts.{e}.up_proj.weight", stacked},
		}),
		metadata: slices.Concat(coreKeys, scalingKeys, []metaKey{
			{keyExperts, "num_experts", kindUint, true},
			{"{arch}.expert_used_count", "num_experts_per_tok", kindUint, true},
			{"{arch}.expert_feed_forward_length", "moe_intermediate_size", kindUint, true},
		}),
	},
	{
		modelType: "gemma", arch: "gemma", architectures: []string{"GemmaForCausalLM"}, tied: true,
		implied:  map[string]any{"hidden_activation": "gelu_pytorch_tanh"},
		defaults: map[string]any{"rms_norm_eps": 1e-6, "rope_theta": 10000.0, "head_dim": 256.0, "max_position_embeddings": 8192.0, "num_key_value_heads": 16.0},
		tensors: slices.Concat(gemmaOuter, []tensorName{
			{"blk.{i}.attn_norm.weight", "model.layers.{i}.input_layernorm.weight", addOne},
			{"blk.{i}.ffn_norm.weight", "model.layers.{i}.post_attention_layernorm.weight", addOne},
		}, plainQK, valueOutput, mlpTensors),
		metadata: slices.Concat(coreKeys),
	},
	{
		modelType: "gemma2", arch: "gemma2", architectures: []string{"Gemma2ForCausalLM"}, tied: true,
		implied:  map[string]any{"hidden_activation": "gelu_pytorch_tanh"},
		defaults: map[string]any{"rms_norm_eps": 1e-6, "rope_theta": 10000.0, "head_dim": 256.0, "query_pre_attn_scalar": 256.0, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "sliding_window": 4096.0, "max_position_embeddings": 8192.0, "num_key_value_heads": 4.0},
		tensors:  slices.Concat(gemmaOuter, gemmaNorms, plainQK, valueOutput, mlpTensors),
		metadata: slices.Concat(coreKeys, []metaKey{
			{"{arch}.attn_logit_softcapping", "attn_logit_softcapping", kindFloat, true},
			{"{arch}.final_logit_softcapping", "final_logit_softcapping", kindFloat, true},
			{"{arch}.attention.sliding_window", "sliding_window", kindUint, true},
		}),
	},
	{
		modelType: "gemma3_text", arch: "gemma3", architectures: []string{"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"}, prefix: "language_model.", tied: true,
		implied:  map[string]any{"hidden_activation": "gelu_pytorch_tanh", "attn_logit_softcapping": nil},
		defaults: map[string]any{"rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_local_base_freq": 10000.0, "head_dim": 256.0, "query_pre_attn_scalar": 256.0, "sliding_window": 4096.0, "max_position_embeddings": 131072.0, "num_key_value_heads": 4.0},
		tensors: slices.Concat(gemmaOuter, gemmaNorms, plainQK, qkNorm(addOne), valueOutput, mlpTensors, []tensorName{
			{"", "vision_tower.*", dropped},
			{"", "multi_modal_projector.*", dropped},
		}),
		metadata: slices.Concat(coreKeys, scalingKeys[:2], []metaKey{
			{"{arch}.attention.sliding_window", "sliding_window", kindUint, false},
			{"{arch}.attention.sliding_window_pattern", "sliding_window_pattern", kindUint, false},
			{"{arch}.rope.freq_base_swa", "rope_local_base_freq", kindFloat, false},
			{"{arch}.final_logit_softcapping", "final_logit_softcapping", kindFloat, false},
		}),
	},
	{
		modelType: "phi3", arch: "phi3", architectures: []string{"Phi3ForCausalLM"},
		implied:  map[string]any{"hidden_act": "silu"},
		defaults: map[string]any{"rms_norm_eps": 1e-5, "rope_theta": 10000.0, "partial_rotary_factor": 1.0, "max_position_embeddings": 4096.0, "original_max_position_embeddings": 4096.0},
		tensors: slices.Concat(outerTensors, inputNorm, postNorm, []tensorName{
			{"blk.{i}.attn_qkv.weight", "model.layers.{i}.self_attn.qkv_proj.weight", same},
			{"blk.{i}.attn_output.weight", "model.layers.{i}.self_attn.o_proj.weight", same},
			{"blk.{i}.ffn_up.weight", "model.layers.{i}.mlp.gate_up_proj.weight", same}, // first half gate, second half up
			{"blk.{i}.ffn_down.weight", "model.layers.{i}.mlp.down_proj.weight", same},
			{tensorLongFactors, "config: rope_scaling.long_factor", generated},
			{tensorShortFactors, "config: rope_scaling.short_factor", generated},
		}),
		metadata: slices.Concat(coreKeys, []metaKey{
			{"{arch}.rope.scaling.original_context_length", "original_max_position_embeddings", kindUint, true},
			{"{arch}.rope.scaling.attn_factor", "-", kindFloat, false},
			{"{arch}.attention.sliding_window", "sliding_window", kindUint, false},
		}),
	},
	{
		modelType: "gpt_neox", arch: "gptneox", architectures: []string{"GPTNeoXForCausalLM"},
		implied:  map[string]any{"hidden_act": "gelu", "attention_bias": true},
		defaults: map[string]any{"layer_norm_eps": 1e-5, "rotary_pct": 0.25, "rotary_emb_base": 10000.0, "use_parallel_residual": true, "max_position_embeddings": 2048.0},
		tensors:  neoxTensors,
		metadata: []metaKey{
			{keyLayers, "num_hidden_layers", kindUint, true},
			{"{arch}.context_length", "max_position_embeddings", kindUint, true},
			{"{arch}.embedding_length", "hidden_size", kindUint, true},
			{"{arch}.feed_forward_length", "intermediate_size", kindUint, true},
			{"{arch}.attention.head_count", "num_attention_heads", kindUint, true},
			{keyRopeDims, "rotary_pct", kindUint, true},
			{"{arch}.use_parallel_residual", "use_parallel_residual", kindBool, true},
			{"{arch}.attention.layer_norm_epsilon", "layer_norm_eps", kindFloat, true},
			{"{arch}.rope.freq_base", "rotary_emb_base", kindFloat, false}, // not written by llama.cpp's converter, but read by llama.cpp
		},
	},
	{
		modelType: "olmo2", arch: "olmo2", architectures: []string{"Olmo2ForCausalLM"},
		implied:  map[string]any{"hidden_act": "silu"},
		defaults: map[string]any{"rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 2048.0},
		tensors: slices.Concat(outerTensors, plainQK, qkNorm(same), valueOutput, mlpTensors, []tensorName{
			{"blk.{i}.post_attention_norm.weight", "model.layers.{i}.post_attention_layernorm.weight", same},
			{"blk.{i}.post_ffw_norm.weight", "model.layers.{i}.post_feedforward_layernorm.weight", same},
		}),
		metadata: slices.Concat(coreKeys, scalingKeys),
	},
	{
		modelType: "smollm3", arch: "smollm3", architectures: []string{"SmolLM3ForCausalLM"}, tied: true,
		implied:  map[string]any{"hidden_act": "silu", "use_sliding_window": false},
		defaults: map[string]any{"rms_norm_eps": 1e-6, "rope_theta": 2e6, "num_key_value_heads": 4.0, "max_position_embeddings": 32768.0},
		tensors:  slices.Concat(outerTensors, generatedFreqs, inputNorm, permutedQK, valueOutput, postNorm, mlpTensors),
		metadata: slices.Concat(coreKeys, vocabKey, scalingKeys),
	},
	{
		modelType: "bert", arch: "bert", architectures: []string{"BertModel", "BertForMaskedLM", "BertForSequenceClassification"}, prefix: "bert.", tied: true,
		implied:  map[string]any{"hidden_act": "gelu", "position_embedding_type": "absolute"},
		defaults: map[string]any{"layer_norm_eps": 1e-12, "type_vocab_size": 2.0, "max_position_embeddings": 512.0},
		tensors:  bertTensors,
		metadata: slices.Concat([]metaKey{
			{keyLayers, "num_hidden_layers", kindUint, true},
			{"{arch}.context_length", "max_position_embeddings", kindUint, true},
			{"{arch}.embedding_length", "hidden_size", kindUint, true},
			{"{arch}.feed_forward_length", "intermediate_size", kindUint, true},
			{"{arch}.attention.head_count", "num_attention_heads", kindUint, true},
			{"{arch}.attention.layer_norm_epsilon", "layer_norm_eps", kindFloat, true},
			{"{arch}.attention.causal", "-", kindBool, true},
			{"{arch}.pooling_type", "-", kindUint, false},
			{"tokenizer.ggml.token_type_count", "type_vocab_size", kindUint, true},
		}, labelKeys),
	},
	{
		modelType: "bloom", arch: "bloom", architectures: []string{"BloomForCausalLM"}, prefix: "transformer.", tied: true,
		implied:  map[string]any{"apply_residual_connection_post_layernorm": false},
		defaults: map[string]any{"layer_norm_epsilon": 1e-5},
		tensors:  bloomTensors,
		metadata: []metaKey{
			{keyLayers, "n_layer", kindUint, true},
			{"{arch}.context_length", "seq_length", kindUint, true},
			{"{arch}.embedding_length", "hidden_size", kindUint, true},
			{"{arch}.feed_forward_length", "-", kindUint, true},
			{"{arch}.attention.head_count", "n_head", kindUint, true},
			{"{arch}.attention.head_count_kv", "-", kindUint, true},
			{"{arch}.attention.layer_norm_epsilon", "layer_norm_epsilon", kindFloat, true},
		},
	},
}

// Keys of metadata that every GGUF file may have.
const (
	keyArchitecture = "general.architecture"
	keyFileType     = "general.file_type"
	keyQuantVersion = "general.quantization_version"
	keyAlignment    = "general.alignment"
	keySplitCount   = "split.count"
	keySplitNumber  = "split.no"
	keyType         = "general.type"
	keyLayers       = "{arch}.block_count"
	keyExperts      = "{arch}.expert_count"
	keyRopeDims     = "{arch}.rope.dimension_count"
	keyValueLength  = "{arch}.attention.value_length"
)

// Tensors that are made from the config.
const (
	tensorFreqs        = "rope_freqs.weight"
	tensorLongFactors  = "rope_factors_long.weight"
	tensorShortFactors = "rope_factors_short.weight"
)

// Tensors of which something is to be known.
const (
	tensorEmbedding = "token_embd.weight"
	tensorHead      = "output.weight"

	tensorClassifier = "cls.output.weight"
)

// labelKeys tell of a head for whole texts. llama.cpp has no words for what its
// labels mean.
var labelKeys = []metaKey{
	{"{arch}.classifier.output_labels", "id2label", kindStrings, false},
	{"wenmo.problem_type", "problem_type", kindString, false},
}

// tokenKeys are the ids that config.json holds too.
var tokenKeys = []metaKey{
	{"tokenizer.ggml.bos_token_id", "bos_token_id", kindUint, false},
	{"tokenizer.ggml.eos_token_id", "eos_token_id", kindUint, false},
	{"tokenizer.ggml.padding_token_id", "pad_token_id", kindUint, false},
}

// refusedKeys change the mathematics; families whose tables lack them must not
// have them, but for the values 0 and 1, which mean nothing.
var refusedKeys = []string{
	"{arch}.attention.clamp_kqv", "{arch}.attention.scale", "{arch}.logit_scale", "{arch}.embedding_scale", "{arch}.residual_scale",
	"{arch}.attn_logit_softcapping", "{arch}.final_logit_softcapping", "{arch}.expert_weights_scale", "{arch}.expert_shared_count",
	"{arch}.rope.scaling.attn_factor", "{arch}.rope.scale_linear",
}

// Keys of the Llama kind.
var (
	coreKeys = []metaKey{
		{keyLayers, "num_hidden_layers", kindUint, true},
		{"{arch}.context_length", "max_position_embeddings", kindUint, true},
		{"{arch}.embedding_length", "hidden_size", kindUint, true},
		{"{arch}.feed_forward_length", "intermediate_size", kindUint, true},
		{"{arch}.attention.head_count", "num_attention_heads", kindUint, true},
		{"{arch}.attention.head_count_kv", "num_key_value_heads", kindUint, false},
		{"{arch}.attention.layer_norm_rms_epsilon", "rms_norm_eps", kindFloat, true},
		{"{arch}.rope.freq_base", "rope_theta", kindFloat, false},
		{keyRopeDims, "head_dim", kindUint, false},
		{"{arch}.attention.key_length", "head_dim", kindUint, false},
		{keyValueLength, "head_dim", kindUint, false},
	}
	vocabKey    = []metaKey{{"{arch}.vocab_size", "vocab_size", kindUint, false}}
	scalingKeys = []metaKey{
		{"{arch}.rope.scaling.type", "rope_scaling.rope_type", kindString, false},
		{"{arch}.rope.scaling.factor", "rope_scaling.factor", kindFloat, false},
		{"{arch}.rope.scaling.original_context_length", "rope_scaling.original_max_position_embeddings", kindUint, false},
		{"{arch}.rope.scaling.yarn_ext_factor", "rope_scaling.extrapolation_factor", kindFloat, false},
		{"{arch}.rope.scaling.yarn_attn_factor", "rope_scaling.attention_factor", kindFloat, false},
		{"{arch}.rope.scaling.yarn_beta_fast", "rope_scaling.beta_fast", kindFloat, false},
		{"{arch}.rope.scaling.yarn_beta_slow", "rope_scaling.beta_slow", kindFloat, false},
	}
)
