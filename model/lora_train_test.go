package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
	"wenmo/kernel"
	"wenmo/nn"
	"wenmo/tensor"
)

// newAdapter returns an adapter whose matrices are not zero once stirred.
func newAdapter(t testing.TB, change func(c *AdapterConfig)) *Adapter {
	t.Helper()
	c := DefaultAdapter()
	c.Rank = 4
	if change != nil {
		change(c)
	}
	a, err := NewAdapter(c, 3)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// stir changes every parameter a little: B begins at zero, which hides A.
func (r *training) stir() {
	for i, p := range r.m.Params {
		for j := range p.Value {
			p.Value[j] += float32((7*i+13*j)%11)/110 - 0.045
		}
		p.Update(r.g)
	}
}

func baseOfFixtures(t testing.TB, name string) *adapterFixture {
	t.Helper()
	if name == "lora_base_llama" {
		return baseFixture(t, filepath.Join(testkit.Root(), "testdata", "fixtures", name))
	}
	return baseFixture(t, testkit.SharedFile(t, "fixtures", name))
}

func someText(m *Model, sequences, length int) []sequence {
	var out []sequence
	for s := range sequences {
		ids := make([]int32, length)
		for i := range ids {
			ids[i] = int32((i*i + 5*i + 17*s + 3) % m.Vocab)
		}
		out = append(out, sequence{ids: ids, labels: ids})
	}
	return out
}

var adapterKinds = map[string]func(c *AdapterConfig){
	"lora": nil,
	"rslora": func(c *AdapterConfig) {
		c.RSLoRA, c.TargetPattern, c.Targets = true, "", []string{"q_proj", "c_attn", "up_proj"}
	},
	"dora":  func(c *AdapterConfig) { c.DoRA = true },
	"saved": func(c *AdapterConfig) { c.ModulesToSave = []string{"lm_head", "norm", "ln_f"} },
}

// TestLoRASlope changes each parameter of an adapter along its gradient and
// demands that the loss changes by the gradient's length, over bases of every
// type. Quantised activations make a loss of steps: there it is only near.
func TestLoRASlope(t *testing.T) {
	for _, base := range []string{"lora_base_llama", "lora_base_gpt2"} {
		for kind, change := range adapterKinds {
			if kind == "dora" {
				continue // its norms count as constant; see the fixtures
			}
			for dtype, tolerance := range map[DType]float64{F32: 0.01, BF16: 0.1, Q8_0: 0.1} {
				t.Run(fmt.Sprint(base, "/", kind, "/", dtype), func(t *testing.T) {
					r := baseOfFixtures(t, base).training(t, newAdapter(t, change), dtype, 2)
					r.stir()
					text := someText(r.m, 2, 24)
					r.step(text)
					r.finish()
					checkSlope(t, r, text, tolerance)
				})
			}
		}
	}
}

// checkSlope goes along the gradient of all parameters at once.
func checkSlope(t *testing.T, r *training, text []sequence, tolerance float64) {
	t.Helper()
	length := 0.0
	values := make([][]float32, len(r.m.Params))
	for i, p := range r.m.Params {
		values[i] = slices.Clone(p.Value)
		for _, x := range p.Grad {
			length += float64(x) * float64(x)
		}
	}
	length = math.Sqrt(length)
	if length < 1e-2 {
		t.Fatalf("the gradient is only %v long", length)
	}
	h := 2e-2 / length
	loss := func(step float64) float64 {
		for i, p := range r.m.Params {
			for j, x := range p.Grad {
				p.Value[j] = values[i][j] + float32(step*float64(x)/length)
			}
			p.Update(r.g)
		}
		return float64(r.forward(text).Data[0])
	}
	slope := (loss(h) - loss(-h)) / (2 * h)
	if math.Abs(slope-length) > tolerance*length {
		t.Errorf("the loss changes by %v, the gradient is %v long", slope, length)
	}
}

// TestLoRASplits demands the same gradients, bit for bit, from any number of
// threads and any split into micro-batches of an even number of tokens, dropout
// and all.
func TestLoRASplits(t *testing.T) {
	for kind, change := range adapterKinds {
		for _, dtype := range []DType{F32, BF16, Q8_0} {
			t.Run(kind+"/"+string(dtype), func(t *testing.T) {
				var want [][]float32
				for _, by := range []struct{ threads, micro int }{{1, 4}, {2, 1}, {3, 2}} {
					r := baseOfFixtures(t, "lora_base_llama").training(t, newAdapter(t, func(c *AdapterConfig) {
						c.Dropout = 0.25
						if change != nil {
							change(c)
						}
					}), dtype, by.threads)
					r.stir()
					text := someText(r.m, 4, 30)
					r.total = 4 * 29
					for i := 0; i < len(text); i += by.micro {
						r.token = uint32(30 * i)
						r.step(text[i : i+by.micro])
					}
					r.finish()
					for i, p := range r.m.Params {
						if i == len(want) {
							want = append(want, slices.Clone(p.Grad))
						}
						near(t, fmt.Sprintf("%d threads, micro-batches of %d: gradient of %s", by.threads, by.micro, p.Name), p.Grad, want[i], 0, 0)
					}
				}
			})
		}
	}
}

// TestLoRATrainsAlone demands that nothing but the adapter is listed, or has
// memory for a gradient, and that a step leaves nothing to collect.
func TestLoRATrainsAlone(t *testing.T) {
	for kind, change := range adapterKinds {
		t.Run(kind, func(t *testing.T) {
			r := baseOfFixtures(t, "lora_base_llama").training(t, newAdapter(t, change), Q8_0, 2)
			for _, p := range r.m.Params {
				if !strings.Contains(p.Name, ".lora_") && kind != "saved" {
					t.Errorf("%s is trained", p.Name)
				}
			}
			for i := range r.m.body.(*decoder).blocks {
				b := &r.m.body.(*decoder).blocks[i]
				for _, l := range []*nn.Linear{&b.Attention.QKV, &b.Attention.Output, &b.MLP.(*nn.MLP).Up, &b.MLP.(*nn.MLP).Down} {
					for _, w := range l.Weights {
						if w.Grad != nil || w.Value != nil {
							t.Errorf("%s has a gradient", w.Name)
						}
					}
				}
			}
			b, labels, release := r.batch(someText(r.m, 2, 24))
			defer release()
			step := func() {
				r.g.Reset()
				r.g.Backward(r.g.CrossEntropy(r.m.Logits(r.g, r.m.Forward(r.g, b)), labels, tensor.CrossEntropy{}), nil)
				for _, p := range r.m.Params {
					p.Finish()
					p.Update(r.g)
				}
			}
			step()
			step()
			if n := testing.AllocsPerRun(5, step); n > 0 {
				t.Errorf("%v allocations a step", n)
			}
		})
	}
}

// TestLoRAInferenceAllocates demands the same of a forward with an adapter.
func TestLoRAInferenceAllocates(t *testing.T) {
	f := baseOfFixtures(t, "lora_base_llama")
	for _, a := range []*Adapter{nil, newAdapter(t, nil), newAdapter(t, adapterKinds["dora"])} {
		r := f.infer(t, a, f.file, F32)
		b, _, release := r.batch(someText(r.m, 1, 9))
		step := func() {
			r.g.Reset()
			r.m.Logits(r.g, r.m.Forward(r.g, b))
		}
		step()
		step()
		if n := testing.AllocsPerRun(5, step); n > 0 {
			t.Errorf("%v allocations", n)
		}
		release()
	}
}

// TestSaveAdapter demands that a saved adapter gives, loaded again, the same
// logits bit for bit, and the same config.
func TestSaveAdapter(t *testing.T) {
	for _, base := range []string{"lora_base_llama", "lora_base_gpt2"} {
		for kind, change := range adapterKinds {
			t.Run(base+"/"+kind, func(t *testing.T) {
				f := baseOfFixtures(t, base)
				a := newAdapter(t, change)
				a.Config.Base, a.Config.Task = base, "CAUSAL_LM"
				r := f.training(t, a, F32, 2)
				r.stir()
				text := someText(r.m, 2, 13)
				want := r.logits(text)
				dir := filepath.Join(t.TempDir(), "adapter")
				for range 2 { // the second replaces the first
					if err := r.m.SaveAdapter(dir); err != nil {
						t.Fatal(err)
					}
				}
				saved, err := OpenAdapter(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer saved.Close()
				near(t, "inference", f.infer(t, saved, f.file, F32).logits(text), want, 0, 0)
				near(t, "training", f.training(t, saved, F32, 1).logits(text), want, 0, 0)
				merged, _, err := Merge(f.parse(t), f.file, saved)
				if err != nil {
					t.Fatal(err)
				}
				g := &adapterFixture{config: f.config, file: merged}
				if base == "lora_base_gpt2" && kind == "saved" {
					g.config = bytes.Replace(f.config, []byte(`"tie_word_embeddings": true`), []byte(`"tie_word_embeddings": false`), 1)
				}
				near(t, "merged", g.infer(t, nil, merged, F32).logits(text), want, 2e-4, 2e-4)
			})
		}
	}
}

// TestAdapterWithHead trains an adapter with a head that the base lacks: the
// head belongs to the adapter, and comes back with it.
func TestAdapterWithHead(t *testing.T) {
	f := baseOfFixtures(t, "lora_base_llama")
	c, err := f.parse(t).WithHead(SequenceHead, []string{"好", "bad"}, SingleLabel)
	if err != nil {
		t.Fatal(err)
	}
	if f.config, err = json.Marshal(c.Raw()); err != nil {
		t.Fatal(err)
	}
	r := f.training(t, newAdapter(t, nil), F32, 1)
	if want := []string{"score"}; !slices.Equal(r.m.Adapter.ModulesToSave, want) {
		t.Errorf("modules to save are %v, want %v", r.m.Adapter.ModulesToSave, want)
	}
	if !slices.ContainsFunc(r.m.Params, func(p *nn.Param) bool { return p.Name == "base_model.model.score.weight" }) {
		t.Error("the head is not trained")
	}
	r.stir()
	text := someText(r.m, 1, 12)
	want, dir := r.logits(text), t.TempDir()
	if err := r.m.SaveAdapter(dir); err != nil {
		t.Fatal(err)
	}
	a, err := OpenAdapter(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	near(t, "logits", f.infer(t, a, f.file, F32).logits(text), want, 0, 0)
	near(t, "logits in training", f.training(t, a, F32, 1).logits(text), want, 0, 0)
	merged, _, err := Merge(f.parse(t), f.file, a)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "merged", f.infer(t, nil, merged, F32).logits(text), want, 2e-4, 2e-4)
}

// FuzzAdapterConfig demands that a config that is accepted is written so that it
// is read as the same, and that its rules can be asked.
func FuzzAdapterConfig(f *testing.F) {
	dir, _ := testkit.Dir()
	files, err := filepath.Glob(filepath.Join(dir, "lora_*", AdapterConfigFile))
	if err != nil || len(files) == 0 {
		f.Fatal("no configs to begin with", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"peft_type":"LORA","target_modules":"model\\.layers\\.[01]\\..*(q|k)_proj","exclude_modules":"x","rank_pattern":{"^a.b":3}}`))
	f.Add([]byte(`{"peft_type":"LORA","target_modules":["注意力"],"layers_to_transform":0,"layers_pattern":"层"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseAdapterConfig(data, "x.json")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "x.json: ") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		rules, err := c.compile()
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range []string{"model.layers.1.self_attn.q_proj", "lm_head", "注意力", ""} {
			rules.targets(module, true)
			if r := rules.rank(module); r < 1 {
				t.Errorf("rank %d", r)
			}
			rules.scale(module)
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseAdapterConfig(text, "x.json")
		if err != nil {
			t.Fatalf("%v of %s", err, text)
		}
		if text2, _ := json.Marshal(again); !bytes.Equal(text, text2) {
			t.Errorf("%s became %s", text, text2)
		}
	})
}

// TestAdapterModules compares which modules a config means with what PEFT's
// rules say.
func TestAdapterModules(t *testing.T) {
	for _, c := range []struct {
		config, module string
		want           bool
	}{
		{`"target_modules":["q_proj"]`, "model.layers.0.self_attn.q_proj", true},
		{`"target_modules":["q_proj"]`, "model.layers.0.self_attn.xq_proj", false},
		{`"target_modules":["self_attn.q_proj"]`, "model.layers.0.self_attn.q_proj", true},
		{`"target_modules":["q_proj"],"layers_to_transform":[1,2]`, "model.layers.0.self_attn.q_proj", false},
		{`"target_modules":["q_proj"],"layers_to_transform":[1,2]`, "model.layers.2.self_attn.q_proj", true},
		{`"target_modules":["q_proj"],"layers_to_transform":2`, "model.layers.2.self_attn.q_proj", true},
		{`"target_modules":["q_proj"],"layers_to_transform":2,"layers_pattern":"h"`, "model.layers.2.self_attn.q_proj", false},
		{`"target_modules":["q_proj"],"layers_to_transform":2,"layers_pattern":["h","layers"]`, "model.layers.2.self_attn.q_proj", true},
		{`"target_modules":["q_proj"],"layers_to_transform":[0]`, "q_proj", true}, // the whole name
		{`"target_modules":"model\\.layers\\.\\d+\\.self_attn\\.(q|v)_proj"`, "model.layers.11.self_attn.v_proj", true},
		{`"target_modules":"self_attn\\.(q|v)_proj"`, "model.layers.11.self_attn.v_proj", false},
		{`"target_modules":"q_proj|.*v_proj"`, "model.v_proj", true},
		{`"target_modules":"q_proj|.*v_proj"`, "q_projx", false},
		{`"target_modules":"all-linear"`, "model.layers.0.mlp.up_proj", true},
		{`"target_modules":["q_proj"],"exclude_modules":["layers.0.self_attn.q_proj"]`, "model.layers.0.self_attn.q_proj", false},
		{`"target_modules":["q_proj"],"exclude_modules":".*layers\\.0\\..*"`, "model.layers.0.self_attn.q_proj", false},
		{`"target_modules":"all-linear","modules_to_save":["score"]`, "score", false},
	} {
		rules, err := parseRules(c.config)
		if err != nil {
			t.Errorf("%s: %v", c.config, err)
		} else if got := rules.targets(c.module, true); got != c.want {
			t.Errorf("%s: %s: %v", c.config, c.module, got)
		}
	}
	for _, c := range []*AdapterConfig{{Rank: 1, TargetPattern: AllLinear}, {Rank: 1, Targets: []string{AllLinear}}, {Rank: 1, TargetPattern: AllLinear, Targets: []string{"q"}}} {
		a, err := NewAdapter(c, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := a.rules.targets("model.up", true), len(c.Targets) == 0 || c.Targets[0] == AllLinear; got != want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	rules, err := parseRules(`"target_modules":["x"],"r":4,"lora_alpha":8,"use_rslora":true,"rank_pattern":{"b":9,"a.b":16},"alpha_pattern":{"^a\\.b":6}`)
	if err != nil {
		t.Fatal(err)
	}
	if r, s := rules.rank("a.b"), rules.scale("a.b"); r != 9 || s != 2 {
		t.Errorf("rank %d, scale %v, want 9 (the first that matches) and 2", r, s)
	}
	if r, s := rules.rank("c.ab"), rules.scale("c.ab"); r != 4 || s != 4 {
		t.Errorf("rank %d, scale %v, want 4 and 4", r, s)
	}
}

func parseRules(config string) (*moduleRules, error) {
	c, err := ParseAdapterConfig([]byte(`{"peft_type":"LORA",`+config+`}`), "x.json")
	if err != nil {
		return nil, err
	}
	return c.compile()
}

// TestAdapterConfigErrors demands that what cannot be done is told.
func TestAdapterConfigErrors(t *testing.T) {
	for config, want := range map[string]string{
		`"peft_type":"LOHA"`:         "peft_type",
		`"peft_type":null`:           "peft_type",
		`"r":0`:                      "r is 0",
		`"r":"8"`:                    "want an integer",
		`"r":1e9`:                    "want an integer",
		`"lora_alpha":"x"`:           "want a number",
		`"lora_dropout":1`:           "lora_dropout",
		`"target_modules":[]`:        "names no module",
		`"target_modules":[1]`:       "list of strings",
		`"target_modules":"a(b"`:     "target_modules",
		`"target_modules":"a)|(b"`:   "target_modules",
		`"target_modules":"(?!x).*"`: "lookaround",
		`"target_modules":"x","layers_to_transform":1`: "layers_to_transform",
		`"layers_pattern":"h"`:                         "layers_to_transform",
		`"rank_pattern":{"q":1.5}`:                     "rank_pattern",
		`"rank_pattern":["q"]`:                         "want an object",
		`"rank_pattern":{"(":2}`:                       "rank_pattern",
		`"bias":"lora_only"`:                           "bias",
		`"lora_bias":true`:                             "lora_bias",
		`"layer_replication":[[0,1]]`:                  "layer_replication",
		`"trainable_token_indices":[1]`:                "trainable_token_indices",
		`"megatron_config":{"a":1}`:                    "megatron_config",
		`"init_lora_weights":"pissa_niter_4"`:          "init_lora_weights",
		`"use_dora":1`:                                 "true or false",
	} {
		text := `{"target_modules":["q"],"peft_type":"LORA",` + config + `}`
		if _, err := ParseAdapterConfig([]byte(text), "x.json"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", config, err, want)
		}
	}
	for _, text := range []string{"", "null", "[]", `{"target_modules":["q"]}`} {
		if _, err := ParseAdapterConfig([]byte(text), "x.json"); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// TestLoRAErrors demands that an adapter that the model cannot have is told.
func TestLoRAErrors(t *testing.T) {
	f := baseOfFixtures(t, "lora_base_llama")
	pool := kernel.NewPool(1)
	defer pool.Close()
	for want, change := range map[string]func(c *AdapterConfig){
		"the model has none of c_attn": func(c *AdapterConfig) { c.TargetPattern, c.Targets = "", []string{"c_attn"} },
		"is an embedding":              func(c *AdapterConfig) { c.TargetPattern = ".*" },
	} {
		if _, err := LoadTrainableAdapter(f.parse(t), f.file, newAdapter(t, change), F32, pool, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}
