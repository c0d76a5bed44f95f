package tokenizer

import "fmt"

// ParseSentencePiece reads a SentencePiece model (.model, .spm; Unigram or
// BPE). The tokenizer gives the ids, pieces and text of SentencePiece itself,
// without bos, eos and added tokens: control symbols in a text are text. It
// has no tokenizer.json, the parts of which differ from SentencePiece in
// details. Errors begin with name.
func ParseSentencePiece(data []byte, name string) (*Tokenizer, error) {
	f, err := parseSPM(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s, err := f.spec()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return newTokenizer(s, name)
}

// spec returns the parts that run the model as it is.
func (f *spmFile) spec() (s spec, err error) {
	norm, err := newSPMNormalizer(f.normalizer, f)
	if err != nil {
		return s, err
	}
	dec, err := newSPMDecoder(f)
	return spec{Normalizer: norm, Decoder: dec, Model: &spmModel{file: f}}, err
}
