package wenmo

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wenmo/checkpoint"
	"wenmo/internal/testkit"
)

// TestFixtureMerge opens adapters by their own name, beside their base, and
// merged into a directory, into GGUF and into a packed file.
func TestFixtureMerge(t *testing.T) {
	testkit.Folders(t, "adapter_config.json", func(t *testing.T, dir string) {
		want := firstLogits(t, dir, "f32")
		base := baseDir(t, dir)
		m, err := Open(t.Context(), base, Options{DType: "f32", Adapter: dir, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if distance(want, firstLogits(t, base, "f32")) < 1e-2 {
			t.Error("the adapter changes nothing")
		}
		for _, c := range []struct {
			dst string
			opt ConvertOptions
		}{
			{"merged", ConvertOptions{}},
			{"model.gguf", ConvertOptions{DType: "f32"}},
			{"packed.gguf", ConvertOptions{Packed: true}},
		} {
			dst := filepath.Join(t.TempDir(), c.dst)
			c.opt.Adapter = dir
			if err := Convert(t.Context(), base, dst, c.opt); err != nil {
				t.Fatalf("%s: %v", c.dst, err)
			}
			if d := distance(want, firstLogits(t, dst, "f32")); d > 2e-4 {
				t.Errorf("%s: logits differ by %v", c.dst, d)
			}
		}
	}, "lora_")
}

func baseDir(t *testing.T, dir string) string {
	t.Helper()
	base, err := baseOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

func distance(a, b [][]float32) (most float64) {
	for i := range a {
		for j := range a[i] {
			if d := math.Abs(float64(a[i][j] - b[i][j])); !(d <= most) {
				most = d
			}
		}
	}
	return most
}

// TestAdapterErrors demands that what is wrong with an adapter is told.
func TestAdapterErrors(t *testing.T) {
	fixtures := filepath.Join(testkit.Root(), "testdata", "fixtures")
	good := filepath.Join(fixtures, "lora_llama_patterns")
	base := filepath.Join(fixtures, "lora_base_llama")
	for name, c := range map[string]struct {
		base   string
		change func(t *testing.T, dir string)
		want   string
	}{
		"other base":      {filepath.Join(fixtures, "decoder_llama_mha"), nil, "has shape"},
		"no weights":      {base, func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "adapter_model.safetensors")) }, "adapter_model.safetensors"},
		"no config":       {base, func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "adapter_config.json")) }, "adapter_config.json"},
		"weights cut":     {base, func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, "adapter_model.safetensors"), 3000) }, "adapter_model.safetensors"},
		"rank":            {base, set("r", 5), "lora_A.weight\" has shape [4 24], want [5 24]"},
		"unknown modules": {base, set("target_modules", []string{"c_attn"}), "c_attn"},
		"fewer modules":   {base, set("target_modules", []string{"q_proj", "v_proj"}), "down_proj.lora_A.weight\" belongs to no module"},
		"more modules":    {base, set("target_modules", []string{"q_proj", "v_proj", "k_proj", "down_proj"}), "no tensor \"base_model.model.model.layers.1.self_attn.k_proj.lora_A.weight\""},
		"nothing saved":   {base, set("modules_to_save", nil), "lm_head.weight\" belongs to no module"},
		"embedding":       {base, set("target_modules", `.*1.*(q_proj|v_proj|down_proj)|.*embed_tokens`), "is an embedding"},
		"other method":    {base, set("peft_type", "IA3"), `peft_type: is "IA3", only LORA`},
		"bias":            {base, set("bias", "all"), `bias: is "all", only none`},
		"unknown key":     {base, set("use_magic", true), `key "use_magic" is not known`},
		"pissa":           {base, set("init_lora_weights", "pissa"), "init_lora_weights"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(t, dir)
			}
			m, err := Open(t.Context(), c.base, Options{DType: "f32", Adapter: dir, Threads: 1})
			if err == nil {
				m.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// set changes a key of adapter_config.json.
func set(key string, value any) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		editJSON(t, filepath.Join(dir, "adapter_config.json"), func(raw map[string]any) {
			if key == "target_modules" {
				raw["layers_to_transform"] = []int{1}
				if _, pattern := value.(string); pattern {
					raw["layers_to_transform"] = nil
				}
			}
			raw[key] = value
		})
	}
}

// editJSON changes the object in a file.
func editJSON(t *testing.T, name string, change func(raw map[string]any)) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	change(raw)
	if data, err = json.Marshal(raw); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestMergeKeepsType demands that a merged checkpoint has the types of its base.
func TestMergeKeepsType(t *testing.T) {
	fixtures := filepath.Join(testkit.Root(), "testdata", "fixtures")
	half := filepath.Join(t.TempDir(), "half")
	if err := Convert(t.Context(), filepath.Join(fixtures, "lora_base_llama"), half, ConvertOptions{DType: "bf16"}); err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(t.TempDir(), "merged")
	if err := Convert(t.Context(), half, dst, ConvertOptions{Adapter: filepath.Join(fixtures, "lora_llama_patterns")}); err != nil {
		t.Fatal(err)
	}
	file, err := checkpoint.Open(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, name := range file.Names() {
		if s, _ := file.Tensor(name); s.DType != checkpoint.BF16 && name != "lm_head.weight" {
			t.Errorf("%s is %v", name, s.DType)
		}
	}
}
