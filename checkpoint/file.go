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
	"regexp"
	"slices"
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
// model.safetensors, model.safetensors.index.json with its shards, one .gguf file,
// or one .safetensors file of another name. A model that is split over .gguf files
// is opened by the first of them. It checks the header and that the tensors lie inside the file
// and apart from each other.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openDir(path)
	}
	switch {
	case filepath.Base(path) == indexFile:
		return openShards(path)
	case filepath.Ext(path) == ".json":
		return nil, fmt.Errorf("%s: not a model; a model is a directory or a .gguf file (perhaps %s)", path, filepath.Dir(path))
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
	for _, ending := range []string{".gguf", ".safetensors"} {
		found, err := withEnding(dir, ending)
		if first, ok := theFirst(found); ok {
			found = []string{first}
		}
		switch {
		case err != nil:
			return nil, err
		case len(found) == 1 && shardOfMany.MatchString(found[0]):
			return nil, fmt.Errorf("%s: one shard of several, without the %s that names them", found[0], indexFile)
		case len(found) == 1:
			return openFile(found[0])
		case len(found) > 1:
			return nil, fmt.Errorf("%s: %d %s files in it; name one", dir, len(found), ending)
		}
	}
	return nil, nothingIn(dir)
}

// withEnding lists the files of a directory that end so, but for those of an
// adapter.
func withEnding(dir, ending string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+ending))
	return slices.DeleteFunc(found, func(path string) bool { return filepath.Base(path) == adapterFile }), err
}

// shardOfMany is the name of a shard, as transformers gives it.
var shardOfMany = regexp.MustCompile(`-\d{5}-of-\d{5}\.safetensors$`)

const adapterFile = "adapter_model.safetensors"

// nothingIn says what a directory without weights seems to be.
func nothingIn(dir string) error {
	what := fmt.Sprintf("no %s, %s or .gguf file in it", singleFile, indexFile)
	pickled, err := filepath.Glob(filepath.Join(escapeGlob(dir), "pytorch_model*.bin"))
	switch {
	case exists(filepath.Join(dir, adapterFile)):
		what = "it holds an adapter, not a model"
	case exists(filepath.Join(dir, "checkpoints")) && exists(filepath.Join(dir, "run.toml")):
		what = fmt.Sprintf("a training that has not ended (go on with it: wenmo pretrain or finetune --resume --out %s)", dir)
	case err == nil && len(pickled) > 0:
		what = fmt.Sprintf("its weights are in %s, which is not read, since it may run programs: save the model as safetensors (transformers: save_pretrained)", filepath.Base(pickled[0]))
	}
	return fmt.Errorf("%s: %s: %w", dir, what, fs.ErrNotExist)
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
	mmap.DontNeed(m.Data) // what the header says is copied
	if err == nil {
		err = f.joinParts()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
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
	if count, _ := f.parts(); count > 1 {
		return nil, fmt.Errorf("%s: a part of a model that is split over %d files", path, count)
	}
	for i := range f.tensors {
		f.tensors[i].file = nil
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
