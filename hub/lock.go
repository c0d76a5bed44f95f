package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"wenmo/internal/filelock"
)

const lockPoll = 100 * time.Millisecond

// lock takes the lock of a blob, which other tools of the hub honour too, and
// waits for whoever has it. The lock is the system's, not the file's
// existence: what a killed process leaves behind locks nobody out.
func (s *store) lock(ctx context.Context, sum string, note func(string)) (unlock func(), err error) {
	if err := os.MkdirAll(s.locks, 0o777); err != nil {
		return nil, diskError(err)
	}
	name := filepath.Join(s.locks, sum+".lock")
	for waited := false; ; waited = true {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o664)
		if err != nil {
			return nil, diskError(err)
		}
		got, err := filelock.Try(f)
		if got && isStill(f, name) {
			return func() { f.Close() }, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
		if got {
			continue
		}
		if !waited {
			note(fmt.Sprintf("waiting for another download of it (lock %s)", name))
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}

// unlocked returns an error while somebody has one of the locks in dir.
func unlocked(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		name := filepath.Join(dir, e.Name())
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		free, err := filelock.Try(f)
		f.Close()
		if err != nil {
			return err
		}
		if !free {
			return fmt.Errorf("it is being downloaded (lock %s)", name)
		}
	}
	return nil
}

// isStill reports whether name is the file f: another tool may have removed
// the lock file between our opening and locking it.
func isStill(f *os.File, name string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(name)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// diskError marks the errors of a full disk.
func diskError(err error) error {
	if isDiskFull(err) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}
