package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"wenmo/checkpoint"
	"wenmo/internal/mmap"
	"wenmo/kernel"
	"wenmo/nn"
	"wenmo/tensor"
)

// Model is an opened model: its sizes, and its forward. It is immutable and
// safe for concurrent use, each user having a graph and pages of his own.
type Model struct {
	Config       *Config
	Architecture string // "LlamaForCausalLM"
	Type         string // model_type

	Vocab, Hidden, Layers, Heads int
	Context                      int // tokens it was made for: where generation ends
	MaxLength                    int // longest sequence it computes; Context unless positions set no limit
	KV                           tensor.KVShape
	Bidirectional                bool // an encoder: every token sees every other
	Head                         Head
	Labels                       []string // of a head that classifies, by class
	Problem                      Problem  // of a SequenceHead
	BF16                         bool     // weights take part in products as bfloat16
	WeightBytes                  int

	// Groups are the layers of a decoder by how far they see, where some see less
	// than all (nn.Attention.Group); else nil.
	Groups []LayerGroup

	// FrequencySet tells for which lengths of a sequence what was computed for a
	// shorter one still holds: while the set is the same. nil: always.
	FrequencySet func(length int) int

	// Params are what LoadTrainable made trainable, by name; else nil.
	Params []*nn.Param

	Adapter *AdapterConfig // that the model was loaded with; nil: none

	pad    int32 // id that a SequenceHead does not read; −1: none
	body   Body
	memory [][]byte // of packed weights
}

// LayerGroup is a number of layers that see equally far.
type LayerGroup struct {
	Window int // 0: everything before
	Layers int
}

// unlimited is the MaxLength where positions set no limit of their own.
const unlimited = 1 << 20

// Body is what a family defines.
type Body interface {
	// Forward returns the final hidden states, [rows wanted, hidden].
	Forward(g *tensor.Graph, b *nn.Batch) *tensor.Tensor
	// Logits returns the head's output for hidden states, [rows, vocab] or [rows,
	// classes], or nil where the architecture has no head.
	Logits(g *tensor.Graph, hidden *tensor.Tensor) *tensor.Tensor
}

// Forward returns the final hidden states of the rows that the batch wants.
func (m *Model) Forward(g *tensor.Graph, b *nn.Batch) *tensor.Tensor { return m.body.Forward(g, b) }

// Logits returns the head's output for hidden states, row by row. A
// SequenceHead is for the rows that HeadRows names.
func (m *Model) Logits(g *tensor.Graph, hidden *tensor.Tensor) *tensor.Tensor {
	return m.body.Logits(g, hidden)
}

// Pooler is a body that also has an output for the sequence as a whole.
type Pooler interface {
	// Pooled returns the pooled output of each span, [spans, hidden], given the
	// hidden states of all rows.
	Pooled(g *tensor.Graph, b *nn.Batch, hidden *tensor.Tensor) *tensor.Tensor
}

// Pooled returns the pooled output of each span, or nil where the model has none.
func (m *Model) Pooled(g *tensor.Graph, b *nn.Batch, hidden *tensor.Tensor) *tensor.Tensor {
	if p, ok := m.body.(Pooler); ok {
		return p.Pooled(g, b, hidden)
	}
	return nil
}

// Load builds the model that a config describes from the weights of file. It
// ends between two tensors when ctx does.
func Load(ctx context.Context, c *Config, file *checkpoint.File, dtype DType, pool *kernel.Pool) (*Model, error) {
	l := NewLoader(file, dtype, pool)
	l.ctx = ctx
	return l.load(c)
}

func (l *Loader) load(c *Config) (*Model, error) {
	m, err := l.model(c)
	if err != nil {
		return nil, errors.Join(err, free(l.memory))
	}
	return m, nil
}

// Close frees the weights that were packed. The model must not be used any
// more.
func (m *Model) Close() error {
	memory := m.memory
	m.memory = nil
	return free(memory)
}

func free(memory [][]byte) error {
	var errs []error
	for _, b := range memory {
		errs = append(errs, mmap.Free(b))
	}
	return errors.Join(errs...)
}

// model builds the model that a config describes.
func (l *Loader) model(c *Config) (*Model, error) {
	arch, build, err := family(c)
	if err != nil {
		return nil, err
	}
	m := &Model{Config: c, Architecture: arch, Type: c.StringOr("model_type", ""), Head: CausalHead, pad: -1}
	c.defaults = checkpoint.ConfigDefaults(m.Type, arch)
	m.Vocab = c.Int("vocab_size")
	if err := c.Err(); err != nil {
		return nil, err
	}
	build(m, c, l)
	c.CheckUnread()
	if err := c.Err(); err != nil {
		return nil, err
	}
	l.adapter.finish(l, m)
	if err := l.Err(); err != nil {
		return nil, err
	}
	m.BF16 = l.bf16
	m.MaxLength = max(m.MaxLength, m.Context)
	if d, ok := m.body.(*decoder); ok {
		m.Groups = d.group(m.MaxLength)
	}
	m.WeightBytes = l.Bytes()
	m.memory = l.memory
	m.Params = l.params
	slices.SortFunc(m.Params, func(a, b *nn.Param) int { return strings.Compare(a.Name, b.Name) })
	return m, nil
}

// ErrArchitecture is the error of a config whose architecture is not known.
var ErrArchitecture = errors.New("is not supported")

// family finds the architecture of a config.
func family(c *Config) (string, builder, error) {
	names := c.Strings("architectures")
	if len(names) == 0 {
		if err := c.Err(); err != nil {
			return "", nil, err
		}
		typ := c.StringOr("model_type", "")
		name, ok := defaultArchitecture[typ]
		if !ok {
			return "", nil, fmt.Errorf("%s: architectures is missing and model_type %q is not known", c.file, typ)
		}
		names = []string{name}
	}
	for _, n := range names {
		if b, ok := families[n]; ok {
			return n, b, nil
		}
	}
	return "", nil, fmt.Errorf("%s: architecture %q %w (known: %s)", c.file, names[0], ErrArchitecture, strings.Join(Architectures(), ", "))
}

// Architectures returns the names that Load knows, sorted.
func Architectures() []string {
	names := make([]string, 0, len(families))
	for n := range families {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
