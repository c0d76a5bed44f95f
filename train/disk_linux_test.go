package train

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRunDiskFull demands a clear error where a checkpoint has no room, that the
// one before survives, and that the run goes on once there is room.
func TestRunDiskFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("wenmo-test", disk, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	base := smallRun(t)
	base.Train.Steps, base.Save.Every = 60, "1ms"
	want := finished(t, copyOf(t, base), RunOptions{})
	c := copyOf(t, base)
	c.Out = filepath.Join(disk, "out")
	filler := filepath.Join(disk, "filler")
	steps := 0
	err := Run(t.Context(), c, RunOptions{Log: func(string) {}, Told: func(e Event) {
		if e.Train == nil {
			return
		}
		if steps++; steps == 30 {
			if err := fill(filler); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("filling the disk ended with %v", err)
			}
		}
	}})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v, want that the disk is full", err)
	}
	checkpoints := &Checkpoints{Dir: filepath.Join(c.Out, checkpointsDir)}
	if all, err := checkpoints.Steps(); err != nil || len(all) == 0 {
		t.Fatalf("checkpoints %v, error %v: want one that survived", all, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	again, err := ResumeConfig("", c.Out)
	if err != nil {
		t.Fatal(err)
	}
	same(t, finished(t, again, RunOptions{Resume: true, Log: func(text string) { t.Error(text) }}), want)
}

// fill writes a file until there is no more room.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	part := make([]byte, 4096)
	for {
		if _, err := f.Write(part); err != nil {
			return err
		}
	}
}
