package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// parseSpec reads a tokenizer.json.
func parseSpec(data []byte) (spec, error) {
	var s spec
	raw, err := readFields(data, &s.Model)
	if err != nil {
		return s, err
	}
	if v := raw["version"]; v != "" && v != `"1.0"` {
		return s, fmt.Errorf("version %s is not supported (known: \"1.0\")", shorten(v))
	}
	for _, step := range []struct {
		field string
		read  func(raw string) error
	}{
		{"truncation", readTruncation(&s)},
		{"padding", func(raw string) error { return json.Unmarshal([]byte(raw), &s.Padding) }},
		{"added_tokens", func(raw string) error { return json.Unmarshal([]byte(raw), &s.AddedTokens) }},
		{"normalizer", readPart(&s.Normalizer, normalizers)},
		{"pre_tokenizer", readPart(&s.PreTokenizer, preTokenizers)},
		{"post_processor", readPart(&s.PostProcessor, postProcessors)},
		{"decoder", readPart(&s.Decoder, decoders)},
	} {
		text := raw[step.field]
		if text == "" || text == "null" {
			continue
		}
		if err := step.read(text); err != nil {
			return s, joinPath(step.field, err)
		}
	}
	return s, nil
}

// readFields reads the model, which may be large, and returns the texts of the
// other fields. They are parts of data; what is kept must be copied from them,
// so that data neither changes the tokenizer later nor stays in memory.
func readFields(data []byte, m *model) (map[string]string, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	raw := map[string]string{}
	r := &jsonReader{s: unsafe.String(unsafe.SliceData(data), len(data))}
	err := r.object(func(key string) (err error) {
		if key == "model" && r.peek() == '{' {
			if *m, err = parseModel(r); err != nil {
				err = joinPath("model", err)
			}
			return err
		}
		raw[key], err = r.raw()
		return err
	})
	if err == nil && r.peek() != 0 {
		err = r.errorf("more text after the end")
	}
	return raw, err
}

func readTruncation(s *spec) func(raw string) error {
	return func(raw string) error {
		s.Truncation = &Truncation{Direction: "Right"}
		return json.Unmarshal([]byte(raw), s.Truncation)
	}
}

// pathError names the place of an error in the file, as pre_tokenizer.pretokenizers[1].
type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string { return e.path + ": " + e.err.Error() }

func (e *pathError) Unwrap() error { return e.err }

func joinPath(path string, err error) error {
	var inner *pathError
	if errors.As(err, &inner) {
		sep := "."
		if strings.HasPrefix(inner.path, "[") {
			sep = ""
		}
		return &pathError{path + sep + inner.path, inner.err}
	}
	return &pathError{path, err}
}

// reader makes a part from its JSON.
type reader[T any] func(raw string) (T, error)

// as reads a T of type P, whose fields have the values of zero where the file
// does not name them.
func as[T, P any](zero P) reader[T] {
	return func(raw string) (T, error) {
		v := zero
		if err := json.Unmarshal([]byte(raw), &v); err != nil {
			var none T
			return none, err
		}
		return any(v).(T), nil
	}
}

// readPart reads a part of one of the known types into to.
func readPart[T any](to *T, known func() map[string]reader[T]) func(raw string) error {
	return func(raw string) (err error) {
		*to, err = parsePart(raw, known())
		return err
	}
}

func parsePart[T any](raw string, known map[string]reader[T]) (part T, err error) {
	var head struct {
		Type *string `json:"type"`
	}
	if err := json.Unmarshal([]byte(raw), &head); err != nil {
		return part, err
	}
	names := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
	if head.Type == nil {
		return part, fmt.Errorf("type is missing (known: %s)", names)
	}
	read := known[*head.Type]
	if read == nil {
		return part, fmt.Errorf("type %s is not supported (known: %s)", shorten(*head.Type), names)
	}
	return read(raw)
}

// sequence reads the parts that field lists.
func sequence[T any](field string, known func() map[string]reader[T], make func(parts []T) T) reader[T] {
	return func(raw string) (none T, err error) {
		var v map[string]json.RawMessage
		if err := json.Unmarshal([]byte(raw), &v); err != nil {
			return none, err
		}
		var list []json.RawMessage
		if v[field] == nil {
			return none, fmt.Errorf("%s is missing", field)
		}
		if err := json.Unmarshal(v[field], &list); err != nil {
			return none, joinPath(field, err)
		}
		parts := []T{}
		for i, raw := range list {
			p, err := parsePart(string(raw), known())
			if err != nil {
				return none, joinPath(fmt.Sprintf("%s[%d]", field, i), err)
			}
			parts = append(parts, p)
		}
		return make(parts), nil
	}
}

func normalizers() map[string]reader[normalizer] {
	form := func(name string) reader[normalizer] {
		return func(string) (normalizer, error) { return unicodeForm{name}, nil }
	}
	bert := as[normalizer](bertNormalizer{CleanText: true, HandleChineseChars: true, Lowercase: true})
	return map[string]reader[normalizer]{
		"Bert": bert, "BertNormalizer": bert,
		"ByteLevel":    as[normalizer](byteLevelNormalizer{}),
		"Lowercase":    as[normalizer](lowercase{}),
		"NFC":          form("NFC"),
		"NFD":          form("NFD"),
		"NFKC":         form("NFKC"),
		"NFKD":         form("NFKD"),
		"Nmt":          as[normalizer](nmtNormalizer{}),
		"Precompiled":  readPrecompiled,
		"Prepend":      as[normalizer](prepend{}),
		"Replace":      as[normalizer](replace{}),
		"Sequence":     sequence("normalizers", normalizers, func(p []normalizer) normalizer { return normalizerSequence{p} }),
		"Strip":        as[normalizer](stripNormalizer{Left: true, Right: true}),
		"StripAccents": as[normalizer](stripAccents{}),
	}
}

func readPrecompiled(raw string) (normalizer, error) {
	p := &precompiled{}
	return p, json.Unmarshal([]byte(raw), p)
}

func preTokenizers() map[string]reader[preTokenizer] {
	return map[string]reader[preTokenizer]{
		"BertPreTokenizer":   as[preTokenizer](bertPreTokenizer{}),
		"ByteLevel":          as[preTokenizer](byteLevel{AddPrefixSpace: true, TrimOffsets: true, UseRegex: true}),
		"CharDelimiterSplit": as[preTokenizer](charDelimiterSplit{}),
		"Digits":             as[preTokenizer](digits{}),
		"FixedLength":        as[preTokenizer](fixedLength{Length: 5}),
		"Metaspace":          as[preTokenizer](metaspace{Replacement: "▁", PrependScheme: "always", Split: true}),
		"Punctuation":        as[preTokenizer](punctuation{Behavior: "Isolated"}),
		"Sequence": sequence("pretokenizers", preTokenizers, func(p []preTokenizer) preTokenizer {
			return preTokenizerSequence{p}
		}),
		"Split":           as[preTokenizer](split{}),
		"UnicodeScripts":  as[preTokenizer](unicodeScripts{}),
		"Whitespace":      as[preTokenizer](whitespace{}),
		"WhitespaceSplit": as[preTokenizer](whitespaceSplit{}),
	}
}

func postProcessors() map[string]reader[postProcessor] {
	return map[string]reader[postProcessor]{
		"BertProcessing":    as[postProcessor](bertProcessing{}),
		"ByteLevel":         as[postProcessor](byteLevel{AddPrefixSpace: true, TrimOffsets: true, UseRegex: true}),
		"RobertaProcessing": as[postProcessor](robertaProcessing{TrimOffsets: true, AddPrefixSpace: true}),
		"Sequence": sequence("processors", postProcessors, func(p []postProcessor) postProcessor {
			return postProcessorSequence{p}
		}),
		"TemplateProcessing": func(raw string) (postProcessor, error) {
			t := &templateProcessing{}
			return t, json.Unmarshal([]byte(raw), t)
		},
	}
}

func decoders() map[string]reader[decoder] {
	return map[string]reader[decoder]{
		"BPEDecoder":   as[decoder](bpeDecoder{Suffix: "</w>"}),
		"ByteFallback": as[decoder](byteFallbackDecoder{}),
		"ByteLevel":    as[decoder](byteLevel{AddPrefixSpace: true, TrimOffsets: true, UseRegex: true}),
		"CTC":          as[decoder](ctcDecoder{PadToken: "<pad>", WordDelimiterToken: "|", Cleanup: true}),
		"Fuse":         as[decoder](fuseDecoder{}),
		"Metaspace":    as[decoder](metaspace{Replacement: "▁", PrependScheme: "always", Split: true}),
		"Replace":      as[decoder](replace{}),
		"Sequence":     sequence("decoders", decoders, func(p []decoder) decoder { return decoderSequence{p} }),
		"Strip":        as[decoder](stripDecoder{}),
		"WordPiece":    as[decoder](wordPieceDecoder{Prefix: "##", Cleanup: true}),
	}
}
