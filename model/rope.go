package model

import (
	"math"

	"wenmo/nn"
	"wenmo/tensor"
)

// ropeOf reads the rotary embedding of heads of dim elements (rope_theta,
// rope_scaling, partial_rotary_factor). Reference:
// transformers/modeling_rope_utils.py.
func ropeOf(m *Model, c *Config, dim int) *nn.Rope {
	theta := c.FloatOr("rope_theta", 10000)
	if f := c.FloatOr("partial_rotary_factor", 1); f != 1 {
		if f <= 0 || f > 1 {
			c.fail("partial_rotary_factor", "is %v, want more than 0, up to 1", f)
			return nil
		}
		dim = int(float64(dim) * f)
	}
	return scaledRope(m, c, c.Object("rope_scaling"), dim, theta)
}

// scaledRope returns the embedding that a rope_scaling object describes; nil is
// the plain one.
func scaledRope(m *Model, c, scaling *Config, dim int, theta float64) *nn.Rope {
	if dim > maxRotated {
		c.fail("head_dim", "has %d rotated elements, want at most %d", dim, maxRotated)
		return nil
	}
	if theta <= 0 || theta > maxTheta || dim < 2 {
		c.fail("rope_theta", "is %v over %d rotated elements, want a positive number up to %g over at least 2", theta, dim, float64(maxTheta))
		return nil
	}
	r := &ropeScaling{m: m, c: c, s: scaling, theta: theta, half: dim / 2, dim: float64(dim), context: float64(m.Context)}
	if scaling == nil {
		return fixedRope(r.frequencies(theta), 1)
	}
	defer c.adopt(scaling)
	kind := scaling.StringOr("rope_type", scaling.StringOr("type", "default"))
	build, ok := ropeTypes[kind]
	if !ok {
		scaling.fail("rope_type", "%q is not supported (known: default, linear, dynamic, yarn, llama3, longrope)", kind)
		return nil
	}
	return build(r)
}

var ropeTypes = map[string]func(r *ropeScaling) *nn.Rope{
	"default":  func(r *ropeScaling) *nn.Rope { return fixedRope(r.frequencies(r.theta), 1) },
	"linear":   (*ropeScaling).linear,
	"dynamic":  (*ropeScaling).dynamic,
	"yarn":     (*ropeScaling).yarn,
	"llama3":   (*ropeScaling).llama3,
	"longrope": (*ropeScaling).longrope,
	"su":       (*ropeScaling).longrope,
	"factors":  (*ropeScaling).factors,
}

type ropeScaling struct {
	m       *Model
	c, s    *Config
	theta   float64
	half    int
	dim     float64
	context float64 // max_position_embeddings
}

func fixedRope(inv []float32, factor float32) *nn.Rope {
	return &nn.Rope{Make: func(int) *tensor.Rope { return singleRope(inv, factor) }}
}

// singleRope returns a rotation with the arithmetic of transformers, which is
// that of the models' training: frequencies and angles in float32.
func singleRope(inv []float32, factor float32) *tensor.Rope {
	r := &tensor.Rope{InvFreq: make([]float64, len(inv)), Single: true, Factor: factor}
	for i, f := range inv {
		r.InvFreq[i] = float64(f)
	}
	return r
}

// frequencies returns theta^(−2i/dim).
func (r *ropeScaling) frequencies(theta float64) []float32 {
	inv := make([]float32, r.half)
	for i := range inv {
		inv[i] = float32(1 / math.Pow(theta, float64(2*i)/r.dim))
	}
	return inv
}

// maxRotated is far above the size of any model's heads.
const maxRotated = 1 << 14

// maxTheta is far above the base of any model.
const maxTheta = 1e15

// Scaling factors beyond these make angles that float32 cannot tell apart.
const minFactor, maxFactor = 1e-3, 1e6

// factor reads the factor.
func (r *ropeScaling) factor() float64 {
	if !r.s.Has("factor") {
		r.s.fail("factor", "is missing")
	}
	return r.number("factor", 1)
}

// number reads a number of the size that factors have, def where it is absent.
func (r *ropeScaling) number(key string, def float64) float64 {
	f := r.s.FloatOr(key, def)
	if r.s.Has(key) && !(f >= minFactor && f <= maxFactor) {
		r.s.fail(key, "is %v, want a number from %v to %.0f", f, minFactor, maxFactor)
	}
	return f
}

// original is the context that the model was first trained with.
func (r *ropeScaling) original() float64 {
	if r.s.Has("original_max_position_embeddings") {
		return float64(r.s.Int("original_max_position_embeddings"))
	}
	return float64(r.c.IntOr("original_max_position_embeddings", r.m.Context))
}

func (r *ropeScaling) linear() *nn.Rope {
	inv := r.frequencies(r.theta)
	f := float32(r.factor())
	for i := range inv {
		inv[i] /= f
	}
	return fixedRope(inv, 1)
}

// factors is what GGUF's rope_freqs.weight says: a divisor for each frequency.
func (r *ropeScaling) factors() *nn.Rope {
	inv := r.frequencies(r.theta)
	divide(r.s, "factors", inv, math.MaxFloat32) // frequencies that are not rotated have 1e30
	return fixedRope(inv, 1)
}

func divide(s *Config, key string, inv []float32, most float64) {
	f := s.Floats(key)
	if len(f) != len(inv) {
		s.fail(key, "has %d numbers, want %d", len(f), len(inv))
		return
	}
	for i := range inv {
		if !(f[i] >= minFactor && f[i] <= most) {
			s.fail(key, "holds %v, want numbers from %v to %g", f[i], minFactor, most)
			return
		}
		inv[i] = float32(float64(inv[i]) / f[i])
	}
}

// dynamic is NTK-aware scaling whose base grows with the sequence: every length
// above the context is a frequency set of its own.
func (r *ropeScaling) dynamic() *nn.Rope {
	factor := r.factor()
	set := func(length int) int { return max(length, int(r.context)) }
	r.m.FrequencySet, r.m.MaxLength = set, unlimited
	return &nn.Rope{Set: set, Make: func(set int) *tensor.Rope {
		grow := factor*float64(set)/r.context - (factor - 1)
		theta := r.theta * math.Pow(grow, r.dim/(r.dim-2))
		return singleRope(r.frequencies(theta), 1)
	}}
}

// yarn is "YaRN: Efficient Context Window Extension" (Peng et al. 2023). Where
// there is no factor it is that of the contexts.
func (r *ropeScaling) yarn() *nn.Rope {
	original := r.original()
	factor := r.context / original
	if r.s.Has("factor") || !r.s.Has("original_max_position_embeddings") {
		factor = r.factor()
	}
	attention := yarnScale(factor, 1)
	if m, all := r.s.FloatOr("mscale", 0), r.s.FloatOr("mscale_all_dim", 0); m != 0 && all != 0 {
		attention = yarnScale(factor, m) / yarnScale(factor, all)
		if !(attention >= minFactor && attention <= maxFactor) {
			r.s.fail("mscale", "%v and mscale_all_dim %v make an attention factor of %v", m, all, attention)
		}
	}
	attention = r.number("attention_factor", attention)
	low := r.correction(r.number("beta_fast", 32), original)
	high := r.correction(r.number("beta_slow", 1), original)
	if r.s.BoolOr("truncate", true) {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, r.dim-1)
	if low == high {
		high += 0.001
	}
	inv := make([]float32, r.half)
	for i := range inv {
		f := 1 / math.Pow(r.theta, float64(2*i)/r.dim)
		keep := 1 - min(1, max(0, (float64(i)-low)/(high-low)))
		inv[i] = float32(f/factor*(1-keep) + f*keep)
	}
	return fixedRope(inv, float32(attention))
}

func yarnScale(factor, mscale float64) float64 {
	if factor <= 1 {
		return 1
	}
	return 0.1*mscale*math.Log(factor) + 1
}

// correction is the dimension that makes so many rotations over the original
// context.
func (r *ropeScaling) correction(rotations, original float64) float64 {
	return r.dim * math.Log(original/(rotations*2*math.Pi)) / (2 * math.Log(r.theta))
}

func (r *ropeScaling) llama3() *nn.Rope {
	factor, original := r.factor(), r.original()
	low, high := r.number("low_freq_factor", 1), r.number("high_freq_factor", 4)
	inv := make([]float32, r.half)
	for i := range inv {
		f := 1 / math.Pow(r.theta, float64(2*i)/r.dim)
		length := 2 * math.Pi / f
		switch {
		case length > original/low:
			f /= factor
		case length >= original/high:
			smooth := (original/length - low) / (high - low)
			f = (1-smooth)*f/factor + smooth*f
		}
		inv[i] = float32(f)
	}
	return fixedRope(inv, 1)
}

// longrope has one set of factors up to the original context and one above
// (Phi-3; Ding et al. 2024).
func (r *ropeScaling) longrope() *nn.Rope {
	original := r.original()
	short, long := r.frequencies(r.theta), r.frequencies(r.theta)
	divide(r.s, "short_factor", short, maxFactor)
	divide(r.s, "long_factor", long, maxFactor)
	factor := r.context / original
	if !r.c.Has("original_max_position_embeddings") {
		factor = r.number("factor", factor)
	}
	attention := 1.0
	if factor > 1 {
		attention = math.Sqrt(1 + math.Log(factor)/math.Log(original))
	}
	attention = r.number("attention_factor", attention)
	set := func(length int) int {
		if length > int(original) {
			return 1
		}
		return 0
	}
	r.m.FrequencySet = set
	return &nn.Rope{Set: set, Make: func(set int) *tensor.Rope {
		inv := short
		if set == 1 {
			inv = long
		}
		return singleRope(inv, float32(attention))
	}}
}
