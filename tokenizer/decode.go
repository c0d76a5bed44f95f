package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder turns tokens into text: what is left of them is put together. It may
// change the slice that it gets.
type decoder interface {
	typeName() string
	decode(tokens []string) []string
}

type decoderSequence struct {
	Decoders []decoder `json:"decoders"`
}

func (decoderSequence) typeName() string { return "Sequence" }

func (q decoderSequence) decode(tokens []string) []string {
	for _, d := range q.Decoders {
		tokens = d.decode(tokens)
	}
	return tokens
}

type wordPieceDecoder struct {
	Prefix  string `json:"prefix"`
	Cleanup bool   `json:"cleanup"`
}

func (wordPieceDecoder) typeName() string { return "WordPiece" }

func (d wordPieceDecoder) decode(tokens []string) []string {
	for i, t := range tokens {
		if i > 0 {
			rest, ok := strings.CutPrefix(t, d.Prefix)
			if !ok {
				rest = " " + t
			}
			t = rest
		}
		if d.Cleanup {
			t = cleanUp(t)
		}
		tokens[i] = t
	}
	return tokens
}

var cleanUpPairs = [][2]string{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
	{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}

// cleanUp takes back what tokenizing English pulls apart.
func cleanUp(s string) string {
	if !strings.Contains(s, " ") {
		return s
	}
	for _, p := range cleanUpPairs {
		s = strings.ReplaceAll(s, p[0], p[1])
	}
	return s
}

// bpeDecoder turns the mark of a word's end into a space.
type bpeDecoder struct {
	Suffix string `json:"suffix"`
}

func (bpeDecoder) typeName() string { return "BPEDecoder" }

func (d bpeDecoder) decode(tokens []string) []string {
	if d.Suffix == "" {
		return tokens
	}
	for i, t := range tokens {
		space := " "
		if i == len(tokens)-1 {
			space = ""
		}
		tokens[i] = strings.ReplaceAll(t, d.Suffix, space)
	}
	return tokens
}

// ctcDecoder drops repeats and padding, as connectionist temporal
// classification needs it.
type ctcDecoder struct {
	PadToken           string `json:"pad_token"`
	WordDelimiterToken string `json:"word_delimiter_token"`
	Cleanup            bool   `json:"cleanup"`
}

func (ctcDecoder) typeName() string { return "CTC" }

func (d ctcDecoder) decode(tokens []string) []string {
	out := tokens[:0]
	last := ""
	for i, t := range tokens {
		if i > 0 && t == last {
			continue
		}
		last = t
		t = replaceAll(t, d.PadToken, "")
		if d.Cleanup {
			t = replaceAll(cleanUp(t), d.WordDelimiterToken, " ")
		}
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}

func replaceAll(s, old, with string) string {
	if old == "" {
		return s
	}
	return strings.ReplaceAll(s, old, with)
}

// byteFallbackDecoder turns tokens like <0xE4> into bytes. A run of them that
// is not UTF-8 gives a U+FFFD for each.
type byteFallbackDecoder struct{}

func (byteFallbackDecoder) typeName() string { return "ByteFallback" }

func (byteFallbackDecoder) decode(tokens []string) []string {
	out := make([]string, 0, len(tokens))
	var run []byte
	flush := func() {
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			out = append(out, string(run))
		default:
			for range run {
				out = append(out, "\uFFFD")
			}
		}
		run = run[:0]
	}
	for _, t := range tokens {
		if b, ok := byteToken(t); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out
}

// byteToken returns the byte of a token like <0xE4>.
func byteToken(t string) (byte, bool) {
	if len(t) != 6 || t[:3] != "<0x" || t[5] != '>' {
		return 0, false
	}
	if t[3] == '+' { // Rust takes a sign
		t = "<0x0" + t[4:]
	}
	b, err := strconv.ParseUint(t[3:5], 16, 8)
	return byte(b), err == nil
}

// fuseDecoder puts all tokens together, for the decoders after it.
type fuseDecoder struct{}

func (fuseDecoder) typeName() string { return "Fuse" }

func (fuseDecoder) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }

// stripDecoder takes up to Start and Stop of a character off the ends of each
// token.
type stripDecoder struct {
	Content string `json:"content"`
	Start   int    `json:"start"`
	Stop    int    `json:"stop"`
}

func (stripDecoder) typeName() string { return "Strip" }

func (d stripDecoder) check() error { return checkRune("content", d.Content) }

func (d stripDecoder) decode(tokens []string) []string {
	for i, t := range tokens {
		for n := 0; n < d.Start && strings.HasPrefix(t, d.Content); n++ {
			t = t[len(d.Content):]
		}
		for n := 0; n < d.Stop && strings.HasSuffix(t, d.Content); n++ {
			t = t[:len(t)-len(d.Content)]
		}
		tokens[i] = t
	}
	return tokens
}

// TokenBytes returns the bytes that a token stands for inside a text: " the" for
// Ġthe and for ▁the, 0xE4 for <0xE4>, part of a character where the vocabulary
// cuts one. What is put between tokens is not among them: ## of WordPiece stays.
// ok is false for an id outside the vocabulary.
func (t *Tokenizer) TokenBytes(id int32) (bytes []byte, ok bool) {
	token := t.decodedToken(id)
	if t.added.byID[id] != nil || token == "" {
		return []byte(token), token != ""
	}
	return []byte(pieceText(t.spec.Decoder, token)), true
}

// pieceText is what a decoder makes of a token that has others before it.
func pieceText(d decoder, token string) string {
	switch d := d.(type) {
	case decoderSequence:
		for _, sub := range d.Decoders {
			token = pieceText(sub, token)
		}
	case byteLevel:
		return string(appendBytesOf(nil, token))
	case byteFallbackDecoder:
		if b, ok := byteToken(token); ok {
			return string([]byte{b})
		}
	case replace:
		return d.decode([]string{token})[0]
	case metaspace:
		return strings.ReplaceAll(token, d.Replacement, " ")
	case bpeDecoder:
		return replaceAll(token, d.Suffix, " ")
	case *spmDecoder:
		if b, ok := byteToken(token); ok && d.kinds[token] == spmByte {
			return string([]byte{b})
		}
		return strings.ReplaceAll(token, spmSpace, " ")
	case *marianDecoder:
		return pieceText(d.spm, token)
	}
	return token
}
