package train

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wenmo/chat"
	"wenmo/dataset"
	"wenmo/internal/readfile"
	"wenmo/model"
)

// companions are names and patterns of the files that a model's tokenizer may consist of.
var companions = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
	"vocab.txt", "*.model", "*.spm", "*.tiktoken", "chat_template.jinja",
}

// tokenizerFiles reads the files of the tokenizer in dir.
func tokenizerFiles(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	var names []string
	for _, pattern := range companions {
		found, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.IsDir() {
			continue
		}
		data, err := readfile.Regular(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}

// tokenizerConfig is tokenizer_config.json with the end-of-text token and the
// template that the model is trained with.
func (m *material) tokenizerConfig(stored []byte, template string) map[string]any {
	values := map[string]any{}
	_ = json.Unmarshal(stored, &values) // it was read before
	if values["tokenizer_class"] == nil {
		values["tokenizer_class"] = "PreTrainedTokenizerFast"
	}
	for key, token := range map[string]string{"eos_token": m.tokens.EOS, "bos_token": m.tokens.BOS, "pad_token": m.tokens.PAD, "unk_token": m.tokens.UNK, "cls_token": m.tokens.CLS, "sep_token": m.tokens.SEP, "mask_token": m.tokens.MASK} {
		if values[key] == nil && token != "" {
			values[key] = token
		}
	}
	if template != "" && values["chat_template"] == nil {
		values["chat_template"] = template
	}
	return values
}

// ends are the tokens that generation ends at: of text, and of a turn.
func (r *run) ends(template string) []int {
	var ends []int
	if id := r.mat.eos(); id != nil {
		ends = append(ends, int(*id))
	}
	for _, name := range []string{"<|im_end|>", "<|eot_id|>", "<end_of_turn>"} {
		if id, ok := r.mat.tok.ID(name); ok && strings.Contains(template, name) && !slices.Contains(ends, int(id)) {
			ends = append(ends, int(id))
		}
	}
	return ends
}

// heldText returns what a language model is validated on, masked always alike.
func (m *material) heldText(ctx context.Context, tokens int64) ([]dataset.Held, error) {
	var held []dataset.Held
	add := func(some iter.Seq2[dataset.Held, error]) error {
		for h, err := range some {
			if err != nil {
				return err
			}
			if m.masker != nil {
				h.Sequence = m.masker.Mask(h.Sequence, dataset.MaskPlace{Document: uint64(len(held)), Epoch: ^uint32(0)})
			}
			held = append(held, h)
		}
		return nil
	}
	if err := add(m.corpus.Validation(tokens, m.cfg.Model.Context)); err != nil {
		return nil, err
	}
	sources := m.validationSources()
	for i := range sources {
		enc, err := m.encoder(&sources[i])
		if err != nil {
			return nil, err
		}
		files := dataset.ValidationFiles(ctx, sources[i].Path, sources[i].read(m.log), enc, tokens/int64(len(sources)), m.cfg.Model.Context)
		if err := add(files); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// samples chooses what the model is let write meanwhile.
func (r *run) samples() error {
	c, l := r.cfg, r.loop
	if r.opt.Sample == nil || c.Watch.SampleEvery < 0 || r.pass.Model.Head != model.CausalHead {
		return nil
	}
	template, err := r.mat.chatTemplate()
	if err != nil {
		return err
	}
	s := Sampler{Model: r.pass.Model, Pool: r.pool, Tokenizer: r.mat.tok, Tokens: c.Watch.SampleTokens}
	prompts := c.Watch.Prompts
	if len(prompts) == 0 {
		prompts = []string{""}
		if c.talks() {
			prompts = []string{r.word("Hello!", "你好！")}
		}
	}
	for _, p := range prompts {
		ids, err := r.mat.promptIDs(p, template)
		if err != nil {
			return err
		}
		s.Prompts = append(s.Prompts, ids)
	}
	for _, id := range r.ends(template) {
		s.EOS = append(s.EOS, int32(id))
	}
	l.Sample = func(ctx context.Context, step int) error {
		texts, err := r.opt.Sample(ctx, s)
		if err != nil {
			return err
		}
		for i, text := range texts {
			if r.opt.Sampled != nil {
				r.opt.Sampled(step, prompts[i], text)
			}
			if err := r.diary.sample(step, prompts[i], text); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

// promptIDs are the tokens that a sample goes on from: of a text, of one that
// begins, or of a message that is to be answered.
func (m *material) promptIDs(prompt, template string) ([]int32, error) {
	if m.cfg.talks() {
		t, err := chat.Parse(template, "chat template")
		if err != nil {
			return nil, err
		}
		text, err := t.Render(chat.Input{
			Messages: []chat.Message{{Role: "user", Content: prompt}}, AddGenerationPrompt: true, BOS: m.tokens.BOS, EOS: m.tokens.EOS,
		})
		return m.tok.Encode(text, false), err
	}
	if ids := m.tok.EncodeOrdinary(prompt); len(ids) > 0 {
		return ids, nil
	}
	if eos := m.eos(); eos != nil {
		return []int32{*eos}, nil
	}
	return []int32{0}, nil
}
