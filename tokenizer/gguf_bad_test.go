package tokenizer

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

// smallGGUF is metadata of a byte-level vocabulary, with changes: key and value
// by turns, nil to leave one out.
func smallGGUF(changes ...any) map[string]any {
	tokens := []string{"<s>", "</s>"}
	for _, r := range byteLetters {
		tokens = append(tokens, string(r))
	}
	tokens = append(tokens, "ab", "Ġab", "<|user|>")
	kinds := make([]int32, len(tokens))
	for i := range kinds {
		kinds[i] = 1
	}
	kinds[0], kinds[1], kinds[len(kinds)-1] = 3, 3, 4
	meta := map[string]any{
		"model": "gpt2", "pre": "gpt-2", "tokens": tokens, "token_type": kinds, "merges": []string{"a b", "Ġ ab"},
		"bos_token_id": uint32(0), "eos_token_id": int64(1),
	}
	for i := 0; i < len(changes); i += 2 {
		meta[changes[i].(string)] = changes[i+1]
	}
	out := map[string]any{}
	for key, v := range meta {
		if v != nil {
			out[ggufPrefix+key] = v
		}
	}
	return out
}

func TestFromGGUF(t *testing.T) {
	for _, c := range []struct {
		name string
		meta map[string]any
		text string
		want []string
	}{
		{"plain", smallGGUF(), "ab ab<|user|>", []string{"ab", "Ġab", "<|user|>"}},
		{"bos", smallGGUF("add_bos_token", true), "ab", []string{"<s>", "ab"}},
		{"bos and eos", smallGGUF("add_bos_token", true, "add_eos_token", true), "ab", []string{"<s>", "ab", "</s>"}},
		{"bos by default", smallGGUF("pre", "llama-bpe"), "ab", []string{"<s>", "ab"}},
		{"digits", smallGGUF("pre", "smollm"), "12", []string{"1", "2"}},
		{"no types", smallGGUF("token_type", nil), "ab", []string{"ab"}},
	} {
		tok, err := FromGGUF(c.meta, "m.gguf")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		e, err := tok.EncodeFull(c.text, EncodeOptions{AddSpecialTokens: true})
		if err != nil {
			t.Fatal(err)
		}
		same(t, c.name, "tokens", e.Tokens, c.want)
	}
	for _, pre := range preTypes {
		for _, name := range pre.names {
			if _, err := FromGGUF(smallGGUF("pre", name), "m.gguf"); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestFromGGUFRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		meta map[string]any
		want string
	}{
		{"model", smallGGUF("model", "rwkv"), `tokenizer.ggml.model: "rwkv" is not supported (known: bert, gpt2, llama, t5)`},
		{"model's type", smallGGUF("model", 5), "tokenizer.ggml.model: a string wanted, found int"},
		{"pre", smallGGUF("pre", "x"), `tokenizer.ggml.pre: "x" is not supported (known: a.x-4.0`},
		{"tokens", smallGGUF("tokens", nil), "tokenizer.ggml.tokens: an array of strings wanted, found <nil>"},
		{"twice", smallGGUF("tokens", []string{"a", "a"}, "token_type", nil), "tokenizer.ggml.tokens: token \"a\" has the ids 0 and 1"},
		{"types", smallGGUF("token_type", []int32{1}), "1 values for 261 tokens"},
		{"merges", smallGGUF("merges", []string{"ab"}), "tokenizer.ggml.merges: merge 0"},
		{"no merges", smallGGUF("merges", nil), "tokenizer.ggml.merges: an array of strings wanted"},
		{"merge of strangers", smallGGUF("merges", []string{"a xx"}), "is not in the vocabulary"},
		{"scores", smallGGUF("model", "llama"), "tokenizer.ggml.scores is missing"},
		{"scores' type", smallGGUF("model", "llama", "scores", "x"), "an array of numbers wanted, found string"},
		{"bert", smallGGUF("model", "bert", "tokens", []string{"a"}, "token_type", nil), "are not all in the vocabulary"},
		{"charsmap", smallGGUF("model", "t5", "scores", make([]float32, 261), "precompiled_charsmap", []uint8{9}), "charsmap"},
		{"charsmap's type", smallGGUF("model", "t5", "scores", make([]float32, 261), "precompiled_charsmap", 1.5), "an array of bytes wanted"},
	} {
		if _, err := FromGGUF(c.meta, "m.gguf"); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "m.gguf: ") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := FromGGUF(map[string]any{}, "m.gguf"); !errors.Is(err, ErrNone) {
		t.Errorf("no vocabulary: %v", err)
	}
}

func TestConfigFromGGUF(t *testing.T) {
	meta := smallGGUF("eos_token_id", uint64(1<<40), "padding_token_id", uint16(1))
	maps.Copy(meta, map[string]any{"tokenizer.chat_template": "T", "tokenizer.chat_template.rag": "R"})
	c := ConfigFromGGUF(meta)
	if c.BOS != "<s>" || c.EOS != "" || c.PAD != "</s>" || c.ChatTemplate != "T" || c.NamedTemplates["rag"] != "R" {
		t.Errorf("%+v", c)
	}
	tok, err := FromGGUF(meta, "m.gguf")
	if err != nil {
		t.Fatal(err)
	}
	back, err := tok.GGUFMetadata(c)
	if err != nil {
		t.Fatal(err)
	}
	if back["tokenizer.chat_template.rag"] != "R" || back["tokenizer.ggml.padding_token_id"] != uint32(1) {
		t.Errorf("%v", back)
	}
}

func FuzzFromGGUF(f *testing.F) {
	f.Add("gpt2", "llama-bpe", "a\nb\nab\n<s>", "\x01\x01\x01\x03", "a b", "ab <s>")
	f.Add("llama", "", "<unk>\na\n▁\n▁a", "\x02\x01\x01\x01", "", "a a")
	f.Add("t5", "", "<unk>\na\n▁\n▁a", "\x02\x01\x04\x05", "", "a a")
	f.Add("bert", "", "[UNK]\n[CLS]\n[SEP]\n▁a\nb", "\x03\x03\x03\x01", "", "ab a")
	f.Fuzz(func(t *testing.T, model, pre, tokens, kinds, merges, text string) {
		list := strings.Split(tokens, "\n")
		types, scores := make([]int32, len(list)), make([]float32, len(list))
		for i := range list {
			scores[i] = float32(-i)
			if i < len(kinds) {
				types[i] = int32(kinds[i])
			}
		}
		tok, err := FromGGUF(map[string]any{
			"tokenizer.ggml.model": model, "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": list, "tokenizer.ggml.token_type": types,
			"tokenizer.ggml.scores": scores, "tokenizer.ggml.merges": strings.Split(merges, "\n"),
			"tokenizer.ggml.unknown_token_id": uint32(0), "tokenizer.ggml.cls_token_id": uint32(1), "tokenizer.ggml.seperator_token_id": uint32(2),
		}, "fuzz")
		if err != nil {
			return
		}
		tok.Decode(tok.Encode(text, true), true)
		if meta, err := tok.GGUFMetadata(Config{}); err == nil {
			PadGGUF(meta, len(list)+1)
		}
	})
}

// TestVocabShared looks at how often a large vocabulary is in memory: once, with
// its index, for a model and its added tokens.
func TestVocabShared(t *testing.T) {
	tok, err := FromGGUF(smallGGUF(), "m.gguf")
	if err != nil {
		t.Fatal(err)
	}
	m := tok.spec.Model.(*bpe)
	if &tok.all[0] != &m.Vocab[0] || tok.index != m.index {
		t.Error("the vocabulary or its index is there twice")
	}
}

// TestAddedTokenInGap: an added token that fills a gap of the model's vocabulary
// does not become part of it.
func TestAddedTokenInGap(t *testing.T) {
	const file = `{"added_tokens":[{"id":1,"content":"<x>"},{"id":3,"content":"<y>"}],
		"model":{"type":"WordLevel","unk_token":"a","vocab":{"a":0,"c":2}}}`
	tok, err := Parse([]byte(file), "tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(tok.all, " "); got != "a <x> c <y>" {
		t.Errorf("tokens %q", got)
	}
	if got := strings.Join(tok.spec.Model.tokens(), " "); got != "a  c" {
		t.Errorf("the model's tokens %q", got)
	}
}
