package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"wenmo/internal/atomicfile"
)

// Save writes the tokenizer.json to path. A file that is there already is
// replaced as a whole or not at all.
func (t *Tokenizer) Save(path string) error {
	b, err := t.MarshalJSON()
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	return atomicfile.Replace(path, b)
}

// MarshalJSON returns the tokenizer.json.
func (t *Tokenizer) MarshalJSON() ([]byte, error) { return t.spec.marshal() }

func (s *spec) marshal() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`{"version":"1.0"`)
	added := s.AddedTokens
	if added == nil {
		added = []AddedToken{}
	}
	for _, f := range []struct {
		name  string
		value any
	}{
		{"truncation", s.Truncation}, {"padding", s.Padding}, {"added_tokens", added},
		{"normalizer", s.Normalizer}, {"pre_tokenizer", s.PreTokenizer},
		{"post_processor", s.PostProcessor}, {"decoder", s.Decoder},
	} {
		v, err := marshalPart(f.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		fmt.Fprintf(&b, ",%q:%s", f.name, v)
	}
	b.WriteString(`,"model":`)
	if err := marshalModel(&b, s.Model); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	b.WriteString("}")
	return b.Bytes(), nil
}

// marshalPart writes a part with its type first; a sequence with its parts.
func marshalPart(part any) ([]byte, error) {
	field := ""
	switch part.(type) {
	case normalizerSequence:
		field = "normalizers"
	case preTokenizerSequence:
		field = "pretokenizers"
	case postProcessorSequence:
		field = "processors"
	case decoderSequence:
		field = "decoders"
	}
	if field != "" {
		list := []json.RawMessage{}
		for _, sub := range subParts(part) {
			v, err := marshalPart(sub)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		v, err := json.Marshal(list)
		return fmt.Appendf(nil, `{"type":"Sequence",%q:%s}`, field, v), err
	}
	v, err := marshalPlain(part)
	named, ok := part.(interface{ typeName() string })
	if !ok || err != nil {
		return v, err
	}
	head := fmt.Sprintf(`{"type":%q`, named.typeName())
	if string(v) != "{}" {
		head += ","
	}
	return append([]byte(head), v[1:]...), nil
}

// marshalPlain is json.Marshal without the escapes for HTML.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func marshalModel(b *bytes.Buffer, m model) error {
	fmt.Fprintf(b, `{"type":%q`, m.typeName())
	field := func(name string, value any) {
		v, _ := marshalPlain(value)
		fmt.Fprintf(b, ",%q:%s", name, v)
	}
	switch m := m.(type) {
	case *bpe:
		field("dropout", nil)
		field("unk_token", orNull(m.UnkToken))
		field("continuing_subword_prefix", orNull(m.ContinuingSubwordPrefix))
		field("end_of_word_suffix", orNull(m.EndOfWordSuffix))
		field("fuse_unk", m.FuseUnk)
		field("byte_fallback", m.ByteFallback)
		field("ignore_merges", m.IgnoreMerges)
		marshalVocab(b, m.Vocab)
		marshalMerges(b, m)
	case *unigram:
		field("unk_id", m.UnkID)
		if err := marshalScores(b, m); err != nil {
			return err
		}
		field("byte_fallback", m.ByteFallback)
	case *wordPiece:
		field("unk_token", m.UnkToken)
		field("continuing_subword_prefix", m.ContinuingSubwordPrefix)
		field("max_input_chars_per_word", m.MaxInputCharsPerWord)
		marshalVocab(b, m.Vocab)
	case *wordLevel:
		marshalVocab(b, m.Vocab)
		field("unk_token", m.UnkToken)
	}
	b.WriteByte('}')
	return nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func marshalVocab(b *bytes.Buffer, tokens vocab) {
	b.WriteString(`,"vocab":{`)
	sep := ""
	for id, t := range tokens {
		if t != "" {
			fmt.Fprintf(b, "%s%s:%d", sep, quoteJSON(t), id)
			sep = ","
		}
	}
	b.WriteByte('}')
}

func marshalMerges(b *bytes.Buffer, m *bpe) {
	b.WriteString(`,"merges":[`)
	for i, mg := range m.Merges {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "[%s,%s]", quoteJSON(m.Vocab[mg.left]), quoteJSON(m.Vocab[mg.right]))
	}
	b.WriteByte(']')
}

func marshalScores(b *bytes.Buffer, m *unigram) error {
	b.WriteString(`,"vocab":[`)
	for id, t := range m.Vocab {
		if id > 0 {
			b.WriteByte(',')
		}
		score := m.Scores[id]
		if math.IsInf(score, 0) || math.IsNaN(score) {
			return fmt.Errorf("the score of token %s is not a number that JSON has", shorten(t))
		}
		fmt.Fprintf(b, "[%s,%s]", quoteJSON(t), strconv.FormatFloat(score, 'g', -1, 64))
	}
	b.WriteByte(']')
	return nil
}

func quoteJSON(s string) []byte {
	b, _ := marshalPlain(s)
	return b
}
