package wenmo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wenmo/internal/filelock"
)

func tinyOptions() CreateOptions { return CreateOptions{Shape: "tiny-llama"} }

// TestWriteInterrupted cancels create and convert in the middle: nothing is left.
func TestWriteInterrupted(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	if err := Create(t.Context(), src, tinyOptions()); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(ctx context.Context, dst string, progress func(done, total int64)) error{
		"create": func(ctx context.Context, dst string, progress func(done, total int64)) error {
			opt := tinyOptions()
			opt.Progress = progress
			return Create(ctx, dst, opt)
		},
		"convert": func(ctx context.Context, dst string, progress func(done, total int64)) error {
			return Convert(ctx, src, dst, ConvertOptions{Progress: progress})
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		dst := filepath.Join(dir, name)
		if err := write(ctx, dst, func(int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dst); !os.IsNotExist(err) {
			t.Errorf("%s left its directory (%v)", name, err)
		}
		if err := os.Mkdir(dst, 0o777); err != nil {
			t.Fatal(err)
		}
		_ = write(ctx, dst, func(int64, int64) {})
		if entries, err := os.ReadDir(dst); err != nil || len(entries) > 0 {
			t.Errorf("%s in a directory of the user's: %v, %v", name, entries, err)
		}
	}
}

// TestWriteAfterKill writes where a killed process has left its folder.
func TestWriteAfterKill(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "model")
	left := filepath.Join(dst, draftPrefix+"123"+draftSuffix)
	if err := os.MkdirAll(left, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{draftLock, "model.safetensors"} {
		if err := os.WriteFile(filepath.Join(left, name), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := os.OpenFile(filepath.Join(left, draftLock), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := filelock.Try(alive); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), dst, tinyOptions()); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("beside a living writer: %v", err)
	}
	if err := alive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), dst, tinyOptions()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dst)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := Create(t.Context(), dst, tinyOptions()); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("over a model: %v", err)
	}
}

// TestOpenCancelled ends the opening of a model between its tensors.
func TestOpenCancelled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	if err := Create(t.Context(), dir, tinyOptions()); err != nil {
		t.Fatal(err)
	}
	ctx := &countdown{Context: t.Context(), left: 10}
	m, err := Open(ctx, dir, Options{Threads: 1})
	if !errors.Is(err, context.Canceled) {
		if err == nil {
			m.Close()
		}
		t.Fatalf("%v", err)
	}
}

// countdown is a context that ends when it has been asked often enough.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}
