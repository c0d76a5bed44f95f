package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// GGUFMetadata returns the metadata, keys tokenizer.*, by which a GGUF file
// describes the tokenizer and the special tokens and chat templates of c. A
// tokenizer that GGUF has no words for is an error, with three exceptions that
// all writers of GGUF make: NFC before a byte-level BPE is left out, a Llama
// tokenizer puts a space before a text whether or not it begins with one, and
// added tokens do not take the spaces beside them.
func (t *Tokenizer) GGUFMetadata(c Config) (map[string]any, error) {
	g := &ggufWriter{t: t, meta: map[string]any{}}
	if err := g.write(&c); err != nil {
		return nil, fmt.Errorf("%s: as GGUF: %w", t.name, err)
	}
	return g.meta, nil
}

// PadGGUF fills up the vocabulary in metadata of GGUFMetadata to as many tokens
// as the model's embedding has rows, with unused ones.
func PadGGUF(meta map[string]any, rows int) {
	tokens, _ := meta[ggufPrefix+"tokens"].([]string)
	kinds, _ := meta[ggufPrefix+"token_type"].([]int32)
	scores, scored := meta[ggufPrefix+"scores"].([]float32)
	for id := len(tokens); id < rows; id++ {
		tokens = append(tokens, fmt.Sprintf("[PAD%d]", id))
		kinds = append(kinds, int32(spmUnused))
		scores = append(scores, unusedScore)
	}
	meta[ggufPrefix+"tokens"], meta[ggufPrefix+"token_type"] = tokens, kinds
	if scored {
		meta[ggufPrefix+"scores"] = scores
	}
}

// unusedScore is below all others.
const unusedScore = -1e9

type ggufWriter struct {
	t     *Tokenizer
	meta  map[string]any
	kinds []int32
}

func (g *ggufWriter) set(key string, value any) { g.meta[ggufPrefix+key] = value }

func (g *ggufWriter) write(c *Config) error {
	g.tokens()
	var err error
	switch m := g.t.spec.Model.(type) {
	case *bpe:
		if _, ok := lastPreTokenizer(g.t.spec.PreTokenizer).(byteLevel); ok {
			err = g.byteLevel(m)
		} else {
			err = g.llama(m)
		}
	case *spmModel:
		err = g.sentencePiece(m)
	case *wordPiece:
		err = g.bert(m, c)
	default:
		err = fmt.Errorf("a %s model has no form in it", m.typeName())
	}
	if err != nil {
		return err
	}
	if err := g.around(c); err != nil {
		return err
	}
	g.names(c)
	return nil
}

// tokens writes the tokens and their types; ids without a token get a name.
func (g *ggufWriter) tokens() {
	tokens := slices.Clone([]string(g.t.all))
	g.kinds = make([]int32, len(tokens))
	for id, token := range tokens {
		kind := spmNormal
		if a := g.t.added.byID[int32(id)]; a != nil {
			if kind = spmUserDefined; a.Special {
				kind = spmControl
			}
		}
		if token == "" {
			tokens[id] = fmt.Sprintf("[PAD%d]", id)
			kind = spmUnused
		}
		g.kinds[id] = int32(kind)
	}
	g.set("tokens", tokens)
	g.set("token_type", g.kinds)
}

// names writes the ids of special tokens and the chat templates.
func (g *ggufWriter) names(c *Config) {
	for key, name := range map[string]string{
		"bos": c.BOS, "eos": c.EOS, "unknown": c.UNK, "seperator": c.SEP, "padding": c.PAD, "cls": c.CLS, "mask": c.MASK,
	} {
		if id, ok := g.t.ID(name); ok && name != "" {
			g.set(key+"_token_id", uint32(id))
		}
	}
	if c.ChatTemplate != "" {
		g.meta[GGUFChatTemplate] = c.ChatTemplate
	}
	if len(c.NamedTemplates) > 0 {
		g.meta["tokenizer.chat_templates"] = slices.Sorted(maps.Keys(c.NamedTemplates))
		for name, text := range c.NamedTemplates {
			g.meta[GGUFChatTemplate+"."+name] = text
		}
	}
}

func firstOf(ids []int32) int32 {
	if len(ids) == 0 {
		return -1
	}
	return ids[0]
}

// around writes which special tokens the post-processor puts around a text.
func (g *ggufWriter) around(c *Config) error {
	at := slices.Index(g.t.single, -1)
	before, after := g.t.single[:at], g.t.single[at+1:]
	if len(before) > 1 || len(after) > 1 {
		return fmt.Errorf("%d special tokens before a text and %d behind it have no form in it", len(before), len(after))
	}
	first, last, addLast := &c.BOS, &c.EOS, "add_eos_token"
	if _, bert := g.t.spec.Model.(*wordPiece); bert {
		first, last, addLast = &c.CLS, &c.SEP, "add_sep_token"
		c.BOS = cmp.Or(g.t.all.token(firstOf(before)), c.CLS)
	}
	*first = cmp.Or(g.t.all.token(firstOf(before)), *first)
	*last = cmp.Or(g.t.all.token(firstOf(after)), *last)
	g.set("add_bos_token", len(before) > 0)
	g.set(addLast, len(after) > 0)
	return nil
}

// byteLevel writes a byte-level BPE.
func (g *ggufWriter) byteLevel(m *bpe) error {
	if n := g.t.spec.Normalizer; n != nil && n.typeName() != "NFC" {
		return fmt.Errorf("the normalizer %s has no form in it", n.typeName())
	}
	if m.ContinuingSubwordPrefix != "" || m.EndOfWordSuffix != "" {
		return errors.New("marks on parts of words have no form in it")
	}
	regexes, ok := splitRegexes(g.t.spec.PreTokenizer)
	name := ""
	if ok {
		name, ok = preTypeOf(regexes, m.IgnoreMerges)
	}
	if !ok {
		return fmt.Errorf("the pre-tokenizer has no name in it (it splits by %q, ignore_merges %v)", regexes, m.IgnoreMerges)
	}
	g.set("model", "gpt2")
	g.set("pre", name)
	g.set("merges", mergeLines(m))
	return nil
}

func mergeLines(m *bpe) []string {
	lines := make([]string, len(m.Merges))
	for i, mg := range m.Merges {
		lines[i] = m.Vocab[mg.left] + " " + m.Vocab[mg.right]
	}
	return lines
}

// splitRegexes returns the regular expressions that a pre-tokenizer cuts by.
func splitRegexes(p preTokenizer) (list []string, ok bool) {
	switch p := p.(type) {
	case preTokenizerSequence:
		for _, sub := range p.PreTokenizers {
			more, ok := splitRegexes(sub)
			if !ok {
				return nil, false
			}
			list = append(list, more...)
		}
		return list, true
	case split:
		if !p.Pattern.isRegex || p.Behavior != "Isolated" || p.Invert {
			return nil, false
		}
		return []string{cmp.Or(sameSplits[p.Pattern.regex], p.Pattern.regex)}, true
	case digits:
		if p.Individual {
			return []string{digit}, true
		}
		return []string{digit + "+"}, true
	case byteLevel:
		if p.UseRegex {
			list = []string{gpt2Pattern}
		}
		return list, !p.AddPrefixSpace
	}
	return nil, false
}

// llama writes a BPE of SentencePiece's kind, with scores that make
// SentencePiece merge in the same order.
func (g *ggufWriter) llama(m *bpe) error {
	prefix, ok := llamaPrefix(&g.t.spec)
	if !ok {
		return errors.New("the way it treats spaces has no form in it")
	}
	scores := make([]float32, len(g.kinds))
	for id := range scores {
		scores[id] = float32(-len(m.Merges) - id)
	}
	for rank := len(m.Merges) - 1; rank >= 0; rank-- {
		mg := m.Merges[rank]
		if _, id := m.merged.get(mg.left, mg.right); id >= 0 {
			scores[id] = float32(-rank)
		}
	}
	g.bytesAndUnknown(m.unk)
	g.set("model", "llama")
	g.set("pre", "default")
	g.set("scores", scores)
	g.set("add_space_prefix", prefix)
	return nil
}

// bytesAndUnknown marks the tokens <0x00> to <0xFF> and that for what is
// unknown.
func (g *ggufWriter) bytesAndUnknown(unk int32) {
	for id, t := range g.t.all {
		if _, ok := byteToken(t); ok {
			g.kinds[id] = int32(spmByte)
		}
	}
	if unk >= 0 {
		g.kinds[unk] = int32(spmUnknown)
		g.set("unknown_token_id", uint32(unk))
	}
}

// llamaPrefix reports whether spaces become ▁ and nothing else happens to the
// text, and whether one is put before it.
func llamaPrefix(s *spec) (prefix, ok bool) {
	if m, ok := s.PreTokenizer.(metaspace); ok {
		return m.PrependScheme != "never", s.Normalizer == nil && m.Replacement == spmSpace
	}
	if p, ok := s.PreTokenizer.(split); ok { // finds no spaces, for they are ▁ by then
		if p.Pattern.isRegex || p.Pattern.literal != " " {
			return false, false
		}
	} else if s.PreTokenizer != nil {
		return false, false
	}
	steps := []normalizer{s.Normalizer}
	if q, ok := s.Normalizer.(normalizerSequence); ok {
		steps = q.Normalizers
	}
	if p, ok := steps[0].(prepend); ok && len(steps) == 2 {
		prefix = p.Prepend == spmSpace
		steps = steps[1:]
	}
	r, ok := steps[0].(replace)
	return prefix, ok && len(steps) == 1 && !r.Pattern.isRegex && r.Pattern.literal == " " && r.Content == spmSpace
}

// sentencePiece writes a SentencePiece model as it is.
func (g *ggufWriter) sentencePiece(m *spmModel) error {
	n := m.file.normalizer
	scores := make([]float32, len(g.kinds))
	for id, p := range m.file.pieces {
		scores[id] = p.score
		g.kinds[id] = int32(p.kind)
	}
	g.set("scores", scores)
	g.set("unknown_token_id", uint32(m.file.unk))
	g.set("add_space_prefix", n.addDummyPrefix)
	if !m.file.unigram {
		if len(n.charsmap) > 0 || n.removeSpaces || m.file.spaceAfter {
			return errors.New("normalization before BPE has no form in it")
		}
		g.set("model", "llama")
		g.set("pre", "default")
		return nil
	}
	g.set("model", "t5")
	g.set("remove_extra_whitespaces", n.removeSpaces)
	g.set("escape_whitespaces", n.escapeWhitespace)
	g.set("treat_whitespace_as_suffix", m.file.spaceAfter)
	if len(n.charsmap) > 0 {
		g.set("precompiled_charsmap", n.charsmap)
	}
	return nil
}

// bert writes a WordPiece: its words are marked with ▁ instead of what goes on
// in them.
func (g *ggufWriter) bert(m *wordPiece, c *Config) error {
	n, ok := g.t.spec.Normalizer.(bertNormalizer)
	if _, pre := g.t.spec.PreTokenizer.(bertPreTokenizer); !ok || !pre || !n.CleanText || !n.HandleChineseChars || m.ContinuingSubwordPrefix != "##" {
		return errors.New("a WordPiece that is not BERT's has no form in it")
	}
	tokens := g.meta[ggufPrefix+"tokens"].([]string)
	for id, t := range tokens {
		if rest, inside := strings.CutPrefix(t, "##"); inside {
			tokens[id] = rest
		} else if g.kinds[id] == int32(spmNormal) && !bracketed(t) {
			tokens[id] = spmSpace + t
		}
	}
	c.UNK = m.UnkToken
	g.set("model", "bert")
	g.set("token_type_count", uint32(2))
	g.set("normalizer.lowercase", n.Lowercase)
	g.set("normalizer.strip_accents", value(n.StripAccents, n.Lowercase))
	return nil
}
