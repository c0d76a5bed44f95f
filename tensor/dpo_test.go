package tensor_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/tensor"
)

// TestFixtureDPO compares preference losses, log-probabilities of sequences and
// their gradients with the reference's, under every kernel path.
func TestFixtureDPO(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		cases := readPreferences(t, path)
		values := readValues(t, path+".safetensors")
		for _, c := range cases {
			if !testkit.InScope(filepath.Base(path), c.Name) {
				continue
			}
			t.Run(c.Name, func(t *testing.T) {
				defer kernel.SetPath(kernel.Path())
				for _, p := range kernel.Paths() {
					if err := kernel.SetPath(p); err != nil {
						t.Fatal(err)
					}
					pool := kernel.NewPool(2)
					g := tensor.NewGraph(pool)
					g.Record(true)
					if _, ok := values[c.Name+".policy_logits"]; ok {
						c.sequences(t, g, values)
					} else {
						c.losses(t, g, values)
					}
					g.Close()
					pool.Close()
				}
			})
		}
	}, "dpo")
}

type preferenceCase struct {
	Name   string
	Params struct {
		LossType  string  `json:"loss_type"`
		Beta      float32 `json:"beta"`
		Smoothing float32 `json:"label_smoothing"`
		LogProbs  string  `json:"log_probs"`
	}
	MeanLoss  *float64 `json:"mean_loss"`
	Gradients []string
}

func readPreferences(t *testing.T, path string) []preferenceCase {
	t.Helper()
	data, err := os.ReadFile(path + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Cases []preferenceCase }
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) == 0 {
		t.Fatalf("%s.json has no cases", path)
	}
	return f.Cases
}

func (c *preferenceCase) preference(t *testing.T) tensor.Preference {
	t.Helper()
	kind, err := tensor.ParsePreference(c.Params.LossType)
	if err != nil {
		t.Fatal(err)
	}
	return tensor.Preference{Kind: kind, Beta: c.Params.Beta, Smoothing: c.Params.Smoothing}
}

func (c *preferenceCase) losses(t *testing.T, g *tensor.Graph, values map[string]values) {
	pairs := func(name string) []float32 {
		a, b := values["in."+name+"chosen"+suffix(name)], values["in."+name+"rejected"+suffix(name)]
		return interleave(a.floats, b.floats)
	}
	p := c.preference(t)
	if strings.HasPrefix(c.Params.LogProbs, "divided") {
		p.Lengths = pairs("")
	}
	in := pairs("policy_")
	policy := tensor.FromSlice(in, len(in), 1)
	policy.Grad = make([]float32, len(in))
	loss := g.Preference(policy, pairs("reference_"), p)
	if c.MeanLoss != nil {
		compare(t, "mean loss", loss.Data[:1], []float32{float32(*c.MeanLoss)}, 1e-5, 1e-5)
	}
	g.Backward(loss, nil)
	for i, name := range []string{"policy_chosen", "policy_rejected"} {
		want, ok := values[c.Name+".grad."+name]
		if !ok {
			t.Errorf("no gradient of %s", name)
			continue
		}
		var got []float32
		for at := i; at < len(policy.Grad); at += 2 {
			got = append(got, policy.Grad[at])
		}
		compare(t, "gradient of "+name, got, want.floats, 1e-5, 1e-5)
	}
	for _, name := range c.Gradients {
		if name != "policy_chosen" && name != "policy_rejected" {
			t.Errorf("gradient of %s was not compared", name)
		}
	}
	p.Reduction = tensor.None
	each := g.Preference(policy, pairs("reference_"), p)
	compare(t, "losses", each.Data[:each.Rows], values[c.Name+".losses"].floats, 1e-5, 1e-5)
}

// suffix: log-probabilities are named policy_chosen, lengths chosen_len.
func suffix(prefix string) string {
	if prefix == "" {
		return "_len"
	}
	return ""
}

func interleave(a, b []float32) []float32 {
	var out []float32
	for i := range a {
		out = append(out, a[i], b[i])
	}
	return out
}

// sequences goes from logits to the loss: the first half of the rows are the
// preferred answers.
func (c *preferenceCase) sequences(t *testing.T, g *tensor.Graph, values map[string]values) {
	v := func(name string) []float32 { return values[c.Name+"."+name].floats }
	shape := values[c.Name+".policy_logits"].shape
	pairs, length, vocab := shape[0]/2, shape[1], shape[2]
	var spans []tensor.Span // in pairs
	var order []int
	for i := range pairs {
		order = append(order, i, pairs+i)
	}
	for _, r := range order {
		spans = append(spans, tensor.Span{Start: r * length, Len: length})
	}
	labels := make([]int32, shape[0]*length)
	tensor.ShiftLabels(labels, values[c.Name+".labels"].ints, spans)
	logits := tensor.FromSlice(slices.Clone(v("policy_logits")), shape[0]*length, vocab)
	logits.Grad = make([]float32, len(logits.Data))
	policy := g.LogProbs(logits, labels, spans)
	reference := g.LogProbs(tensor.FromSlice(v("reference_logits"), shape[0]*length, vocab), labels, spans)
	for i, r := range order {
		compare(t, "policy", policy.Row(i), v("policy_logps")[r:r+1], 1e-5, 1e-5)
		compare(t, "reference", reference.Row(i), v("reference_logps")[r:r+1], 1e-5, 1e-5)
		if mean := v("policy_mean_logps"); mean != nil {
			n := 0
			for _, y := range labels[r*length : (r+1)*length] {
				if y >= 0 {
					n++
				}
			}
			compare(t, "policy, mean", []float32{policy.Data[i] / float32(n)}, mean[r:r+1], 1e-5, 1e-5)
		}
	}
	loss := g.Preference(policy, slices.Clone(reference.Data[:2*pairs]), c.preference(t))
	compare(t, "loss", loss.Data[:1], []float32{float32(*c.MeanLoss)}, 1e-5, 1e-5)
	g.Backward(loss, nil)
	compare(t, "gradient of the logits", logits.Grad, v("grad.policy_logits"), 1e-5, 1e-5)
}

// logProbs is the row of the op table.
func logProbs() op {
	labels := func(s size) []int32 {
		l := s.ids(7)
		for i := 1; i < len(l); i += 6 {
			l[i] = tensor.NoLabel
		}
		return l
	}
	return op{"log_probs", func(s size) [][2]int { return [][2]int{{s.tokens, 7}} }, func(e *env) *tensor.Tensor {
		return e.g.LogProbs(e.in[0], labels(e.size), e.spans())
	}, func(s size, in []mat) mat {
		y := zeros(3, 1)
		logp := make([]float64, 7)
		for i, span := range s.spans() {
			for r := span.Start; r < span.Start+span.Len; r++ {
				if l := labels(s)[r]; l >= 0 {
					logSoftmax(logp, in[0].row(r))
					y.v[i] += logp[l]
				}
			}
		}
		return y
	}}
}

// preference is the row of the op table for a loss.
func preference(name string, o tensor.Preference) op {
	reference := func(s size) []float32 { return random(2*s.tokens, 31) }
	return op{name, func(s size) [][2]int { return [][2]int{{2 * s.tokens, 1}} }, func(e *env) *tensor.Tensor {
		if o.Lengths != nil {
			o.Lengths = slices.Repeat([]float32{3, 5}, e.tokens)
		}
		return e.g.Preference(e.in[0], reference(e.size), o)
	}, func(s size, in []mat) mat {
		y, ref := zeros(s.tokens, 1), reference(s)
		for i := range y.v {
			c, r := in[0].v[2*i]-float64(ref[2*i]), in[0].v[2*i+1]-float64(ref[2*i+1])
			if o.Lengths != nil {
				c, r = c/3, r/5
			}
			y.v[i] = preferenceLoss(c-r, o)
		}
		if o.Reduction == tensor.None {
			return y
		}
		sum := zeros(1, 1)
		for _, x := range y.v {
			if o.Total != 0 {
				sum.v[0] += x / float64(o.Total)
			} else {
				sum.v[0] += x / float64(s.tokens)
			}
		}
		return sum
	}}
}

func preferenceLoss(d float64, o tensor.Preference) float64 {
	beta, s := float64(o.Beta), float64(o.Smoothing)
	switch o.Kind {
	case tensor.Hinge:
		return max(0, 1-beta*d)
	case tensor.IPO:
		return (d - 1/(2*beta)) * (d - 1/(2*beta))
	}
	return -(1-s)*math.Log(sigmoid(beta*d)) - s*math.Log(sigmoid(-beta*d))
}
