package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"wenmo/internal/filelock"
)

// lockFile is the file, among the checkpoints, that a run locks while it lasts.
const lockFile = "lock"

// checkpointsDir is the folder of the checkpoints in that of the model.
const checkpointsDir = "checkpoints"

// removeEmpty removes the folder of a run that came to nothing, if nothing is in it.
func removeEmpty(out string) {
	checkpoints := filepath.Join(out, checkpointsDir)
	c := &Checkpoints{Dir: checkpoints}
	if steps, err := c.Steps(); err != nil || len(steps) > 0 {
		return
	}
	_ = os.Remove(filepath.Join(checkpoints, lockFile))
	for _, dir := range []string{checkpoints, filepath.Join(out, "data"), out} {
		_ = os.Remove(dir) // which fails where something is left
	}
}

// place makes the folder of the run, and refuses one that holds another.
func (r *run) place(context.Context) error {
	out := r.cfg.Out
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	if err := r.claim(); err != nil {
		return err
	}
	c := &Checkpoints{Dir: filepath.Join(out, checkpointsDir)}
	steps, err := c.Steps()
	if err != nil {
		return err
	}
	if len(steps) > 0 {
		if r.opt.Resume {
			return nil
		}
		return fmt.Errorf("%s holds a run after %d steps: go on with it by --resume, or give another out", out, steps[len(steps)-1])
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	for _, e := range entries {
		isModel := slices.Contains([]string{".safetensors", ".gguf", ".bin"}, filepath.Ext(e.Name()))
		if isModel && e.Name() != referenceFile {
			return fmt.Errorf("%s holds a model already, and no checkpoint to go on from: give another out", out)
		}
	}
	for _, other := range []string{r.cfg.Model.Base, r.cfg.Model.Tokenizer} {
		if a, err := os.Stat(other); err == nil && sameFile(a, out) {
			return fmt.Errorf("%s is where the run reads from: give another out", out)
		}
	}
	if r.opt.Resume {
		r.opt.Log(r.word("there is no checkpoint: the run begins at its first step", "没有检查点：从第一步开始"))
	}
	return nil
}

func sameFile(a os.FileInfo, path string) bool {
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

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
