package tokenizer

import "fmt"

// wordPieceClasses are the values of tokenizer_class whose vocab.txt is read
// as BERT's.
var wordPieceClasses = map[string]bool{
	"": true, "BertTokenizer": true, "DistilBertTokenizer": true, "ElectraTokenizer": true, "MobileBertTokenizer": true,
	"SqueezeBertTokenizer": true, "ConvBertTokenizer": true, "LayoutLMTokenizer": true, "DPRQuestionEncoderTokenizer": true,
}

// loadWordPiece reads vocab.txt (transformers, BertConverter).
func (d *modelDir) loadWordPiece() (*Tokenizer, error) {
	data, err := d.read("vocab.txt")
	if err != nil {
		return nil, err
	}
	f := &d.config
	if !wordPieceClasses[f.Class] {
		return d.failed("tokenizer_config.json", fmt.Errorf("tokenizer_class %q with a vocab.txt is not supported (known: %s)",
			f.Class, knownKeys(wordPieceClasses)))
	}
	s := spec{Normalizer: bertNormalizer{
		CleanText:          true,
		HandleChineseChars: value(f.TokenizeChineseChars, true),
		StripAccents:       f.StripAccents,
		Lowercase:          value(f.DoLowerCase, true),
	}}
	if err := s.wordPiece(wordPieceVocab(lines(data)), f); err != nil {
		return d.failed("vocab.txt", err)
	}
	return newTokenizer(s, d.path("vocab.txt"))
}

// wordPieceVocab returns the tokens by id; of a token given twice the last id
// counts.
func wordPieceVocab(tokens []string) vocab {
	last := make(map[string]int, len(tokens))
	for id, t := range tokens {
		if old, ok := last[t]; ok {
			tokens[old] = ""
		}
		last[t] = id
	}
	return tokens
}

// wordPiece fills in all but the normalizer, as BERT has it.
func (s *spec) wordPiece(tokens vocab, f *configFile) error {
	index, err := newVocabIndex(tokens, false)
	if err != nil {
		return err
	}
	f.otherwise("", "", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]")
	if s.AddedTokens, err = f.addedTokens(index, false); err != nil {
		return err
	}
	cls, sep := s.tokenID(f.CLS.Content, index), s.tokenID(f.SEP.Content, index)
	s.Model = &wordPiece{Vocab: tokens, UnkToken: f.UNK.Content, ContinuingSubwordPrefix: "##", MaxInputCharsPerWord: 100}
	s.PreTokenizer = bertPreTokenizer{}
	s.PostProcessor = newTemplate("[CLS] A [SEP]", "[CLS] A [SEP] B:1 [SEP]:1", map[string]tokenID{"[CLS]": cls, "[SEP]": sep})
	s.Decoder = wordPieceDecoder{Prefix: "##", Cleanup: true}
	return nil
}
