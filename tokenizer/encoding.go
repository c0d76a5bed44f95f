package tokenizer

// Encoding is an encoded text: slices of the same length, an entry per token.
type Encoding struct {
	IDs []int32
	// Tokens holds the token of each id; for an added token the stretch of
	// (normalized) text that matched it.
	Tokens []string
	// Offsets holds [start, end) of each token in bytes of the text (of the
	// pair for the pair's tokens); [0, 0] for tokens of the post-processor and
	// of padding. A token that is part of a character has the range of the
	// whole character.
	Offsets       [][2]int
	TypeIDs       []int32
	SpecialMask   []int32 // 1: token of the post-processor or of padding
	AttentionMask []int32 // 0: padding
	// WordIDs numbers the pieces of the pre-tokenizer; -1 outside the text.
	WordIDs []int32
	// SequenceIDs is 0 for tokens of the text, 1 for tokens of the pair, -1
	// for others.
	SequenceIDs []int32
	// Overflow holds the windows that truncation cut off.
	Overflow []Encoding
}

// EncodeOptions says what EncodeFull does besides encoding.
type EncodeOptions struct {
	AddSpecialTokens bool
	Pair             *string
	Truncation       *Truncation // nil: none
	Padding          *Padding    // nil: none
}

// Truncation cuts encodings to a length.
type Truncation struct {
	// Direction is the side that is cut off: "Right" or "Left".
	Direction string `json:"direction"`
	MaxLength int    `json:"max_length"` // special tokens included
	// Strategy is "LongestFirst", "OnlyFirst" or "OnlySecond".
	Strategy string `json:"strategy"`
	Stride   int    `json:"stride"` // tokens that neighbouring windows share
}

// Padding fills encodings up to a length.
type Padding struct {
	// Length is the length to pad to; 0: that of the longest in the batch.
	Length          int
	Direction       string // "Right" or "Left"
	PadToMultipleOf int    // 0: none
	PadID           int32
	PadTypeID       int32
	PadToken        string
}

// CharOffsets converts offsets in bytes of text into offsets in characters
// (Unicode scalar values).
func CharOffsets(text string, offsets [][2]int) [][2]int { return nil }
