package tokenizer

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
)

// BERT's special tokens.
const (
	bertPad, bertUnk, bertCls, bertSep, bertMask = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
	bertPrefix                                   = "##"
	bertMaxChars                                 = 100 // of a word; a longer one is unknown
)

// TrainWordPiece learns the vocabulary of a WordPiece tokenizer as Hugging
// Face's WordPieceTrainer does: by merges as in TrainBPE, whose options,
// memory and treatment of sources it shares, over characters marked with ##
// inside words. The normalizer, pre-tokenizer and decoder are those of base, and
// the post-processor if its tokens are among SpecialTokens; nil stands for
// BERT's uncased ones. No SpecialTokens stands for BERT's five; the unknown
// token [UNK] is put first if it is not among them.
func TrainWordPiece(ctx context.Context, base *Tokenizer, opt TrainOptions, sources ...io.Reader) (*Tokenizer, error) {
	if opt.EndOfWordSuffix != "" {
		return nil, fmt.Errorf("train: WordPiece has no suffix for the end of a word, but %q is given", opt.EndOfWordSuffix)
	}
	switch {
	case len(opt.SpecialTokens) == 0:
		opt.SpecialTokens = []string{bertPad, bertUnk, bertCls, bertSep, bertMask}
	case !slices.Contains(opt.SpecialTokens, bertUnk):
		opt.SpecialTokens = append([]string{bertUnk}, opt.SpecialTokens...)
	}
	if base == nil {
		base = bertBase()
	}
	opt.ContinuingSubwordPrefix = cmp.Or(opt.ContinuingSubwordPrefix, bertPrefix)
	m, err := learnMerges(ctx, base, opt, opt.room(), sources)
	if err != nil {
		return nil, err
	}
	return trained(base, opt.SpecialTokens, &wordPiece{
		Vocab: m.tokens, UnkToken: bertUnk, ContinuingSubwordPrefix: opt.ContinuingSubwordPrefix, MaxInputCharsPerWord: bertMaxChars,
	})
}

// bertBase is the way that uncased BERT cuts and joins text.
func bertBase() *Tokenizer {
	special := map[string]tokenID{bertCls: {Token: bertCls}, bertSep: {Token: bertSep}}
	return &Tokenizer{spec: spec{
		Normalizer:    bertNormalizer{CleanText: true, HandleChineseChars: true, Lowercase: true},
		PreTokenizer:  bertPreTokenizer{},
		PostProcessor: newTemplate("[CLS] A [SEP]", "[CLS] A [SEP] B:1 [SEP]:1", special),
		Decoder:       wordPieceDecoder{Prefix: bertPrefix, Cleanup: true},
		Model:         &wordPiece{},
	}}
}
