package tokenizer

import "strings"

// Stream decodes ids as they come, by the rule of the reference's
// DecodeStream: text is given out when the decoding of the last ids has grown
// and does not end in U+FFFD. So half a character never comes out.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	// ids are those that the next text may depend on; the first of them, up to
	// old, decode to prefix, which is out already.
	ids    []int32
	old    int
	prefix string
}

// maxHeld bounds the ids that give no text: after so many what they hold is no
// half of a character.
const maxHeld = 256

// NewStream starts a stream; special tokens give no text if skipSpecial.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	return &Stream{t: t, skipSpecial: skipSpecial}
}

// Push takes the next id and returns the text that is certain now; "" if it is
// not yet.
func (s *Stream) Push(id int32) string {
	if s.prefix == "" && len(s.ids) > 0 {
		if text := s.t.Decode(s.ids, s.skipSpecial); !strings.HasSuffix(text, "\uFFFD") {
			s.prefix, s.old = text, len(s.ids)
		}
	}
	s.ids = append(s.ids, id)
	text := s.t.Decode(s.ids, s.skipSpecial)
	held := len(s.ids) - s.old
	if len(text) <= len(s.prefix) || strings.HasSuffix(text, "\uFFFD") {
		if held < maxHeld {
			return ""
		}
	}
	return s.advance(text)
}

// advance gives out what is new in text and forgets the ids before it.
func (s *Stream) advance(text string) string {
	fresh, ok := strings.CutPrefix(text, s.prefix)
	s.ids = append(s.ids[:0], s.ids[s.old:]...)
	s.prefix = s.t.Decode(s.ids, s.skipSpecial)
	if !ok { // the new ids have changed what is out already
		fresh = s.prefix
	}
	s.old = len(s.ids)
	return fresh
}

// Flush returns the text that Push held back, with U+FFFD for bytes that are
// no character.
func (s *Stream) Flush() string {
	if len(s.ids) == s.old {
		return ""
	}
	return s.advance(s.t.Decode(s.ids, s.skipSpecial))
}
