package checkpoint

import (
	"fmt"
	"slices"
	"strings"
)

// mixes names the types that EncodeGGUF writes, with the type of most matrices
// and the number of general.file_type (enum llama_ftype).
var mixes = map[string]struct {
	dtype    DType
	fileType uint32
}{
	"f32":    {F32, 0},
	"f16":    {F16, 1},
	"q4_0":   {Q4_0, 2},
	"q8_0":   {Q8_0, 7},
	"q4_k_m": {Q4_K, 15},
	"bf16":   {BF16, 32},
}

// EncodeGGUF decides in which type each source is written, and completes the
// metadata by general.file_type. mix is f32, f16, bf16, q8_0, q4_0 or q4_k_m;
// the quantized ones are mixed as llama-quantize does without importance
// matrix: vectors, routers, positions and token types stay F32, the head (or
// the embedding that serves as head) and, in q4_k_m, some matrices get more
// bits, and where rows are not whole blocks another type stands in.
func EncodeGGUF(mix string, pairs []KV, sources []Source) ([]KV, []Out, error) {
	target, ok := mixes[mix]
	if !ok {
		return nil, nil, fmt.Errorf("type %q is not known (known: f32, f16, bf16, q8_0, q4_0, q4_k_m)", mix)
	}
	m := mixer{mix: mix, dtype: target.dtype}
	if err := m.survey(pairs, sources); err != nil {
		return nil, nil, err
	}
	outs := make([]Out, len(sources))
	for i, s := range sources {
		outs[i] = s.As(m.choose(s))
	}
	// The writer has its own alignment.
	pairs = slices.DeleteFunc(slices.Clone(pairs), func(kv KV) bool {
		return kv.Key == keyFileType || kv.Key == keyQuantVersion || kv.Key == keyAlignment
	})
	pairs = append(pairs, KV{keyQuantVersion, uint32(quantVersion)}, KV{keyFileType, target.fileType})
	return pairs, outs, nil
}

// quantVersion is the version of the block formats.
const quantVersion = 2

// mixer holds what the choice of a type depends on (llama-quant.cpp).
type mixer struct {
	mix     string
	dtype   DType
	arch    string
	layers  int
	experts int
	tied    bool
	grouped bool // fewer KV heads than heads
}

func (m *mixer) survey(pairs []KV, sources []Source) error {
	values := map[string]any{}
	for _, kv := range pairs {
		values[kv.Key] = kv.Value
	}
	m.arch, _ = values[keyArchitecture].(string)
	at := metadata{path: "metadata", arch: m.arch, values: values}
	get := func(key string) int {
		n, _ := whole(values[at.key(key)])
		return n
	}
	m.layers, m.experts = get(keyLayers), get(keyExperts)
	kv := get("{arch}.attention.head_count_kv")
	m.grouped = kv > 0 && kv != get("{arch}.attention.head_count")
	if m.arch == "" || m.layers < 1 {
		return fmt.Errorf("metadata %q and %q are wanted to choose types", keyArchitecture, at.key(keyLayers))
	}
	m.tied = !slices.ContainsFunc(sources, func(s Source) bool { return s.Name == tensorHead })
	return nil
}

// choose returns the type of a source.
func (m *mixer) choose(s Source) DType {
	if !quantizable(s) {
		return F32
	}
	if !m.dtype.Quantized() {
		return m.dtype
	}
	return fallback(m.refine(s), s.Shape[len(s.Shape)-1])
}

// quantizable says that a source is a matrix, or a stack of them, of which
// errors of rounding average out.
func quantizable(s Source) bool {
	if len(s.Shape) < 2 || !strings.HasSuffix(s.Name, "weight") || strings.Contains(s.Name, "_norm.weight") {
		return false
	}
	for _, part := range []string{"ffn_gate_inp.weight", "position_embd.weight", "token_types.weight"} {
		if strings.Contains(s.Name, part) {
			return false
		}
	}
	return true
}

// refine returns the type that llama-quantize wants for a matrix before it
// looks at the length of the rows.
func (m *mixer) refine(s Source) DType {
	if s.Name == tensorHead || m.tied && s.Name == tensorEmbedding {
		if m.dtype == Q8_0 || s.Shape[len(s.Shape)-1]%m.dtype.BlockLen() != 0 {
			return Q8_0
		}
		return Q6_K
	}
	layer := layerOf(s.Name)
	switch pattern, _, _ := ggufPattern(s.Name); pattern {
	case "blk.{i}.attn_v.weight", "blk.{i}.attn_qkv.weight":
		if m.experts == 8 {
			return Q8_0
		}
		if m.mix == "q4_k_m" {
			if moreBits(layer, m.layers) {
				return Q6_K
			}
			if m.layers == 80 && m.grouped && (m.arch == "llama" || m.arch == "qwen2") { // the 70B size
				return Q5_K
			}
		}
	case "blk.{i}.attn_k.weight":
		if m.experts == 8 {
			return Q8_0
		}
	case "blk.{i}.ffn_down.weight", "blk.{i}.ffn_down_exps.weight":
		if m.mix == "q4_k_m" && moreBits(layer, m.layers) {
			return Q6_K
		}
	case "blk.{i}.attn_output.weight":
		if m.mix == "q4_k_m" && m.experts == 8 {
			return Q5_K
		}
	}
	return m.dtype
}

// moreBits says which layers q4_k_m stores with six bits: the first and the
// last eighth, and every third between.
func moreBits(layer, layers int) bool {
	return layer < layers/8 || layer >= 7*layers/8 || (layer-layers/8)%3 == 2
}

// fallback returns d, or what stands in for it where rows of k elements are
// not whole blocks.
func fallback(d DType, k int) DType {
	if k%d.BlockLen() != 0 {
		switch d {
		case Q4_K:
			d = Q5_0
		case Q5_K:
			d = Q5_1
		case Q6_K:
			d = Q8_0
		}
	}
	if k%d.BlockLen() != 0 {
		return F16
	}
	return d
}
