// Package checkpoint reads and writes the files that hold weights:
// safetensors, GGUF and directories as Hugging Face lays them out. It maps
// files and hands out their tensors by name. The names of GGUF live in the
// files gguf_*.go alone.
package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"wenmo/internal/mmap"
)

// File is an open checkpoint. Its methods may be called from many goroutines;
// Close must come after the last read.
type File struct {
	path     string
	format   string
	tensors  []Tensor
	index    map[string]int // name → place in tensors
	pairs    []KV           // metadata in the order of the file
	metadata map[string]any // the same, by key
	maps     []*mmap.File
}

// KV is a piece of metadata. In GGUF files Value is of a Go type of the same
// name (uint8 … int64, float32, float64, bool, string) or a slice of those.
type KV struct {
	Key   string
	Value any
}

// Names of the files in a Hugging Face directory.
const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

// Open opens a .safetensors file, a .gguf file, or a directory that holds
// model.safetensors, model.safetensors.index.json with its shards, or one
// .gguf file. It checks the header and that the tensors lie inside the file
// and apart from each other.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openDir(path)
	}
	if filepath.Base(path) == indexFile {
		return openShards(path)
	}
	return openFile(path)
}

func openDir(dir string) (*File, error) {
	if path := filepath.Join(dir, singleFile); exists(path) {
		return openFile(path)
	}
	if path := filepath.Join(dir, indexFile); exists(path) {
		return openShards(path)
	}
	ggufs, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.gguf"))
	if err != nil {
		return nil, err
	}
	switch len(ggufs) {
	case 1:
		return openFile(ggufs[0])
	case 0:
		if exists(filepath.Join(dir, "adapter_model.safetensors")) {
			return nil, fmt.Errorf("%s: it holds an adapter, not a model: %w", dir, fs.ErrNotExist)
		}
		if exists(filepath.Join(dir, "checkpoints")) && exists(filepath.Join(dir, "run.toml")) {
			return nil, fmt.Errorf("%s: a training that has not ended (go on with it: wenmo pretrain or finetune --resume --out %[1]s): %w", dir, fs.ErrNotExist)
		}
		return nil, fmt.Errorf("%s: no %s, %s or .gguf file in it: %w", dir, singleFile, indexFile, fs.ErrNotExist)
	}
	return nil, fmt.Errorf("%s: %d .gguf files in it; name one", dir, len(ggufs))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// escapeGlob makes Glob take a path as it is.
func escapeGlob(path string) string {
	if filepath.Separator == '\\' {
		return path // Windows has no escapes; brackets in names are rare there
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// openFile opens one file, GGUF by its first bytes or name, else safetensors.
func openFile(path string) (*File, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, maps: []*mmap.File{m}}
	parse := f.parseSafetensors
	if strings.EqualFold(filepath.Ext(path), ".gguf") || bytes.HasPrefix(m.Data, []byte(ggufMagic)) {
		parse = f.parseGGUF
	}
	err = mmap.Guard(path, func() error { return parse(path, m.Data) })
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	mmap.DontNeed(m.Data) // what the header says is copied
	return f, nil
}

// OpenBytes opens a GGUF file that is in memory already, inside the program
// for one. path names it in errors. data must not change until Close, which
// leaves it alone.
func OpenBytes(data []byte, path string) (*File, error) {
	f := &File{path: path}
	if err := f.parseGGUF(path, data); err != nil {
		return nil, err
	}
	for i := range f.tensors {
		f.tensors[i].lent = true
	}
	return f, nil
}

// maxIndex bounds what is read of an index file; that of the largest models
// published has a few MB.
const maxIndex = 100 << 20

// openShards opens the safetensors files that an index names. Of a shard the
// tensors count that the index places there.
func openShards(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxIndex {
		return nil, fmt.Errorf("%s: not a regular file of at most %d bytes", path, maxIndex)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(index.WeightMap) == 0 {
		return nil, fmt.Errorf("%s: weight_map is missing or empty", path)
	}
	f := &File{path: path, format: "safetensors", index: map[string]int{}, metadata: map[string]any{}}
	if err := f.addShards(index.WeightMap); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *File) addShards(weightMap map[string]string) error {
	placed := map[string][]string{} // shard → tensors
	for name, shard := range weightMap {
		if shard != filepath.Base(shard) || strings.ContainsAny(shard, `/\:`) || filepath.Ext(shard) != ".safetensors" {
			return fmt.Errorf("%s: weight_map of %q: %q is not the name of a .safetensors file beside the index", f.path, name, shard)
		}
		placed[shard] = append(placed[shard], name)
	}
	shards := make([]string, 0, len(placed))
	for shard := range placed {
		shards = append(shards, shard)
	}
	sort.Strings(shards)
	for _, shard := range shards {
		path := filepath.Join(filepath.Dir(f.path), shard)
		part, err := openFile(path)
		if err != nil {
			return fmt.Errorf("shard of %s: %w", f.path, err)
		}
		f.maps = append(f.maps, part.maps...)
		for _, kv := range part.pairs {
			if _, ok := f.metadata[kv.Key]; !ok {
				f.pairs = append(f.pairs, kv)
				f.metadata[kv.Key] = kv.Value
			}
		}
		for _, t := range part.tensors {
			if weightMap[t.Name] == shard {
				f.index[t.Name] = len(f.tensors)
				f.tensors = append(f.tensors, t)
			}
		}
		sort.Strings(placed[shard])
		for _, name := range placed[shard] {
			if _, ok := part.index[name]; !ok {
				return fmt.Errorf("%s: weight_map places %q in %s, which does not hold it", f.path, name, shard)
			}
		}
	}
	return nil
}

// Path returns the path of the file, or of the index where there are shards.
func (f *File) Path() string { return f.path }

// Format returns "safetensors" or "gguf".
func (f *File) Format() string { return f.format }

// Names returns the names of all tensors, in the order of the file.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Tensor returns the tensor of that name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Metadata returns the metadata of a GGUF file (see KV for the types), or the
// strings that safetensors keeps under __metadata__. The map must not be
// changed.
func (f *File) Metadata() map[string]any { return f.metadata }

// Pairs returns what Metadata returns, in the order of the file.
func (f *File) Pairs() []KV { return f.pairs }

// DropMetadata forgets what Metadata and Pairs return: a vocabulary and its
// merges take some 10 MB.
func (f *File) DropMetadata() { f.pairs, f.metadata = nil, nil }

// Close unmaps the file.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
