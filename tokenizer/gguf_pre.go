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
	// latinWords are DeepSeek's letters of bicameral scripts.
	latinWords  = `\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+`
	hanOrHangul = `[一-龥ࠀ-一가-퟿]+`
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
	{names: []string{"deepseek-llm"}, regexes: []string{`[\r\n]`, latinWords, `\s?[!-/:-~！-／：-～‘-‟　-。]+`, `\s+$`, hanOrHangul, `\p{N}+`}},
	{names: []string{"deepseek-coder"}, regexes: []string{`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, hanOrHangul, digit}},
	{names: []string{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, regexes: []string{`\p{N}{1,3}`, `[一-龥぀-ゟ゠-ヿ]+`, deepseek3}},
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
