package tokenizer

// Stream decodes ids as they come. It never emits half a character.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
}

// NewStream starts a stream; special tokens give no text if skipSpecial.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	return &Stream{t: t, skipSpecial: skipSpecial}
}

// Push takes the next id and returns the text that is certain now; "" if it is
// not yet.
func (s *Stream) Push(id int32) string { return "" }

// Flush returns the text that Push held back, with U+FFFD for bytes that are
// no character.
func (s *Stream) Flush() string { return "" }
