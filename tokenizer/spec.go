package tokenizer

import "fmt"

// spec is the content of a tokenizer.json as plain data: what the loaders of
// other vocabulary files make, newTokenizer compiles and MarshalJSON writes.
type spec struct {
	Truncation    *Truncation
	Padding       *Padding
	AddedTokens   []AddedToken
	Normalizer    normalizer    // nil: none
	PreTokenizer  preTokenizer  // nil: none
	PostProcessor postProcessor // nil: none
	Decoder       decoder       // nil: none
	Model         model
}

// check makes every part ready for use.
func (s *spec) check() error {
	if s.Model == nil {
		return fmt.Errorf("model is missing")
	}
	if s.Truncation != nil {
		if err := s.Truncation.check(); err != nil {
			return err
		}
	}
	if s.Padding != nil {
		if err := s.Padding.check(); err != nil {
			return err
		}
	}
	for field, part := range map[string]any{
		"normalizer": s.Normalizer, "pre_tokenizer": s.PreTokenizer,
		"post_processor": s.PostProcessor, "decoder": s.Decoder,
	} {
		if err := checkPart(part); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		if err := checkGrowth(part); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
	}
	return nil
}

// checkPart checks a part and what it is made of.
func checkPart(part any) error {
	if c, ok := part.(checker); ok {
		if err := c.check(); err != nil {
			return fmt.Errorf("%s: %w", c.(interface{ typeName() string }).typeName(), err)
		}
	}
	for i, sub := range subParts(part) {
		if err := checkPart(sub); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// subParts returns the parts of a sequence.
func subParts(part any) []any {
	switch q := part.(type) {
	case normalizerSequence:
		return anys(q.Normalizers)
	case preTokenizerSequence:
		return anys(q.PreTokenizers)
	case postProcessorSequence:
		return anys(q.Processors)
	case decoderSequence:
		return anys(q.Decoders)
	}
	return nil
}

func anys[T any](in []T) []any {
	out := make([]any, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}
