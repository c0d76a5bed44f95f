package kernel

// AdamWStep has the numbers of one step of AdamW, the same for all elements.
type AdamWStep struct {
	Keep        float32 // 1 − learning rate · weight decay
	Beta1, New1 float32 // β₁ and 1 − β₁
	Beta2, New2 float32 // β₂ and 1 − β₂
	Root        float32 // 1/√(1 − β₂ᵗ)
	Eps         float32
	Rate        float32 // learning rate / (1 − β₁ᵗ)
}

// AdamW makes one step for parameters p with gradients g and the averages m of
// gradients and v of their squares: m = β₁m + (1−β₁)g, v = β₂v + (1−β₂)g²,
// p = Keep·p − Rate·m / (√v·Root + ε), with every operation rounded.
// (Loshchilov & Hutter 2019, algorithm 2, in the order of PyTorch.)
func AdamW(p, m, v, g []float32, s *AdamWStep) {
	m, v, g = m[:len(p)], v[:len(p)], g[:len(p)]
	for i := runAdamW(p, m, v, g, s); i < len(p); i++ {
		m[i] = float32(s.Beta1*m[i]) + float32(s.New1*g[i])
		v[i] = float32(s.Beta2*v[i]) + float32(float32(s.New2*g[i])*g[i])
		d := float32(sqrt32(v[i])*s.Root) + s.Eps
		p[i] = float32(s.Keep*p[i]) - float32(s.Rate*m[i])/d
	}
}
