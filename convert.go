package wenmo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wenmo/checkpoint"
	"wenmo/internal/readfile"
	"wenmo/model"
	"wenmo/tokenizer"
)

// ConvertOptions say what Convert writes.
type ConvertOptions struct {
	DType string // "auto" (as stored; what a directory cannot hold becomes f32), "f32", "f16", "bf16"; for .gguf also "q8_0", "q4_0", "q4_k_m"

	// Packed writes a .gguf file that only wenmo reads, whose weights lie as
	// products take them: it is opened at once, and several processes share its
	// memory. DType is one of Options.DType. Where its matrices are not those of the
	// checkpoint, as of GPT-2, it cannot be converted again.
	Packed bool

	// Adapter is the directory of a LoRA, as PEFT writes it, that becomes part of
	// the weights; "": none.
	Adapter string

	Progress func(done, total int64)

	// Left is told of parts of the model that a .gguf file has no place for, such
	// as BERT's head of masked words, and that are left out.
	Left func(parts []string)
}

// Convert writes the model src in another form: a .gguf file where dst ends so,
// else a Hugging Face directory. What is there under that name is replaced only
// once the new one is whole; a directory must not exist or be empty.
func Convert(ctx context.Context, src, dst string, opt ConvertOptions) error {
	s, err := openNamed(ctx, src, Options{Adapter: opt.Adapter})
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.merge(); err != nil {
		return err
	}
	gguf := isGGUF(dst)
	if a, err := os.Stat(s.path); err == nil {
		if b, err := os.Stat(dst); err == nil && os.SameFile(a, b) {
			return fmt.Errorf("%s: source and destination are the same", dst)
		}
	}
	switch {
	case !s.file.AsStored():
		return fmt.Errorf("%s: a packed model of this architecture cannot be converted; convert what it was made of", s.path)
	case opt.Packed && !gguf:
		return fmt.Errorf("%s: packed models are .gguf files", dst)
	case opt.Packed && s.file.Packed():
		return fmt.Errorf("%s: it is packed already; convert what it was made of, or what it converts to", s.path)
	case opt.Packed:
		return s.writePacked(ctx, dst, opt)
	}
	// Or nothing could open what is written. A family that is not known here may be
	// known to others, or a part of it to GGUF.
	if err := model.Check(s.config, s.file); err != nil && !errors.Is(err, model.ErrArchitecture) {
		return err
	}
	if gguf {
		return s.writeGGUF(ctx, dst, opt)
	}
	return s.writeDir(ctx, dst, opt)
}

// Quantize writes the model src, a directory or a .gguf file, as a .gguf file
// of type q8_0, q4_0 or q4_k_m.
func Quantize(ctx context.Context, src, dst, typ string, progress func(done, total int64)) error {
	if typ = strings.ToLower(typ); !slices.Contains([]string{"q8_0", "q4_0", "q4_k_m"}, typ) {
		return fmt.Errorf("type %q is not one of q8_0, q4_0, q4_k_m", typ)
	}
	if !isGGUF(dst) {
		return fmt.Errorf("%s: quantized models are .gguf files", dst)
	}
	return Convert(ctx, src, dst, ConvertOptions{DType: typ, Progress: progress})
}

func isGGUF(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }

// writeGGUF writes a GGUF file as llama.cpp's own converter would.
func (s *source) writeGGUF(ctx context.Context, dst string, opt ConvertOptions) error {
	pairs, sources, left, err := checkpoint.ToGGUF(s.config.Raw(), s.config.File(), s.file)
	if err != nil {
		return err
	}
	if len(left) > 0 && opt.Left != nil {
		opt.Left(left)
	}
	tokens, err := s.tokenizerPairs()
	if err != nil {
		return err
	}
	generation, _, err := s.generationConfig()
	if err != nil {
		return err
	}
	if generation != nil {
		pairs = append(pairs, checkpoint.KV{Key: checkpoint.KeyGenerationConfig, Value: string(generation)})
	}
	mix := cmp.Or(opt.DType, "auto")
	if mix == "auto" {
		mix = s.storedType()
	}
	pairs, out, err := checkpoint.EncodeGGUF(mix, append(pairs, tokens...), sources)
	if err != nil {
		return err
	}
	return checkpoint.WriteGGUF(dst, pairs, watched(ctx, out, opt.Progress))
}

// tokenizerPairs returns the metadata of the tokenizer, filled up to the model's
// vocabulary, and of the chat template, where the model has one; and the ids that
// config.json names.
func (s *source) tokenizerPairs() ([]checkpoint.KV, error) {
	meta := map[string]any{}
	tok, config, err := s.tokenizer()
	switch {
	case err == nil:
		if meta, err = tok.GGUFMetadata(config); err != nil {
			return nil, err
		}
		tokenizer.PadGGUF(meta, s.config.Int("vocab_size"))
	case !noTokenizer(err):
		return nil, err
	}
	for ours, theirs := range map[string]string{"bos": "bos", "eos": "eos", "pad": "padding"} { // of which tokenizer_config.json may say nothing
		key := "tokenizer.ggml." + theirs + "_token_id"
		if id, ok := firstID(s.config.Raw()[ours+"_token_id"]); ok && meta[key] == nil {
			meta[key] = id
		}
	}
	keys := make([]string, 0, len(meta))
	for k := range meta {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	pairs := make([]checkpoint.KV, len(keys))
	for i, k := range keys {
		pairs[i] = checkpoint.KV{Key: k, Value: meta[k]}
	}
	return pairs, nil
}

// firstID is an id of config.json, or the first of a list of them.
func firstID(v any) (uint32, bool) {
	if list, ok := v.([]any); ok && len(list) > 0 {
		v = list[0]
	}
	id, ok := v.(float64)
	return uint32(id), ok && id >= 0
}

// noTokenizer says that an error only tells that there is no tokenizer.
func noTokenizer(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, tokenizer.ErrNone)
}

// storedType is the type of most of the checkpoint's elements, as a name of
// EncodeGGUF; quantised files become f32 once widened.
func (s *source) storedType() string {
	count := map[checkpoint.DType]int{}
	for _, name := range s.file.Names() {
		t, _ := s.file.Tensor(name)
		count[t.DType] += t.Len()
	}
	best := checkpoint.F32
	for _, d := range slices.Sorted(maps.Keys(count)) {
		if count[d] > count[best] {
			best = d
		}
	}
	switch best {
	case checkpoint.F16:
		return "f16"
	case checkpoint.BF16:
		return "bf16"
	case checkpoint.Q8_0:
		return "q8_0"
	case checkpoint.Q4_0:
		return "q4_0"
	}
	return "f32"
}

// watched wraps the writing of tensors: it ends with ctx and reports progress
// in bytes.
func watched(ctx context.Context, out []checkpoint.Out, progress func(done, total int64)) []checkpoint.Out {
	var done, total int64
	for _, o := range out {
		total += int64(o.DType.RowBytes(product(o.Shape)))
	}
	for i, o := range out {
		inner := o.Write
		out[i].Data = nil
		out[i].Write = func(w io.Writer) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			if inner != nil {
				err = inner(w)
			} else {
				_, err = w.Write(o.Data)
			}
			done += int64(o.DType.RowBytes(product(o.Shape)))
			if err == nil && progress != nil {
				progress(done, total)
			}
			return err
		}
	}
	return out
}

// writeDir writes a Hugging Face directory.
func (s *source) writeDir(ctx context.Context, dst string, opt ConvertOptions) error {
	dtype, err := dirType(cmp.Or(opt.DType, "auto"))
	if err != nil {
		return err
	}
	var out []checkpoint.Out
	for _, name := range s.file.Names() {
		t, _ := s.file.Tensor(name)
		d := dtype
		if d == 0 {
			d = plain(t.DType)
		}
		out = append(out, t.As(d))
	}
	const maxShard = 5 << 30 // as transformers
	return writeDraftDir(dst, func(dir string) error {
		if err := checkpoint.WriteSafetensorsDir(dir, watched(ctx, out, opt.Progress), map[string]string{"format": "pt"}, maxShard); err != nil {
			return err
		}
		return s.writeSides(dir, dtype)
	})
}

// dirType reads the type of a directory's weights; 0 is auto.
func dirType(name string) (checkpoint.DType, error) {
	types := map[string]checkpoint.DType{"auto": 0, "f32": checkpoint.F32, "f16": checkpoint.F16, "bf16": checkpoint.BF16}
	d, ok := types[name]
	if !ok {
		return 0, fmt.Errorf("dtype %q is not one of auto, f32, f16, bf16 for a directory; quantized models are .gguf files", name)
	}
	return d, nil
}

// plain is the type that safetensors has for a stored one.
func plain(d checkpoint.DType) checkpoint.DType {
	switch d {
	case checkpoint.F16, checkpoint.BF16, checkpoint.F32:
		return d
	}
	return checkpoint.F32
}

// writeSides writes what stands beside the weights: config.json,
// generation_config.json and the tokenizer's files.
func (s *source) writeSides(dst string, dtype checkpoint.DType) error {
	config := maps.Clone(s.config.Raw())
	if name := torchNames[dtype]; name != "" {
		config["torch_dtype"] = name
		if config["dtype"] != nil { // its name since transformers 4.56
			config["dtype"] = name
		}
	}
	if s.dir != "" && s.adapterDir == "" {
		if err := copySides(s.dir, dst); err != nil || dtype == 0 && !s.merged {
			return err
		}
		return writeJSON(filepath.Join(dst, "config.json"), config)
	}
	if err := writeJSON(filepath.Join(dst, "config.json"), config); err != nil {
		return err
	}
	if err := s.writeGenerationConfig(filepath.Join(dst, "generation_config.json")); err != nil {
		return err
	}
	tok, tc, err := s.tokenizer()
	if noTokenizer(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tok.Save(filepath.Join(dst, "tokenizer.json")); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dst, "tokenizer_config.json"), tokenizerConfig(tc))
}

// writeGenerationConfig writes what a packed file keeps, or what config.json
// says of it.
func (s *source) writeGenerationConfig(name string) error {
	data, _, err := s.generationConfig()
	if err != nil {
		return err
	}
	if data != nil {
		return os.WriteFile(name, data, 0o666)
	}
	generation := map[string]any{}
	for _, key := range []string{"bos_token_id", "eos_token_id", "pad_token_id"} {
		if v := s.config.Raw()[key]; v != nil {
			generation[key] = v
		}
	}
	return writeJSON(name, generation)
}

func tokenizerConfig(c tokenizer.Config) map[string]any {
	out := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast"}
	for key, v := range map[string]string{
		"bos_token": c.BOS, "eos_token": c.EOS, "unk_token": c.UNK, "sep_token": c.SEP, "pad_token": c.PAD,
		"cls_token": c.CLS, "mask_token": c.MASK, "chat_template": c.ChatTemplate,
	} {
		if v != "" {
			out[key] = v
		}
	}
	if len(c.AdditionalSpecial) > 0 {
		out["additional_special_tokens"] = c.AdditionalSpecial
	}
	if c.MaxLength > 0 {
		out["model_max_length"] = c.MaxLength
	}
	if len(c.NamedTemplates) > 0 {
		templates := []map[string]string{{"name": "default", "template": c.ChatTemplate}}
		for _, name := range slices.Sorted(maps.Keys(c.NamedTemplates)) {
			templates = append(templates, map[string]string{"name": name, "template": c.NamedTemplates[name]})
		}
		out["chat_template"] = templates
	}
	return out
}

// torchNames are the values of torch_dtype.
var torchNames = map[checkpoint.DType]string{checkpoint.F32: "float32", checkpoint.F16: "float16", checkpoint.BF16: "bfloat16"}

// copySides copies the small files of a model's directory.
func copySides(src, dst string) error {
	entries, err := os.ReadDir(src)
	if err != nil {
		return err
	}
	const more = "additional_chat_templates"
	names, err := fs.Glob(os.DirFS(src), more+"/*.jinja")
	if err != nil {
		return err
	}
	if len(names) > 0 {
		if err := os.MkdirAll(filepath.Join(dst, more), 0o777); err != nil {
			return err
		}
	}
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".json", ".txt", ".model", ".spm", ".jinja", ".tiktoken":
			if !e.IsDir() && !strings.HasSuffix(e.Name(), ".index.json") {
				names = append(names, e.Name())
			}
		}
	}
	for _, name := range names {
		data, err := readfile.Regular(filepath.Join(src, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dst, name), data, 0o666); err != nil {
			return err
		}
	}
	return nil
}
