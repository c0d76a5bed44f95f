package wenmo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"wenmo/checkpoint"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/tokenizer"
)

// keyTokenizerConfig is where a packed file keeps what tokenizer.Config says; the
// tokenizer.json and the chat template have keys of GGUF.
const keyTokenizerConfig = "wenmo.tokenizer_config"

// writePacked writes a packed file, see ConvertOptions.
func (s *source) writePacked(ctx context.Context, dst string, opt ConvertOptions) error {
	if err := kernel.Err(); err != nil {
		return err
	}
	dtype, err := model.ParseDType(cmp.Or(opt.DType, "auto"))
	if err != nil {
		return err
	}
	if _, err := s.params(); err != nil { // or the packed file could not be opened
		return err
	}
	pool := kernel.NewPool(DefaultThreads())
	defer pool.Close()
	outs, asStored, err := model.Pack(s.config, s.file, dtype, pool)
	if err != nil {
		return err
	}
	pairs, outs, err := checkpoint.PackedGGUF(s.config.Raw(), asStored, outs)
	if err != nil {
		return err
	}
	sides, err := s.packedSides()
	if err != nil {
		return err
	}
	return checkpoint.WriteGGUF(dst, append(pairs, sides...), watched(ctx, outs, opt.Progress))
}

// packedSides returns the metadata of what stands beside the weights.
func (s *source) packedSides() ([]checkpoint.KV, error) {
	var pairs []checkpoint.KV
	generation, _, err := s.generationConfig()
	if err != nil {
		return nil, err
	}
	if generation != nil {
		pairs = append(pairs, checkpoint.KV{Key: checkpoint.KeyGenerationConfig, Value: string(generation)})
	}
	tok, config, err := s.tokenizer()
	if noTokenizer(err) {
		return pairs, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := tok.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("%s: tokenizer: %w", s.path, err)
	}
	pairs = append(pairs, checkpoint.KV{Key: tokenizer.GGUFTokenizerJSON, Value: string(text)})
	if config.ChatTemplate != "" {
		pairs = append(pairs, checkpoint.KV{Key: tokenizer.GGUFChatTemplate, Value: config.ChatTemplate})
		config.ChatTemplate = ""
	}
	if text, err = json.Marshal(config); err != nil {
		return nil, err
	}
	return append(pairs, checkpoint.KV{Key: keyTokenizerConfig, Value: string(text)}), nil
}

// packedTokenizer returns the tokenizer of a packed file.
func (s *source) packedTokenizer() (*tokenizer.Tokenizer, tokenizer.Config, error) {
	var config tokenizer.Config
	meta := s.file.Metadata()
	text, _ := meta[keyTokenizerConfig].(string)
	if err := json.Unmarshal([]byte(cmp.Or(text, "{}")), &config); err != nil {
		return nil, config, fmt.Errorf("%s: metadata %q: %w", s.path, keyTokenizerConfig, err)
	}
	config.ChatTemplate, _ = meta[tokenizer.GGUFChatTemplate].(string)
	tok, err := tokenizer.FromGGUF(meta, s.path)
	return tok, config, err
}
