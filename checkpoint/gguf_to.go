package checkpoint

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Source is a tensor of a GGUF file to be, made of tensors of a checkpoint.
type Source struct {
	Name  string   // in GGUF
	Shape []int    // outermost first
	Parts []Tensor // one, or the experts of a stack

	transpose bool // the one part's stored rows are columns
	data      []float32
}

// As returns the source for writing as d, see Tensor.As.
func (s Source) As(d DType) Out {
	return Out{Name: s.Name, DType: d, Shape: s.Shape, Write: func(w io.Writer) error {
		if s.data != nil {
			buf := make([]byte, d.RowBytes(len(s.data)))
			dtypes[d].encode(buf, s.data)
			_, err := w.Write(buf)
			return err
		}
		for _, t := range s.Parts {
			write := t.writeRows
			if s.transpose {
				write = t.writeTransposed
			}
			if err := write(w, d); err != nil {
				return err
			}
			t.Release()
		}
		return nil
	}}
}

// Sources returns the tensors of a GGUF file as they are, for writing another.
func Sources(f *File) []Source {
	sources := make([]Source, len(f.tensors))
	for i, t := range f.tensors {
		sources[i] = Source{Name: t.Name, Shape: t.Shape, Parts: []Tensor{t}}
	}
	return sources
}

// ToGGUF returns the metadata and the tensors of the GGUF file that a Hugging
// Face checkpoint with this config.json (as encoding/json decodes it; configFile
// names it in errors) becomes.
// The metadata lacks what the tokenizer and EncodeGGUF add. A config that
// GGUF, as llama.cpp reads it, cannot express is an error; left names the parts
// of a model that it has no place for, such as BERT's head of masked words.
func ToGGUF(config map[string]any, configFile string, f *File) (pairs []KV, sources []Source, left []string, err error) {
	config, fam, err := writable(config, configFile)
	if err != nil {
		return nil, nil, nil, err
	}
	w := &ggufWriter{family: fam, config: config, configFile: configFile, file: f, extra: map[string]any{}}
	if prepare, ok := preparers[fam.modelType]; ok {
		if err := prepare(w); err != nil {
			return nil, nil, nil, err
		}
	}
	if err := w.labels(); err != nil {
		return nil, nil, nil, err
	}
	if pairs, err = w.pairs(); err != nil {
		return nil, nil, nil, err
	}
	if err := w.collect(); err != nil {
		return nil, nil, nil, err
	}
	return pairs, w.sources, w.left, nil
}

// writable finds the family of a config, fills in the defaults that matter,
// and checks what the architecture implies.
func writable(config map[string]any, file string) (map[string]any, family, error) {
	if text, ok := config["text_config"].(map[string]any); ok && config["model_type"] == "gemma3" {
		config = text
	}
	modelType, _ := config["model_type"].(string)
	fam, err := familyOf(modelType, fmt.Sprintf("%s: model_type %q", file, modelType))
	if err != nil {
		return nil, family{}, err
	}
	filled := map[string]any{}
	for key, value := range fam.defaults {
		filled[key] = value
	}
	for key, value := range config {
		filled[key] = value
	}
	if filled["hidden_activation"] == nil && fam.implied["hidden_activation"] != nil {
		delete(filled, "hidden_activation")
		if older := filled["hidden_act"]; older != nil { // which package model falls back on
			filled["hidden_activation"] = older
		}
	}
	for key, value := range fam.implied {
		if got, ok := filled[key]; ok && !reflect.DeepEqual(got, value) && !(got == nil && reflect.DeepEqual(value, []any{})) {
			return nil, family{}, fmt.Errorf("%s: %s %v cannot be expressed in GGUF, where %s means %v", file, key, got, fam.modelType, value)
		}
	}
	return filled, fam, nil
}

// ggufWriter collects a GGUF file.
type ggufWriter struct {
	family
	config     map[string]any
	configFile string
	file       *File
	extra      map[string]any // values of metadata by key pattern, before those of config
	sources    []Source
	left       []string // parts of the model that are not written
}

// pairs returns the metadata in the order of the tables.
func (w *ggufWriter) pairs() ([]KV, error) {
	pairs := []KV{{keyArchitecture, w.arch}, {keyType, "model"}}
	for _, row := range w.metadata {
		value, ok := w.extra[row.gguf]
		if !ok {
			value = getPath(w.config, row.hf)
		}
		if value == nil {
			if row.required {
				return nil, fmt.Errorf("%s: %s is missing", w.configFile, row.hf)
			}
			continue
		}
		value, err := row.kind.of(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", w.configFile, row.hf, err)
		}
		pairs = append(pairs, KV{strings.Replace(row.gguf, "{arch}", w.arch, 1), value})
	}
	return pairs, nil
}

// of converts a value of config.json to the kind.
func (k kind) of(value any) (any, error) {
	switch k {
	case kindUint:
		if n, ok := whole(value); ok && n >= 0 && n <= 1<<32-1 {
			return uint32(n), nil
		}
	case kindFloat:
		if _, ok := whole(value); ok || reflect.TypeOf(value).Kind() == reflect.Float64 {
			return float32(number(value)), nil
		}
	case kindBool:
		if x, ok := value.(bool); ok {
			return x, nil
		}
	case kindString:
		if x, ok := value.(string); ok {
			return x, nil
		}
	case kindStrings:
		if x, ok := value.([]string); ok {
			return x, nil
		}
	}
	return nil, fmt.Errorf("%s wanted, found %T %v", k, value, value)
}

// missed are the tensors that are dropped although something depends on them,
// and the part of the model that they are.
var missed = map[string]string{
	"cls.predictions.*":       "cls.predictions",
	"cls.seq_relationship.*":  "cls.seq_relationship",
	"multi_modal_projector.*": "multi_modal_projector",
	"pooler.dense.bias":       "pooler",
	"pooler.dense.weight":     "pooler",
	"vision_tower.*":          "vision_tower",
}

// leave notes a part of the model that is not written, once.
func (w *ggufWriter) leave(pattern string) {
	if part := missed[pattern]; part != "" && !slices.Contains(w.left, part) {
		w.left = append(w.left, part)
	}
}

// collect turns the tensors of the checkpoint into sources, those outside of
// the layers first, then layer by layer, by name.
func (w *ggufWriter) collect() error {
	layers, _ := whole(getPath(w.config, w.configKey(keyLayers)))
	experts := map[string][]Tensor{} // stack → parts
	counts := map[string]int{}       // pattern → layers that have it
	for _, t := range w.file.tensors {
		row, layer, expert, err := w.match(t.Name)
		if err != nil {
			return err
		}
		if row.how == dropped || row.gguf == tensorHead && w.isTied() {
			w.leave(row.hf)
			continue
		}
		if layer >= layers {
			return fmt.Errorf("%s: tensor %q belongs to layer %d of %d", t.File, t.Name, layer, layers)
		}
		name := strings.Replace(row.gguf, "{i}", strconv.Itoa(layer), 1)
		if row.how == stacked {
			if expert >= len(w.file.tensors) {
				return fmt.Errorf("%s: tensor %q: there cannot be so many experts", t.File, t.Name)
			}
			for len(experts[name]) <= expert {
				experts[name] = append(experts[name], Tensor{})
			}
			experts[name][expert] = t
			if expert == 0 {
				counts[row.gguf]++
			}
			continue
		}
		s, err := w.source(name, row.how, t)
		if err != nil {
			return fmt.Errorf("%s: tensor %q: %w", t.File, t.Name, err)
		}
		w.sources = append(w.sources, s)
		counts[row.gguf]++
	}
	if err := w.stack(experts); err != nil {
		return err
	}
	if err := w.complete(counts, layers); err != nil {
		return err
	}
	slices.SortStableFunc(w.sources, func(a, b Source) int { return compareNames(a.Name, b.Name) })
	return nil
}

// configKey returns the key of config.json for one of metadata.
func (w *ggufWriter) configKey(gguf string) string {
	for _, row := range w.metadata {
		if row.gguf == gguf {
			return row.hf
		}
	}
	return ""
}

func (w *ggufWriter) isTied() bool {
	if tied, ok := w.config["tie_word_embeddings"].(bool); ok {
		return tied
	}
	return w.tied
}

// match finds the row of a tensor's name, and its layer and expert, −1 for none.
func (w *ggufWriter) match(name string) (row tensorName, layer, expert int, err error) {
	full := name
	if w.modelType == "bert" { // older checkpoints
		full = strings.NewReplacer("LayerNorm.gamma", "LayerNorm.weight", "LayerNorm.beta", "LayerNorm.bias").Replace(full)
	}
	candidates := []string{full}
	if w.prefix != "" {
		candidates = append(candidates, w.prefix+full, strings.TrimPrefix(full, w.prefix))
	}
	for _, candidate := range candidates {
		pattern, layer, expert := hfPattern(candidate)
		for _, row := range w.tensors {
			stem, open := strings.CutSuffix(row.hf, "*")
			if row.hf == pattern || open && strings.HasPrefix(pattern, stem) {
				return row, layer, expert, nil
			}
		}
	}
	return row, 0, 0, fmt.Errorf("%s: tensor %q has no place in GGUF's %s", w.file.path, name, w.arch)
}

// hfPattern replaces the first number in a name by {i}, the second by {e}.
func hfPattern(name string) (pattern string, layer, expert int) {
	parts := strings.Split(name, ".")
	layer, expert = -1, -1
	for i, part := range parts {
		if !isNumber(part) {
			continue
		}
		n, _ := strconv.Atoi(part)
		if layer < 0 {
			layer, parts[i] = n, "{i}"
		} else if expert < 0 {
			expert, parts[i] = n, "{e}"
		}
	}
	return strings.Join(parts, "."), layer, expert
}

// source applies a transform to one tensor.
func (w *ggufWriter) source(name string, how transform, t Tensor) (Source, error) {
	s := Source{Name: name, Shape: t.Shape}
	switch how {
	case transposed:
		if len(t.Shape) != 2 {
			return s, fmt.Errorf("a matrix wanted, found shape %v", t.Shape)
		}
		s.Shape = []int{t.Shape[1], t.Shape[0]}
		if t.Transposed {
			t.Transposed, t.Shape = false, s.Shape
		} else {
			s.transpose = true
		}
	case addOne:
		t.add++
	case permuteQ, permuteK, deinterleave:
		order, err := how.order(t.Shape, w.config)
		if err != nil {
			return s, err
		}
		if t.swap == order { // the tensor came from GGUF
			t.swap = swap{}
		} else {
			t.swap = order.back()
		}
	}
	s.Parts = []Tensor{t}
	return s, nil
}

// stack makes sources of the experts.
func (w *ggufWriter) stack(experts map[string][]Tensor) error {
	want, _ := whole(getPath(w.config, w.configKey(keyExperts)))
	for name, parts := range experts {
		if len(parts) != want {
			return fmt.Errorf("%s: %s has %d experts, but %s says %d", w.file.path, name, len(parts), w.configFile, want)
		}
		first := parts[0]
		for e, t := range parts {
			if t.Name == "" || !slices.Equal(t.Shape, first.Shape) || t.DType != first.DType {
				return fmt.Errorf("%s: %s: expert %d of %d is missing or of another shape or type than the first", w.file.path, name, e, len(parts))
			}
		}
		w.sources = append(w.sources, Source{Name: name, Shape: append([]int{len(parts)}, first.Shape...), Parts: parts})
	}
	return nil
}

// complete checks that every layer has what any layer has, and the model its
// embedding and head.
func (w *ggufWriter) complete(counts map[string]int, layers int) error {
	if counts[tensorEmbedding] == 0 {
		return fmt.Errorf("%s: the embedding is missing", w.file.path)
	}
	for _, row := range w.tensors {
		if row.gguf == tensorHead && counts[row.gguf]+counts[tensorClassifier] == 0 && !w.isTied() {
			return fmt.Errorf("%s: tensor %q is missing", w.file.path, row.hf)
		}
		if n := counts[row.gguf]; n > 0 && strings.Contains(row.gguf, "{i}") && n != layers {
			return fmt.Errorf("%s: %q stands in %d of %d layers", w.file.path, row.hf, n, layers)
		}
	}
	return nil
}

// compareNames orders GGUF names: outside of layers first, then by layer.
func compareNames(a, b string) int {
	if c := layerOf(a) - layerOf(b); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// layerOf returns the number of the layer in a GGUF name, −1 for none.
func layerOf(name string) int {
	_, layer, _ := ggufPattern(name)
	if n, err := strconv.Atoi(layer); err == nil {
		return n
	}
	return -1
}

// getPath returns a.b of config, nil where it is missing.
func getPath(config map[string]any, path string) any {
	outer, inner, nested := strings.Cut(path, ".")
	if !nested {
		return config[path]
	}
	object, _ := config[outer].(map[string]any)
	return object[inner]
}
