package dataset

import (
	"errors"
	"fmt"

	"wenmo/internal/philox"
	"wenmo/tokenizer"
)

// Masked LM as in BERT (Devlin et al. 2019, §3.1): of the tokens chosen, 8 in
// 10 become the mask token, 1 in 10 a random one, the rest stays.
const (
	DefaultMaskProbability = 0.15

	maskShare   = 0.8
	randomShare = 0.1
	maskStream  = 0x6d61736b // parts the numbers from those of others with the same seed
)

// MaskOptions are the settings of a Masker.
type MaskOptions struct {
	Seed        uint64
	Probability float64 // that a token, or a word, is chosen; 0: DefaultMaskProbability
	// WholeWord chooses words instead of tokens. A word is what the markers of
	// the vocabulary (##, Ġ, ▁) and changes between letters, digits and other
	// characters show; of Chinese and Japanese, each token, unless Words tells
	// the words of several.
	WholeWord bool
	Words     *Words // nil: none
}

// Masker makes inputs and labels for masked LM. It may be used by many
// goroutines.
type Masker struct {
	key      [2]uint32
	mask     int32
	chosen   uint64 // of 2³²
	special  []bool
	ordinary []int32 // what a random token may be
	words    *wordTable
}

// NewMasker makes a masker for a vocabulary. Special tokens and those that c
// names are never chosen, nor put in at random.
func NewMasker(t *tokenizer.Tokenizer, c tokenizer.Config, opt MaskOptions) (*Masker, error) {
	p := opt.Probability
	if p == 0 {
		p = DefaultMaskProbability
	}
	if !(p > 0 && p <= 1) {
		return nil, fmt.Errorf("masked LM: probability %v is not in (0, 1]", p)
	}
	mask, ok := t.ID(c.MASK)
	if c.MASK == "" || !ok {
		if c.MASK == "" {
			return nil, errors.New("masked LM: the tokenizer has no mask token")
		}
		return nil, fmt.Errorf("masked LM: the tokenizer has no mask token %q", c.MASK)
	}
	m := &Masker{
		key:     [2]uint32{uint32(opt.Seed), uint32(opt.Seed>>32) ^ maskStream},
		mask:    mask,
		chosen:  uint64(p * (1 << 32)),
		special: specialIDs(t, c),
	}
	for id, special := range m.special {
		if !special {
			m.ordinary = append(m.ordinary, int32(id))
		}
	}
	if len(m.ordinary) == 0 {
		return nil, errors.New("masked LM: the vocabulary has special tokens only")
	}
	if opt.WholeWord {
		m.words = newWordTable(t, m.special, opt.Words)
	}
	return m, nil
}

// specialIDs tells of each id whether it is a special token, fills the
// vocabulary up, or is not there.
func specialIDs(t *tokenizer.Tokenizer, c tokenizer.Config) []bool {
	special := make([]bool, t.VocabSize())
	for id := range special {
		_, there := t.Token(int32(id))
		special[id] = !there || t.IsSpecial(int32(id))
	}
	for _, id := range t.Padding() {
		if int(id) < len(special) {
			special[id] = true
		}
	}
	names := append([]string{c.BOS, c.EOS, c.UNK, c.SEP, c.PAD, c.CLS, c.MASK}, c.AdditionalSpecial...)
	for _, name := range names {
		if id, ok := t.ID(name); ok && name != "" && int(id) < len(special) {
			special[id] = true
		}
	}
	return special
}

// MaskPlace says which tokens a sequence holds: the random numbers of a token
// are a function of the seed and of its place, so that they are new in every
// epoch and do not depend on how documents are packed.
type MaskPlace struct {
	Epoch    uint32
	Document uint64
	First    uint32 // index in the document of the first token
}

// Mask returns the sequence with tokens masked and labels for them; s is left
// as it is.
func (m *Masker) Mask(s Sequence, at MaskPlace) Sequence {
	n := len(s.IDs)
	both := make([]int32, 2*n)
	ids, labels := both[:n:n], both[n:]
	copy(ids, s.IDs)
	var joined []bool
	if m.words != nil {
		joined = m.words.joined(s.IDs)
	}
	chosen := false
	for i, id := range s.IDs {
		labels[i] = NoLabel
		if m.isSpecial(id) {
			chosen = false
			continue
		}
		w := philox.Words(m.key, [4]uint32{uint32(at.Document), uint32(at.Document >> 32), at.Epoch, at.First + uint32(i)})
		if joined == nil || !joined[i] {
			chosen = uint64(w[0]) < m.chosen
		}
		if !chosen {
			continue
		}
		labels[i] = id
		switch kind := float64(w[1]) / (1 << 32); {
		case kind < maskShare:
			ids[i] = m.mask
		case kind < maskShare+randomShare:
			ids[i] = m.ordinary[uint64(w[2])*uint64(len(m.ordinary))>>32]
		}
	}
	s.IDs, s.Labels = ids, labels
	return s
}

func (m *Masker) isSpecial(id int32) bool {
	return id < 0 || int(id) >= len(m.special) || m.special[id]
}
