package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// spmClasses are the values of tokenizer_class that say how a SentencePiece
// model becomes the parts of a tokenizer.json (transformers,
// convert_slow_tokenizer.py).
var spmClasses = map[string]func(s *spec, f *spmFile, c *configFile) error{
	"LlamaTokenizer":      (*spec).llama,
	"CodeLlamaTokenizer":  (*spec).llama,
	"GemmaTokenizer":      (*spec).gemma,
	"T5Tokenizer":         (*spec).t5,
	"MT5Tokenizer":        (*spec).t5,
	"XLMRobertaTokenizer": (*spec).xlmRoberta,
}

// loadSentencePiece reads a SentencePiece model.
func (d *modelDir) loadSentencePiece(name string) (*Tokenizer, error) {
	data, err := d.read(name)
	if err != nil {
		return nil, err
	}
	if isTiktoken(data) { // as Llama 3 was given out
		return d.loadTiktoken(name)
	}
	c := &d.config
	if !c.given {
		return ParseSentencePiece(data, d.path(name))
	}
	convert, ok := spmClasses[c.Class]
	if !ok {
		return d.failed("tokenizer_config.json", fmt.Errorf("tokenizer_class %q with a SentencePiece model is not supported (known: %s)",
			c.Class, knownKeys(spmClasses)))
	}
	f, err := parseSPM(data)
	if err != nil {
		return d.failed(name, err)
	}
	var s spec
	if err := convert(&s, f, c); err != nil {
		return d.failed(name, err)
	}
	return newTokenizer(s, d.path(name))
}

// llama: no normalization but spaces, byte fallback, bos before a text.
func (s *spec) llama(f *spmFile, c *configFile) error {
	c.otherwise("<s>", "</s>", "<unk>", "", "", "", "")
	if err := s.llamaModel(f, c); err != nil {
		return err
	}
	prefix := value(c.AddPrefixSpace, true)
	if value(c.Legacy, true) {
		s.Normalizer = llamaSpaces(prefix)
	} else {
		scheme := "first"
		if !prefix {
			scheme = "never"
		}
		s.PreTokenizer = metaspace{Replacement: spmSpace, PrependScheme: scheme}
	}
	s.Decoder = llamaDecoder(prefix)
	return nil
}

// llamaSpaces writes spaces as SentencePiece does, with one before the text if
// prefix.
func llamaSpaces(prefix bool) normalizer {
	spaces := replace{Pattern: literalPattern(" "), Content: spmSpace}
	if !prefix {
		return normalizerSequence{[]normalizer{spaces}}
	}
	return normalizerSequence{[]normalizer{prepend{spmSpace}, spaces}}
}

func llamaDecoder(prefix bool) decoder {
	steps := []decoder{replace{Pattern: literalPattern(spmSpace), Content: " "}, byteFallbackDecoder{}, fuseDecoder{}}
	if prefix {
		steps = append(steps, stripDecoder{Content: " ", Start: 1})
	}
	return decoderSequence{steps}
}

// gemma: as llama, without a space before the text.
func (s *spec) gemma(f *spmFile, c *configFile) error {
	c.otherwise("<bos>", "<eos>", "<unk>", "", "<pad>", "", "")
	if err := s.llamaModel(f, c); err != nil {
		return err
	}
	s.Normalizer = replace{Pattern: literalPattern(" "), Content: spmSpace}
	s.PreTokenizer = split{Pattern: literalPattern(" "), Behavior: "MergedWithPrevious"}
	s.Decoder = llamaDecoder(false)
	return nil
}

// llamaModel fills in all but what deals with spaces.
func (s *spec) llamaModel(f *spmFile, c *configFile) error {
	index, err := s.pieces(f, c)
	if err != nil {
		return err
	}
	bos, eos := s.tokenID(c.BOS.Content, index), s.tokenID(c.EOS.Content, index)
	s.PostProcessor = aroundTemplate(bos, eos, value(c.AddBOS, true), value(c.AddEOS, false))
	return nil
}

// aroundTemplate puts bos before and eos behind each text; nil for neither.
func aroundTemplate(bos, eos tokenID, addBOS, addEOS bool) postProcessor {
	first, second := "A", "B:1"
	if addBOS {
		first, second = "BOS "+first, "BOS:1 "+second
	}
	if addEOS {
		first, second = first+" EOS", second+" EOS:1"
	}
	if !addBOS && !addEOS {
		return nil
	}
	return newTemplate(first, first+" "+second, map[string]tokenID{"BOS": bos, "EOS": eos})
}

// pieces fills in the model, a Unigram or a BPE with the merges that the scores
// amount to, and the added tokens.
func (s *spec) pieces(f *spmFile, c *configFile) (*vocabIndex, error) {
	index, err := newVocabIndex(f.texts(), f.unigram)
	if err != nil {
		return nil, err
	}
	if f.unigram {
		m := &unigram{Vocab: index.tokens, UnkID: f.unk, ByteFallback: f.byteFallback}
		for _, p := range f.pieces {
			m.Scores = append(m.Scores, float64(p.score))
		}
		s.Model = m
	} else {
		s.Model = &bpe{Vocab: index.tokens, Merges: f.merges(index), index: index, UnkToken: c.UNK.Content, FuseUnk: true, ByteFallback: f.byteFallback}
	}
	s.AddedTokens, err = f.addedTokens(index, c)
	return index, err
}

// merges returns every way to put a piece together from two others, by
// descending score of the piece, then by the lengths of the two in characters.
func (f *spmFile) merges(x *vocabIndex) []merge {
	order := make([]int, len(f.pieces))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(f.pieces[b].score, f.pieces[a].score) })
	merges := make([]merge, 0, 2*len(order))
	var ways []pieceSplit
	for i, id := range order {
		ways = f.pieces[id].splits(ways, x)
		if i+1 < len(order) && f.pieces[order[i+1]].score == f.pieces[id].score {
			continue
		}
		slices.SortStableFunc(ways, func(a, b pieceSplit) int {
			return cmp.Or(cmp.Compare(b.leftChars, a.leftChars), cmp.Compare(b.rightChars, a.rightChars))
		})
		for _, w := range ways {
			merges = append(merges, w.merge)
		}
		ways = ways[:0]
	}
	return merges
}

// pieceSplit is a way to put a piece together.
type pieceSplit struct {
	merge
	leftChars, rightChars int
}

func (p *spmPiece) splits(to []pieceSplit, x *vocabIndex) []pieceSplit {
	left, chars := 0, utf8.RuneCountInString(p.text)
	for at := range p.text {
		if at > 0 {
			if l := x.id(p.text[:at]); l >= 0 {
				if r := x.id(p.text[at:]); r >= 0 {
					to = append(to, pieceSplit{merge{l, r}, left, chars - left})
				}
			}
		}
		left++
	}
	return to
}

// addedTokens returns the control and user-defined pieces, and the special
// tokens of the config.
func (f *spmFile) addedTokens(x *vocabIndex, c *configFile) ([]AddedToken, error) {
	list, err := c.addedTokens(x, false)
	if err != nil {
		return nil, err
	}
	known := map[int32]bool{}
	for _, t := range list {
		known[t.ID] = true
	}
	for i, p := range f.pieces {
		if (p.kind == spmControl || p.kind == spmUserDefined) && !known[int32(i)] {
			list = append(list, AddedToken{ID: int32(i), Content: p.text, Special: p.kind == spmControl})
		}
	}
	slices.SortFunc(list, func(a, b AddedToken) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// t5: the pieces, then <extra_id_n> downwards; eos behind each text.
func (s *spec) t5(f *spmFile, c *configFile) error {
	c.otherwise("", "</s>", "<unk>", "", "<pad>", "", "")
	named := map[string]bool{}
	for _, t := range c.Additional {
		named[t.Content] = true
	}
	for i := value(c.ExtraIDs, 100) - 1; i >= 0; i-- {
		token := fmt.Sprintf("<extra_id_%d>", i)
		f.pieces = append(f.pieces, spmPiece{text: token, kind: spmNormal})
		if !named[token] {
			c.Additional = append(c.Additional, configToken{AddedToken: AddedToken{Content: token}})
		}
	}
	index, err := s.pieces(f, c)
	if err != nil {
		return err
	}
	if len(f.normalizer.charsmap) > 0 {
		s.Normalizer = &precompiled{Charsmap: f.normalizer.charsmap}
	}
	spaces := metaspace{Replacement: spmSpace, PrependScheme: "always", Split: true}
	s.PreTokenizer = preTokenizerSequence{[]preTokenizer{whitespaceSplit{}, spaces}}
	s.Decoder = spaces
	s.PostProcessor = newTemplate("A EOS", "A EOS B EOS", map[string]tokenID{"EOS": s.tokenID(c.EOS.Content, index)})
	return nil
}

// xlmRoberta: fairseq's four special tokens come before the pieces, <mask>
// after them.
func (s *spec) xlmRoberta(f *spmFile, c *configFile) error {
	if len(f.pieces) < 3 {
		return fmt.Errorf("%d pieces are fewer than the special tokens", len(f.pieces))
	}
	c.otherwise("<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "")
	if c.MASK.Content == "" {
		c.MASK = configToken{AddedToken{Content: "<mask>", LStrip: true}, true}
	}
	control := func(text string) spmPiece { return spmPiece{text: text, kind: spmControl} }
	pieces := []spmPiece{control("<s>"), control("<pad>"), control("</s>"), {text: "<unk>", kind: spmUnknown}}
	f.pieces = append(append(pieces, f.pieces[3:]...), control("<mask>"))
	f.unk = 3
	index, err := s.pieces(f, c)
	if err != nil {
		return err
	}
	steps := []normalizer{
		stripNormalizer{Right: true},
		replace{Pattern: regexPattern(" {2,}"), Content: spmSpace},
	}
	if len(f.normalizer.charsmap) > 0 {
		steps = append([]normalizer{&precompiled{Charsmap: f.normalizer.charsmap}}, steps...)
	}
	s.Normalizer = normalizerSequence{steps}
	spaces := metaspace{Replacement: spmSpace, PrependScheme: "always", Split: true}
	s.PreTokenizer, s.Decoder = spaces, spaces
	s.PostProcessor = newTemplate("CLS A SEP", "CLS A SEP SEP B SEP", map[string]tokenID{
		"CLS": s.tokenID(c.CLS.Content, index), "SEP": s.tokenID(c.SEP.Content, index),
	})
	return nil
}
