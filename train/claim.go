package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"wenmo/internal/filelock"
)

// lockFile is the file, among the checkpoints, that a run locks while it lasts.
const lockFile = "lock"

// claim keeps other processes out of the folder of the run.
func (r *run) claim() error {
	dir := filepath.Join(r.cfg.Out, checkpointsDir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	got, err := filelock.Try(f)
	if err == nil && !got {
		err = fmt.Errorf("%s: another process is training there", r.cfg.Out)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.done = append(r.done, f.Close)
	return nil
}

// sameRun refuses to go on with the checkpoints of another run, before anything
// in its folder is changed.
func (r *run) sameRun() error {
	c := &Checkpoints{Dir: filepath.Join(r.cfg.Out, checkpointsDir)}
	steps, err := c.Steps()
	if err != nil {
		return err
	}
	for _, step := range slices.Backward(steps) {
		if saved, err := c.state(step); err == nil {
			return c.belongs(saved, r.fingerprint())
		}
	}
	return nil // Restore tells of those that are broken
}
