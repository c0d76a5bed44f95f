// Package wenmo opens, runs and trains Transformer language models: Hugging
// Face directories and GGUF files, exactly as their reference implementations
// compute them, on the CPU, in Go alone.
//
//	m, err := wenmo.Open(ctx, "gpt2", wenmo.Options{Pull: true})
//	ids := m.Tokenizer().Encode("The quick brown fox jumps over the lazy dog", true)
//	p := m.Params()
//	p.MaxLength = 50
//	output, err := m.Generate(ctx, ids, p)
//	fmt.Println(m.Tokenizer().Decode(output, true))
//
// A Model is opened once and is safe for concurrent use. An Engine computes
// many requests at once. The packages below (kernel, tensor, nn, model, …) may
// change between versions; this one, tokenizer's and chat's data types are the
// promise.
package wenmo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"wenmo/chat"
	"wenmo/checkpoint"
	"wenmo/engine"
	"wenmo/hub"
	"wenmo/internal/readfile"
	"wenmo/kernel"
	"wenmo/model"
	"wenmo/tensor"
	"wenmo/tokenizer"
)

// Options say how to open a model. The zero value opens it as it is stored.
type Options struct {
	// DType is the type of products: "auto" (as stored; float16 is widened),
	// "f32", "bf16", "q8_0" or "q4_0".
	DType string
	// KV is the type of keys and values: "f32" or "bf16"; "" follows the products.
	KV string
	// Threads is the number of threads; 0: the physical cores.
	Threads int
	// Adapter is the directory of a LoRA, as PEFT writes it, that is added to the
	// model; "": none.
	Adapter string
	// PrefillChunk is how many tokens of a prompt are computed in a pass; 0: 256.
	PrefillChunk int
	// Pull lets Open download a model that is not there.
	Pull bool
	// Progress is told of a download.
	Progress func(PullProgress)
}

// PullProgress tells how far a download is.
type PullProgress = hub.Progress

// Model is an opened model. It is safe for concurrent use.
type Model struct {
	m        *model.Model
	src      *source
	pool     *kernel.Pool
	work     sync.Mutex // held while the pool works
	opt      Options
	bf16     bool // keys and values
	tok      *tokenizer.Tokenizer
	tokErr   error
	tokens   tokenizer.Config
	template *chat.Template
	tmplErr  error
	params   Params

	mu         sync.Mutex
	evaluating sync.Mutex
	graph      *tensor.Graph // of Logits and its like, by who evaluates
	engine     *Engine       // of Generate and its like
	users      sync.WaitGroup
	closed     bool
}

// ErrClosed is the error of a model or engine used after Close.
var ErrClosed = engine.ErrClosed

// ErrTooLong is the error of a sequence with more tokens than the model computes.
var ErrTooLong = engine.ErrTooLong

// Open opens a model: a Hugging Face directory, a .gguf file, a name that is
// registered (see Register), or a name of the hub ("gpt2", "org/name",
// "org/name@revision") that is in the cache or, with Options.Pull, is downloaded.
// A directory with an adapter (adapter_config.json) is opened as the base that it
// names with the adapter. It ends between two tensors when ctx does.
func Open(ctx context.Context, name string, opt Options) (*Model, error) {
	return open(ctx, opt, func() (*source, error) { return openNamed(ctx, name, opt) })
}

// OpenBytes opens a model whose .gguf file is in memory, inside the program for
// one. data must not change until Close. Where it is a packed file (see
// ConvertOptions.Packed) its weights are used where they are, without a copy.
func OpenBytes(ctx context.Context, data []byte, opt Options) (*Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return open(ctx, opt, func() (*source, error) {
		s, err := Builtin{Name: "model in memory", Data: data}.source()
		if err != nil {
			return nil, err
		}
		return s.withAdapter(opt.Adapter)
	})
}

// maxThreads is more than any machine has cores for.
const maxThreads = 1024

// open opens the model whose parts find returns.
func open(ctx context.Context, opt Options, find func() (*source, error)) (*Model, error) {
	if err := kernel.Err(); err != nil {
		return nil, err
	}
	if opt.Threads < 0 || opt.Threads > maxThreads {
		return nil, fmt.Errorf("%d threads, want 0 (as many as there are cores) to %d", opt.Threads, maxThreads)
	}
	dtype, err := model.ParseDType(cmp.Or(opt.DType, "auto"))
	if err != nil {
		return nil, err
	}
	if opt.KV != "" && opt.KV != "f32" && opt.KV != "bf16" {
		return nil, fmt.Errorf("kv type %q is not one of f32, bf16", opt.KV)
	}
	src, err := find()
	if err != nil {
		return nil, err
	}
	if opt.Threads == 0 {
		opt.Threads = DefaultThreads()
	}
	m := &Model{opt: opt, src: src, pool: kernel.NewPool(opt.Threads)}
	if err := m.load(ctx, src, dtype); err != nil {
		m.pool.Close()
		return nil, errors.Join(err, src.close())
	}
	return m, nil
}

// DefaultThreads is the number of threads that a zero Options.Threads means.
func DefaultThreads() int { return min(runtime.GOMAXPROCS(0), physicalCores()) }

// locate finds the path of a model: a local one, or one in the hub's cache.
func locate(ctx context.Context, name string, opt Options) (string, error) {
	if name == "" {
		return "", errors.New("no model: give a directory, a .gguf file or a name of the hub")
	}
	if _, err := os.Stat(name); err == nil {
		return name, nil
	} else if looksLocal(name) {
		return "", fmt.Errorf("model %s: %w", name, err)
	}
	c, err := hub.NewClientFromEnv()
	if err != nil {
		return "", err
	}
	if path, ok, err := c.Find(name); err != nil || ok && !(opt.Pull && onlyTokenizer(path)) {
		return path, err
	}
	if !opt.Pull {
		return "", fmt.Errorf("model %s: %w: neither a file here nor in the cache %s; get it with wenmo pull %s", name, fs.ErrNotExist, c.CacheDir, name)
	}
	path, err := c.Pull(ctx, name, hub.Options{Progress: opt.Progress})
	if err != nil {
		return "", fmt.Errorf("model %s: there is no such file or folder here, and the hub: %w", name, err)
	}
	return path, nil
}

// onlyTokenizer says that a path of the cache has no weights: other tools get the
// tokenizer of a model alone.
func onlyTokenizer(path string) bool {
	files, err := os.ReadDir(path)
	return err == nil && !slices.ContainsFunc(files, func(f os.DirEntry) bool {
		return slices.Contains([]string{".safetensors", ".gguf"}, strings.ToLower(filepath.Ext(f.Name())))
	})
}

// looksLocal says that a name can only be meant as a path.
func looksLocal(name string) bool {
	if n, err := hub.ParseName(name); err == nil {
		name = n.Repo // without a revision or a file of it
	}
	return filepath.IsAbs(name) || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".gguf") ||
		strings.HasSuffix(name, string(filepath.Separator)) || strings.Count(filepath.ToSlash(name), "/") > 1
}

// load reads the tokenizer while the weights are packed, and gives the memory
// that this took, of which less than half is kept, back to the system.
func (m *Model) load(ctx context.Context, src *source, dtype model.DType) (err error) {
	if m.params, err = src.params(); err != nil {
		return err
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		m.tok, m.tokens, m.tokErr = src.tokenizer()
		src.file.DropMetadata()
		go debug.FreeOSMemory()
	})
	if src.adapter == nil {
		m.m, err = model.Load(ctx, src.config, src.file, dtype, m.pool)
	} else {
		m.m, err = model.LoadAdapted(ctx, src.config, src.file, src.adapter, dtype, m.pool)
	}
	wait.Wait()
	if err != nil {
		return err
	}
	m.params.FitVocab(m.m.Vocab)
	if m.tokens.ChatTemplate != "" {
		m.template, m.tmplErr = chat.Parse(m.tokens.ChatTemplate, "chat_template")
	}
	m.bf16 = m.opt.KV == "bf16" || m.opt.KV == "" && m.m.BF16
	return nil
}

// Tokenizer returns the model's tokenizer, nil where it has none (see
// TokenizerErr).
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tok }

// TokenizerErr says why the model has no tokenizer.
func (m *Model) TokenizerErr() error { return m.tokErr }

// Template returns the model's chat template, or nil where it has none, with
// the reason where it has one that cannot be used.
func (m *Model) Template() (*chat.Template, error) { return m.template, m.tmplErr }

// Config returns the values of config.json, or what a GGUF file's metadata
// amounts to. It must not be changed.
func (m *Model) Config() map[string]any { return m.m.Config.Raw() }

// Info is what a model is.
type Info struct {
	Architecture string `json:"architecture"`
	Type         string `json:"model_type"`
	Vocab        int    `json:"vocab_size"`
	Hidden       int    `json:"hidden_size"`
	Layers       int    `json:"num_hidden_layers"`
	Heads        int    `json:"num_attention_heads"`
	Context      int    `json:"context"`
	WeightBytes  int    `json:"weight_bytes"` // packed
	KVBytes      int    `json:"kv_bytes_per_token"`
	Threads      int    `json:"threads"`
	Generates    bool   `json:"generates"`
	Task         Task   `json:"task"`
}

// Info returns what the model is.
func (m *Model) Info() Info {
	shape := m.m.KV
	shape.BF16 = m.bf16
	return Info{
		Architecture: m.m.Architecture, Type: m.m.Type, Vocab: m.m.Vocab, Hidden: m.m.Hidden,
		Layers: m.m.Layers, Heads: m.m.Heads, Context: m.m.Context, WeightBytes: m.m.WeightBytes,
		KVBytes: shape.PageBytes() / tensor.PageTokens, Threads: m.opt.Threads, Task: m.Task(), Generates: m.m.Head == model.CausalHead,
	}
}

// Close waits for work under way and frees the model.
func (m *Model) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	m.closed = true
	e := m.engine
	m.mu.Unlock()
	if e != nil {
		e.Close()
	}
	m.users.Wait()
	if m.graph != nil {
		m.graph.Close()
	}
	m.pool.Close()
	return errors.Join(m.m.Close(), m.src.close())
}

// enter notes a user of the model until leave.
func (m *Model) enter() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.users.Add(1)
	return nil
}

func (m *Model) leave() { m.users.Done() }

// source is where a model's parts come from.
type source struct {
	path    string // directory or .gguf file
	dir     string // "" for a .gguf file
	file    *checkpoint.File
	config  *model.Config
	adapter *model.Adapter // nil: none
	merged  bool           // the adapter is part of file and config

	adapterDir string // "": none
}

func openSource(path string) (*source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	file, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	if file.Format() == "gguf" {
		return ggufSource(file)
	}
	s := &source{path: path, dir: path, file: file}
	if !info.IsDir() {
		s.dir = filepath.Dir(path)
	}
	name := filepath.Join(s.dir, "config.json")
	data, err := readfile.Regular(name)
	if err == nil {
		s.config, err = model.ParseConfig(data, name)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

func ggufSource(file *checkpoint.File) (*source, error) {
	view, config, err := checkpoint.FromGGUF(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &source{path: file.Path(), file: view, config: model.NewConfig(config, file.Path())}, nil
}

func (s *source) tokenizer() (*tokenizer.Tokenizer, tokenizer.Config, error) {
	if s.adapterDir == "" {
		return s.baseTokenizer()
	}
	own, err := tokenizer.LoadConfig(s.adapterDir)
	if err != nil {
		return nil, own, err
	}
	if t, err := tokenizer.LoadDir(s.adapterDir); !noTokenizer(err) {
		return t, own, err
	}
	t, c, err := s.baseTokenizer()
	if own.ChatTemplate != "" || len(own.NamedTemplates) > 0 {
		c.ChatTemplate, c.NamedTemplates = own.ChatTemplate, own.NamedTemplates
	}
	return t, c, err
}

func (s *source) baseTokenizer() (*tokenizer.Tokenizer, tokenizer.Config, error) {
	if s.file.Packed() {
		return s.packedTokenizer()
	}
	if s.dir == "" {
		meta := s.file.Metadata()
		t, err := tokenizer.FromGGUF(meta, s.path)
		return t, tokenizer.ConfigFromGGUF(meta), err
	}
	c, err := tokenizer.LoadConfig(s.dir)
	if err != nil {
		return nil, c, err
	}
	t, err := tokenizer.LoadDir(s.dir)
	return t, c, err
}

// generationConfig returns the text of generation_config.json and its name for
// messages; nil where there is none. What an adapter's says goes over the base's.
func (s *source) generationConfig() (data []byte, name string, err error) {
	data, name, err = s.baseGenerationConfig()
	if err != nil || s.adapterDir == "" {
		return data, name, err
	}
	own := filepath.Join(s.adapterDir, "generation_config.json")
	over, err := readfile.Regular(own)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return data, name, nil
	case err != nil || data == nil:
		return over, own, err
	}
	merged := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &merged); err != nil {
		return nil, name, fmt.Errorf("%s: %w", name, err)
	}
	if err := json.Unmarshal(over, &merged); err != nil {
		return nil, own, fmt.Errorf("%s: %w", own, err)
	}
	data, err = json.Marshal(merged)
	return data, name + " with " + own, err
}

func (s *source) baseGenerationConfig() (data []byte, name string, err error) {
	if s.dir == "" {
		text, ok := s.file.Metadata()[checkpoint.KeyGenerationConfig].(string)
		if !ok {
			data, err := s.impliedConfig()
			return data, s.path, err
		}
		return []byte(text), s.path + ": " + checkpoint.KeyGenerationConfig, nil
	}
	name = filepath.Join(s.dir, "generation_config.json")
	data, err = readfile.Regular(name)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return data, name, err
}

// params returns the parameters of generation_config.json, and where it names
// no end tokens, those of config.json.
func (s *source) params() (Params, error) {
	p := engine.DefaultParams()
	data, name, err := s.generationConfig()
	if data != nil {
		p, err = engine.ParseGenerationConfig(data, name)
	}
	if err != nil {
		return p, err
	}
	for _, key := range []string{"eos_token_id", "bos_token_id", "pad_token_id"} {
		if v := s.config.Raw()[key]; v != nil && !p.Given(key) {
			text, err := json.Marshal(v)
			if err == nil {
				err = p.Set(key, string(text))
			}
			if err != nil {
				return p, fmt.Errorf("%s: %w", s.config.File(), err)
			}
		}
	}
	return p, nil
}

// impliedConfig is the generation_config.json that a GGUF file amounts to which
// has none, if it names more than one end.
func (s *source) impliedConfig() ([]byte, error) {
	var ends []int32
	if id, ok := firstID(s.config.Raw()["eos_token_id"]); ok {
		ends = []int32{int32(id)}
	}
	more := s.turnEnds(ends)
	if len(more) == 0 {
		return nil, nil
	}
	return json.Marshal(map[string]any{"eos_token_id": append(ends, more...)})
}

// enders are tokens that end a turn or a text in models of our day.
var enders = []string{"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<EOT>"}

// turnEnds returns what beside known ids ends an answer of a GGUF file: what it
// names as the end of a turn or, as llama.cpp does (src/llama-vocab.cpp), tokens
// whose text says so.
func (s *source) turnEnds(known []int32) (ends []int32) {
	meta := s.file.Metadata()
	add := func(id int32) {
		if !slices.Contains(known, id) && !slices.Contains(ends, id) {
			ends = append(ends, id)
		}
	}
	for _, name := range []string{"eot", "eom"} {
		if id, ok := meta["tokenizer.ggml."+name+"_token_id"].(uint32); ok && id <= math.MaxInt32 {
			add(int32(id))
		}
	}
	tokens, _ := meta["tokenizer.ggml.tokens"].([]string)
	for id, text := range tokens {
		if slices.Contains(enders, text) {
			add(int32(id))
		}
	}
	return ends
}
