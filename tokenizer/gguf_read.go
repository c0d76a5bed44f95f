package tokenizer

import (
	"fmt"
	"strings"
)

// ggufVocab is what the metadata of all models have.
type ggufVocab struct {
	tokens vocab
	kinds  []spmKind // by id, numbered as SentencePiece does
	scores []float64 // by id; nil: none
	index  *vocabIndex
}

func (m ggufMeta) spec() (s spec, err error) {
	model, err := m.string("model")
	if err != nil {
		return s, err
	}
	if model == "" || model == "none" || model == "no_vocab" {
		return s, ErrNone
	}
	read, ok := ggufModels[model]
	if !ok {
		return s, fmt.Errorf("metadata %smodel: %q is not supported (known: %s)", ggufPrefix, model, knownKeys(ggufModels))
	}
	v, err := m.vocab()
	if err != nil {
		return s, err
	}
	return read(m, v)
}

var ggufModels = map[string]func(m ggufMeta, v *ggufVocab) (spec, error){
	"gpt2":  ggufMeta.gpt2,
	"llama": ggufMeta.llama,
	"bert":  ggufMeta.bert,
	"t5":    ggufMeta.t5,
}

func (m ggufMeta) vocab() (*ggufVocab, error) {
	tokens, err := m.strings("tokens")
	if err != nil {
		return nil, err
	}
	v := &ggufVocab{tokens: tokens, kinds: make([]spmKind, len(tokens))}
	kinds, err := m.numbers("token_type", len(tokens))
	if err != nil {
		return nil, err
	}
	for i := range v.kinds {
		v.kinds[i] = spmNormal
		if kinds != nil && kinds[i] >= 1 && kinds[i] <= float64(spmByte) {
			v.kinds[i] = spmKind(kinds[i])
		}
	}
	if v.scores, err = m.numbers("scores", len(tokens)); err != nil {
		return nil, err
	}
	if v.index, err = newVocabIndex(tokens, false); err != nil {
		return nil, fmt.Errorf("metadata %stokens: %w", ggufPrefix, err)
	}
	return v, nil
}

// addedTokens returns the tokens to be found in a text: user-defined ones
// always, others as special tokens.
func (v *ggufVocab) addedTokens() []AddedToken {
	var list []AddedToken
	for i, kind := range v.kinds {
		switch kind {
		case spmControl, spmUnknown, spmUserDefined:
			if v.tokens[i] != "" && len(v.tokens[i]) <= maxAddedToken {
				list = append(list, AddedToken{ID: int32(i), Content: v.tokens[i], Special: kind != spmUserDefined})
			}
		}
	}
	return list
}

// special returns the token of an id key, or of what it is without the key.
func (m ggufMeta) special(v *ggufVocab, otherwise int32, keys ...string) tokenID {
	id := otherwise
	for _, key := range keys {
		if given, ok := m.id(key); ok && int(given) < len(v.tokens) {
			id = given
			break
		}
	}
	if id < 0 || int(id) >= len(v.tokens) {
		return tokenID{"", -1}
	}
	return tokenID{v.tokens[id], id}
}

// around is the post-processor: bos before, eos behind a text.
func (m ggufMeta) around(v *ggufVocab, addBOS, addEOS bool, bos, eos int32) postProcessor {
	return aroundTemplate(m.special(v, bos, "bos_token_id"), m.special(v, eos, "eos_token_id"),
		m.flag("add_bos_token", addBOS), m.flag("add_eos_token", addEOS))
}

func (m ggufMeta) gpt2(v *ggufVocab) (s spec, err error) {
	name, err := m.string("pre")
	if err != nil {
		return s, err
	}
	pre, err := findPreType(name)
	if err != nil {
		return s, fmt.Errorf("metadata %spre: %w", ggufPrefix, err)
	}
	lines, err := m.strings("merges")
	if err != nil {
		return s, err
	}
	model := &bpe{Vocab: v.tokens, index: v.index, IgnoreMerges: pre.ignoreMerges}
	if model.Merges, err = ggufMerges(v.index, lines); err != nil {
		return s, fmt.Errorf("metadata %smerges: %w", ggufPrefix, err)
	}
	steps := make([]preTokenizer, 0, len(pre.regexes)+1)
	for _, regex := range pre.regexes {
		steps = append(steps, isolated(regex))
	}
	const openAI = 11 // <|endoftext|> by llama.cpp's default
	return spec{
		AddedTokens:   v.addedTokens(),
		PreTokenizer:  preTokenizerSequence{append(steps, byteLevel{TrimOffsets: true})},
		Model:         model,
		PostProcessor: m.around(v, pre.addBOS, false, openAI, openAI),
		Decoder:       byteLevel{AddPrefixSpace: true, TrimOffsets: true, UseRegex: true},
	}, nil
}

// ggufMerges reads pairs of tokens with a space between, of which the first
// may begin with one.
func ggufMerges(x *vocabIndex, list []string) ([]merge, error) {
	merges := make([]merge, 0, len(list))
	for i, text := range list {
		at := -1
		if text != "" {
			at = strings.IndexByte(text[1:], ' ')
		}
		if at < 0 {
			return nil, fmt.Errorf("merge %d: %s is not two tokens with a space between", i, shorten(text))
		}
		mg, err := parseMerge(x, i, text[:at+1], text[at+2:])
		if err != nil {
			return nil, err
		}
		merges = append(merges, mg)
	}
	return merges, nil
}

// spmFile returns the vocabulary as a SentencePiece model.
func (v *ggufVocab) spmFile(unk tokenID) (*spmFile, error) {
	if v.scores == nil {
		return nil, fmt.Errorf("metadata %sscores is missing", ggufPrefix)
	}
	f := &spmFile{unk: unk.ID, unkSurface: " ⁇ ", pieces: make([]spmPiece, len(v.tokens))}
	if unk.ID < 0 {
		return nil, fmt.Errorf("metadata %sunknown_token_id is missing", ggufPrefix)
	}
	bytes := 0
	for i, t := range v.tokens {
		if len(t) > maxPiece {
			return nil, fmt.Errorf("metadata %stokens: token %d, %s, is longer than %d bytes", ggufPrefix, i, shorten(t), maxPiece)
		}
		f.pieces[i] = spmPiece{text: t, score: float32(v.scores[i]), kind: v.kinds[i]}
		if v.kinds[i] == spmByte {
			bytes++
		}
	}
	f.byteFallback = bytes == 256
	return f, nil
}

func (m ggufMeta) llama(v *ggufVocab) (s spec, err error) {
	unk := m.special(v, 0, "unknown_token_id")
	f, err := v.spmFile(unk)
	if err != nil {
		return s, err
	}
	prefix := m.flag("add_space_prefix", true)
	return spec{
		AddedTokens:   v.addedTokens(),
		Normalizer:    llamaSpaces(prefix),
		Model:         &bpe{Vocab: v.tokens, Merges: f.merges(v.index), index: v.index, UnkToken: unk.Token, FuseUnk: true, ByteFallback: f.byteFallback},
		PostProcessor: m.around(v, true, false, 1, 2),
		Decoder:       llamaDecoder(prefix),
	}, nil
}

func (m ggufMeta) t5(v *ggufVocab) (s spec, err error) {
	f, err := v.spmFile(m.special(v, 2, "unknown_token_id"))
	if err != nil {
		return s, err
	}
	f.unigram = true
	f.spaceAfter = m.flag("treat_whitespace_as_suffix", false)
	f.normalizer = spmNormalizerSpec{
		addDummyPrefix:   m.flag("add_space_prefix", false),
		removeSpaces:     m.flag("remove_extra_whitespaces", false),
		escapeWhitespace: m.flag("escape_whitespaces", true),
	}
	switch charsmap := m[ggufPrefix+"precompiled_charsmap"].(type) {
	case nil:
	case []uint8:
		f.normalizer.charsmap = charsmap
	case []int8:
		f.normalizer.charsmap = make([]byte, len(charsmap))
		for i, b := range charsmap {
			f.normalizer.charsmap[i] = byte(b)
		}
	default:
		return s, m.wrong("precompiled_charsmap", "an array of bytes")
	}
	if s, err = f.spec(); err != nil {
		return s, err
	}
	s.AddedTokens = v.addedTokens()
	s.PostProcessor = m.around(v, false, true, -1, 1)
	return s, nil
}

// bert: tokens that begin a word are marked with ▁ instead of the others with
// ##; names in brackets are as they are.
func (m ggufMeta) bert(v *ggufVocab) (s spec, err error) {
	tokens := make(vocab, len(v.tokens))
	for i, t := range v.tokens {
		word, begins := strings.CutPrefix(t, spmSpace)
		switch {
		case begins:
			t = word
		case t != "" && v.kinds[i] == spmNormal && !bracketed(t):
			t = "##" + t
		}
		tokens[i] = t
	}
	v.tokens = tokens
	lower := m.flag("normalizer.lowercase", true)
	var c configFile
	c.UNK.Content = m.special(v, 100, "unknown_token_id").Token
	c.CLS.Content = m.special(v, 101, "cls_token_id", "bos_token_id").Token
	c.SEP.Content = m.special(v, 102, "seperator_token_id", "separator_token_id", "eos_token_id").Token
	c.PAD.Content = m.special(v, 0, "padding_token_id").Token
	c.MASK.Content = m.special(v, 103, "mask_token_id").Token
	if c.UNK.Content == "" || c.CLS.Content == "" || c.SEP.Content == "" {
		return s, fmt.Errorf("metadata %sunknown_token_id, cls_token_id and seperator_token_id are not all in the vocabulary of %d", ggufPrefix, len(tokens))
	}
	strip := m.flag("normalizer.strip_accents", lower)
	s.Normalizer = bertNormalizer{CleanText: true, HandleChineseChars: true, StripAccents: &strip, Lowercase: lower}
	if err := s.wordPiece(wordPieceVocab(tokens), &c); err != nil {
		return s, err
	}
	s.AddedTokens = v.addedTokens()
	return s, nil
}

func bracketed(token string) bool {
	return strings.HasPrefix(token, "[") && strings.HasSuffix(token, "]")
}
