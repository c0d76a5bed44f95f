package model

import (
	"fmt"
	"math"

	"wenmo/nn"
	"wenmo/tensor"
)

// bert is the body of BertModel and of what has a head on it (Devlin et al.
// 2018).
// Reference: transformers/models/bert/modeling_bert.py.
type bert struct {
	words, positions, types *tensor.Table
	embedNorm               *nn.Norm
	layers                  []bertLayer
	dropout                 float32    // of the embeddings, while training
	pooler                  *nn.Linear // of BertModel and BertForSequenceClassification

	// Of BertForMaskedLM:
	transform     *nn.Linear
	transformNorm *nn.Norm
	act           tensor.Activation
	decoder       *nn.Linear

	// Of the heads that classify:
	classifier        *nn.Linear
	classifierDropout float32
	pools             bool // the classifier reads the pooler's output
}

// bertLayer norms after each part has been added (post-norm).
type bertLayer struct {
	attention *nn.Attention
	norm      *nn.Norm
	mlp       *nn.MLP
	mlpNorm   *nn.Norm
	dropout   float32 // of each part's output, while training
}

func (b *bert) Forward(g *tensor.Graph, batch *nn.Batch) *tensor.Tensor {
	x := g.Add(g.Embed(b.words, batch.IDs, 0), g.Embed(b.types, typeIDs(batch), 0))
	x = b.embedNorm.Forward(g, g.Add(x, g.Embed(b.positions, batch.Positions, 0)))
	x = g.Dropout(x, b.dropout)
	keep := g.New(x.Rows, x.Cols)
	for i := range b.layers {
		batch.Hidden(x)
		mark := g.Mark()
		x = g.Reuse(mark, batch.Through(g, &b.layers[i], x), keep)
	}
	batch.Hidden(x)
	return batch.Select(g, x)
}

// Forward returns the stream after the layer. Outside training it overwrites x.
func (l *bertLayer) Forward(g *tensor.Graph, x *tensor.Tensor, batch *nn.Batch) *tensor.Tensor {
	mark := g.Mark()
	a := l.norm.Forward(g, g.Add(g.Dropout(l.attention.Forward(g, x, batch), l.dropout), x))
	x = g.Reuse(mark, a, x)
	return l.mlpNorm.Forward(g, g.Add(g.Dropout(l.mlp.Forward(g, x), l.dropout), x))
}

func typeIDs(b *nn.Batch) []int32 {
	if b.TypeIDs == nil {
		return make([]int32, len(b.IDs))
	}
	return b.TypeIDs
}

// Pooled returns tanh(W·h + b) of each span's first token, or nil without a
// pooler.
func (b *bert) Pooled(g *tensor.Graph, batch *nn.Batch, hidden *tensor.Tensor) *tensor.Tensor {
	if b.pooler == nil {
		return nil
	}
	first := make([]int32, len(batch.Spans))
	for i, s := range batch.Spans {
		first[i] = int32(s.Start)
	}
	return b.pool(g, g.Gather(hidden, first))
}

func (b *bert) pool(g *tensor.Graph, first *tensor.Tensor) *tensor.Tensor {
	return g.Activate(b.pooler.Forward(g, first), tensor.Tanh)
}

func (b *bert) Logits(g *tensor.Graph, hidden *tensor.Tensor) *tensor.Tensor {
	switch {
	case b.classifier != nil:
		if b.pools {
			hidden = b.pool(g, hidden)
		}
		return b.classifier.Forward(g, g.Dropout(hidden, b.classifierDropout))
	case b.decoder == nil:
		return nil
	}
	x := g.Activate(b.transform.Forward(g, hidden), b.act)
	return b.decoder.Forward(g, b.transformNorm.Forward(g, x))
}

func bertModel(m *Model, c *Config, l *Loader) {
	p := l.Prefix("embeddings.word_embeddings.weight", "", "bert.")
	b := buildBert(m, c, l, p)
	m.Head = NoHead
	if l.Has("classifier.weight") && !l.Has(p+"pooler.dense.weight") {
		l.fail(fmt.Errorf("%s: the classifier lacks its pooler, which GGUF leaves out: open the directory that the file was made of, or a packed file of it", l.file.Path()))
	}
	if l.Has(p + "pooler.dense.weight") {
		b.takePooler(m, l, p)
	}
	l.Rest("position_ids", "cls.")
}

func (b *bert) takePooler(m *Model, l *Loader, p string) {
	pooler := l.Linear([]string{p + "pooler.dense"}, []int{m.Hidden}, m.Hidden, true)
	b.pooler = &pooler
}

// bertClassifier builds BertForSequenceClassification, which classifies the
// pooled first token, and BertForTokenClassification.
func bertClassifier(m *Model, c *Config, l *Loader) {
	p := l.Prefix("embeddings.word_embeddings.weight", "bert.", "")
	b := buildBert(m, c, l, p)
	b.classifierDropout = c.Dropout("classifier_dropout", float64(b.dropout))
	if m.Head == SequenceHead {
		b.pools = true
		b.takePooler(m, l, p)
	}
	b.takeClassifier(m, l, "classifier", len(m.Labels))
}

// bertForQuestionAnswering gives each token two logits: that an answer starts
// there, and that it ends there.
func bertForQuestionAnswering(m *Model, c *Config, l *Loader) {
	m.Head = SpanHead
	b := buildBert(m, c, l, l.Prefix("embeddings.word_embeddings.weight", "bert.", ""))
	b.takeClassifier(m, l, "qa_outputs", 2)
}

func (b *bert) takeClassifier(m *Model, l *Loader, name string, classes int) {
	classifier := l.Linear([]string{name}, []int{classes}, m.Hidden, true)
	b.classifier = &classifier
	l.Rest("position_ids", "pooler.")
}

func bertForMaskedLM(m *Model, c *Config, l *Loader) {
	p := l.Prefix("embeddings.word_embeddings.weight", "bert.", "")
	b := buildBert(m, c, l, p)
	m.Head = MaskedHead
	const head = "cls.predictions."
	transform := l.Linear([]string{head + "transform.dense"}, []int{m.Hidden}, m.Hidden, true)
	ln := layerNorms{l: l, eps: c.epsilon("layer_norm_eps", 1e-12), hidden: m.Hidden}
	b.transform, b.transformNorm = &transform, ln.norm(head+"transform.LayerNorm")
	weight := head + "decoder.weight"
	if !l.Has(weight) || c.BoolOr("tie_word_embeddings", true) {
		weight = p + "embeddings.word_embeddings.weight"
	}
	if weight != head+"decoder.weight" {
		l.adapter.tied(l, weight)
	}
	w := l.Weight(weight, m.Vocab, m.Hidden, Layout{})
	if weight == p+"embeddings.word_embeddings.weight" {
		b.words = WeightTable(w)
		fixPadding(b.words, c)
	}
	decoder := l.layer(l.Vector(head+"bias", m.Vocab), w)
	b.decoder = &decoder
	l.Rest("position_ids", "cls.seq_relationship", head+"decoder", "pooler.")
}

func buildBert(m *Model, c *Config, l *Loader, p string) *bert {
	m.Hidden = c.Int("hidden_size")
	m.Layers = c.Int("num_hidden_layers")
	m.Heads = c.Int("num_attention_heads")
	m.Context = c.IntOr("max_position_embeddings", 512)
	m.Bidirectional = true
	inner := c.Int("intermediate_size")
	c.Only("position_embedding_type", "absolute")
	c.Only("is_decoder", false)
	c.Only("add_cross_attention", false)
	b := &bert{act: c.Activation("hidden_act", "gelu"), dropout: c.Dropout("hidden_dropout_prob", 0.1)}
	m.body = b
	dim := headDim(m, c, "num_attention_heads")
	ln := layerNorms{l: l, eps: c.epsilon("layer_norm_eps", 1e-12), hidden: m.Hidden}
	types := c.IntOr("type_vocab_size", 2)
	if c.Err() != nil {
		return b
	}
	b.words = l.Table(p+"embeddings.word_embeddings.weight", m.Vocab, m.Hidden)
	fixPadding(b.words, c)
	b.positions = l.Table(p+"embeddings.position_embeddings.weight", m.Context, m.Hidden)
	b.types = l.Table(p+"embeddings.token_type_embeddings.weight", types, m.Hidden)
	b.embedNorm = ln.norm(p + "embeddings.LayerNorm")
	for i := range l.Layers(m.Layers) {
		lp := fmt.Sprintf("%sencoder.layer.%d.", p, i)
		a := lp + "attention."
		b.layers = append(b.layers, bertLayer{
			attention: &nn.Attention{
				Attention: tensor.Attention{Heads: m.Heads, KVHeads: m.Heads, Dim: dim, VDim: dim,
					Scale: float32(1 / math.Sqrt(float64(dim)))},
				QKV: l.Linear([]string{a + "self.query", a + "self.key", a + "self.value"},
					[]int{m.Hidden, m.Hidden, m.Hidden}, m.Hidden, true),
				Output: l.Linear([]string{a + "output.dense"}, []int{m.Hidden}, m.Hidden, true),
				Layer:  i,
			},
			norm: ln.norm(a + "output.LayerNorm"),
			mlp: &nn.MLP{
				Up:   l.Linear([]string{lp + "intermediate.dense"}, []int{inner}, m.Hidden, true),
				Down: l.Linear([]string{lp + "output.dense"}, []int{m.Hidden}, inner, true),
				Act:  b.act,
			},
			mlpNorm: ln.norm(lp + "output.LayerNorm"),
			dropout: b.dropout,
		})
	}
	return b
}
