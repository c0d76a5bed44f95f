// Package dataset brings text to training: it reads documents, prepares and
// mixes them, and makes the sequences that a batch consists of.
package dataset

// NoLabel is the label of a token that does not count, as in Hugging Face's
// data.
const NoLabel = -100

// Sequence is a run of tokens that attend to each other alone.
type Sequence struct {
	IDs     []int32
	TypeIDs []int32 // BERT's segments; nil: all 0

	// Labels has one a token, as transformers takes them: causal models shift
	// them. nil: none.
	Labels []int32

	// Targets are of the whole sequence: one class, a 0 or 1 for each label, or
	// values. nil: none.
	Targets []float32
}
