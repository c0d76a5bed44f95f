package tokenizer

import "strings"

// normalizer rewrites a text before it is split.
type normalizer interface {
	typeName() string
	normalize(n *normalized)
}

// checker is a part that must be checked and made ready before use.
type checker interface{ check() error }

type normalizerSequence struct {
	Normalizers []normalizer `json:"normalizers"`
}

func (normalizerSequence) typeName() string { return "Sequence" }

func (q normalizerSequence) normalize(n *normalized) {
	for _, p := range q.Normalizers {
		p.normalize(n)
	}
}

type lowercase struct{}

func (lowercase) typeName() string { return "Lowercase" }

func (lowercase) normalize(n *normalized) {
	if i := strings.IndexFunc(n.s, func(r rune) bool { return r >= 0x80 || 'A' <= r && r <= 'Z' }); i < 0 {
		return
	}
	u := loadUnicode()
	n.mapRunes(func(r rune, write func(rune)) {
		if r == 'İ' {
			write('i')
			write(0x307)
			return
		}
		write(u.toLower(r))
	})
}

type stripNormalizer struct {
	Left  bool `json:"strip_left"`
	Right bool `json:"strip_right"`
}

func (stripNormalizer) typeName() string { return "Strip" }

func (p stripNormalizer) normalize(n *normalized) {
	u := loadUnicode()
	start, end := 0, len(n.s)
	for p.Left && start < end {
		r, size := decodeRune(n.s[start:end])
		if u.class(r)&isSpace == 0 {
			break
		}
		start += size
	}
	for p.Right && end > start {
		r, size := lastRune(n.s[start:end])
		if u.class(r)&isSpace == 0 {
			break
		}
		end -= size
	}
	n.slice(start, end)
}

type stripAccents struct{}

func (stripAccents) typeName() string { return "StripAccents" }

func (stripAccents) normalize(n *normalized) { n.removeClass(isCombining) }

// replace is a normalizer and a decoder.
type replace struct {
	Pattern *pattern `json:"pattern"`
	Content string   `json:"content"`
}

func (replace) typeName() string { return "Replace" }

func (p replace) check() error { return p.Pattern.compile() }

// normalize puts Content in the place of each match; it stands for the last
// character of the match.
func (p replace) normalize(n *normalized) {
	var w *rewriter
	p.Pattern.eachMatch(n.s, func(start, end int) {
		if w == nil {
			rw := n.rewrite()
			w = &rw
		}
		w.keep(start)
		w.writeString(p.Content, end-1)
		w.pos = end
	})
	if w != nil {
		w.keep(len(n.s))
		w.done()
	}
}

func (p replace) decode(tokens []string) []string {
	for i, t := range tokens {
		if !p.Pattern.isRegex {
			tokens[i] = strings.ReplaceAll(t, p.Pattern.literal, p.Content)
			continue
		}
		var b strings.Builder
		last := 0
		p.Pattern.eachMatch(t, func(start, end int) {
			b.WriteString(t[last:start])
			b.WriteString(p.Content)
			last = end
		})
		b.WriteString(t[last:])
		tokens[i] = b.String()
	}
	return tokens
}

type prepend struct {
	Prepend string `json:"prepend"`
}

func (prepend) typeName() string { return "Prepend" }

func (p prepend) normalize(n *normalized) { n.prefix(p.Prepend) }

// byteLevelNormalizer writes bytes as byte-level letters.
type byteLevelNormalizer struct{}

func (byteLevelNormalizer) typeName() string { return "ByteLevel" }

func (byteLevelNormalizer) normalize(n *normalized) { n.byteLevel() }

// nmtNormalizer cleans as SentencePiece's nmt rules do.
type nmtNormalizer struct{}

func (nmtNormalizer) typeName() string { return "Nmt" }

func (nmtNormalizer) normalize(n *normalized) {
	n.mapRunes(func(r rune, write func(rune)) {
		switch {
		case 1 <= r && r <= 8, r == 0xb, 0xe <= r && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, 0x200b <= r && r <= 0x200f,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
			write(' ')
		default:
			write(r)
		}
	})
}

type bertNormalizer struct {
	CleanText          bool  `json:"clean_text"`
	HandleChineseChars bool  `json:"handle_chinese_chars"`
	StripAccents       *bool `json:"strip_accents"` // nil: as Lowercase
	Lowercase          bool  `json:"lowercase"`
}

func (bertNormalizer) typeName() string { return "BertNormalizer" }

func (p bertNormalizer) normalize(n *normalized) {
	u := loadUnicode()
	accents := p.StripAccents == nil && p.Lowercase || p.StripAccents != nil && *p.StripAccents
	if accents && u.indexClass(n.s, isNormal|isNFC|isNonspacing) >= 0 {
		plain := false // accents go between the other steps
		bertNormalizer{p.CleanText, p.HandleChineseChars, &plain, false}.normalize(n)
		unicodeForm{"NFD"}.normalize(n)
		n.removeClass(isNonspacing)
		if p.Lowercase {
			lowercase{}.normalize(n)
		}
		return
	}
	n.mapRunes(func(r rune, write func(rune)) {
		if p.CleanText {
			switch c := u.class(r); {
			case c&isControl != 0:
				return
			case c&isSpace != 0:
				r = ' '
			}
		}
		lower := r
		if p.Lowercase {
			lower = u.toLower(r)
		}
		switch {
		case p.HandleChineseChars && isChinese(r):
			write(' ')
			write(lower)
			write(' ')
		case p.Lowercase && r == 'İ':
			write('i')
			write(0x307)
		default:
			write(lower)
		}
	})
}

// isChinese lists the blocks of the original BERT.
func isChinese(r rune) bool {
	return 0x4e00 <= r && r <= 0x9fff || 0x3400 <= r && r <= 0x4dbf || 0x20000 <= r && r <= 0x2a6df ||
		0x2a700 <= r && r <= 0x2b73f || 0x2b740 <= r && r <= 0x2b81f || 0x2b920 <= r && r <= 0x2ceaf ||
		0xf900 <= r && r <= 0xfaff || 0x2f800 <= r && r <= 0x2fa1f
}

// removeClass leaves out the characters of a class.
func (n *normalized) removeClass(bits uint16) {
	u := loadUnicode()
	if strings.IndexFunc(n.s, func(r rune) bool { return u.class(r)&bits != 0 }) < 0 {
		return
	}
	n.mapRunes(func(r rune, write func(rune)) {
		if u.class(r)&bits == 0 {
			write(r)
		}
	})
}
