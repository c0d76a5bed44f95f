package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// preType is a pre-tokenizer of byte-level BPE as GGUF names it: the text is
// cut by one regular expression after the other (ggml-org/llama.cpp,
// src/llama-vocab.cpp).
type preType struct {
	names        []string
	ignoreMerges bool // a piece that is a token is that token
	addBOS       bool // unless the file says otherwise
	regexes      []string
}

const (
	cl100kRegex = cl100kPattern
	digit       = `\p{N}`
	// latinWords are DeepSeek's words in scripts with capitals.
	latinWords = "\\s?[A-Za-z" +
		"\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376-\u0377" +
		"\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556" +
		"\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15" +
		"\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe" +
		"\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113" +
		"\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183-\u2184" +
		"\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2-\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e" +
		"\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3" +
		"\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943" + "]+"
	hanOrHangul = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
	deepseek3   = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
	bloomWords  = ` ?[^(\s|.,!?…。，、।۔،)]+`
)

// preTypes are the known ones; of those that cut alike the first has the name
// that is written.
var preTypes = []preType{
	{names: []string{"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code", "roberta-bpe", "gigachat", "a.x-4.0",
		"mellum", "modern-bert", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"}, regexes: []string{gpt2Pattern}},
	{names: []string{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
		ignoreMerges: true, addBOS: true, regexes: []string{cl100kRegex}},
	{names: []string{"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}, regexes: []string{cl100kRegex}},
	{names: []string{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "hunyuan", "solar-open", "megrez", "grok-2"}, regexes: []string{qwen2Pattern}},
	{names: []string{"qwen35"}, regexes: []string{
		`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}},
	{names: []string{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"}, regexes: []string{digit, gpt2Pattern}},
	{names: []string{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, regexes: []string{o200kPattern}},
	{names: []string{"tekken"}, ignoreMerges: true, addBOS: true, regexes: []string{
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|` +
			`\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`}},
	{names: []string{"deepseek-llm"}, regexes: []string{`[\r\n]`, latinWords, "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", `\s+$`, hanOrHangul, `\p{N}+`}},
	{names: []string{"deepseek-coder"}, regexes: []string{`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, hanOrHangul, digit}},
	{names: []string{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, regexes: []string{`\p{N}{1,3}`, "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", deepseek3}},
	{names: []string{"falcon"}, regexes: []string{"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2Pattern, `[0-9][0-9][0-9]`}},
	{names: []string{"bloom", "poro-chat", "gpt3-finnish"}, regexes: []string{bloomWords}},
	{names: []string{"viking"}, regexes: []string{bloomWords, digit}},
	{names: []string{"bailingmoe", "bailingmoe2", "llada-moe"}, regexes: []string{
		`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`}},
	{names: []string{"seed-coder"}, regexes: []string{
		`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+`}},
	{names: []string{"minicpm5"}, ignoreMerges: true, regexes: []string{`\p{N}{1,3}`,
		`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}},
	{names: []string{"default", ""}, regexes: []string{`[\p{P}\$\+<=>\^~\|]+`, gpt2Pattern, `\p{N}+`, `[0-9][0-9][0-9]`}},
}

func findPreType(name string) (preType, error) {
	var known []string
	for _, p := range preTypes {
		if slices.Contains(p.names, name) {
			return p, nil
		}
		known = append(known, p.names...)
	}
	slices.Sort(known)
	return preType{}, fmt.Errorf("%q is not supported (known: %s)", name, strings.TrimPrefix(strings.Join(known, ", "), ", "))
}

// preTypeOf returns the name of the pre-tokenizer that cuts by these regular
// expressions.
func preTypeOf(regexes []string, ignoreMerges bool) (string, bool) {
	for _, p := range preTypes {
		if p.ignoreMerges == ignoreMerges && slices.Equal(p.regexes, regexes) {
			return p.names[0], true
		}
	}
	return "", false
}

// sameSplits are other spellings, in tokenizer.json files, of what is in
// preTypes.
var sameSplits = map[string]string{
	` ?[^(\s|[.,!?…。，、।۔،])]+`: bloomWords,
	`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`: cl100kRegex,
}
