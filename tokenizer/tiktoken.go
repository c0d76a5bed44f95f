package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tiktokenEncoding is what a file of ranks does not say of its encoding
// (openai/tiktoken, tiktoken_ext/openai_public.py). config.json gives it in the
// same words.
type tiktokenEncoding struct {
	Pattern string           `json:"pat_str"`
	Special map[string]int32 `json:"special_tokens"`
	bos     string           // before every text
}

const (
	cl100kPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	o200kPattern  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// tiktokenEncodings are the well-known files. tokenizer.model is Llama 3's.
var tiktokenEncodings = map[string]tiktokenEncoding{
	"r50k_base.tiktoken": {Pattern: gpt2Pattern, Special: map[string]int32{"<|endoftext|>": 50256}},
	"p50k_base.tiktoken": {Pattern: gpt2Pattern, Special: map[string]int32{"<|endoftext|>": 50256}},
	"cl100k_base.tiktoken": {Pattern: cl100kPattern, Special: map[string]int32{
		"<|endoftext|>": 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260, "<|endofprompt|>": 100276,
	}},
	"o200k_base.tiktoken": {Pattern: o200kPattern, Special: map[string]int32{"<|endoftext|>": 199999, "<|endofprompt|>": 200018}},
	"qwen.tiktoken":       {Pattern: qwen2Pattern, Special: numbered(151643, "<|endoftext|>", "<|im_start|>", "<|im_end|>")},
	"tokenizer.model": {Pattern: cl100kPattern, bos: "<|begin_of_text|>", Special: numbered(128000,
		"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
		"<|reserved_special_token_2|>", "<|reserved_special_token_3|>", "<|start_header_id|>", "<|end_header_id|>",
		"<|reserved_special_token_4|>", "<|eot_id|>")},
}

func numbered(first int32, tokens ...string) map[string]int32 {
	m := map[string]int32{}
	for i, t := range tokens {
		m[t] = first + int32(i)
	}
	return m
}

// isTiktoken reports whether a file begins with a token in base64 and its rank.
func isTiktoken(data []byte) bool {
	line, _, _ := bytes.Cut(data[:min(len(data), 4*maxPiece)], []byte("\n"))
	_, _, err := parseRank(strings.TrimSuffix(string(line), "\r"))
	return err == nil
}

// loadTiktoken reads a file of ranks.
func (d *modelDir) loadTiktoken(name string) (*Tokenizer, error) {
	var e tiktokenEncoding
	if err := d.readJSON("config.json", &e); err != nil {
		return nil, err
	}
	if e.Pattern == "" {
		var ok bool
		if e, ok = tiktokenEncodings[name]; !ok {
			return d.failed(name, fmt.Errorf("neither config.json gives its pat_str, nor is its name known (%s)", knownKeys(tiktokenEncodings)))
		}
	}
	data, err := d.read(name)
	if err != nil {
		return nil, err
	}
	tokens, err := parseTiktoken(data)
	if err != nil {
		return d.failed(name, err)
	}
	s, err := e.spec(tokens)
	if err != nil {
		return d.failed(name, err)
	}
	return newTokenizer(s, d.path(name))
}

// parseTiktoken reads lines of a token in base64 and its rank, which is its id.
// Tokens come in byte-level letters.
func parseTiktoken(data []byte) (vocab, error) {
	var tokens vocab
	for i, line := range lines(data) {
		if line == "" {
			continue
		}
		token, rank, err := parseRank(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if rank > len(data)+maxIDGap {
			return nil, fmt.Errorf("line %d: rank %d is more than a file of this size can hold", i+1, rank)
		}
		if rank >= len(tokens) {
			tokens = append(tokens, make(vocab, rank+1-len(tokens))...)
		}
		if tokens[rank] != "" {
			return nil, fmt.Errorf("line %d: rank %d is given twice", i+1, rank)
		}
		tokens[rank] = lettersOf(string(token))
	}
	return tokens, nil
}

func parseRank(line string) (token []byte, rank int, err error) {
	text, digits, ok := strings.Cut(line, " ")
	if !ok {
		return nil, 0, fmt.Errorf("%s is not a token in base64 and a rank", shorten(line))
	}
	if token, err = base64.StdEncoding.DecodeString(text); err != nil || len(token) == 0 {
		return nil, 0, fmt.Errorf("%s is no token in base64", shorten(text))
	}
	if len(token) > maxPiece {
		return nil, 0, fmt.Errorf("the token %s is longer than %d bytes", shorten(text), maxPiece)
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return nil, 0, fmt.Errorf("%s is no rank", shorten(digits))
	}
	return token, int(n), nil
}

// possessiveCount is what tiktoken's regular expressions read as possessive,
// those of a tokenizer.json as repeated; in either the plain one is meant.
var possessiveCount = regexp.MustCompile(`(\{\d+(?:,\d*)?\})\+`)

// spec makes a byte-level BPE of the encoding.
func (e *tiktokenEncoding) spec(tokens vocab) (s spec, err error) {
	index, err := newVocabIndex(tokens, false)
	if err != nil {
		return s, err
	}
	s.Model = &bpe{Vocab: tokens, Merges: rankedMerges(index), index: index, IgnoreMerges: true}
	for _, content := range slices.Sorted(maps.Keys(e.Special)) {
		s.AddedTokens = append(s.AddedTokens, AddedToken{ID: e.Special[content], Content: content, Special: true})
	}
	slices.SortStableFunc(s.AddedTokens, func(a, b AddedToken) int { return cmp.Compare(a.ID, b.ID) })
	pattern := possessiveCount.ReplaceAllString(e.Pattern, "$1")
	s.PreTokenizer = preTokenizerSequence{[]preTokenizer{isolated(pattern), byteLevel{TrimOffsets: true}}}
	s.Decoder = byteLevel{AddPrefixSpace: true, TrimOffsets: true, UseRegex: true}
	if e.bos != "" {
		s.PostProcessor = aroundTemplate(s.tokenID(e.bos, index), tokenID{}, true, false)
	}
	return s, nil
}

// rankedMerges returns every way to put a token together from two others, by
// the rank of the token, then of the left and the right one.
func rankedMerges(x *vocabIndex) []merge {
	var merges []merge
	for _, t := range x.tokens {
		begin := len(merges)
		for at := range t {
			if at == 0 {
				continue
			}
			if l, r := x.id(t[:at]), x.id(t[at:]); l >= 0 && r >= 0 {
				merges = append(merges, merge{l, r})
			}
		}
		slices.SortFunc(merges[begin:], func(a, b merge) int {
			return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
		})
	}
	return merges
}
