package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"slices"
	"strings"

	"wenmo/checkpoint"
	"wenmo/dataset"
	"wenmo/tensor"
)

// Preferences is an objective over pairs of answers: of a batch, sequences 2i
// and 2i+1 are the preferred and the other answer to a prompt, whose labels
// count where the answers stand. Batches are cut between pairs.
type Preferences struct {
	Kind      tensor.PreferenceKind
	Beta      float32
	Smoothing float32 // of tensor.DPO
	Mean      bool    // log-probabilities are divided by the number of labels
	Reference *Reference

	// Of all pairs since they were last set to zero.
	Stats PreferenceStats

	lengths, reference []float32
	spans              []tensor.Span
}

// PreferenceStats tell how the answers are told apart. Rewards are β times what
// log-probabilities have gained over the reference.
type PreferenceStats struct {
	Pairs, Right     int     // how many there were, and of how many the preferred answer has the larger reward
	Chosen, Rejected float64 // sums of rewards
}

// Accuracy is the part of the pairs of which the preferred answer has the
// larger reward.
func (s *PreferenceStats) Accuracy() float64 { return float64(s.Right) / float64(s.Pairs) }

// Margin is the mean distance of rewards.
func (s *PreferenceStats) Margin() float64 { return (s.Chosen - s.Rejected) / float64(s.Pairs) }

// Objective returns the loss. Every pair must be in the reference.
func (o *Preferences) Objective() Objective {
	return Objective{
		Weight: func(_ *Pass, batch []dataset.Sequence) float64 { return float64(len(batch) / 2) },
		Loss:   o.loss,
	}
}

func (o *Preferences) loss(p *Pass, batch []dataset.Sequence, total float32) *tensor.Tensor {
	g := p.Graph
	if err := o.refer(batch); err != nil {
		g.Fail(err)
		return g.Zeros(1, 1)
	}
	policy := p.logProbs(batch, &o.spans)
	if g.Err() != nil {
		return g.Zeros(1, 1)
	}
	loss := tensor.Preference{Kind: o.Kind, Beta: o.Beta, Smoothing: o.Smoothing, Total: total}
	if o.Mean {
		o.lengths = o.lengths[:0]
		for _, s := range o.spans {
			o.lengths = append(o.lengths, float32(s.Len))
		}
		loss.Lengths = o.lengths
	}
	o.count(policy)
	return g.Preference(policy, o.reference, loss)
}

// refer looks the reference's log-probabilities of a batch up.
func (o *Preferences) refer(batch []dataset.Sequence) error {
	if len(batch)%2 != 0 {
		return fmt.Errorf("%d answers, want pairs", len(batch))
	}
	o.reference = o.reference[:0]
	for i := 0; i < len(batch); i += 2 {
		if answers(&batch[i]) == 0 || answers(&batch[i+1]) == 0 {
			return errors.New("an answer of a pair has no token with a label")
		}
		logp, ok := o.Reference.logps[o.Reference.key(&batch[i], &batch[i+1])]
		if !ok {
			return errors.New("the reference has no log-probabilities of a pair")
		}
		o.reference = append(o.reference, logp[:]...)
	}
	return nil
}

// count adds to the statistics.
func (o *Preferences) count(policy *tensor.Tensor) {
	for i := 0; i < policy.Rows; i += 2 {
		gain := func(at int) float64 { return float64(o.Beta) * (float64(policy.Data[at]) - float64(o.reference[at])) }
		chosen, rejected := gain(i), gain(i+1)
		o.Stats.Pairs++
		o.Stats.Chosen += chosen
		o.Stats.Rejected += rejected
		if chosen > rejected {
			o.Stats.Right++
		}
	}
}

// logProbs returns the log-probability of the labels of each sequence. spans
// are set to the rows, of those with a label, that belong to each.
func (p *Pass) logProbs(batch []dataset.Sequence, spans *[]tensor.Span) *tensor.Tensor {
	*spans = (*spans)[:0]
	b := p.labelled(batch, 1, spans)
	logits := p.Model.Logits(p.Graph, p.Model.Forward(p.Graph, b))
	return p.Graph.LogProbs(logits, p.labels, *spans)
}

// answers counts the labels of a sequence that a causal model is to say.
func answers(s *dataset.Sequence) (n int) {
	for _, y := range labelsOf(s, 1) {
		if y >= 0 {
			n++
		}
	}
	return n
}

// Reference has the log-probabilities that the model gave pairs before it was
// trained. They are kept with the run, as safetensors.
type Reference struct {
	logps map[pairKey][2]float32
	run   string // that it is of: model and settings
	buf   []byte
}

// pairKey is the beginning of the SHA-256 of a pair's ids and labels.
type pairKey [16]byte

func (r *Reference) key(chosen, rejected *dataset.Sequence) (key pairKey) {
	b := r.buf[:0]
	for _, s := range [2]*dataset.Sequence{chosen, rejected} {
		for _, ids := range [2][]int32{s.IDs, labelsOf(s, 0)} {
			b = binary.LittleEndian.AppendUint32(b, uint32(len(ids)))
			for _, id := range ids {
				b = binary.LittleEndian.AppendUint32(b, uint32(id))
			}
		}
	}
	r.buf = b
	sum := sha256.Sum256(b)
	copy(key[:], sum[:])
	return key
}

// NewReference returns a reference without pairs for a run, which its
// fingerprint names.
func NewReference(run string) *Reference {
	return &Reference{logps: map[pairKey][2]float32{}, run: run}
}

// Len returns the number of pairs.
func (r *Reference) Len() int { return len(r.logps) }

// Add has the model of p, as it is now, give log-probabilities to the pairs of
// a batch that the reference does not have yet.
func (r *Reference) Add(ctx context.Context, p *Pass, batch []dataset.Sequence) error {
	if len(batch)%2 != 0 {
		return fmt.Errorf("%d answers, want pairs", len(batch))
	}
	var fresh []dataset.Sequence
	for i := 0; i < len(batch); i += 2 {
		if _, ok := r.logps[r.key(&batch[i], &batch[i+1])]; !ok {
			fresh = append(fresh, batch[i], batch[i+1])
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	var logps *tensor.Tensor
	_, err := p.Loss(ctx, Objective{
		Weight: func(*Pass, []dataset.Sequence) float64 { return 1 },
		Loss: func(p *Pass, batch []dataset.Sequence, _ float32) *tensor.Tensor {
			var spans []tensor.Span
			logps = p.logProbs(batch, &spans)
			return p.Graph.Zeros(1, 1)
		},
	}, [][]dataset.Sequence{fresh})
	if err != nil {
		return err
	}
	for i := 0; i < len(fresh); i += 2 {
		r.logps[r.key(&fresh[i], &fresh[i+1])] = [2]float32{logps.Data[i], logps.Data[i+1]}
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Names of a reference's tensors, and of the run in its metadata.
const (
	referenceRun   = "run"
	referenceSum   = "crc32c"    // of keys and log-probabilities
	referenceKeys  = "keys"      // I64 [pairs, 2]
	referenceLogps = "log_probs" // F32 [pairs, 2]
)

// Save writes the reference to a file, which is replaced as a whole.
func (r *Reference) Save(path string) error {
	keys := make([]pairKey, 0, len(r.logps))
	for key := range r.logps {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b pairKey) int { return strings.Compare(string(a[:]), string(b[:])) })
	var k, v []byte
	for _, key := range keys {
		k = append(k, key[:]...)
		for _, x := range r.logps[key] {
			v = binary.LittleEndian.AppendUint32(v, math.Float32bits(x))
		}
	}
	shape := []int{len(keys), 2}
	sum := crc32.Update(crc32.Checksum(k, castagnoli), castagnoli, v)
	return checkpoint.WriteSafetensors(path, []checkpoint.Out{
		{Name: referenceKeys, DType: checkpoint.I64, Shape: shape, Data: k},
		{Name: referenceLogps, DType: checkpoint.F32, Shape: shape, Data: v},
	}, map[string]string{referenceRun: r.run, referenceSum: fmt.Sprintf("%08x", sum)})
}

// LoadReference reads what Save wrote for a run; without the file, or with that
// of another run, the reference is empty. So it is beside an error, which says
// what is wrong with the file: it can be made again.
func LoadReference(path, run string) (*Reference, error) {
	r := NewReference(run)
	err := r.load(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return NewReference(run), err
	}
	return r, nil
}

func (r *Reference) load(path string) error {
	file, err := checkpoint.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	keys, ok := file.Tensor(referenceKeys)
	logps, ok2 := file.Tensor(referenceLogps)
	if !ok || !ok2 || keys.DType != checkpoint.I64 || logps.DType != checkpoint.F32 || len(keys.Shape) != 2 || keys.Shape[1] != 2 || !slices.Equal(keys.Shape, logps.Shape) {
		return fmt.Errorf("%s: want tensors %q (I64) and %q (F32) of shape [pairs, 2]", path, referenceKeys, referenceLogps)
	}
	if file.Metadata()[referenceRun] != r.run {
		return nil
	}
	values := make([]float32, logps.Len())
	if err := logps.Float32(values); err != nil {
		return err
	}
	return keys.Guard(func() error {
		sum := crc32.Update(crc32.Checksum(keys.Data, castagnoli), castagnoli, logps.Data)
		if fmt.Sprintf("%08x", sum) != file.Metadata()[referenceSum] {
			return fmt.Errorf("%s: the checksum is not that of the contents", path)
		}
		for i := range keys.Shape[0] {
			r.logps[pairKey(keys.Data[16*i:16*i+16])] = [2]float32{values[2*i], values[2*i+1]}
		}
		return nil
	})
}
