package wenmo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"wenmo/internal/readfile"
	"wenmo/model"
)

// openNamed opens what name says, with the adapter that opt names. The name of
// an adapter is that of its base with it.
func openNamed(ctx context.Context, name string, opt Options) (*source, error) {
	if b, ok := findBuiltin(name); ok {
		s, err := b.source()
		if err != nil {
			return nil, err
		}
		return s.withAdapter(opt.Adapter)
	}
	path, err := locate(ctx, name, opt)
	if err != nil {
		return nil, err
	}
	if isAdapter(path) {
		return openBase(ctx, path, opt)
	}
	s, err := openSource(path)
	if err != nil {
		return nil, err
	}
	return s.withAdapter(opt.Adapter)
}

// isAdapter says whether a directory holds an adapter and no model.
func isAdapter(path string) bool {
	_, err := os.Stat(filepath.Join(path, model.AdapterConfigFile))
	_, whole := os.Stat(filepath.Join(path, "model.safetensors"))
	return err == nil && whole != nil
}

// openBase opens the base of the adapter in dir, with it.
func openBase(ctx context.Context, dir string, opt Options) (*source, error) {
	if opt.Adapter != "" {
		return nil, fmt.Errorf("%s is an adapter, to which %s cannot be added", dir, opt.Adapter)
	}
	base, err := baseOf(dir)
	if err != nil {
		return nil, err
	}
	opt.Adapter = dir
	s, err := openNamed(ctx, base, opt)
	if err != nil {
		return nil, fmt.Errorf("the base of the adapter %s: %w", dir, err)
	}
	return s, nil
}

// baseOf returns the name of the model that an adapter names as its base: its
// path where it is one seen from the adapter's directory.
func baseOf(dir string) (string, error) {
	name := filepath.Join(dir, model.AdapterConfigFile)
	data, err := readfile.Regular(name)
	if err != nil {
		return "", err
	}
	c, err := model.ParseAdapterConfig(data, name)
	if err != nil {
		return "", err
	}
	if c.Base == "" {
		return "", fmt.Errorf("%s: base_model_name_or_path is missing; give the base as the model and %s as its adapter", name, dir)
	}
	if beside := filepath.Join(dir, filepath.FromSlash(c.Base)); !filepath.IsAbs(c.Base) && exists(beside) {
		return beside, nil
	}
	return c.Base, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// withAdapter adds an adapter to a source, which it closes where that fails. A
// config.json beside the adapter, such as that of a model whose head was trained
// with it, stands for the base's, as do a tokenizer and a chat template.
func (s *source) withAdapter(dir string) (*source, error) {
	if dir == "" {
		return s, nil
	}
	var err error
	if s.adapter, err = model.OpenAdapter(dir); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.adapterDir = dir
	name := filepath.Join(dir, "config.json")
	if data, e := readfile.Regular(name); e == nil {
		s.config, err = model.ParseConfig(data, name)
	} else if !errors.Is(e, os.ErrNotExist) {
		err = e
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// merge makes the adapter part of the weights.
func (s *source) merge() error {
	if s.adapter == nil {
		return nil
	}
	file, config, err := model.Merge(s.config, s.file, s.adapter)
	if err != nil {
		return err
	}
	s.file, s.config, s.merged = file, config, true
	return nil
}

func (s *source) close() error {
	var err error
	if s.adapter != nil {
		err = s.adapter.Close()
	}
	return errors.Join(err, s.file.Close())
}
