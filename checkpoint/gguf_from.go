package checkpoint

import "errors"

// FromGGUF returns f, a GGUF file, with the names, layouts and row order of a
// Hugging Face checkpoint, and the config.json that its metadata amounts to.
// The view shares f's mapping; closing either closes both.
func FromGGUF(f *File) (*File, map[string]any, error) { return nil, nil, errors.New("not implemented") }
