package wenmo

import (
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"wenmo/checkpoint"
)

// Builtin is a model that travels inside the program.
type Builtin struct {
	Name string // by which it is opened
	Data []byte // a .gguf file, packed for one, see ConvertOptions; never written to
}

var builtins []Builtin

// Register makes a model known by its name to all that open, convert or check
// models, before any file or model of the hub of that name. It is for the
// initialisation of a program, as package wenmo/embedded does it, and not safe
// for concurrent use. A name that is registered twice panics.
func Register(b Builtin) {
	if _, ok := findBuiltin(b.Name); ok {
		panic(fmt.Sprintf("wenmo: model %q is registered twice", b.Name))
	}
	builtins = append(builtins, b)
}

// Builtins returns the models that are registered, in the order of it.
func Builtins() []Builtin { return slices.Clone(builtins) }

func findBuiltin(name string) (Builtin, bool) {
	at := slices.IndexFunc(builtins, func(b Builtin) bool { return b.Name == name })
	if at < 0 {
		return Builtin{}, false
	}
	return builtins[at], true
}

// folderOf returns the path of a model that is to be trained. One that is
// registered is written once into the user's cache.
func folderOf(ctx context.Context, name string) (string, error) {
	b, ok := findBuiltin(name)
	if !ok {
		return locate(ctx, name, Options{Pull: true})
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "wenmo", fmt.Sprintf("%s-%08x", b.Name, crc32.ChecksumIEEE(b.Data)))
	whole := func() bool { return exists(filepath.Join(dir, "config.json")) } // which comes last
	if whole() {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return "", err
	}
	err = Convert(ctx, name, dir, ConvertOptions{})
	if whole() { // another process may have been faster
		return dir, nil
	}
	return "", err
}

func (b Builtin) source() (*source, error) {
	file, err := checkpoint.OpenBytes(b.Data, b.Name)
	if err != nil {
		return nil, err
	}
	return ggufSource(file)
}
