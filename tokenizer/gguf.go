package tokenizer

import (
	"fmt"
	"math"
	"strings"
)

// FromGGUF makes the tokenizer that the metadata of a GGUF file describe, keys
// tokenizer.ggml.*: values are string, bool, numbers of any size and slices of
// these. Known models are gpt2 (with the pre-tokenizers of preTypes), llama,
// bert and t5. The token ids are those of llama.cpp; unlike it, decoding gives
// the text back as it is, without taking spaces before punctuation away. A file
// without these keys may hold a whole tokenizer.json (GGUFTokenizerJSON).
// Errors begin with name; ErrNone tells that the file has no vocabulary.
func FromGGUF(meta map[string]any, name string) (*Tokenizer, error) {
	m := ggufMeta(meta)
	_, vocabulary := meta[ggufPrefix+"model"]
	if text, ok := meta[GGUFTokenizerJSON].(string); ok && !vocabulary {
		return Parse([]byte(text), name+": "+GGUFTokenizerJSON)
	}
	s, err := m.spec()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return newTokenizer(s, name)
}

// ConfigFromGGUF returns the names of special tokens and the chat templates
// that the metadata of a GGUF file give.
func ConfigFromGGUF(meta map[string]any) Config {
	m := ggufMeta(meta)
	tokens, _ := m.strings("tokens")
	name := func(keys ...string) string {
		for _, key := range keys {
			if id, ok := m.id(key); ok && int(id) < len(tokens) {
				return tokens[id]
			}
		}
		return ""
	}
	c := Config{
		BOS: name("bos_token_id"), EOS: name("eos_token_id"), UNK: name("unknown_token_id"),
		SEP: name("seperator_token_id", "separator_token_id"), PAD: name("padding_token_id"),
		CLS: name("cls_token_id"), MASK: name("mask_token_id"),
		NamedTemplates: map[string]string{},
	}
	for key, v := range meta {
		text, ok := v.(string)
		switch {
		case !ok:
		case key == GGUFChatTemplate:
			c.ChatTemplate = text
		case strings.HasPrefix(key, GGUFChatTemplate+"."):
			c.NamedTemplates[key[len(GGUFChatTemplate)+1:]] = text
		}
	}
	return c
}

// ggufMeta reads keys of the form tokenizer.ggml.*.
type ggufMeta map[string]any

const ggufPrefix = "tokenizer.ggml."

// GGUFTokenizerJSON is the key under which a GGUF file keeps the text of
// tokenizer.json (ggml's docs/gguf.md).
const GGUFTokenizerJSON = "tokenizer.huggingface.json"

// GGUFChatTemplate is the key of the chat template; behind it and a point stands
// the name of another one.
const GGUFChatTemplate = "tokenizer.chat_template"

func (m ggufMeta) wrong(key, want string) error {
	return fmt.Errorf("metadata %s%s: %s wanted, found %T", ggufPrefix, key, want, m[ggufPrefix+key])
}

// string returns a text; "" if the key is missing.
func (m ggufMeta) string(key string) (string, error) {
	v, ok := m[ggufPrefix+key]
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", m.wrong(key, "a string")
	}
	return s, nil
}

func (m ggufMeta) strings(key string) ([]string, error) {
	list, ok := m[ggufPrefix+key].([]string)
	if !ok {
		return nil, m.wrong(key, "an array of strings")
	}
	return list, nil
}

// flag returns a truth value, or what it is without the key.
func (m ggufMeta) flag(key string, otherwise bool) bool {
	if v, ok := m[ggufPrefix+key].(bool); ok {
		return v
	}
	return otherwise
}

// id returns a token id.
func (m ggufMeta) id(key string) (int32, bool) {
	v, ok := number(m[ggufPrefix+key])
	if !ok || v < 0 || v > math.MaxInt32 || v != math.Trunc(v) {
		return -1, false
	}
	return int32(v), true
}

// numbers returns an array of numbers of any type, of n; nil if the key is
// missing.
func (m ggufMeta) numbers(key string, n int) ([]float64, error) {
	v, ok := m[ggufPrefix+key]
	if !ok {
		return nil, nil
	}
	list := numberList(v)
	if list == nil {
		return nil, m.wrong(key, "an array of numbers")
	}
	if len(list) != n {
		return nil, fmt.Errorf("metadata %s%s: %d values for %d tokens", ggufPrefix, key, len(list), n)
	}
	return list, nil
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case uint8:
		return float64(v), true
	case int8:
		return float64(v), true
	case uint16:
		return float64(v), true
	case int16:
		return float64(v), true
	case uint32:
		return float64(v), true
	case int32:
		return float64(v), true
	case uint64:
		return float64(v), true
	case int64:
		return float64(v), true
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func numberList(v any) []float64 {
	switch v := v.(type) {
	case []uint8:
		return widen(v)
	case []int8:
		return widen(v)
	case []uint16:
		return widen(v)
	case []int16:
		return widen(v)
	case []uint32:
		return widen(v)
	case []int32:
		return widen(v)
	case []uint64:
		return widen(v)
	case []int64:
		return widen(v)
	case []float32:
		return widen(v)
	case []float64:
		return v
	}
	return nil
}

func widen[T uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32](list []T) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = float64(v)
	}
	return out
}
