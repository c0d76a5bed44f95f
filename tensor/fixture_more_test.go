package tensor_test

import (
	"math"
	"slices"

	"wenmo/tensor"
)

func runLoss(c *opCase) {
	x := c.leaf("x", c.last("x"))
	if c.has("labels") {
		c.crossEntropy(x)
		return
	}
	t := c.leaf("t", c.last("t"))
	switch c.Name {
	case "bce_with_logits":
		c.output(c.g.BCE(x, t, 0))
	case "mse":
		c.output(c.g.MSE(x, t, 0))
		c.gradient("t", t.Grad)
	case "kl_distill":
		c.output(c.g.Distill(x, t, float32(c.number("temperature", 1))))
	default:
		c.t.Fatalf("no loss %q", c.Name)
	}
	c.gradient("x", x.Grad)
}

func (c *opCase) crossEntropy(x *tensor.Tensor) {
	labels, shape := slices.Clone(c.in("labels").ints), c.in("labels").shape
	o := tensor.CrossEntropy{Smoothing: float32(c.number("label_smoothing", 0)), ZLoss: float32(c.number("z_loss", 0))}
	ignore := int32(c.number("ignore_index", tensor.NoLabel))
	for i, y := range labels {
		if y == ignore {
			labels[i] = tensor.NoLabel
		}
	}
	switch r := c.text("reduction"); r {
	case "", "mean":
	case "sum":
		o.Reduction = tensor.Sum
	case "none":
		o.Reduction = tensor.None
	default:
		c.t.Fatalf("reduction %q", r)
	}
	if name := c.text("class_weights"); name != "" {
		o.Weights = c.in(name).floats
	}
	if len(shape) == 2 { // a causal model's
		var spans []tensor.Span
		for b := range shape[0] {
			spans = append(spans, tensor.Span{Start: b * shape[1], Len: shape[1]})
		}
		shifted := make([]int32, len(labels))
		tensor.ShiftLabels(shifted, labels, spans)
		labels = shifted
	}
	c.output(c.g.CrossEntropy(x, labels, o))
	c.gradient("x", x.Grad)
}

// runAttention leaves masked keys out: the masks are padding at one end.
func runAttention(c *opCase) {
	qs, ks, vs := c.in("q").shape, c.in("k").shape, c.in("v").shape
	a := &tensor.Attention{
		Heads: qs[1], KVHeads: ks[1], Dim: qs[3], VDim: vs[3],
		Scale:  float32(c.number("scale", 1/math.Sqrt(float64(qs[3])))),
		Causal: c.bool("causal"), SoftCap: float32(c.number("softcap", 0)),
		Window: int(c.number("sliding_window", c.number("window", 0))),
	}
	batch, queries, keys := qs[0], qs[2], ks[2]
	from, to := c.keyRange(batch, keys)
	if c.has("sink") {
		a.Sinks = c.leaf("sink", a.Heads)
	}
	if c.has("bias") {
		a.Bias = c.bias(a.Heads, queries, keys)
	}
	q, k, v := c.heads("q", qs), c.heads("k", ks), c.heads("v", vs)
	pages := (keys + tensor.PageTokens - 1) / tensor.PageTokens
	kv := tensor.NewKV(tensor.KVShape{Layers: 1, Heads: a.KVHeads, Dim: a.Dim, VDim: a.VDim}, batch*pages)
	defer kv.Close()
	var spans, stored []tensor.Span
	for b := range batch {
		s := tensor.Span{Start: b*keys + from[b], Len: to[b] - from[b]}
		for range pages {
			p, err := kv.Alloc()
			if err != nil {
				c.t.Fatal(err)
			}
			s.Pages = append(s.Pages, p)
		}
		stored = append(stored, s)
		spans = append(spans, tensor.Span{Start: b * queries, Len: queries, Pos: keys - queries - from[b], Keys: s.Len, Pages: s.Pages})
	}
	y := c.g.Attend(a, q, c.g.Store(kv, 0, k, v, stored), spans, nil)
	ys := []int{batch, a.Heads, queries, a.VDim}
	c.compare("y", toHeads(y.Data, ys), 1e-5, 1e-5)
	c.g.Backward(y, fromHeads(c.values["d_y"].floats, ys))
	c.gradient("q", toHeads(q.Grad, qs))
	c.gradient("k", toHeads(k.Grad, ks))
	c.gradient("v", toHeads(v.Grad, vs))
	if a.Sinks != nil {
		c.gradient("sink", a.Sinks.Grad)
	}
	if a.Bias != nil {
		var d []float32
		for h := range a.Heads {
			d = append(d, a.Bias.Grad[(h*keys+keys-queries)*keys:][:queries*keys]...)
		}
		c.gradient("bias", d)
	}
}

// keyRange returns the keys that each sequence has, which is all of them
// without key_mask.
func (c *opCase) keyRange(batch, keys int) (from, to []int) {
	var mask []int32
	if c.has("key_mask") {
		mask = c.in("key_mask").ints
	}
	for b := range batch {
		first, end := 0, keys
		if mask != nil {
			m := mask[b*keys : (b+1)*keys]
			first = slices.Index(m, 1)
			for end = first; end < keys && m[end] == 1; end++ {
			}
			if first < 0 || slices.Contains(m[end:], 1) {
				c.t.Fatalf("key_mask of sequence %d is %v, want one run of ones", b, m)
			}
		}
		from, to = append(from, first), append(to, end)
	}
	return from, to
}

// bias returns the input bias [1, heads, queries, keys], the queries being the
// last of as many positions as keys.
func (c *opCase) bias(heads, queries, keys int) *tensor.Tensor {
	v := c.in("bias")
	if !slices.Equal(v.shape, []int{1, heads, queries, keys}) || c.has("key_mask") {
		c.t.Fatalf("bias of shape %v", v.shape)
	}
	b := tensor.FromSlice(make([]float32, heads*keys*keys), heads*keys, keys)
	b.Grad = make([]float32, len(b.Data))
	for h := range heads {
		copy(b.Data[(h*keys+keys-queries)*keys:], v.floats[h*queries*keys:(h+1)*queries*keys])
	}
	return b
}
