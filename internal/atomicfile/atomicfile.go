// Package atomicfile writes files that are there as a whole or not at all.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"wenmo/internal/filelock"
)

// Draft is a file on its way to its path: it is written under another name in
// the same directory, and takes the place of what stood there only when whole.
type Draft struct {
	*bufio.Writer
	path string
	file *os.File
}

// writeBuffer is the size of the writes to disk.
const writeBuffer = 1 << 20

// NewDraft begins the draft of the file at path, after removing those that killed
// processes have left of the same path: nobody holds the lock of such a one. A
// draft keeps its lock until it is published. What stands at path and is no
// regular file, a folder, a device or a pipe, is an error.
func NewDraft(path string) (*Draft, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "write", Path: path, Err: fmt.Errorf("not a regular file (%v)", info.Mode().Type())}
	}
	if err := sweepDrafts(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for {
		name := fmt.Sprintf("%s%016x%s", draftPrefix(path), rand.Uint64(), draftSuffix)
		file, err := os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return nil, pathError(err, path)
		}
		d := &Draft{path: path, file: file}
		d.Writer = bufio.NewWriterSize(d.toDisk(), writeBuffer)
		locked, err := filelock.Try(file)
		if err != nil {
			d.Discard()
			return nil, err
		}
		if _, err := os.Stat(file.Name()); locked && err == nil {
			return d, nil
		}
		d.Discard() // somebody who sweeps has seen it before it was locked
	}
}

const draftSuffix = ".part"

func draftPrefix(path string) string { return "." + filepath.Base(path) + "." }

func sweepDrafts(path string) error {
	dir, prefix := filepath.Dir(path), draftPrefix(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		random, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || len(random) != 16+len(draftSuffix) || !strings.HasSuffix(random, draftSuffix) || !e.Type().IsRegular() {
			continue
		}
		name := filepath.Join(dir, e.Name())
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue // somebody else's, or gone meanwhile
		}
		dead, err := filelock.Try(f)
		dead = dead && err == nil
		// What cannot be removed does no harm. A file that is open goes on Unix
		// alone, where its name must go before the lock does.
		if dead {
			err = os.Remove(name)
		}
		_ = f.Close()
		if dead && err != nil {
			_ = os.Remove(name)
		}
	}
	return nil
}

type writeFunc func([]byte) (int, error)

func (w writeFunc) Write(p []byte) (int, error) { return w(p) }

func (d *Draft) toDisk() io.Writer {
	return writeFunc(func(p []byte) (int, error) {
		n, err := d.file.Write(p)
		return n, pathError(err, d.path)
	})
}

// pathError is the error of a draft as that of the file at path: nobody knows the
// other name.
func pathError(err error, path string) error {
	if failed, ok := errors.AsType[*os.PathError](err); ok {
		return &os.PathError{Op: failed.Op, Path: path, Err: failed.Err}
	}
	if failed, ok := errors.AsType[*os.LinkError](err); ok {
		return &os.PathError{Op: failed.Op, Path: path, Err: failed.Err}
	}
	return err
}

// Finish brings everything written to disk.
func (d *Draft) Finish() error {
	if err := d.Flush(); err != nil {
		return err
	}
	err := d.file.Sync()
	if runtime.GOOS == "windows" { // which moves no open file
		err = errors.Join(err, d.file.Close())
	}
	return pathError(err, d.path)
}

// Publish moves a finished draft to its path.
func (d *Draft) Publish() error {
	if err := os.Rename(d.file.Name(), d.path); err != nil {
		return pathError(err, d.path)
	}
	_ = d.file.Close() // everything is on disk; it may be closed already
	return syncDir(filepath.Dir(d.path))
}

// Discard removes the draft.
func (d *Draft) Discard() {
	_ = d.file.Close() // it may be closed already; it goes in any case
	_ = os.Remove(d.file.Name())
}

// Write writes the file at path with write; if anything fails, the disk
// being full for one, what stood there before stays and nothing else remains.
func Write(path string, write func(io.Writer) error) error {
	d, err := NewDraft(path)
	if err != nil {
		return err
	}
	err = write(d)
	if err == nil {
		err = d.Finish()
	}
	if err != nil {
		d.Discard()
		if failed, ok := errors.AsType[*os.PathError](err); ok && failed.Path == path {
			return err
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := d.Publish(); err != nil {
		d.Discard()
		return err
	}
	return nil
}

// Replace writes data to the file at path, as Write does.
func Replace(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
