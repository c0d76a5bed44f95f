package dataset

import (
	"errors"
	"fmt"
	"slices"

	"wenmo/internal/mmap"
)

// maxWaiting is how many sequences of a source wait to be packed. More of them
// fill rows better; a run's checkpoint holds them.
const maxWaiting = 32

// Phase changes the weights of the sources during a run.
type Phase struct {
	From    float64            // fraction of the run at which it begins
	Weights map[string]float64 // by source; one that is not here is left out
}

// MixtureOptions are the settings of a Mixture.
type MixtureOptions struct {
	Seed    uint64
	Rows    int
	Context int     // tokens of a row, an even number
	Steps   int     // of the run; of no use without phases
	Phases  []Phase // in the order of From
	// Join is the share of the conversations that go on from the one before them
	// in their row, as one sequence: so a model learns that one request may follow
	// another.
	Join float64
}

// Mixture makes batches of a corpus. Each source is visited in a pseudo-random
// order, another one each epoch; the tokens of sources are in the relation of
// their weights; documents are packed into rows. A batch is a function of the
// corpus, the options and the state before it. A Mixture does not change and
// may be used by many goroutines.
type Mixture struct {
	corpus *Corpus
	opt    MixtureOptions
	phases []phase
	queues []int // how many sequences of each source wait
}

// phase has the share of each source.
type phase struct {
	first  int // step
	shares []float64
}

// State is where in its sources a mixture is. It serialises as JSON.
type State struct {
	Corpus  string        `json:"corpus"` // Corpus.Fingerprint
	Step    int           `json:"step"`   // of the next batch
	Phase   int           `json:"phase"`
	Sources []SourceState `json:"sources"`
}

// SourceState is where in a source a mixture is.
type SourceState struct {
	Name     string `json:"name"`
	Epoch    int    `json:"epoch"`    // complete passes over the source
	Position int    `json:"position"` // in the order of this epoch
	Tokens   int64  `json:"tokens"`   // given since the beginning
	InPhase  int64  `json:"in_phase"` // given since the phase began
	// Waiting holds sequences that have been drawn and not been given, oldest
	// first: the index, and the first token still to come.
	Waiting [][2]int `json:"waiting"`
}

// NewMixture makes a mixture of a corpus, which must stay open.
func NewMixture(c *Corpus, opt MixtureOptions) (*Mixture, error) {
	if opt.Rows < 1 || opt.Context < 2 || opt.Context%2 != 0 {
		return nil, fmt.Errorf("%d rows of %d tokens, want 1 or more, and an even number", opt.Rows, opt.Context)
	}
	if !(opt.Join >= 0 && opt.Join <= 1) {
		return nil, fmt.Errorf("a share of %v conversations to join, want 0 to 1", opt.Join)
	}
	m := &Mixture{corpus: c, opt: opt}
	for _, s := range c.sources {
		m.queues = append(m.queues, min(max(s.train.count()/8, 1), maxWaiting))
	}
	if len(opt.Phases) == 0 || opt.Phases[0].From > 0 {
		if err := m.addPhase(0, c.weights()); err != nil {
			return nil, err
		}
	}
	for i, p := range opt.Phases {
		if !(p.From >= 0 && p.From < 1) || i > 0 && p.From <= opt.Phases[i-1].From {
			return nil, fmt.Errorf("phase %d begins at %v of the run, want ascending fractions below 1", i+1, p.From)
		}
		if opt.Steps < 1 {
			return nil, errors.New("phases in a run of no known number of steps")
		}
		for name := range p.Weights {
			if !slices.ContainsFunc(c.sources, func(s corpusSource) bool { return s.name() == name }) {
				return nil, fmt.Errorf("phase %d: no source is named %q", i+1, name)
			}
		}
		var weights []float64
		for _, s := range c.sources {
			weights = append(weights, p.Weights[s.name()])
		}
		if err := m.addPhase(int(p.From*float64(opt.Steps)), weights); err != nil {
			return nil, fmt.Errorf("phase %d: %w", i+1, err)
		}
	}
	return m, nil
}

// weights returns the weight of each source for a whole run.
func (c *Corpus) weights() []float64 {
	var weights []float64
	for _, s := range c.sources {
		weights = append(weights, s.Weight)
	}
	if slices.Max(weights) > 0 {
		return weights
	}
	for i, s := range c.sources {
		weights[i] = float64(s.tokens) * passes(s.Source)
	}
	return weights
}

// addPhase adds a phase with shares in the relation of weights.
func (m *Mixture) addPhase(first int, weights []float64) error {
	sum := 0.0
	for i, w := range weights {
		if !(w >= 0) {
			return fmt.Errorf("source %q: weight %v", m.corpus.sources[i].name(), w)
		}
		if s := m.corpus.sources[i]; w > 0 && s.tokens == 0 {
			return fmt.Errorf("source %q: nothing to train on: all %d documents are duplicates, contaminated or held out",
				s.name(), m.corpus.Manifest.Sources[i].Documents)
		}
		sum += w
	}
	if sum == 0 {
		return errors.New("no source has a weight above 0")
	}
	shares := make([]float64, len(weights))
	for i, w := range weights {
		shares[i] = w / sum
	}
	m.phases = append(m.phases, phase{first, shares})
	return nil
}

// Start returns the state before the first batch.
func (m *Mixture) Start() State {
	s := State{Corpus: m.corpus.Fingerprint}
	for _, source := range m.corpus.sources {
		s.Sources = append(s.Sources, SourceState{Name: source.name()})
	}
	return s
}

// Check returns why a state is not one of this mixture.
func (m *Mixture) Check(s State) error {
	if s.Corpus != m.corpus.Fingerprint || len(s.Sources) != len(m.corpus.sources) {
		return fmt.Errorf("the state is of corpus %q, this one is %q: its files, tokenizer or options have changed", s.Corpus, m.corpus.Fingerprint)
	}
	if s.Step < 0 || s.Phase < 0 || s.Phase >= len(m.phases) {
		return fmt.Errorf("state: step %d, phase %d of %d", s.Step, s.Phase, len(m.phases))
	}
	for i, at := range s.Sources {
		source := &m.corpus.sources[i]
		if at.Name != source.name() || at.Epoch < 0 || at.Position < 0 || at.Position > source.len() {
			return fmt.Errorf("state: source %q: epoch %d, position %d of %d", at.Name, at.Epoch, at.Position, source.len())
		}
		for _, w := range at.Waiting {
			if w[0] < 0 || w[0] >= source.len() || w[1] < 0 || w[1] >= source.length(w[0]) {
				return fmt.Errorf("state: source %q: sequence %d from token %d", at.Name, w[0], w[1])
			}
		}
	}
	return nil
}

// Sample returns the batch of a state and the state of the next one. Each row
// holds sequences of at most Context tokens together: exactly as many, as long
// as a source that may be cut is in the mixture. A sequence longer than a row is
// cut, its pieces being sequences of their own; and what remains of a row takes
// the beginning of the longest that waits. Sequences of sources in which not
// every token counts (chat) are cut only where they are longer than a row; a row
// that thus has an odd number of tokens gets one more, which does not count.
// So any number of rows has an even number of tokens.
//
// Labels may be the same memory as IDs.
func (m *Mixture) Sample(s State) (batch [][]Sequence, next State, err error) {
	err = mmap.Guard(m.corpus.opt.Dir, func() error {
		if err := m.Check(s); err != nil {
			return err
		}
		p := packer{Mixture: m, state: s.clone()}
		p.enterPhase()
		for i := range m.opt.Rows {
			row, err := p.row(i)
			if err != nil {
				return err
			}
			batch = append(batch, row)
		}
		p.state.Step++
		next = p.state
		return nil
	})
	if err != nil {
		return nil, s, err
	}
	return batch, next, nil
}

func (s State) clone() State {
	s.Sources = slices.Clone(s.Sources)
	for i := range s.Sources {
		s.Sources[i].Waiting = slices.Clone(s.Sources[i].Waiting)
	}
	return s
}
