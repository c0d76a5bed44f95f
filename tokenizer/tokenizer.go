// Package tokenizer turns text into ids and ids into text: it executes a
// tokenizer.json step by step (normalizer, pre-tokenizer, model,
// post-processor, decoder), reads the other vocabulary files in use, and
// trains vocabularies. It gives the ids, tokens and offsets of Hugging Face's
// tokenizers library.
//
// Bytes of a text that are not UTF-8 are encoded as they are by a byte-level
// vocabulary; any other sees U+FFFD in their place.
package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tokenizer is immutable once made and safe for use by many goroutines.
type Tokenizer struct {
	name  string
	spec  spec
	added *addedTokens
	index *vocabIndex // of the model
	all   vocab       // added tokens included
	size  int

	skipped map[int32]bool // what Decode leaves out with skipSpecial
	// bytes: the last pre-tokenizer is a byteLevel, which only splits, and the
	// model sees the bytes themselves.
	bytes    bool
	fused    *fused // nil: Encode goes the long way
	keepsBad bool   // bytes that are not UTF-8 stay what they are
	// needsAlign: some part asks where in the input a piece begins.
	needsAlign bool
	single     []int32 // the template for one text with special tokens; -1 is the text
	works      workPool
}

// Parse reads a tokenizer.json. Errors begin with name.
func Parse(data []byte, name string) (*Tokenizer, error) {
	s, err := parseSpec(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return newTokenizer(s, name)
}

// newTokenizer checks and compiles a spec: the way in for every loader.
func newTokenizer(s spec, name string) (*Tokenizer, error) {
	t := &Tokenizer{name: name, spec: s}
	if err := t.compile(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

func (t *Tokenizer) compile() (err error) {
	s := &t.spec
	if err = s.check(); err != nil {
		return err
	}
	if m, ok := s.Model.(*bpe); ok && m.index != nil {
		t.index = m.index
	} else {
		_, isUnigram := s.Model.(*unigram)
		if t.index, err = newVocabIndex(s.Model.tokens(), isUnigram); err != nil {
			return fmt.Errorf("model: %w", err)
		}
	}
	if err = s.Model.prepare(t.index); err != nil {
		return fmt.Errorf("model: %s: %w", s.Model.typeName(), err)
	}
	if t.added, err = newAddedTokens(s.AddedTokens, s.Normalizer); err != nil {
		return fmt.Errorf("added_tokens: %w", err)
	}
	if t.all, err = t.added.merge(t.index); err != nil {
		return fmt.Errorf("added_tokens: %w", err)
	}
	if err = checkTemplateIDs(s.PostProcessor, t.all); err != nil {
		return fmt.Errorf("post_processor: %w", err)
	}
	for _, tok := range t.all {
		if tok != "" {
			t.size++
		}
	}
	t.findSkipped()
	t.compilePipeline()
	return nil
}

// findSkipped follows the reference, which goes by the text that stands for a
// token.
func (t *Tokenizer) findSkipped() {
	special := map[string]bool{}
	for _, a := range t.added.byID {
		if a.Special {
			special[a.Content] = true
		}
	}
	t.skipped = map[int32]bool{}
	for content := range special {
		if id := t.index.id(content); id >= 0 {
			t.skipped[id] = true
		}
	}
	for id := range t.added.byID {
		t.skipped[id] = special[t.added.names[id]]
	}
}

func (t *Tokenizer) compilePipeline() {
	s := &t.spec
	if m, ok := s.Model.(*bpe); ok {
		if m.takesBytes() {
			_, t.bytes = lastPreTokenizer(s.PreTokenizer).(byteLevel)
		}
		m.ready(t.bytes)
		if t.bytes {
			t.fused = newFused(s.PreTokenizer, m)
		}
	}
	t.keepsBad = t.bytes || t.hasByteLevel()
	t.needsAlign = s.Normalizer != nil && usesOrigin(s.PreTokenizer)
	t.single = []int32{-1}
	if p := s.PostProcessor; p != nil {
		dummy := Encoding{IDs: []int32{-1}, Tokens: []string{""}, Offsets: make([][2]int, 1), TypeIDs: filled(0, 1),
			SpecialMask: filled(0, 1), AttentionMask: filled(1, 1), WordIDs: filled(0, 1), SequenceIDs: filled(0, 1)}
		all := joinAll(p.process([]Encoding{dummy}, true))
		t.single = all.IDs
	}
}

func lastPreTokenizer(p preTokenizer) preTokenizer {
	if q, ok := p.(preTokenizerSequence); ok && len(q.PreTokenizers) > 0 {
		return lastPreTokenizer(q.PreTokenizers[len(q.PreTokenizers)-1])
	}
	return p
}

// hasByteLevel reports whether some part writes bytes as letters.
func (t *Tokenizer) hasByteLevel() bool {
	var has func(part any) bool
	has = func(part any) bool {
		switch part.(type) {
		case byteLevel, byteLevelNormalizer:
			return true
		}
		for _, sub := range subParts(part) {
			if has(sub) {
				return true
			}
		}
		return false
	}
	return has(t.spec.PreTokenizer) || has(t.spec.Normalizer)
}

// usesOrigin reports whether a part does something at the start of the input.
func usesOrigin(p preTokenizer) bool {
	for _, sub := range subParts(p) {
		if usesOrigin(sub.(preTokenizer)) {
			return true
		}
	}
	m, ok := p.(metaspace)
	return ok && m.PrependScheme == "first"
}

// Encode returns the ids of text, with the special tokens of the
// post-processor if addSpecialTokens. The truncation and padding that a
// tokenizer.json may ask for do not apply here.
func (t *Tokenizer) Encode(text string, addSpecialTokens bool) []int32 {
	return t.encode(text, addSpecialTokens, false)
}

// EncodeOrdinary is Encode for text whose origin is not trusted: the names of
// special tokens in it are text.
func (t *Tokenizer) EncodeOrdinary(text string) []int32 { return t.encode(text, false, true) }

func (t *Tokenizer) encode(text string, addSpecial, asText bool) []int32 {
	w := t.works.get()
	defer t.works.put(w)
	if !addSpecial {
		return t.textIDs(nil, w, text, asText)
	}
	var ids []int32
	for _, id := range t.single {
		if id < 0 {
			ids = t.textIDs(ids, w, text, asText)
		} else {
			ids = append(ids, id)
		}
	}
	return ids
}

// textIDs appends the ids of text.
func (t *Tokenizer) textIDs(ids []int32, w *work, text string, asText bool) []int32 {
	if t.fused == nil {
		t.run(w, text, false, asText)
		return appendIDs(slices.Grow(ids, len(w.tokens)+1), w.tokens)
	}
	w.start(text, false)
	t.prepare(w, asText)
	return t.fused.appendIDs(slices.Grow(ids, len(text)/3+8), w)
}

func appendIDs(ids []int32, tokens []token) []int32 {
	for i := range tokens {
		ids = append(ids, tokens[i].id)
	}
	return ids
}

// run takes text through all stages up to the model.
func (t *Tokenizer) run(w *work, text string, track, asText bool) {
	w.start(text, track || t.needsAlign)
	t.prepare(w, asText)
	if t.spec.PreTokenizer != nil {
		w.bytes = t.bytes
		w.preTokenize(t.spec.PreTokenizer)
	}
	w.tokens = slices.Grow(w.tokens, len(w.pieces)+len(w.text)/4)
	for i, p := range w.pieces {
		from := len(w.tokens)
		if p.added >= 0 {
			w.tokens = append(w.tokens, token{id: p.added, start: p.start, end: p.end, asText: true})
		} else {
			t.spec.Model.tokenize(w, p)
		}
		for j := range w.tokens[from:] {
			w.tokens[from+j].word = int32(i)
		}
	}
}

// prepare finds the added tokens, and normalizes the text between those that
// look at it as it came.
func (t *Tokenizer) prepare(w *work, asText bool) {
	w.pieces = t.added.raw.cut(w.pieces, w.text, 0, asText)
	norm := t.spec.Normalizer
	clean := !t.keepsBad && !utf8.ValidString(w.text)
	if norm != nil || clean {
		w.rewrite(func(n *normalized) {
			if clean {
				n.validUTF8()
			}
			if norm != nil {
				norm.normalize(n)
			}
		})
	}
	if t.added.normalized.trie != nil {
		w.eachText(func(p piece, to []piece) []piece {
			return t.added.normalized.cut(to, w.text[p.start:p.end], p.start, asText)
		})
	}
}

// preTokenize runs p; where the model takes bytes, the last part leaves them.
func (w *work) preTokenize(p preTokenizer) {
	if !w.bytes {
		p.preTokenize(w)
		return
	}
	switch p := p.(type) {
	case preTokenizerSequence:
		last := len(p.PreTokenizers) - 1
		for _, sub := range p.PreTokenizers[:last] {
			sub.preTokenize(w)
		}
		w.preTokenize(p.PreTokenizers[last])
	case byteLevel:
		p.splitOnly(w)
	}
}

// Decode returns the text of ids. Ids outside the vocabulary are left out, and
// special tokens too if skipSpecial.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		if skipSpecial && t.skipped[id] {
			continue
		}
		if s := t.decodedToken(id); s != "" {
			tokens = append(tokens, s)
		}
	}
	if t.spec.Decoder == nil {
		return strings.Join(tokens, " ")
	}
	return strings.Join(t.spec.Decoder.decode(tokens), "")
}

// decodedToken returns what the decoder gets for id: for an added token its
// normalized form.
func (t *Tokenizer) decodedToken(id int32) string {
	if name, ok := t.added.names[id]; ok {
		return name
	}
	return t.all.token(id)
}

// VocabSize returns the number of tokens, added tokens included.
func (t *Tokenizer) VocabSize() int { return t.size }

// Token returns the token of id.
func (t *Tokenizer) Token(id int32) (string, bool) {
	s := t.all.token(id)
	return s, s != ""
}

// ID returns the id of token.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if id, ok := t.added.byContent[token]; ok {
		return id, true
	}
	id := t.index.id(token)
	return id, id >= 0
}

// AddedTokens returns the added tokens by ascending id.
func (t *Tokenizer) AddedTokens() []AddedToken {
	var out []AddedToken
	for _, id := range t.added.ids() {
		out = append(out, *t.added.byID[id])
	}
	return out
}

// IsSpecial reports whether id is an added token marked as special.
func (t *Tokenizer) IsSpecial(id int32) bool {
	a := t.added.byID[id]
	return a != nil && a.Special
}
