package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wenmo/internal/testkit"
)

// ggufModels are the prefixes of the fixture folders that hold a model.gguf.
var ggufModels = []string{"gguf_f", "gguf_bf", "gguf_q", "gguf_iq"}

func TestFixtureGGUFTensors(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		var want struct {
			Config   map[string]any
			FileType uint32 `json:"file_type"`
			Tensors  []struct {
				GGUF, HF, Type, SHA256, Transform string
				Dims                              []int
			}
		}
		readJSON(t, filepath.Join(path, "expected.json"), &want)
		f := mustOpen(t, filepath.Join(path, "model.gguf"))
		view, config, err := FromGGUF(f)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Metadata()[keyFileType]; got != want.FileType {
			t.Errorf("file type %v, want %d", got, want.FileType)
		}
		if len(want.Tensors) != len(f.Names()) {
			t.Errorf("%d tensors, want %d", len(f.Names()), len(want.Tensors))
		}
		seen := 0
		for _, w := range want.Tensors {
			x := mustTensor(t, f, w.GGUF)
			dims := slices.Clone(x.Shape)
			slices.Reverse(dims)
			if x.DType.String() != w.Type || !slices.Equal(dims, w.Dims) {
				t.Errorf("%s is %v %v, want %s %v", w.GGUF, x.DType, dims, w.Type, w.Dims)
			}
			sum := sha256.Sum256(asBytes(mustFloats(t, x)))
			if hex.EncodeToString(sum[:]) != w.SHA256 {
				t.Errorf("%s has sha256 %x, want %s", w.GGUF, sum, w.SHA256)
			}
			if w.HF != "" {
				seen++
				mustTensor(t, view, w.HF)
			}
			if want, _, _ := strings.Cut(w.Transform, " "); want != "" && want != transformName(f, w.GGUF, config) {
				t.Errorf("%s: transform %s, want %s", w.GGUF, transformName(f, w.GGUF, config), want)
			}
		}
		if seen != len(view.Names()) {
			t.Errorf("the view has %d tensors, want %d", len(view.Names()), seen)
		}
		checkConfig(t, config, want.Config)
		checkValues(t, view, mustOpen(t, filepath.Join(path, "expected.safetensors")))
	}, ggufModels...)
}

// transformName writes what FromGGUF did to a tensor as the fixtures do.
func transformName(f *File, name string, config map[string]any) string {
	fam, err := f.family()
	if err != nil {
		return err.Error()
	}
	pattern, _, _ := ggufPattern(name)
	switch fam.byGGUF()[pattern].how {
	case permuteQ:
		return fmt.Sprintf("unpermute(%v)", config["num_attention_heads"])
	case permuteK:
		return fmt.Sprintf("unpermute(%v)", config["num_key_value_heads"])
	}
	return "none"
}

// checkConfig wants every key of want, but for rope_scaling of llama3, of
// which a GGUF file holds only the factors that follow from it.
func checkConfig(t *testing.T, got, want map[string]any) {
	t.Helper()
	for key, w := range want {
		g := got[key]
		if scaling, ok := w.(map[string]any); ok && scaling["rope_type"] == "llama3" {
			factors, err := numbersOf(g.(map[string]any)["factors"])
			if err != nil {
				t.Error(err)
				continue
			}
			for j, f := range llama3Factors(want, scaling) {
				if j >= len(factors) || math.Abs(float64(factors[j]-f)) > 1e-6*float64(f) {
					t.Errorf("rope factors %v, want %v at %d", factors, f, j)
				}
			}
			continue
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("config %s is %v, want %v", key, g, w)
		}
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var again map[string]any
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("the config changes when it is written and read: %v, %v", again, got)
	}
}

// checkValues compares the view with the deq.* and rows.* of the fixture.
func checkValues(t *testing.T, view, want *File) {
	t.Helper()
	for _, name := range want.Names() {
		w := mustFloats(t, mustTensor(t, want, name))
		if hf, ok := strings.CutPrefix(name, "deq."); ok {
			x := mustTensor(t, view, hf)
			if !slices.Equal(x.Shape, mustTensor(t, want, name).Shape) {
				t.Errorf("%s has shape %v, want %v", hf, x.Shape, mustTensor(t, want, name).Shape)
			}
			sameFloats(t, name, mustFloats(t, x), w)
		}
		if hf, ok := strings.CutPrefix(name, "rows."); ok {
			x := mustTensor(t, view, hf)
			rows, k := x.Rows()
			var got []float32
			row := make([]float32, k)
			for r := 5; r < rows; r += 32 {
				if err := x.Row(row, r); err != nil {
					t.Fatal(err)
				}
				got = append(got, row...)
				if err := Dequantize(x.DType, row, x.RawRow(r)); err != nil {
					t.Fatal(err)
				}
				sameFloats(t, name, row, got[len(got)-k:])
			}
			sameFloats(t, name, got, w)
		}
	}
}

func sameFloats(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s: value %d is %v, want %v", name, i, got[i], want[i])
			return
		}
	}
}

// TestFixtureGGUFNames compares the tables with those of the fixture, which
// come from llama.cpp's converter.
func TestFixtureGGUFNames(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		type meta struct {
			GGUF, HF, Type string
			Required       bool
		}
		var want struct {
			Transforms    map[string]string
			General       []meta
			Architectures map[string]struct {
				GGUFArch        string   `json:"gguf_arch"`
				HFArchitectures []string `json:"hf_architectures"`
				Rope            string
				Tensors         []struct{ GGUF, HF, Transform string }
				Metadata        []meta
			}
		}
		readJSON(t, path+".json", &want)
		for _, m := range want.General {
			checkKey(t, generalKeys, "", metaKey{m.GGUF, m.HF, kind(m.Type), m.Required})
		}
		for name, w := range want.Architectures {
			t.Run(name, func(t *testing.T) {
				fam, err := familyOf(hfModelType(name), name)
				if err != nil {
					t.Fatal(err)
				}
				if fam.arch != w.GGUFArch || fam.rope() != w.Rope || !slices.Equal(fam.architectures, w.HFArchitectures) {
					t.Errorf("found %s, %s, %v, want %s, %s, %v", fam.arch, fam.rope(), fam.architectures, w.GGUFArch, w.Rope, w.HFArchitectures)
				}
				for _, row := range w.Tensors {
					if !slices.Contains(fam.tensors, tensorName{row.GGUF, row.HF, transform(row.Transform)}) {
						t.Errorf("the table lacks %+v", row)
					}
				}
				for _, m := range w.Metadata {
					checkKey(t, fam.metadata, fam.arch, metaKey{m.GGUF, m.HF, kind(m.Type), m.Required})
				}
				for _, row := range fam.tensors {
					if _, ok := want.Transforms[strings.Replace(string(row.how), "num_attention_heads", "H", 1)]; !ok && row.how != permuteK {
						t.Errorf("transform %s is not one of the fixture's", row.how)
					}
				}
			})
		}
	}, "gguf_names")
}

// generalKeys are those of all architectures that config.json knows.
var generalKeys = []metaKey{
	{keyArchitecture, "model_type", kindString, true},
	{"general.name", "-", kindString, false},
	{keyFileType, "torch_dtype", kindUint, false},
	{keyQuantVersion, "-", kindUint, false},
	{keyAlignment, "-", kindUint, false},
}

// rope names which elements of a head turn together, which follows from the
// tables: those that lie apart in a checkpoint are brought together, or not.
func (fam family) rope() string {
	if !slices.ContainsFunc(fam.metadata, func(row metaKey) bool { return row.gguf == keyRopeDims }) {
		return "none"
	}
	if slices.ContainsFunc(fam.tensors, func(n tensorName) bool { return n.how == permuteQ }) {
		return "interleaved"
	}
	return "half"
}

// hfModelType returns the model type of config.json for the fixture's name.
func hfModelType(name string) string {
	switch name {
	case "qwen3moe":
		return "qwen3_moe"
	case "gemma3":
		return "gemma3_text"
	case "gptneox":
		return "gpt_neox"
	}
	return name
}

func checkKey(t *testing.T, table []metaKey, arch string, want metaKey) {
	t.Helper()
	for _, row := range table {
		row.gguf = strings.Replace(row.gguf, "{arch}", arch, 1)
		if row == want {
			return
		}
	}
	t.Errorf("the table lacks %+v", want)
}

// TestFixtureGGUFConvert writes every checkpoint of the decoder fixtures as
// GGUF and reads it again: the same tensors, and a config that means the same.
func TestFixtureGGUFConvert(t *testing.T) {
	testkit.Fixtures(t, func(t *testing.T, path string) {
		var config map[string]any
		readJSON(t, filepath.Join(path, "config.json"), &config)
		src := mustOpen(t, path)
		pairs, sources, _, err := ToGGUF(config, "config.json", src)
		if reason := inexpressible(config); reason != "" {
			if err == nil || !strings.Contains(err.Error(), reason) {
				t.Fatalf("want an error that names %s, found %v", reason, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		pairs, outs, err := EncodeGGUF("f32", pairs, sources)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "model.gguf")
		if err := WriteGGUF(file, pairs, outs); err != nil {
			t.Fatal(err)
		}
		view, back, err := FromGGUF(mustOpen(t, file))
		if err != nil {
			t.Fatal(err)
		}
		fam, err := familyOf(back["model_type"].(string), file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range view.Names() {
			x := mustTensor(t, view, name)
			y, ok := src.Tensor(name)
			if !ok {
				y, ok = src.Tensor(fam.prefix + name)
			}
			if !ok {
				y = mustTensor(t, src, strings.TrimPrefix(name, fam.prefix))
			}
			got, want := mustFloats(t, x), mustFloats(t, y)
			if !slices.Equal(x.Shape, y.Shape) {
				t.Errorf("%s has shape %v, want %v", name, x.Shape, y.Shape)
			}
			for i := range want {
				if d := math.Abs(float64(got[i] - want[i])); d != 0 && (x.add == 0 || d > 6e-8) {
					t.Fatalf("%s: value %d is %v, want %v", name, i, got[i], want[i])
				}
			}
		}
		checkRoundTrip(t, back, config)
	}, "decoder_", "encoder_bert")
}

// inexpressible returns the key of a config that GGUF, as llama.cpp reads it,
// has no words for, or "".
func inexpressible(config map[string]any) string {
	scaling, _ := config["rope_scaling"].(map[string]any)
	sparse, _ := config["mlp_only_layers"].([]any)
	scalar, gemma := config["query_pre_attn_scalar"]
	architectures, _ := config["architectures"].([]any)
	switch {
	case scaling["rope_type"] == "dynamic":
		return "rope_scaling"
	case config["model_type"] == "opt":
		return "model_type"
	case slices.ContainsFunc(architectures, func(a any) bool { return a == "BertForQuestionAnswering" || a == "BertForTokenClassification" }):
		return "architectures" // GGUF's one head of BERT is a class of the whole text
	case len(sparse) > 0:
		return "mlp_only_layers"
	case gemma && scalar != config["head_dim"]:
		return "query_pre_attn_scalar"
	}
	return ""
}

// checkRoundTrip wants every key of back that want has to be the same.
func checkRoundTrip(t *testing.T, back, want map[string]any) {
	t.Helper()
	for key, b := range back {
		w, ok := want[key]
		if scaling, isMap := w.(map[string]any); isMap && scaling["rope_type"] == "llama3" {
			continue // only the factors remain, see TestFixtureGGUFTensors
		}
		switch {
		case !ok, key == "torch_dtype", key == "head_dim" && w == nil, key == "bos_token_id", key == "eos_token_id", key == "pad_token_id":
		case key == "rope_scaling" && w != nil:
			for k, v := range b.(map[string]any) {
				if w := w.(map[string]any)[k]; !reflect.DeepEqual(v, w) {
					t.Errorf("config rope_scaling.%s is %v, want %v", k, v, w)
				}
			}
		case key == "n_inner" && w == nil:
		case key == "architectures" && strings.HasPrefix(w.([]any)[0].(string), "Bert"):
		case !reflect.DeepEqual(b, w):
			t.Errorf("config %s is %v, want %v", key, b, w)
		}
	}
}
