package train

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"wenmo/checkpoint"
	"wenmo/model"
)

// Checkpoints are the states of a run on disk, a folder each, named by the
// number of its steps. A folder appears as a whole or not at all.
type Checkpoints struct {
	Dir  string
	Keep int // that stay, beside the best one; 0: 2

	// Files are written into each checkpoint besides weights and state, so that it
	// is a model: config.json, the tokenizer's.
	Files map[string][]byte

	writing chan error // of the save under way
	stalled time.Duration
}

const (
	defaultKeep      = 2
	checkpointDigits = 8
	weightsFile      = "model.safetensors"
	adapterFile      = model.AdapterWeightsFile
	stateFile        = "state.json"
	tensorsFile      = "state.safetensors" // of optimizer and average
	temporaryPrefix  = "tmp-"
)

// savedState is state.json: what is not a tensor, and what the other files
// hold.
type savedState struct {
	Loop  LoopState         `json:"loop"`
	Files map[string]string `json:"sha256"`
}

// Save begins to write the state of a loop; Wait waits for the end. Until then
// the parameters and what the optimizer remembers must stay as they are, which
// they do while gradients are computed.
func (c *Checkpoints) Save(l *Loop) error {
	if err := c.Wait(); err != nil {
		return err
	}
	state := l.State
	guard := *l.Guard
	guard.Losses = slices.Clone(guard.Losses)
	state.Guard = &guard
	c.writing = make(chan error, 1)
	go func() { c.writing <- c.write(l, state) }()
	return nil
}

// Wait waits for the save under way and returns its error.
func (c *Checkpoints) Wait() error {
	if c.writing == nil {
		return nil
	}
	start := time.Now()
	err := <-c.writing
	c.writing = nil
	c.stalled += time.Since(start)
	return err
}

// Stalled is how long a run has waited for its checkpoints.
func (c *Checkpoints) Stalled() time.Duration { return c.stalled }

func (c *Checkpoints) path(step int) string {
	return filepath.Join(c.Dir, fmt.Sprintf("%0*d", checkpointDigits, step))
}

// write writes a checkpoint beside its place and moves it there.
func (c *Checkpoints) write(l *Loop, state LoopState) (err error) {
	if err := os.MkdirAll(c.Dir, 0o777); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(c.Dir, temporaryPrefix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
			err = fmt.Errorf("checkpoint after %d steps: %w", state.Step, err)
		}
	}()
	for name, data := range c.Files {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o666); err != nil {
			return err
		}
	}
	if err := SaveWeights(l.Pass.Model, tmp, checkpoint.F32); err != nil {
		return err
	}
	if err := checkpoint.WriteSafetensors(filepath.Join(tmp, tensorsFile), l.stateTensors(), nil); err != nil {
		return err
	}
	saved := savedState{Loop: state, Files: map[string]string{}}
	for _, name := range []string{weightsName(l.Pass.Model), tensorsFile} {
		if saved.Files[name], err = hashFile(filepath.Join(tmp, name)); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(saved, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, stateFile), append(data, '\n'), 0o666); err != nil {
		return err
	}
	if err := syncDir(tmp); err != nil {
		return err
	}
	if err := settle(tmp, c.path(state.Step), saved.Files); err != nil {
		return err
	}
	return c.prune(state.BestStep)
}

// settle moves a finished checkpoint, whose files have these sums, to its place.
// What there is of the same step is whole until the new one is: where the tensors
// are the same, as after a validation, it takes the files over one by one.
func settle(tmp, place string, sums map[string]string) error {
	var there savedState
	data, err := os.ReadFile(filepath.Join(place, stateFile))
	if err == nil && json.Unmarshal(data, &there) == nil && maps.Equal(there.Files, sums) {
		files, err := os.ReadDir(tmp)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := os.Rename(filepath.Join(tmp, f.Name()), filepath.Join(place, f.Name())); err != nil {
				return err
			}
		}
		return os.Remove(tmp)
	}
	if err := notThere(os.Rename(place, tmp+"-old")); err != nil { // prune removes it
		return err
	}
	if err := os.Rename(tmp, place); err != nil {
		return errors.Join(err, notThere(os.Rename(tmp+"-old", place)))
	}
	return nil
}

// notThere is err, unless there was nothing.
func notThere(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// weightsName is the file that SaveWeights writes.
func weightsName(m *model.Model) string {
	if m.Adapter != nil {
		return adapterFile
	}
	return weightsFile
}

// SaveWeights writes the trained weights of a model into dir: those of an
// adapter alone, as PEFT does, where it has one. dtype is of the file.
func SaveWeights(m *model.Model, dir string, dtype checkpoint.DType) error {
	if m.Adapter != nil {
		return m.SaveAdapter(dir)
	}
	out := make([]checkpoint.Out, len(m.Params))
	for i, p := range m.Params {
		out[i] = model.ParamOut(p, dtype)
	}
	return checkpoint.WriteSafetensors(filepath.Join(dir, weightsFile), out, map[string]string{"format": "pt"})
}

// stateTensors are what optimizer and average remember, in the order of memory.
func (l *Loop) stateTensors() []checkpoint.Out {
	var out []checkpoint.Out
	for _, s := range l.states() {
		for _, t := range s.Tensors {
			b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(t.Data))), 4*len(t.Data))
			out = append(out, checkpoint.Out{Name: t.Name, DType: checkpoint.F32, Shape: []int{len(t.Data)}, Data: b})
		}
	}
	return out
}

func (l *Loop) states() []*State {
	all := []*State{l.Optimizer.State()}
	if l.EMA != nil {
		all = append(all, l.EMA.State())
	}
	return all
}

// hashFile returns the SHA-256 of a file.
func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// syncDir brings the small files of a folder, and itself, to the disk.
func syncDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		f, err := os.OpenFile(filepath.Join(dir, e.Name()), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	if d, err := os.Open(dir); err == nil { // Windows does not sync folders
		_ = d.Sync()
		return d.Close()
	}
	return nil
}

// Steps returns the steps of the checkpoints there are, ascending.
func (c *Checkpoints) Steps() ([]int, error) {
	entries, err := os.ReadDir(c.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n >= 0 && e.IsDir() {
			steps = append(steps, n)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// prune removes all but the newest checkpoints and the best one, and what
// broken-off saves have left.
func (c *Checkpoints) prune(best int) error {
	steps, err := c.Steps()
	if err != nil {
		return err
	}
	keep := cmp.Or(c.Keep, defaultKeep)
	for _, step := range steps[:max(0, len(steps)-keep)] {
		if step == best {
			continue
		}
		if err := os.RemoveAll(c.path(step)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporaryPrefix) {
			if err := os.RemoveAll(filepath.Join(c.Dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Restore brings a loop to the state of the newest checkpoint that is whole, and
// reports whether there is one. broken is told of those that are not.
func (c *Checkpoints) Restore(l *Loop, broken func(error)) (bool, error) {
	steps, err := c.Steps()
	if err != nil {
		return false, err
	}
	for _, step := range slices.Backward(steps) {
		saved, err := c.check(step, weightsName(l.Pass.Model))
		if err != nil {
			broken(err)
			continue
		}
		return true, c.load(l, saved)
	}
	if len(steps) > 0 {
		return false, fmt.Errorf("%s: none of the %d checkpoints is whole", c.Dir, len(steps))
	}
	return false, nil
}

// RestoreStep brings a loop to the state after so many steps.
func (c *Checkpoints) RestoreStep(l *Loop, step int) error {
	saved, err := c.check(step, weightsName(l.Pass.Model))
	if err != nil {
		return err
	}
	return c.load(l, saved)
}

// check reads the state of a checkpoint whose files are what they were.
func (c *Checkpoints) check(step int, weights string) (*savedState, error) {
	s, err := c.state(step)
	if err != nil {
		return nil, err
	}
	for _, file := range []string{weights, tensorsFile} {
		path := filepath.Join(c.path(step), file)
		sum, err := hashFile(path)
		if err != nil {
			return nil, err
		}
		if sum != s.Files[file] {
			return nil, fmt.Errorf("%s: SHA-256 is %s, want %s: the file is damaged", path, sum, s.Files[file])
		}
	}
	return s, nil
}

// state reads the state of a checkpoint.
func (c *Checkpoints) state(step int) (*savedState, error) {
	name := filepath.Join(c.path(step), stateFile)
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	s := &savedState{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if s.Loop.Guard == nil || s.Loop.Step != step {
		return nil, fmt.Errorf("%s: is not the state after %d steps", name, step)
	}
	return s, nil
}

// belongs says whether a state is of a run, which its fingerprint names.
func (c *Checkpoints) belongs(saved *savedState, run string) error {
	if saved.Loop.Run != run {
		return fmt.Errorf("%s: is of another run: its data or settings are not these (give another out, or take back what was changed)", c.path(saved.Loop.Step))
	}
	return nil
}

// load sets weights and state, having checked that they are of this run.
func (c *Checkpoints) load(l *Loop, saved *savedState) error {
	dir := c.path(saved.Loop.Step)
	if err := c.belongs(saved, l.State.Run); err != nil {
		return err
	}
	m := l.Pass.Model
	err := readAll(filepath.Join(dir, weightsName(m)), func(f *checkpoint.File) error {
		for _, p := range m.Params {
			stored := make([]float32, len(p.Value))
			if err := readFloats(f, p.Name, stored); err != nil {
				return err
			}
			p.Load(p.Value, stored)
			p.Update(l.Pass.Graph)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = readAll(filepath.Join(dir, tensorsFile), func(f *checkpoint.File) error {
		for _, s := range l.states() {
			for _, t := range s.Tensors {
				if err := readFloats(f, t.Name, t.Data); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	saved.Loop.Guard.Limit = l.Guard.Limit
	l.Guard = saved.Loop.Guard
	l.State = saved.Loop
	for _, s := range l.states() {
		s.Steps = l.State.Updates
	}
	return nil
}

func readAll(path string, read func(f *checkpoint.File) error) error {
	f, err := checkpoint.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(read(f), f.Close())
}

func readFloats(f *checkpoint.File, name string, dst []float32) error {
	t, ok := f.Tensor(name)
	if !ok || t.DType != checkpoint.F32 || t.Len() != len(dst) {
		return fmt.Errorf("%s: there is no tensor %q of %d float32", f.Path(), name, len(dst))
	}
	return t.Float32(dst)
}
