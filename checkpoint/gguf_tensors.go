package checkpoint

// Pairs of tensor names, see gguf_names.go, of the Llama kind.
var (
	outerTensors = []tensorName{
		{tensorEmbedding, "model.embed_tokens.weight", same},
		{"output_norm.weight", "model.norm.weight", same},
		{tensorHead, "lm_head.weight", same},
	}
	generatedFreqs = []tensorName{{tensorFreqs, "", generated}}
	dropFreqs      = []tensorName{{"", "model.layers.{i}.self_attn.rotary_emb.inv_freq", dropped}}
	inputNorm      = []tensorName{{"blk.{i}.attn_norm.weight", "model.layers.{i}.input_layernorm.weight", same}}
	postNorm       = []tensorName{{"blk.{i}.ffn_norm.weight", "model.layers.{i}.post_attention_layernorm.weight", same}}
	permutedQK     = []tensorName{
		{"blk.{i}.attn_q.weight", "model.layers.{i}.self_attn.q_proj.weight", permuteQ},
		{"blk.{i}.attn_q.bias", "model.layers.{i}.self_attn.q_proj.bias", permuteQ},
		{"blk.{i}.attn_k.weight", "model.layers.{i}.self_attn.k_proj.weight", permuteK},
		{"blk.{i}.attn_k.bias", "model.layers.{i}.self_attn.k_proj.bias", permuteK},
	}
	plainQK = []tensorName{
		{"blk.{i}.attn_q.weight", "model.layers.{i}.self_attn.q_proj.weight", same},
		{"blk.{i}.attn_k.weight", "model.layers.{i}.self_attn.k_proj.weight", same},
	}
	plainQKBias = []tensorName{
		{"blk.{i}.attn_q.bias", "model.layers.{i}.self_attn.q_proj.bias", same},
		{"blk.{i}.attn_k.bias", "model.layers.{i}.self_attn.k_proj.bias", same},
	}
	valueOutput = []tensorName{
		{"blk.{i}.attn_v.weight", "model.layers.{i}.self_attn.v_proj.weight", same},
		{"blk.{i}.attn_v.bias", "model.layers.{i}.self_attn.v_proj.bias", same},
		{"blk.{i}.attn_output.weight", "model.layers.{i}.self_attn.o_proj.weight", same},
		{"blk.{i}.attn_output.bias", "model.layers.{i}.self_attn.o_proj.bias", same},
	}
	mlpTensors = []tensorName{
		{"blk.{i}.ffn_gate.weight", "model.layers.{i}.mlp.gate_proj.weight", same},
		{"blk.{i}.ffn_up.weight", "model.layers.{i}.mlp.up_proj.weight", same},
		{"blk.{i}.ffn_down.weight", "model.layers.{i}.mlp.down_proj.weight", same},
	}
	scoreHead = []tensorName{{tensorClassifier, "score.weight", same}} // of whole texts
	mlpBiases = []tensorName{
		{"blk.{i}.ffn_gate.bias", "model.layers.{i}.mlp.gate_proj.bias", same},
		{"blk.{i}.ffn_up.bias", "model.layers.{i}.mlp.up_proj.bias", same},
		{"blk.{i}.ffn_down.bias", "model.layers.{i}.mlp.down_proj.bias", same},
	}
	gemmaOuter = []tensorName{
		{tensorEmbedding, "model.embed_tokens.weight", same},
		{"output_norm.weight", "model.norm.weight", addOne},
		{"", "lm_head.weight", dropped}, // always tied
	}
	gemmaNorms = []tensorName{
		{"blk.{i}.attn_norm.weight", "model.layers.{i}.input_layernorm.weight", addOne},
		{"blk.{i}.post_attention_norm.weight", "model.layers.{i}.post_attention_layernorm.weight", addOne},
		{"blk.{i}.ffn_norm.weight", "model.layers.{i}.pre_feedforward_layernorm.weight", addOne},
		{"blk.{i}.post_ffw_norm.weight", "model.layers.{i}.post_feedforward_layernorm.weight", addOne},
	}
)

func qkNorm(how transform) []tensorName {
	return []tensorName{
		{"blk.{i}.attn_q_norm.weight", "model.layers.{i}.self_attn.q_norm.weight", how},
		{"blk.{i}.attn_k_norm.weight", "model.layers.{i}.self_attn.k_norm.weight", how},
	}
}

var gpt2Tensors = []tensorName{
	{tensorEmbedding, "transformer.wte.weight", same},
	{"position_embd.weight", "transformer.wpe.weight", same},
	{"output_norm.weight", "transformer.ln_f.weight", same},
	{"output_norm.bias", "transformer.ln_f.bias", same},
	{tensorHead, "lm_head.weight", same},
	{"blk.{i}.attn_norm.weight", "transformer.h.{i}.ln_1.weight", same},
	{"blk.{i}.attn_norm.bias", "transformer.h.{i}.ln_1.bias", same},
	{"blk.{i}.attn_qkv.weight", "transformer.h.{i}.attn.c_attn.weight", transposed},
	{"blk.{i}.attn_qkv.bias", "transformer.h.{i}.attn.c_attn.bias", same},
	{"blk.{i}.attn_output.weight", "transformer.h.{i}.attn.c_proj.weight", transposed},
	{"blk.{i}.attn_output.bias", "transformer.h.{i}.attn.c_proj.bias", same},
	{"blk.{i}.ffn_norm.weight", "transformer.h.{i}.ln_2.weight", same},
	{"blk.{i}.ffn_norm.bias", "transformer.h.{i}.ln_2.bias", same},
	{"blk.{i}.ffn_up.weight", "transformer.h.{i}.mlp.c_fc.weight", transposed},
	{"blk.{i}.ffn_up.bias", "transformer.h.{i}.mlp.c_fc.bias", same},
	{"blk.{i}.ffn_down.weight", "transformer.h.{i}.mlp.c_proj.weight", transposed},
	{"blk.{i}.ffn_down.bias", "transformer.h.{i}.mlp.c_proj.bias", same},
	{"", "transformer.h.{i}.attn.bias", dropped},
	{"", "transformer.h.{i}.attn.masked_bias", dropped},
}

var neoxTensors = []tensorName{
	{tensorEmbedding, "gpt_neox.embed_in.weight", same},
	{"output_norm.weight", "gpt_neox.final_layer_norm.weight", same},
	{"output_norm.bias", "gpt_neox.final_layer_norm.bias", same},
	{tensorHead, "embed_out.weight", same},
	{"blk.{i}.attn_norm.weight", "gpt_neox.layers.{i}.input_layernorm.weight", same},
	{"blk.{i}.attn_norm.bias", "gpt_neox.layers.{i}.input_layernorm.bias", same},
	{"blk.{i}.ffn_norm.weight", "gpt_neox.layers.{i}.post_attention_layernorm.weight", same},
	{"blk.{i}.ffn_norm.bias", "gpt_neox.layers.{i}.post_attention_layernorm.bias", same},
	{"blk.{i}.attn_qkv.weight", "gpt_neox.layers.{i}.attention.query_key_value.weight", deinterleave},
	{"blk.{i}.attn_qkv.bias", "gpt_neox.layers.{i}.attention.query_key_value.bias", deinterleave},
	{"blk.{i}.attn_output.weight", "gpt_neox.layers.{i}.attention.dense.weight", same},
	{"blk.{i}.attn_output.bias", "gpt_neox.layers.{i}.attention.dense.bias", same},
	{"blk.{i}.ffn_up.weight", "gpt_neox.layers.{i}.mlp.dense_h_to_4h.weight", same},
	{"blk.{i}.ffn_up.bias", "gpt_neox.layers.{i}.mlp.dense_h_to_4h.bias", same},
	{"blk.{i}.ffn_down.weight", "gpt_neox.layers.{i}.mlp.dense_4h_to_h.weight", same},
	{"blk.{i}.ffn_down.bias", "gpt_neox.layers.{i}.mlp.dense_4h_to_h.bias", same},
	{"", "gpt_neox.layers.{i}.attention.bias", dropped},
	{"", "gpt_neox.layers.{i}.attention.masked_bias", dropped},
	{"", "gpt_neox.layers.{i}.attention.rotary_emb.inv_freq", dropped},
}

var bertTensors = []tensorName{
	{tensorEmbedding, "embeddings.word_embeddings.weight", same},
	{"position_embd.weight", "embeddings.position_embeddings.weight", same},
	{"token_types.weight", "embeddings.token_type_embeddings.weight", same},
	{"token_embd_norm.weight", "embeddings.LayerNorm.weight", same},
	{"token_embd_norm.bias", "embeddings.LayerNorm.bias", same},
	{"blk.{i}.attn_q.weight", "encoder.layer.{i}.attention.self.query.weight", same},
	{"blk.{i}.attn_q.bias", "encoder.layer.{i}.attention.self.query.bias", same},
	{"blk.{i}.attn_k.weight", "encoder.layer.{i}.attention.self.key.weight", same},
	{"blk.{i}.attn_k.bias", "encoder.layer.{i}.attention.self.key.bias", same},
	{"blk.{i}.attn_v.weight", "encoder.layer.{i}.attention.self.value.weight", same},
	{"blk.{i}.attn_v.bias", "encoder.layer.{i}.attention.self.value.bias", same},
	{"blk.{i}.attn_output.weight", "encoder.layer.{i}.attention.output.dense.weight", same},
	{"blk.{i}.attn_output.bias", "encoder.layer.{i}.attention.output.dense.bias", same},
	{"blk.{i}.attn_output_norm.weight", "encoder.layer.{i}.attention.output.LayerNorm.weight", same},
	{"blk.{i}.attn_output_norm.bias", "encoder.layer.{i}.attention.output.LayerNorm.bias", same},
	{"blk.{i}.ffn_up.weight", "encoder.layer.{i}.intermediate.dense.weight", same},
	{"blk.{i}.ffn_up.bias", "encoder.layer.{i}.intermediate.dense.bias", same},
	{"blk.{i}.ffn_down.weight", "encoder.layer.{i}.output.dense.weight", same},
	{"blk.{i}.ffn_down.bias", "encoder.layer.{i}.output.dense.bias", same},
	{"blk.{i}.layer_output_norm.weight", "encoder.layer.{i}.output.LayerNorm.weight", same},
	{"blk.{i}.layer_output_norm.bias", "encoder.layer.{i}.output.LayerNorm.bias", same},
	{tensorClassifier, "classifier.weight", same},
	{"cls.output.bias", "classifier.bias", same},
	{"", "embeddings.position_ids", dropped},
	{"", "pooler.dense.weight", dropped},
	{"", "pooler.dense.bias", dropped},
	{"", "cls.predictions.*", dropped},
	{"", "cls.seq_relationship.*", dropped},
}

var bloomTensors = []tensorName{
	{tensorEmbedding, "transformer.word_embeddings.weight", same},
	{"token_embd_norm.weight", "transformer.word_embeddings_layernorm.weight", same},
	{"token_embd_norm.bias", "transformer.word_embeddings_layernorm.bias", same},
	{"output_norm.weight", "transformer.ln_f.weight", same},
	{"output_norm.bias", "transformer.ln_f.bias", same},
	{tensorHead, "lm_head.weight", same},
	{"blk.{i}.attn_norm.weight", "transformer.h.{i}.input_layernorm.weight", same},
	{"blk.{i}.attn_norm.bias", "transformer.h.{i}.input_layernorm.bias", same},
	{"blk.{i}.attn_qkv.weight", "transformer.h.{i}.self_attention.query_key_value.weight", deinterleave},
	{"blk.{i}.attn_qkv.bias", "transformer.h.{i}.self_attention.query_key_value.bias", deinterleave},
	{"blk.{i}.attn_output.weight", "transformer.h.{i}.self_attention.dense.weight", same},
	{"blk.{i}.attn_output.bias", "transformer.h.{i}.self_attention.dense.bias", same},
	{"blk.{i}.ffn_norm.weight", "transformer.h.{i}.post_attention_layernorm.weight", same},
	{"blk.{i}.ffn_norm.bias", "transformer.h.{i}.post_attention_layernorm.bias", same},
	{"blk.{i}.ffn_up.weight", "transformer.h.{i}.mlp.dense_h_to_4h.weight", same},
	{"blk.{i}.ffn_up.bias", "transformer.h.{i}.mlp.dense_h_to_4h.bias", same},
	{"blk.{i}.ffn_down.weight", "transformer.h.{i}.mlp.dense_4h_to_h.weight", same},
	{"blk.{i}.ffn_down.bias", "transformer.h.{i}.mlp.dense_4h_to_h.bias", same},
}
