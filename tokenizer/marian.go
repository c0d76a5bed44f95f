package tokenizer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// loadMarian reads vocab.json and Marian's pair of SentencePiece models
// (transformers, MarianTokenizer): text is cut by the model encode, its pieces
// are looked up in vocab.json, and ids are joined by the model decode.
func (d *modelDir) loadMarian(encode, decode string) (*Tokenizer, error) {
	data, err := d.read("vocab.json")
	if err != nil {
		return nil, err
	}
	tokens, err := parseVocab(string(data))
	if err != nil {
		return d.failed("vocab.json", err)
	}
	var more struct {
		SeparateVocabs bool `json:"separate_vocabs"`
	}
	if err := d.readJSON("tokenizer_config.json", &more); err != nil {
		return nil, err
	}
	if more.SeparateVocabs {
		return d.failed("tokenizer_config.json", errors.New("separate_vocabs is not supported"))
	}
	source, err := d.readSPM(encode)
	if err != nil {
		return nil, err
	}
	target := source
	if decode != encode {
		if target, err = d.readSPM(decode); err != nil {
			return nil, err
		}
	}
	s, err := d.config.marianSpec(tokens, source, target)
	if err != nil {
		return d.failed("vocab.json", err)
	}
	return newTokenizer(s, d.path("vocab.json"))
}

func (d *modelDir) readSPM(name string) (*spmFile, error) {
	data, err := d.read(name)
	if err != nil {
		return nil, err
	}
	f, err := parseSPM(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path(name), err)
	}
	return f, nil
}

func (f *configFile) marianSpec(tokens vocab, source, target *spmFile) (s spec, err error) {
	f.otherwise("", "</s>", "<unk>", "", "<pad>", "", "")
	index, err := newVocabIndex(tokens, false)
	if err != nil {
		return s, err
	}
	if s.AddedTokens, err = f.addedTokens(index, false); err != nil {
		return s, err
	}
	norm, err := newSPMNormalizer(source.normalizer, source)
	if err != nil {
		return s, err
	}
	dec, err := newSPMDecoder(target)
	if err != nil {
		return s, err
	}
	if dec.index, err = newVocabIndex(target.texts(), false); err != nil {
		return s, err
	}
	special := map[string]bool{}
	for _, t := range s.AddedTokens {
		special[t.Content] = t.Special
	}
	s.Normalizer = marianNormalizer{norm}
	s.Model = &marianModel{Vocab: tokens, UnkToken: f.UNK.Content, spm: &spmModel{file: source}}
	s.Decoder = &marianDecoder{dec, special}
	s.PostProcessor = newTemplate("A EOS", "A B EOS", map[string]tokenID{"EOS": s.tokenID(f.EOS.Content, index)})
	return s, nil
}

var languageCode = regexp.MustCompile(`>>.+<<`)

// codeEnd separates the language code from the rest of a normalized text, in
// which no such byte occurs.
const codeEnd = 0xff

// marianNormalizer puts the language code that a text begins with, codeEnd,
// and the rest, without codes and as the SentencePiece model normalizes it.
type marianNormalizer struct{ spm *spmNormalizer }

func (marianNormalizer) typeName() string { return "Marian" }

func (marianNormalizer) MarshalJSON() ([]byte, error) { return nil, errNoJSON }

func (m marianNormalizer) normalize(n *normalized) {
	codes := languageCode.FindAllStringIndex(n.s, -1)
	code := normalized{track: n.track, base: n.base}
	if len(codes) > 0 && codes[0][0] == 0 {
		code = n.part(0, codes[0][1])
	}
	w := n.rewrite()
	for _, c := range codes {
		w.keep(c[0])
		w.pos = c[1]
	}
	w.keep(len(n.s))
	w.done()
	m.spm.normalize(n)
	n.joinAfter(code, codeEnd)
}

// part returns a stretch of the text.
func (n *normalized) part(start, end int) normalized {
	p := *n
	if n.track {
		n.spans()
		p.align = n.align
	}
	p.slice(start, end)
	return p
}

// joinAfter puts another text and a byte, which stands for nothing, before the
// text.
func (n *normalized) joinAfter(before normalized, with byte) {
	if n.track {
		n.align = append(append(before.spans(), span{}), n.spans()...)
	}
	n.s = before.s + string([]byte{with}) + n.s
}

// marianModel cuts text into the pieces of a SentencePiece model and gives them
// the ids of a vocabulary of its own.
type marianModel struct {
	Vocab    vocab
	UnkToken string

	spm   *spmModel
	index *vocabIndex
	unk   int32
	ids   []int32 // by piece
}

func (*marianModel) typeName() string { return "Marian" }

func (m *marianModel) tokens() vocab { return m.Vocab }

func (m *marianModel) prepare(x *vocabIndex) (err error) {
	m.index = x
	if m.unk, err = unknownID(x, m.UnkToken); err != nil {
		return err
	}
	m.ids = make([]int32, len(m.spm.file.pieces))
	for i, p := range m.spm.file.pieces {
		m.ids[i] = m.id(p.text)
	}
	return m.spm.prepare(x)
}

func (m *marianModel) id(token string) int32 {
	if id := m.index.id(token); id >= 0 {
		return id
	}
	return m.unk
}

func (m *marianModel) tokenize(w *work, p piece) {
	if n := strings.IndexByte(w.text[p.start:p.end], codeEnd); n >= 0 {
		if n > 0 {
			w.tokens = append(w.tokens, token{id: m.id(w.text[p.start : p.start+n]), start: p.start, end: p.start + n, asText: true})
		}
		p.start += n + 1
	}
	first := len(w.tokens)
	m.spm.tokenize(w, p)
	for i := range w.tokens[first:] {
		t := &w.tokens[first+i]
		if t.id == m.spm.file.unk { // perhaps a piece of the other model
			t.id = m.id(w.text[t.start:t.end])
		} else {
			t.id = m.ids[t.id]
		}
		t.asText = t.id == m.unk
	}
}

// marianDecoder joins the pieces between special tokens, which stand for
// themselves with a space behind them.
type marianDecoder struct {
	spm     *spmDecoder
	special map[string]bool
}

func (*marianDecoder) typeName() string { return "Marian" }

func (*marianDecoder) MarshalJSON() ([]byte, error) { return nil, errNoJSON }

func (d *marianDecoder) decode(tokens []string) []string {
	var out strings.Builder
	done := 0
	for i, t := range tokens {
		if d.special[t] {
			out.WriteString(d.spm.join(tokens[done:i]))
			out.WriteString(t + " ")
			done = i + 1
		}
	}
	out.WriteString(d.spm.join(tokens[done:]))
	return []string{strings.TrimSpace(strings.ReplaceAll(out.String(), spmSpace, " "))}
}
