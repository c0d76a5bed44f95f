package wenmo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"wenmo/internal/filelock"
)

// draftDir is a model's directory on its way: its files are written into a
// folder within it, and take their places only when all of them are whole. What
// a killed process leaves is that folder, which the next one removes.
type draftDir struct {
	dst, dir string
	made     bool     // dst was not there before
	lock     *os.File // tells that the writer is alive
}

const (
	draftPrefix, draftSuffix = ".wenmo-", ".part"
	draftLock                = "lock"
)

// newDraftDir begins the directory dst, which must not exist or be empty.
func newDraftDir(dst string) (*draftDir, error) {
	_, err := os.Stat(dst)
	d := &draftDir{dst: dst, made: os.IsNotExist(err)}
	if err := os.MkdirAll(dst, 0o777); err != nil {
		return nil, err
	}
	if err := sweepDraftDirs(dst); err != nil {
		return nil, err
	}
	for {
		if d.dir, err = os.MkdirTemp(dst, draftPrefix+"*"+draftSuffix); err != nil {
			return nil, err
		}
		locked := false
		if d.lock, err = os.Create(d.path(draftLock)); err == nil {
			locked, err = filelock.Try(d.lock)
		}
		if locked && exists(d.path(draftLock)) {
			return d, nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			d.discard()
			return nil, err
		}
		// Somebody who sweeps has taken it for a dead one before it was locked.
		if d.lock != nil {
			_ = d.lock.Close()
			d.lock = nil
		}
	}
}

// sweepDraftDirs removes what killed processes have left in a directory.
func sweepDraftDirs(dst string) error {
	entries, err := os.ReadDir(dst)
	if err != nil {
		return err
	}
	var left []string
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), draftPrefix) || !strings.HasSuffix(e.Name(), draftSuffix) {
			return fmt.Errorf("%s is not empty", dst)
		}
		left = append(left, filepath.Join(dst, e.Name()))
	}
	for _, dir := range left {
		if f, err := os.OpenFile(filepath.Join(dir, draftLock), os.O_RDWR, 0); err == nil {
			dead, err := filelock.Try(f)
			_ = f.Close()
			if !dead || err != nil {
				return fmt.Errorf("%s is being written by another process", dst)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// path is where a file of the directory is written.
func (d *draftDir) path(name string) string { return filepath.Join(d.dir, name) }

// publish moves the files to their places, config.json last: without it there
// is no model.
func (d *draftDir) publish() error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if name := e.Name(); name != draftLock && name != "config.json" {
			names = append(names, name)
		}
	}
	for i, name := range append(names, "config.json") {
		if err := os.Rename(d.path(name), filepath.Join(d.dst, name)); err != nil {
			for _, moved := range names[:i] {
				_ = os.Remove(filepath.Join(d.dst, moved)) // dst was empty before
			}
			return err
		}
	}
	d.made = false
	d.discard()
	return nil
}

// discard removes what was written, and the directory where it was made.
func (d *draftDir) discard() {
	if d.lock != nil {
		_ = d.lock.Close()
	}
	_ = os.RemoveAll(d.dir) // what cannot be removed does no harm
	if d.made {
		_ = os.Remove(d.dst)
	}
}

// writeDraftDir writes the directory dst with write, whole or not at all.
func writeDraftDir(dst string, write func(dir string) error) error {
	d, err := newDraftDir(dst)
	if err != nil {
		return err
	}
	if err = write(d.dir); err == nil {
		err = d.publish()
	}
	if err != nil {
		d.discard()
	}
	return err
}
