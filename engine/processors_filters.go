package engine

import "math"

// temperature divides the logits.
type temperature float32

func (t temperature) Process(_ *Context, logits []float32) {
	for i := range logits {
		logits[i] /= float32(t)
	}
}

// topK keeps the k greatest logits, and all that equal the k-th.
type topK struct{ k, keep int }

func (f *topK) Process(c *Context, logits []float32) {
	s := c.scratch
	s.list(logits, s.kth(logits, max(f.k, f.keep)))
}

// topP keeps the most likely tokens up to and including the one with which
// their probabilities reach p (Holtzman et al., arXiv 1904.09751).
type topP struct {
	p    float64
	keep int
}

func (f *topP) Process(c *Context, logits []float32) {
	s := c.scratch
	if s.weigh(logits); s.total == 0 {
		return
	}
	last := s.cross(logits, share(f.p, s.total))
	least := s.atLeast(logits, f.keep)
	s.keep(logits, func(i int) bool {
		id := s.ids[i]
		l := logits[id]
		return l > last.logit || l == last.logit && id <= last.id || f.keep > 1 && l >= least
	})
}

// share returns the greatest integer below p·total, at least 0: the sum that
// the last token kept exceeds.
func share(p float64, total uint64) uint64 {
	limit := uint64(math.Ceil(p * float64(total)))
	return max(min(limit, total), 1) - 1
}

// minP keeps tokens of at least p times the greatest probability
// (Nguyen et al., arXiv 2407.01082).
type minP struct {
	p    float64
	keep int
}

func (f *minP) Process(c *Context, logits []float32) {
	s := c.scratch
	s.weigh(logits)
	s.keepMass(logits, f.p*float64(massOne), f.keep)
}

// keepMass keeps candidates of at least that mass, and the keep greatest.
func (s *Scratch) keepMass(logits []float32, mass float64, keep int) {
	least := s.atLeast(logits, keep)
	s.keep(logits, func(i int) bool {
		return float64(s.mass[i]) >= mass || logits[s.ids[i]] >= least
	})
}

// atLeast returns the logit that the keep most likely tokens reach.
func (s *Scratch) atLeast(logits []float32, keep int) float32 {
	if keep <= 1 {
		return s.max
	}
	return s.kth(logits, keep)
}

// epsilon keeps tokens of at least that probability (Hewitt et al.,
// arXiv 2210.15191).
type epsilon struct {
	cutoff float64
	keep   int
}

func (f *epsilon) Process(c *Context, logits []float32) {
	s := c.scratch
	s.weigh(logits)
	s.keepMass(logits, f.cutoff*float64(s.total), f.keep)
}

// eta keeps tokens of at least min(cutoff, sqrt(cutoff)·e^-entropy) (the same
// paper).
type eta struct {
	cutoff float64
	keep   int
}

func (f *eta) Process(c *Context, logits []float32) {
	s := c.scratch
	if s.weigh(logits); s.total == 0 {
		return
	}
	_, entropy := s.entropy()
	cutoff := min(f.cutoff, math.Sqrt(f.cutoff)*exp64(-entropy))
	s.keepMass(logits, cutoff*float64(s.total), f.keep)
}

// entropy returns the logarithm of the sum of e^(logit-max) and the entropy of
// the candidates in nats.
func (s *Scratch) entropy() (logSum, entropy float64) {
	sum := 0.0
	for i, m := range s.mass {
		if m > 0 {
			sum += float64(float64(m) * float64(s.dist[i]))
		}
	}
	logSum = logMass(s.total)
	return logSum, logSum + sum/float64(s.total)
}

// logMass returns the natural logarithm of a mass.
func logMass(m uint64) float64 {
	return log64(float64(m) * (1.0 / float64(massOne)))
}

// typical keeps the tokens whose surprise is nearest to the entropy, up to the
// probability p (Meister et al., arXiv 2202.00666).
type typical struct {
	p    float64
	keep int
}

func (f *typical) Process(c *Context, logits []float32) {
	s := c.scratch
	if s.weigh(logits); s.total == 0 {
		return
	}
	logSum, entropy := s.entropy()
	s.span = 0
	for i, d := range s.dist {
		surprise := logSum + float64(d)
		s.dist[i] = float32(math.Abs(surprise - entropy))
		s.span = max(s.span, s.dist[i])
	}
	s.span = min(s.span, maxSpan)
	farthest := s.cross(logits, share(f.p, s.total)).dist
	if f.keep > 1 {
		farthest = max(farthest, s.nearest(f.keep))
	}
	s.keep(logits, func(i int) bool { return s.dist[i] <= farthest })
	s.weighed = false // dist is not the distance from the maximum any more
}

// nearest returns the k-th smallest dist.
func (s *Scratch) nearest(k int) float32 {
	for i := range s.dist {
		s.dist[i] = -s.dist[i]
	}
	far := -s.kth(s.dist, k)
	for i := range s.dist {
		s.dist[i] = -s.dist[i]
	}
	return far
}

// xtc removes, with the given probability, all tokens of at least threshold but
// the least likely of them (p-e-w, "Exclude top choices").
type xtc struct{ probability, threshold float64 }

func (f *xtc) Process(c *Context, logits []float32) {
	if unit(c.Random(streamXTC)) >= f.probability {
		return
	}
	s := c.scratch
	s.weigh(logits)
	limit := f.threshold * float64(s.total)
	least := candidate{id: -1}
	for i, id := range s.ids {
		x := candidate{logit: logits[id], id: id}
		if float64(s.mass[i]) >= limit && (least.id < 0 || compareTokens(x, least) > 0) {
			least = x
		}
	}
	if least.id < 0 {
		return
	}
	s.keep(logits, func(i int) bool { return float64(s.mass[i]) < limit || s.ids[i] == least.id })
}

// unit returns random bits as a number in [0, 1).
func unit(r uint64) float64 { return float64(r>>11) * 0x1p-53 }

// renormalize makes the logits log-probabilities.
type renormalize struct{}

func (renormalize) Process(c *Context, logits []float32) {
	s := c.scratch
	s.reset()
	if s.weigh(logits); s.total == 0 {
		return
	}
	logSum := logMass(s.total)
	for _, id := range s.ids {
		logits[id] = float32((float64(logits[id]) - float64(s.max)) - logSum)
	}
	s.reset()
}
