package tokenizer

import (
	"fmt"
	"strings"
)

// bpeClass is how a tokenizer_class reads vocab.json and merges.txt
// (transformers, convert_slow_tokenizer.py).
type bpeClass struct {
	bos, eos, unk, pad string // where the config names none
	mask               string // with the white space before it
	roberta            bool   // RoBERTa's special tokens around a text
	qwen2              bool   // NFC and Qwen2's split
}

var gpt2Class = bpeClass{bos: "<|endoftext|>", eos: "<|endoftext|>", unk: "<|endoftext|>"}

var robertaClass = bpeClass{bos: "<s>", eos: "</s>", unk: "<unk>", pad: "<pad>", mask: "<mask>", roberta: true}

var bpeClasses = map[string]bpeClass{
	"":                    gpt2Class,
	"GPT2Tokenizer":       gpt2Class,
	"CodeGenTokenizer":    gpt2Class,
	"RobertaTokenizer":    robertaClass,
	"BartTokenizer":       robertaClass,
	"LongformerTokenizer": robertaClass,
	"LEDTokenizer":        robertaClass,
	"Qwen2Tokenizer":      {eos: "<|endoftext|>", unk: "", pad: "<|endoftext|>", qwen2: true},
}

// qwen2Pattern is the split of Qwen2's tokenizer.
const qwen2Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// loadBPE reads vocab.json and merges.txt.
func (d *modelDir) loadBPE() (*Tokenizer, error) {
	data, err := d.read("vocab.json")
	if err != nil {
		return nil, err
	}
	tokens, err := parseVocab(string(data))
	if err != nil {
		return d.failed("vocab.json", err)
	}
	index, err := newVocabIndex(tokens, false)
	if err != nil {
		return d.failed("vocab.json", err)
	}
	if data, err = d.read("merges.txt"); err != nil {
		return nil, err
	}
	merges, err := parseMergesText(index, data)
	if err != nil {
		return d.failed("merges.txt", err)
	}
	s, err := d.config.bpeSpec(index)
	if err != nil {
		return d.failed("tokenizer_config.json", err)
	}
	s.Model = &bpe{Vocab: tokens, Merges: merges, index: index}
	return newTokenizer(s, d.path("vocab.json"))
}

// parseMergesText reads lines of two tokens.
func parseMergesText(x *vocabIndex, data []byte) ([]merge, error) {
	var merges []merge
	for i, line := range lines(data) {
		if line == "" || strings.HasPrefix(line, "#version") {
			continue
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return nil, fmt.Errorf("line %d: %s is not two tokens with a space between", i+1, shorten(line))
		}
		mg, err := parseMerge(x, len(merges), left, right)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		merges = append(merges, mg)
	}
	return merges, nil
}

// bpeSpec returns all but the model.
func (f *configFile) bpeSpec(x *vocabIndex) (s spec, err error) {
	class, ok := bpeClasses[f.Class]
	if !ok {
		return s, fmt.Errorf("tokenizer_class %q with a vocab.json is not supported (known: %s)", f.Class, knownKeys(bpeClasses))
	}
	sep, cls := "", ""
	if class.roberta {
		sep, cls = class.eos, class.bos
	}
	if class.mask != "" && f.MASK.Content == "" {
		f.MASK = configToken{AddedToken{Content: class.mask, LStrip: true}, true}
	}
	f.otherwise(class.bos, class.eos, class.unk, sep, class.pad, cls, "")
	if s.AddedTokens, err = f.addedTokens(x, !class.qwen2); err != nil {
		return s, err
	}
	level := byteLevel{AddPrefixSpace: value(f.AddPrefixSpace, false), TrimOffsets: true, UseRegex: true}
	s.PreTokenizer = level
	s.Decoder = byteLevel{AddPrefixSpace: true, TrimOffsets: true, UseRegex: true}
	s.PostProcessor = byteLevel{AddPrefixSpace: true, UseRegex: true}
	switch {
	case class.roberta:
		s.PostProcessor = robertaProcessing{
			Sep: s.tokenID(f.SEP.Content, x), Cls: s.tokenID(f.CLS.Content, x),
			TrimOffsets: true, AddPrefixSpace: level.AddPrefixSpace,
		}
	case value(f.AddBOS, false):
		s.PostProcessor = newTemplate("BOS A", "BOS A B:1", map[string]tokenID{"BOS": s.tokenID(f.BOS.Content, x)})
	}
	if class.qwen2 {
		s.Normalizer = unicodeForm{"NFC"}
		level.UseRegex = false
		s.PreTokenizer = preTokenizerSequence{[]preTokenizer{isolated(qwen2Pattern), level}}
	}
	return s, nil
}
