package checkpoint

import (
	"fmt"
	"strconv"
	"strings"
)

// FromGGUF returns f, a GGUF file, with the names, layouts and row order of a
// Hugging Face checkpoint, and the config.json that its metadata amounts to,
// its values as encoding/json decodes them. Factors of the rope frequencies
// that stand in a tensor are given as rope_scaling {"rope_type": "factors",
// "factors": […]}: frequency j is divided by factor j. The matrices of a packed
// file come as Tensor.Panels.
//
// The view shares f's mapping; closing either closes both.
func FromGGUF(f *File) (*File, map[string]any, error) {
	if f.format != "gguf" {
		return nil, nil, fmt.Errorf("%s: a GGUF file wanted, found %s", f.path, f.format)
	}
	if f.Packed() {
		return fromPacked(f)
	}
	fam, err := f.family()
	if err != nil {
		return nil, nil, err
	}
	config, err := fam.readConfig(f)
	if err != nil {
		return nil, nil, err
	}
	v := &File{path: f.path, format: f.format, index: map[string]int{}, pairs: f.pairs, metadata: f.metadata, maps: f.maps}
	names := fam.byGGUF()
	for _, t := range f.tensors {
		if err := v.view(t, names, config); err != nil {
			return nil, nil, err
		}
	}
	return v, config, nil
}

// family finds the family of general.architecture. A file does not tell
// Mistral from Llama, unless wenmo wrote its window.
func (f *File) family() (family, error) {
	arch, ok := f.metadata[keyArchitecture].(string)
	if !ok {
		return family{}, fmt.Errorf("%s: metadata %q: a string wanted, found %T", f.path, keyArchitecture, f.metadata[keyArchitecture])
	}
	modelType := ""
	for _, fam := range families {
		if fam.arch == arch {
			modelType = fam.modelType
			break
		}
	}
	if arch == "llama" {
		if n, ok := whole(f.metadata["llama.expert_count"]); ok && n > 0 {
			modelType = "mixtral"
		} else if n, ok := whole(f.metadata["llama.attention.sliding_window"]); ok && n > 0 {
			modelType = "mistral"
		}
	}
	return familyOf(modelType, fmt.Sprintf("%s: metadata %q: architecture %q", f.path, keyArchitecture, arch))
}

// familyOf finds a family by model type; what begins the message of an error.
func familyOf(modelType, what string) (family, error) {
	known := make([]string, len(families))
	for i, fam := range families {
		if fam.modelType == modelType {
			return fam, nil
		}
		known[i] = fam.modelType
	}
	return family{}, fmt.Errorf("%s is not supported in GGUF (known: %s)", what, strings.Join(known, ", "))
}

func (fam family) byGGUF() map[string]tensorName {
	names := map[string]tensorName{}
	for _, n := range fam.tensors {
		if n.gguf != "" {
			names[n.gguf] = n
		}
	}
	return names
}

// view adds t, under its name in Hugging Face checkpoints, to v.
func (v *File) view(t Tensor, names map[string]tensorName, config map[string]any) error {
	pattern, layer, expert := ggufPattern(t.Name)
	n, ok := names[pattern]
	if !ok {
		return fmt.Errorf("%s: tensor %q does not belong to a model of type %v", v.path, t.Name, config["model_type"])
	}
	name := strings.ReplaceAll(n.hf, "{i}", layer)
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: tensor %q (%s): %s", v.path, t.Name, name, fmt.Sprintf(format, args...))
	}
	switch n.how {
	case generated: // went into the config
		return nil
	case stacked:
		if expert != "" {
			break
		}
		return v.experts(t, name, fail)
	case transposed:
		if len(t.Shape) != 2 {
			return fail("a matrix wanted, found shape %v", t.Shape)
		}
		t.Shape = []int{t.Shape[1], t.Shape[0]}
		t.Transposed = true
	case addOne:
		if dtypes[t.DType].encode == nil || t.DType.Quantized() {
			return fail("a norm of plain numbers wanted, found %v", t.DType)
		}
		t.add, t.Data = -1, nil
	case permuteQ, permuteK, deinterleave:
		order, err := n.how.order(t.Shape, config)
		if err != nil {
			return fail("%v", err)
		}
		t.swap, t.Data = order, nil
	}
	return v.add(t, strings.ReplaceAll(name, "{e}", expert))
}

func (v *File) add(t Tensor, name string) error {
	if _, ok := v.index[name]; ok {
		return fmt.Errorf("%s: tensor %q (%s) stands twice", v.path, t.Name, name)
	}
	t.Name = name
	v.index[name] = len(v.tensors)
	v.tensors = append(v.tensors, t)
	return nil
}

// experts adds the parts of a stack.
func (v *File) experts(t Tensor, name string, fail func(string, ...any) error) error {
	if len(t.Shape) != 3 || t.Len() == 0 {
		return fail("shape [experts, rows, columns] wanted, found %v", t.Shape)
	}
	n := t.DType.RowBytes(t.Shape[1] * t.Shape[2])
	for e := range t.Shape[0] {
		part := t
		part.Shape = t.Shape[1:]
		part.Data = t.Data[e*n:][:n:n]
		part.mapped, part.at = part.Data, t.at+e*n
		if err := v.add(part, strings.ReplaceAll(name, "{e}", strconv.Itoa(e))); err != nil {
			return err
		}
	}
	return nil
}

// order returns where the rows of a Hugging Face tensor lie in GGUF.
func (how transform) order(shape []int, config map[string]any) (swap, error) {
	key := "num_attention_heads"
	if how == permuteK {
		key = "num_key_value_heads"
	}
	if _, ok := config[key]; !ok { // Bloom
		key = "n_head"
	}
	heads, _ := whole(config[key])
	parts := 2 // of a head, for rope
	if how == deinterleave {
		parts = 3 // q, k and v
	}
	if len(shape) == 0 || heads <= 0 || shape[0]%(heads*parts) != 0 {
		return swap{}, fmt.Errorf("%s %d: shape %v does not divide into so many heads of %d parts", key, heads, shape, parts)
	}
	d := shape[0] / heads / parts
	if how == deinterleave {
		return swap{b: heads, c: parts, d: d}, nil
	}
	return swap{b: parts, c: d, d: 1}, nil
}

// ggufPattern replaces the number of the layer in a name by {i}. Older files
// hold one tensor for each expert, blk.0.ffn_up.3.weight, which has the
// pattern of the stack and the expert's number.
func ggufPattern(name string) (pattern, layer, expert string) {
	rest, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return name, "", ""
	}
	layer, rest, _ = strings.Cut(rest, ".")
	if !isNumber(layer) {
		return name, "", ""
	}
	parts := strings.Split(rest, ".")
	if len(parts) == 3 && isNumber(parts[1]) {
		return "blk.{i}." + parts[0] + "_exps." + parts[2], layer, parts[1]
	}
	return "blk.{i}." + rest, layer, ""
}

// isNumber says that s is a whole number as strconv.Itoa writes it.
func isNumber(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && strconv.Itoa(n) == s
}
