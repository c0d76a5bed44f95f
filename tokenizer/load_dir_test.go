package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// dirOf makes a directory of files, name and text by turns.
func dirOf(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, files[i+1])
	}
	return dir
}

// rankLines is a .tiktoken of the 256 bytes and more tokens.
func rankLines(more ...string) string {
	var b strings.Builder
	for i := range 256 {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte{byte(i)}), i)
	}
	for i, t := range more {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(t)), 256+i)
	}
	return b.String()
}

const (
	smallVocab  = `{"<|endoftext|>":0,"a":1,"b":2,"ab":3,"Ġ":4,"Ġa":5}`
	smallMerges = "#version: 0.2\na b\nĠ a\n"
	bertVocab   = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##s\n你\n"
)

func TestLoadDirKinds(t *testing.T) {
	model := string(smallSPM(protoMessage(3, 2), nil, normalPieces("▁", "a", "b", "ab", "▁ab")...))
	for _, c := range []struct {
		name  string
		files []string
		text  string
		want  []string // with special tokens
	}{
		{"gpt2 without config", []string{"vocab.json", smallVocab, "merges.txt", smallMerges}, "ab ab", []string{"ab", "Ġ", "ab"}},
		{"crlf", []string{"vocab.json", smallVocab, "merges.txt", strings.ReplaceAll(smallMerges, "\n", "\r\n")}, "ab ab", []string{"ab", "Ġ", "ab"}},
		{"bos of OPT", []string{"vocab.json", smallVocab, "merges.txt", smallMerges, "tokenizer_config.json",
			`{"tokenizer_class":"GPT2Tokenizer","bos_token":"</s>","add_bos_token":true}`}, "ab", []string{"</s>", "ab"}},
		{"prefix space", []string{"vocab.json", smallVocab, "merges.txt", smallMerges, "tokenizer_config.json", `{"add_prefix_space":true}`},
			"ab", []string{"Ġ", "ab"}},
		{"roberta", []string{"vocab.json", smallVocab, "merges.txt", smallMerges, "tokenizer_config.json", `{"tokenizer_class":"RobertaTokenizerFast"}`},
			"a <mask>", []string{"<s>", "a", " <mask>", "</s>"}},
		{"qwen2", []string{"vocab.json", smallVocab, "merges.txt", smallMerges, "tokenizer_config.json", `{"tokenizer_class":"Qwen2Tokenizer"}`},
			"a<|endoftext|>", []string{"a", "<|endoftext|>"}},
		{"added_tokens.json", []string{"vocab.json", smallVocab, "merges.txt", smallMerges, "added_tokens.json", `{"<x>":6}`}, "a<x>b", []string{"a", "<x>", "b"}},
		{"added_tokens_decoder", []string{"vocab.json", smallVocab, "merges.txt", smallMerges, "tokenizer_config.json",
			`{"added_tokens_decoder":{"6":{"content":"<y>","lstrip":true,"special":true}}}`}, "a <y>", []string{"a", " <y>"}},
		{"bert without config", []string{"vocab.txt", bertVocab}, "HELLOs你?", []string{"[CLS]", "hello", "##s", "你", "[UNK]", "[SEP]"}},
		{"bert cased", []string{"vocab.txt", bertVocab, "tokenizer_config.json", `{"do_lower_case":false,"tokenizer_class":"DistilBertTokenizer"}`},
			"HELLO hello", []string{"[CLS]", "[UNK]", "hello", "[SEP]"}},
		{"sentencepiece as it is", []string{"any.model", model}, "ab a", []string{"▁ab", "▁", "a"}},
		{"sentencepiece .spm", []string{"any.spm", model}, "ab", []string{"▁ab"}},
		{"llama", []string{"tokenizer.model", model, "tokenizer_config.json", `{"tokenizer_class":"LlamaTokenizer"}`}, "ab", []string{"<s>", "▁ab"}},
		{"llama with eos", []string{"tokenizer.model", model, "tokenizer_config.json",
			`{"tokenizer_class":"LlamaTokenizer","add_bos_token":false,"add_eos_token":true}`}, "ab", []string{"▁ab", "</s>"}},
		{"tiktoken by name", []string{"cl100k_base.tiktoken", rankLines("ab", " ab")}, "ab ab<|endoftext|>", []string{"ab", "Ġab", "<|endoftext|>"}},
		{"tiktoken with config", []string{"x.tiktoken", rankLines("12", "ab"), "config.json", `{"pat_str":"\\p{N}{1,1}+|\\p{L}+","special_tokens":{"<s>":300}}`},
			"12ab<s>", []string{"1", "2", "ab", "<s>"}},
		{"llama 3 as given out", []string{"tokenizer.model", rankLines("ab")}, "ab", []string{"<|begin_of_text|>", "ab"}},
		{"tokenizer.json first", []string{"vocab.txt", bertVocab, "a.model", "", "b.model", "", "tokenizer_config.json", "broken", "tokenizer.json",
			`{"model":{"type":"WordLevel","vocab":{"x":0,"u":1},"unk_token":"u"}}`}, "x", []string{"x"}},
	} {
		tok, err := LoadDir(dirOf(t, c.files...))
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
}

func TestLoadDirRefuses(t *testing.T) {
	model := string(smallSPM(protoMessage(3, 2), nil, normalPieces("a")...))
	for _, c := range []struct {
		name  string
		files []string
		want  string
	}{
		{"nothing", nil, "no tokenizer"},
		{"no merges", []string{"vocab.json", smallVocab}, "no tokenizer"},
		{"vocab.json", []string{"vocab.json", `{"a":0,`, "merges.txt", ""}, "vocab.json: "},
		{"ids", []string{"vocab.json", `{"a":0,"b":0}`, "merges.txt", ""}, "id 0 belongs to the tokens"},
		{"far id", []string{"vocab.json", `{"a":2000000000}`, "merges.txt", ""}, "more than a file of this size can hold"},
		{"merges", []string{"vocab.json", smallVocab, "merges.txt", "a b\nab"}, `merges.txt: line 2: "ab" is not two tokens`},
		{"merge of strangers", []string{"vocab.json", smallVocab, "merges.txt", "a x\n"}, `merges.txt: line 1: merge 0: "x" is not in the vocabulary`},
		{"class", []string{"vocab.json", smallVocab, "merges.txt", smallMerges, "tokenizer_config.json", `{"tokenizer_class":"XTokenizer"}`},
			`tokenizer_class "XTokenizer" with a vocab.json is not supported (known: Bart`},
		{"class of words", []string{"vocab.txt", bertVocab, "tokenizer_config.json", `{"tokenizer_class":"MPNetTokenizer"}`}, "with a vocab.txt is not supported"},
		{"class of pieces", []string{"x.model", model, "tokenizer_config.json", `{"tokenizer_class":"XLNetTokenizer"}`}, "with a SentencePiece model is not supported"},
		{"config", []string{"vocab.txt", bertVocab, "tokenizer_config.json", `{"do_lower_case":"yes"}`}, "tokenizer_config.json: "},
		{"no [UNK]", []string{"vocab.txt", "[CLS]\n[SEP]\nb\n"}, "vocab.txt: "},
		{"added id", []string{"vocab.txt", bertVocab, "tokenizer_config.json", `{"added_tokens_decoder":{"x":{"content":"y"}}}`}, `id "x" is no number`},
		{"two models", []string{"a.model", model, "b.model", model}, "which is the vocabulary, a.model or b.model?"},
		{"model", []string{"a.model", "junk"}, "a.model: "},
		{"xlm-r", []string{"a.model", string(smallSPM(nil, nil))[:0], "tokenizer_config.json", `{"tokenizer_class":"XLMRobertaTokenizer"}`}, "none of the 0 pieces"},
		{"ranks", []string{"cl100k_base.tiktoken", "YQ== 0\nYg==\n"}, "cl100k_base.tiktoken: line 2: "},
		{"rank twice", []string{"cl100k_base.tiktoken", "YQ== 0\nYg== 0\n"}, "line 2: rank 0 is given twice"},
		{"far rank", []string{"cl100k_base.tiktoken", "YQ== 2000000000\n"}, "more than a file of this size can hold"},
		{"base64", []string{"cl100k_base.tiktoken", "YQ 0\n"}, "no token in base64"},
		{"unknown ranks", []string{"x.tiktoken", rankLines()}, "neither config.json gives its pat_str"},
		{"pattern", []string{"x.tiktoken", rankLines(), "config.json", `{"pat_str":"("}`}, "pre_tokenizer"},
		{"marian", []string{"source.spm", model, "target.spm", "junk", "vocab.json", `{"<unk>":0,"</s>":1}`}, "target.spm: "},
		{"marian's two vocabularies", []string{"source.spm", model, "target.spm", model, "vocab.json", `{"<unk>":0,"</s>":1}`,
			"tokenizer_config.json", `{"separate_vocabs":true}`}, "separate_vocabs is not supported"},
		{"marian's unknown", []string{"source.spm", model, "target.spm", model, "vocab.json", `{"</s>":1}`, "tokenizer_config.json", `{"unk_token":null}`}, "unk"},
	} {
		dir := dirOf(t, c.files...)
		if _, err := LoadDir(dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), dir) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := LoadDir(dirOf(t)); !errors.Is(err, ErrNone) {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := LoadDir(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := LoadTargetDir(dirOf(t, "vocab.json", smallVocab)); err == nil {
		t.Error("a target without target.spm")
	}
}

func TestLoadConfig(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  Config
	}{
		{"nothing", nil, Config{}},
		{"tokens", []string{"tokenizer_config.json", `{"bos_token":"<s>","eos_token":{"content":"</s>","lstrip":true},"pad_token":null,
			"additional_special_tokens":["<a>",{"content":"<b>"}],"model_max_length":512,"chat_template":"T"}`},
			Config{BOS: "<s>", EOS: "</s>", AdditionalSpecial: []string{"<a>", "<b>"}, MaxLength: 512, ChatTemplate: "T"}},
		{"no limit", []string{"tokenizer_config.json", `{"model_max_length":1000000000000000019884624838656}`}, Config{}},
		{"map", []string{"tokenizer_config.json", `{"bos_token":"<s>","unk_token":"<u>"}`, "special_tokens_map.json", `{"bos_token":"<bos>","mask_token":{"content":"<m>"}}`},
			Config{BOS: "<bos>", UNK: "<u>", MASK: "<m>"}},
		{"map beside a decoder", []string{"tokenizer_config.json", `{"bos_token":"<s>","added_tokens_decoder":{"1":{"content":"<s>"}}}`,
			"special_tokens_map.json", `{"bos_token":"<bos>","sep_token":"<sep>"}`}, Config{BOS: "<s>", SEP: "<sep>"}},
		{"templates by name", []string{"tokenizer_config.json", `{"chat_template":[{"name":"default","template":"D"},{"name":"rag","template":"R"}]}`},
			Config{ChatTemplate: "D", NamedTemplates: map[string]string{"rag": "R"}}},
		{"template in files", []string{"tokenizer_config.json", `{"chat_template":"old"}`, "chat_template.jinja", "new",
			"additional_chat_templates/tool_use.jinja", "tools"}, Config{ChatTemplate: "new", NamedTemplates: map[string]string{"tool_use": "tools"}}},
		{"template in json", []string{"chat_template.json", `{"chat_template":"J"}`}, Config{ChatTemplate: "J"}},
	} {
		got, err := LoadConfig(dirOf(t, c.files...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(got.NamedTemplates) == 0 {
			got.NamedTemplates = nil
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
	}
	for _, bad := range []string{`{"chat_template":5}`, `[]`, `{"bos_token":[1]}`, `{"chat_template":[{"name":3}]}`} {
		if _, err := LoadConfig(dirOf(t, "tokenizer_config.json", bad)); err == nil || !strings.Contains(err.Error(), "tokenizer_config.json: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzVocabMerges(f *testing.F) {
	f.Add(smallVocab, smallMerges, "{}", "ab a")
	f.Add(`{"a":0}`, "a a", `{"tokenizer_class":"RobertaTokenizer"}`, "a")
	f.Add(`{"a":0,"":1}`, "a \n", `{"added_tokens_decoder":{"7":{"content":"x"}}}`, "x")
	f.Fuzz(func(t *testing.T, vocab, merges, config, text string) {
		d := &modelDir{}
		tokens, err := parseVocab(vocab)
		if err != nil {
			return
		}
		x, err := newVocabIndex(tokens, false)
		if err != nil {
			return
		}
		list, err := parseMergesText(x, []byte(merges))
		if err != nil || json.Unmarshal([]byte(config), &d.config) != nil {
			return
		}
		s, err := d.config.bpeSpec(x)
		if err != nil {
			return
		}
		s.Model = &bpe{Vocab: tokens, Merges: list}
		if tok, err := newTokenizer(s, "fuzz"); err == nil {
			tok.Decode(tok.Encode(text, true), true)
		}
	})
}

func FuzzTiktoken(f *testing.F) {
	f.Add(rankLines("ab"), `\p{L}+|\s+`, "ab a")
	f.Add("YQ== 0\nYg== 1\nYWI= 2", ".", "ab")
	f.Fuzz(func(t *testing.T, ranks, pattern, text string) {
		tokens, err := parseTiktoken([]byte(ranks))
		if err != nil {
			return
		}
		s, err := (&tiktokenEncoding{Pattern: pattern, Special: map[string]int32{"<s>": int32(len(tokens))}}).spec(tokens)
		if err != nil {
			return
		}
		if tok, err := newTokenizer(s, "fuzz"); err == nil {
			tok.Decode(tok.Encode(text, true), true)
		}
	})
}
