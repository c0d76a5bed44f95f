package wenmo

import (
	"context"
	"fmt"

	"wenmo/checkpoint"
	"wenmo/hub"
)

// Pull gets a model from the hub into the cache that the hub's other tools
// share, and returns its path. What is there already is not downloaded again.
func Pull(ctx context.Context, name string, progress func(PullProgress)) (string, error) {
	if _, ok := findBuiltin(name); ok {
		return "", fmt.Errorf("%s is inside the program: there is nothing to download", name)
	}
	c, err := hub.NewClientFromEnv()
	if err != nil {
		return "", err
	}
	return c.Pull(ctx, name, hub.Options{Progress: progress})
}

// CachedModel is a model in the cache.
type CachedModel = hub.Entry

// CachedModels lists the models in the cache. Where some of them cannot be read
// it returns the others, and why.
func CachedModels() ([]CachedModel, error) {
	c, err := hub.NewClientFromEnv()
	if err != nil {
		return nil, err
	}
	return c.List()
}

// RemoveModel deletes a model from the cache.
func RemoveModel(name string) error {
	if _, ok := findBuiltin(name); ok {
		return fmt.Errorf("%s is inside the program and cannot be removed", name)
	}
	c, err := hub.NewClientFromEnv()
	if err != nil {
		return err
	}
	return c.Remove(name)
}

// Report is what Check found in a checkpoint.
type Report = checkpoint.Report

// Check reads the container of a model, a directory, a .safetensors or a .gguf
// file or a name that is registered or in the cache, and fails on a broken one: a
// header that lies, tensors that overlap or lie outside of the file. No whole
// model is needed.
func Check(ctx context.Context, name string) (Report, error) {
	if b, ok := findBuiltin(name); ok {
		return checkpoint.CheckBytes(b.Data, b.Name)
	}
	path, err := locate(ctx, name, Options{})
	if err != nil {
		return Report{}, err
	}
	return checkpoint.Check(path)
}
