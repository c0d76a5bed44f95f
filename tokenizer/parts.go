package tokenizer

// Normalizers.

type (
	// unicodeForm is NFC, NFD, NFKC or NFKD.
	unicodeForm   struct{ Form string }
	nmtNormalizer struct{}
	lowercase     struct{}
	stripAccents  struct{}
	// byteLevelNormalizer writes bytes as byte-level letters.
	byteLevelNormalizer struct{}
	stripNormalizer     struct {
		Left  bool `json:"strip_left"`
		Right bool `json:"strip_right"`
	}
	replace struct { // also a decoder
		Pattern pattern `json:"pattern"`
		Content string  `json:"content"`
	}
	prepend struct {
		Prepend string `json:"prepend"`
	}
	bertNormalizer struct {
		CleanText          bool  `json:"clean_text"`
		HandleChineseChars bool  `json:"handle_chinese_chars"`
		StripAccents       *bool `json:"strip_accents"` // nil: as Lowercase
		Lowercase          bool  `json:"lowercase"`
	}
	// precompiled is SentencePiece's charsmap (nfkc and the like).
	precompiled struct {
		Charsmap []byte `json:"precompiled_charsmap"`
	}
	normalizerSequence struct {
		Normalizers []normalizer `json:"normalizers"`
	}
)

// Pre-tokenizers.

type (
	// byteLevel is also a post-processor and a decoder.
	byteLevel struct {
		AddPrefixSpace bool `json:"add_prefix_space"`
		TrimOffsets    bool `json:"trim_offsets"`
		UseRegex       bool `json:"use_regex"`
	}
	// metaspace is also a decoder.
	metaspace struct {
		Replacement   string `json:"replacement"`
		PrependScheme string `json:"prepend_scheme"` // "always", "first" or "never"
		Split         bool   `json:"split"`
	}
	whitespace       struct{}
	whitespaceSplit  struct{}
	bertPreTokenizer struct{}
	unicodeScripts   struct{}
	punctuation      struct {
		Behavior string `json:"behavior"`
	}
	digits struct {
		Individual bool `json:"individual_digits"`
	}
	charDelimiterSplit struct {
		Delimiter string `json:"delimiter"`
	}
	fixedLength struct {
		Length int `json:"length"`
	}
	split struct {
		Pattern pattern `json:"pattern"`
		// Behavior is "Removed", "Isolated", "MergedWithPrevious",
		// "MergedWithNext" or "Contiguous".
		Behavior string `json:"behavior"`
		Invert   bool   `json:"invert"`
	}
	preTokenizerSequence struct {
		PreTokenizers []preTokenizer `json:"pretokenizers"`
	}
)

// Models.

type (
	bpe struct {
		Vocab vocab
		// Merges by rank; each makes the token that its two tokens give when
		// put together (the right one without ContinuingSubwordPrefix).
		Merges                  []merge
		UnkToken                string // "": none
		ContinuingSubwordPrefix string
		EndOfWordSuffix         string
		FuseUnk                 bool
		ByteFallback            bool
		IgnoreMerges            bool
	}
	merge   struct{ left, right int32 }
	unigram struct {
		Vocab        vocab
		Scores       []float64
		UnkID        int32 // -1: none
		ByteFallback bool
	}
	wordPiece struct {
		Vocab                   vocab
		UnkToken                string
		ContinuingSubwordPrefix string
		MaxInputCharsPerWord    int
	}
	wordLevel struct {
		Vocab    vocab
		UnkToken string
	}
)

// Post-processors.

type (
	templateProcessing struct {
		Single  []templatePiece                 `json:"single"`
		Pair    []templatePiece                 `json:"pair"`
		Special map[string]templateSpecialToken `json:"special_tokens"`
	}
	// templatePiece is a sequence ("A" or "B") or a special token.
	templatePiece struct {
		Sequence, SpecialToken string // one of the two
		TypeID                 int32
	}
	templateSpecialToken struct {
		ID     string   `json:"id"`
		IDs    []int32  `json:"ids"`
		Tokens []string `json:"tokens"`
	}
	bertProcessing struct {
		Sep tokenID `json:"sep"`
		Cls tokenID `json:"cls"`
	}
	robertaProcessing struct {
		Sep            tokenID `json:"sep"`
		Cls            tokenID `json:"cls"`
		TrimOffsets    bool    `json:"trim_offsets"`
		AddPrefixSpace bool    `json:"add_prefix_space"`
	}
	tokenID struct {
		Token string
		ID    int32
	}
	postProcessorSequence struct {
		Processors []postProcessor `json:"processors"`
	}
)

// Decoders.

type (
	wordPieceDecoder struct {
		Prefix  string `json:"prefix"`
		Cleanup bool   `json:"cleanup"`
	}
	bpeDecoder struct {
		Suffix string `json:"suffix"`
	}
	ctcDecoder struct {
		PadToken           string `json:"pad_token"`
		WordDelimiterToken string `json:"word_delimiter_token"`
		Cleanup            bool   `json:"cleanup"`
	}
	byteFallbackDecoder struct{}
	fuseDecoder         struct{}
	stripDecoder        struct {
		Content string `json:"content"`
		Start   int    `json:"start"`
		Stop    int    `json:"stop"`
	}
	decoderSequence struct {
		Decoders []decoder `json:"decoders"`
	}
)

func (n unicodeForm) typeName() string         { return n.Form }
func (nmtNormalizer) typeName() string         { return "Nmt" }
func (lowercase) typeName() string             { return "Lowercase" }
func (stripAccents) typeName() string          { return "StripAccents" }
func (byteLevelNormalizer) typeName() string   { return "ByteLevel" }
func (stripNormalizer) typeName() string       { return "Strip" }
func (replace) typeName() string               { return "Replace" }
func (prepend) typeName() string               { return "Prepend" }
func (bertNormalizer) typeName() string        { return "BertNormalizer" }
func (precompiled) typeName() string           { return "Precompiled" }
func (normalizerSequence) typeName() string    { return "Sequence" }
func (byteLevel) typeName() string             { return "ByteLevel" }
func (metaspace) typeName() string             { return "Metaspace" }
func (whitespace) typeName() string            { return "Whitespace" }
func (whitespaceSplit) typeName() string       { return "WhitespaceSplit" }
func (bertPreTokenizer) typeName() string      { return "BertPreTokenizer" }
func (unicodeScripts) typeName() string        { return "UnicodeScripts" }
func (punctuation) typeName() string           { return "Punctuation" }
func (digits) typeName() string                { return "Digits" }
func (charDelimiterSplit) typeName() string    { return "CharDelimiterSplit" }
func (fixedLength) typeName() string           { return "FixedLength" }
func (split) typeName() string                 { return "Split" }
func (preTokenizerSequence) typeName() string  { return "Sequence" }
func (bpe) typeName() string                   { return "BPE" }
func (unigram) typeName() string               { return "Unigram" }
func (wordPiece) typeName() string             { return "WordPiece" }
func (wordLevel) typeName() string             { return "WordLevel" }
func (templateProcessing) typeName() string    { return "TemplateProcessing" }
func (bertProcessing) typeName() string        { return "BertProcessing" }
func (robertaProcessing) typeName() string     { return "RobertaProcessing" }
func (postProcessorSequence) typeName() string { return "Sequence" }
func (wordPieceDecoder) typeName() string      { return "WordPiece" }
func (bpeDecoder) typeName() string            { return "BPEDecoder" }
func (ctcDecoder) typeName() string            { return "CTC" }
func (byteFallbackDecoder) typeName() string   { return "ByteFallback" }
func (fuseDecoder) typeName() string           { return "Fuse" }
func (stripDecoder) typeName() string          { return "Strip" }
func (decoderSequence) typeName() string       { return "Sequence" }
func (m bpe) tokens() vocab                    { return m.Vocab }
func (m unigram) tokens() vocab                { return m.Vocab }
func (m wordPiece) tokens() vocab              { return m.Vocab }
func (m wordLevel) tokens() vocab              { return m.Vocab }
