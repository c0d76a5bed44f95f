package train

import (
	"cmp"
	"math"
	"slices"

	"wenmo/kernel"
	"wenmo/nn"
)

// Clip holds the gradients of a step to a global norm.
type Clip struct {
	params []*nn.Param // in the order of their names
	chunks []chunk
	sums   []float32 // of squares, of each chunk
	scale  float32
	norm   bool // the region computes sums; else it scales
}

// NewClip returns a Clip of params.
func NewClip(params []*nn.Param) *Clip {
	byName := slices.SortedStableFunc(slices.Values(params), func(a, b *nn.Param) int { return cmp.Compare(a.Name, b.Name) })
	chunks := chunksOf(byName)
	return &Clip{params: byName, chunks: chunks, sums: make([]float32, len(chunks))}
}

// Norm returns the norm of all gradients together. It is not finite where one
// of them is not, or where the squares leave float32.
func (c *Clip) Norm(pool *kernel.Pool) float64 {
	c.norm = true
	pool.Run(c, len(c.chunks))
	total := 0.0
	for _, s := range c.sums {
		total += float64(s)
	}
	return math.Sqrt(total)
}

// To scales all gradients so that their norm is at most limit, and returns the
// norm they had. As torch.nn.utils.clip_grad_norm_ it aims a millionth below.
// Gradients whose norm is not finite stay as they are.
func (c *Clip) To(pool *kernel.Pool, limit float64) float64 {
	const below = 1e-6
	norm := c.Norm(pool)
	if scale := limit / (norm + below); scale < 1 && !math.IsInf(norm, 1) {
		c.scale, c.norm = float32(scale), false
		pool.Run(c, len(c.chunks))
	}
	return norm
}

// Do works on a chunk: lanes within it, chunks in order of their names.
func (c *Clip) Do(_, i int) {
	k := c.chunks[i]
	g := c.params[k.param].Grad[k.from:k.to]
	if c.norm {
		c.sums[i] = kernel.SumSquares(g)
	} else {
		kernel.Scale(g, g, c.scale)
	}
}
