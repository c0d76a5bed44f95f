package train

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"wenmo/model"
)

// Supply is what a run can count on.
type Supply struct {
	Vocab    int
	Tokens   int64   // of one pass over the data; 0: it has sequences
	Examples int     // sequences of one pass, of classifiers and the like
	FLOPS    float64 // of the machine's matrix product
	Base     *Sizes  // of the model that is gone on from; nil: a new one
	Machine  int64   // bytes of memory; 0: not known
	Lang     string  // of the reasons: en or zh
}

// Sizes are a model's.
type Sizes struct {
	Params  int  `json:"params"` // all
	Blocks  int  `json:"blocks"` // those in matrices of its blocks
	Layers  int  `json:"layers"`
	Width   int  `json:"width"`
	Context int  `json:"context"`
	Encoder bool `json:"encoder"`
}

// Plan is what a run will be, and why.
type Plan struct {
	Sizes
	Steps   int           `json:"steps"`
	Warmup  int           `json:"warmup"`
	Decay   int           `json:"decay"`
	Tokens  int64         `json:"tokens"`
	Time    time.Duration `json:"nanoseconds"`
	Memory  int64         `json:"memory_bytes"`
	FLOPS   float64       `json:"flops"` // of the machine's matrix product, operations a second; 0: not known
	Reasons []string      `json:"reasons"`

	lang string
}

// dialParams are the parameters, without embeddings, that --size asks for.
var dialParams = map[string]int64{"nano": 1_000_000, "micro": 4_000_000, "mini": 12_000_000, "small": 40_000_000}

const (
	tokensPerParam = 20   // Hoffmann et al. 2022
	freshPasses    = 4    // up to which repeated data is as good as new (Muennighoff et al. 2023)
	mostPasses     = 8    // over a text so small that nothing else would be learnt
	tunePasses     = 15   // over a set of conversations (LIMA, Zhou et al. 2023)
	tuneSteps      = 200  // below which few conversations change a model
	trainShare     = 0.55 // of the product's speed that training reaches
	headWidth      = 64
	aspect         = 64 // width per layer (nanochat)
)

// Scale chooses what a config leaves open: the shape of a new model, batch,
// learning rate and length. c must be complete.
func (c *Config) Scale(s Supply) (*Plan, error) {
	p := &Plan{FLOPS: s.FLOPS, lang: s.Lang}
	if s.Base != nil {
		p.Sizes = *s.Base
		set(&c.Model.Context, p.Context)
	} else if err := c.scaleModel(s, p); err != nil {
		return nil, err
	}
	if c.Model.Context%2 != 0 {
		return nil, fmt.Errorf("model.context: %d is not even", c.Model.Context)
	}
	if n := c.Train.BatchTokens; n > 0 && n < c.Model.Context {
		return nil, fmt.Errorf("train.batch_tokens: %d is less than a sequence of model.context, %d tokens", n, c.Model.Context)
	}
	if c.IsLanguageModel() {
		c.scaleText(s, p)
	} else {
		c.scaleExamples(s, p)
	}
	c.scaleRate(p)
	part := func(share *float64) int {
		switch {
		case share == nil:
			return 0
		case *share < 1:
			return int(math.Round(*share * float64(p.Steps)))
		}
		return int(*share)
	}
	p.Warmup, p.Decay = part(c.Schedule.Warmup), part(c.Schedule.Decay)
	set(&c.Watch.ValidateEvery, max(1, p.Steps/10))
	set(&c.Watch.SampleEvery, max(1, p.Steps/10))
	work := 6 * (float64(p.Blocks+s.Vocab*p.Width) + attentionWork(p)) * float64(p.Tokens)
	if s.FLOPS > 0 {
		p.Time = time.Duration(work / (trainShare * s.FLOPS) * float64(time.Second))
	}
	p.Memory = c.memory(s, p)
	if s.Machine > 0 && p.Memory > s.Machine {
		return nil, fmt.Errorf("training would take some %d MB of memory, the machine has %d MB free: choose a smaller model or train.micro_tokens", p.Memory>>20, s.Machine>>20)
	}
	return p, nil
}

// attentionWork is the part of attention in the work of a token, in parameters
// that would take as much.
func attentionWork(p *Plan) float64 {
	work := 2 * float64(p.Layers) * float64(p.Width) * float64(p.Context)
	if !p.Encoder { // a token sees half of the others
		work /= 2
	}
	return work
}

// scaleModel chooses the shape of a new model: as wide as aspect times its
// depth, with the parameters that are asked for or that the budget allows.
func (c *Config) scaleModel(s Supply, p *Plan) error {
	m := &c.Model
	set(&m.Context, 256)
	target := dialParams[m.Size]
	if n, _ := ParseCount(m.Params); n > 0 {
		target = n
		p.because("%d parameters in blocks, as asked for", "各层共 %d 个参数：如所要求", n)
	}
	budget, _ := parseDuration(m.Budget)
	if target == 0 && budget > 0 {
		// 6·N·20·N operations are what the budget has.
		target = int64(math.Sqrt(budget.Seconds() * trainShare * s.FLOPS / (6 * tokensPerParam)))
		p.because("a budget of %s has room for %d parameters in blocks with %d tokens each (Hoffmann et al. 2022)", "%s 的时间够训练各层共 %d 个参数，每个参数 %d 个词元（Hoffmann et al. 2022）", m.Budget, target, tokensPerParam)
	}
	if target == 0 {
		set(&m.Size, "nano")
		target = dialParams[m.Size]
	}
	if m.Layers == 0 && m.Width == 0 {
		m.Layers = max(2, int(math.Round(math.Cbrt(float64(target)/(12*aspect*aspect)))))
		width := math.Sqrt(float64(target) / (12 * float64(m.Layers)))
		m.Width = max(headWidth, int(math.Round(width/headWidth))*headWidth)
		p.because("%d layers of width %d: about %d of width per layer, as in nanochat", "%d 层，宽 %d：每层约合宽度 %d，同 nanochat", m.Layers, m.Width, aspect)
	}
	set(&m.Layers, max(2, m.Width/aspect))
	set(&m.Width, m.Layers*aspect)
	set(&m.Heads, max(1, m.Width/headWidth))
	set(&m.KVHeads, m.Heads)
	if m.Width%m.Heads != 0 || m.Heads%m.KVHeads != 0 || m.Width/m.Heads%2 != 0 {
		return fmt.Errorf("model: width %d, heads %d and kv_heads %d do not divide each other", m.Width, m.Heads, m.KVHeads)
	}
	gated := m.Family == "qwen3" || m.Family == "llama"
	if gated {
		set(&m.Inner, (8*m.Width/3+31)/32*32)
	}
	set(&m.Inner, 4*m.Width)
	matrices := 2
	if gated {
		matrices = 3
	}
	attention := 2*m.Width*m.Width + 2*m.Width*m.Width/m.Heads*m.KVHeads
	p.Layers, p.Width, p.Context = m.Layers, m.Width, m.Context
	p.Blocks = m.Layers * (attention + matrices*m.Width*m.Inner)
	p.Params = p.Blocks + s.Vocab*m.Width
	return nil
}

// because adds a reason, a format in English and in Chinese.
func (p *Plan) because(en, zh string, args ...any) {
	format := en
	if p.lang == "zh" {
		format = zh
	}
	p.Reasons = append(p.Reasons, fmt.Sprintf(format, args...))
}

func (p *Plan) becausePasses(tokens, pass int64) {
	passes := threeDigits(float64(tokens) / float64(max(1, pass)))
	p.because("%d tokens: %v passes; more would teach little (Muennighoff et al. 2023)", "%d 个词元：数据 %v 遍，再重复就学不到多少（Muennighoff et al. 2023）", tokens, passes)
}

// scaleText chooses how many tokens a language model is trained on, and how
// many in a step.
func (c *Config) scaleText(s Supply, p *Plan) {
	t := &c.Train
	tokens, _ := ParseCount(t.Tokens)
	budget, _ := parseDuration(c.Model.Budget)
	perToken := 6 * float64(p.Blocks+s.Vocab*p.Width)
	switch {
	case tokens > 0 || t.Steps > 0:
	case t.Epochs > 0:
		tokens = int64(t.Epochs * float64(s.Tokens))
		p.because("%d tokens: %v passes over the data", "%d 个词元：数据 %v 遍", tokens, t.Epochs)
	case c.Model.Base != "" && (budget == 0 || s.FLOPS == 0):
		tokens = max(2*s.Tokens, min(tunePasses*s.Tokens, int64(tuneSteps*c.Model.Context)))
		p.because("%d tokens: %.1f passes, more of little data (Zhou et al. 2023)", "%d 个词元：数据 %.1f 遍，数据越少遍数越多（Zhou et al. 2023）", tokens, float64(tokens)/float64(max(1, s.Tokens)))
	case budget > 0 && s.FLOPS > 0:
		tokens = int64(budget.Seconds() * trainShare * s.FLOPS / perToken)
		if most := mostPasses * s.Tokens; tokens > most {
			tokens = most
			p.becausePasses(tokens, s.Tokens)
		} else {
			p.because("%d tokens: what the budget of %s allows", "%d 个词元：%s 之内所能训练的", tokens, c.Model.Budget)
		}
	default:
		tokens = tokensPerParam * int64(p.Blocks)
		if most := freshPasses * s.Tokens; tokens > most {
			tokens = min(tokens, mostPasses*s.Tokens)
			p.becausePasses(tokens, s.Tokens)
		} else {
			p.because("%d tokens: %d for each parameter (Hoffmann et al. 2022)", "%d 个词元：每个参数 %d 个（Hoffmann et al. 2022）", tokens, tokensPerParam)
		}
	}
	if t.BatchTokens == 0 {
		work := math.Max(1e12, perToken*float64(max(tokens, 1)))
		// Bi et al. 2024 (DeepSeek LLM), equation 1: B = 0.2920·C^0.3271.
		t.BatchTokens = int(0.2920 * math.Pow(work, 0.3271))
		if tokens > 0 { // at least a few hundred steps
			t.BatchTokens = min(t.BatchTokens, int(tokens/300))
		}
		t.BatchTokens = max(1, t.BatchTokens/c.Model.Context) * c.Model.Context
		p.because("%d tokens a step: 0.2920·C^0.3271, C = %.2g operations (Bi et al. 2024)", "每步 %d 个词元：0.2920·C^0.3271，C = %.2g 次运算（Bi et al. 2024）", t.BatchTokens, work)
	}
	t.BatchTokens = max(1, t.BatchTokens/c.Model.Context) * c.Model.Context
	set(&t.Steps, max(1, int(tokens/int64(t.BatchTokens))))
	p.Steps, p.Tokens = t.Steps, int64(t.Steps)*int64(t.BatchTokens)
}

// scaleExamples chooses how long a head is trained.
func (c *Config) scaleExamples(s Supply, p *Plan) {
	t := &c.Train
	set(&t.Batch, 16)
	if t.Epochs == 0 && t.Steps == 0 {
		t.Epochs = 3
		p.because("3 passes over the data and batches of %d, as in Devlin et al. 2018", "数据 3 遍，每批 %d 条，同 Devlin et al. 2018", t.Batch)
	}
	perPass := max(1, (s.Examples+t.Batch-1)/t.Batch)
	set(&t.Steps, max(1, int(math.Round(t.Epochs*float64(perPass)))))
	p.Steps = t.Steps
	p.Tokens = int64(float64(s.Tokens) * float64(t.Steps) / float64(perPass))
}

// scaleRate chooses the learning rate.
func (c *Config) scaleRate(p *Plan) {
	o := &c.Optimizer
	if o.Rate != 0 {
		return
	}
	work := math.Max(1e12, 6*float64(p.Params)*float64(p.Tokens))
	rule := 0.3118 * math.Pow(work, -0.1250)
	defer func() { o.Rate = threeDigits(o.Rate) }()
	switch {
	case o.Kind == "sgd":
		o.Rate = 0.1
	case c.Task == TaskDPO:
		o.Rate = 5e-6
		if c.LoRA != nil {
			o.Rate = 5e-5
		}
		p.because("rate %v, usual for preferences", "学习率 %v：偏好训练的常用值", o.Rate)
	case c.LoRA != nil:
		o.Rate = 2e-4 * math.Sqrt(math.Max(1, 768/float64(p.Width)))
		p.because("rate %.2g, usual for adapters, more for narrow models", "学习率 %.2g：适配器的常用值，窄模型取大些", o.Rate)
	case c.Model.Base != "" && !c.IsLanguageModel():
		// Turc et al. 2019 fine-tune small BERTs with 5e-5 to 3e-4.
		// A decoder, which norms before it adds, bears and needs more (docs/log.md).
		o.Rate = math.Min(4e-4, 5e-5*768/float64(p.Width))
		if !p.Encoder {
			o.Rate *= 4
		}
		p.because("rate %.2g: for an encoder 5e-5 at a width of 768, more for narrow models (Turc et al. 2019), and four times that for a decoder", "学习率 %.2g：编码器宽 768 时为 5e-5，窄模型取大些（Turc et al. 2019），解码器取四倍", o.Rate)
	case c.Model.Base != "":
		o.Rate = rule / 3
		p.because("rate %.2g: a third of the rate that a new model would have", "学习率 %.2g：新模型所用的三分之一", o.Rate)
	case c.Model.Family == "bert":
		o.Rate = math.Min(4e-4, rule)
		p.because("rate %.2g: layers that norm after they add bear no more (Xiong et al. 2020)", "学习率 %.2g：后归一化的层承受不了更大的学习率（Xiong et al. 2020）", o.Rate)
	default:
		o.Rate = rule
		p.because("rate %.2g: 0.3118·C^−0.1250, C = %.2g operations (Bi et al. 2024)", "学习率 %.2g：0.3118·C^−0.1250，C = %.2g 次运算（Bi et al. 2024）", rule, work)
	}
}

// threeDigits rounds a number that is chosen by a rule of thumb.
func threeDigits(x float64) float64 {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 3, 64), 64)
	return rounded
}

// memory estimates the greatest memory: what every parameter has, and the
// activations of a micro-batch.
func (c *Config) memory(s Supply, p *Plan) int64 {
	const (
		program  = 40 << 20      // tokenizer, shards and code
		perParam = 4 + 4 + 8 + 4 // value, gradient, optimizer, panels
		perValue = 32            // float32 numbers that a layer keeps, per token and width, backward included
	)
	micro := c.Train.MicroTokens
	if c.Train.BatchTokens > 0 {
		micro = min(micro, c.Train.BatchTokens)
	}
	bytes := program + int64(perParam)*int64(p.Params)
	if c.LoRA != nil {
		bytes = program + 4*int64(p.Params)
	}
	values := p.Layers * perValue
	if c.Train.Recompute { // a layer at a time, of the others their input
		values = p.Layers + perValue
	}
	bytes += 4 * int64(micro) * int64(p.Width) * int64(values)
	if c.IsLanguageModel() || c.Task == TaskDPO { // logits and their gradient
		bytes += 2 * 4 * int64(min(micro, headRowsAtOnce)) * int64(s.Vocab)
	}
	return bytes
}

// SizesOf returns the sizes of a model.
func SizesOf(m *model.Model) *Sizes {
	s := &Sizes{Layers: m.Layers, Width: m.Hidden, Context: m.Context, Encoder: m.Bidirectional}
	for _, p := range m.Params {
		s.Params += len(p.Value)
		if BlockMatrix(p) {
			s.Blocks += len(p.Value)
		}
	}
	return s
}

// NewModelConfig returns the config.json of the new model that a scaled config
// describes. eos and bos are tokens, below 0: none.
func (c *Config) NewModelConfig(vocab int, bos, eos, pad int32) map[string]any {
	m := &c.Model
	raw := map[string]any{"vocab_size": vocab, "initializer_range": 0.02, "tie_word_embeddings": true}
	for key, id := range map[string]int32{"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad} {
		if id >= 0 {
			raw[key] = int(id)
		}
	}
	add := func(values map[string]any) {
		for k, v := range values {
			raw[k] = v
		}
	}
	const eps = 1e-6
	switch m.Family {
	case "gpt2":
		add(map[string]any{
			"architectures": []any{"GPT2LMHeadModel"}, "model_type": "gpt2", "activation_function": "gelu_new",
			"n_embd": m.Width, "n_layer": m.Layers, "n_head": m.Heads, "n_positions": m.Context, "n_inner": m.Inner,
			"layer_norm_epsilon": 1e-5, "resid_pdrop": c.Train.Dropout, "embd_pdrop": c.Train.Dropout, "attn_pdrop": c.Train.Dropout,
		})
	case "bert":
		add(map[string]any{
			"architectures": []any{"BertForMaskedLM"}, "model_type": "bert", "hidden_act": "gelu", "type_vocab_size": 2,
			"hidden_size": m.Width, "num_hidden_layers": m.Layers, "num_attention_heads": m.Heads, "intermediate_size": m.Inner,
			"max_position_embeddings": m.Context, "layer_norm_eps": 1e-12,
			"hidden_dropout_prob": c.Train.Dropout, "attention_probs_dropout_prob": c.Train.Dropout,
		})
	default:
		add(map[string]any{
			"hidden_act": "silu", "hidden_size": m.Width, "num_hidden_layers": m.Layers, "num_attention_heads": m.Heads,
			"num_key_value_heads": m.KVHeads, "head_dim": m.Width / m.Heads, "intermediate_size": m.Inner,
			"max_position_embeddings": m.Context, "rope_theta": 10000.0, "rms_norm_eps": eps, "attention_bias": false,
		})
		if m.Family == "llama" {
			add(map[string]any{"architectures": []any{"LlamaForCausalLM"}, "model_type": "llama", "mlp_bias": false})
		} else {
			add(map[string]any{"architectures": []any{"Qwen3ForCausalLM"}, "model_type": "qwen3", "use_sliding_window": false})
		}
	}
	return raw
}
