package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckpointTwice demands that a checkpoint which is saved again, after the
// validation of its step, is never taken away on the way.
func TestCheckpointTwice(t *testing.T) {
	c := smallRun(t)
	c.Save.Every, c.Save.Keep = "1ns", 100
	var first os.FileInfo
	dir := (&Checkpoints{Dir: filepath.Join(c.Out, checkpointsDir)}).path(4)
	finished(t, c, RunOptions{Told: func(e Event) {
		if e.Validation != nil && e.Step == 4 { // the average is in place: the save before has ended
			first, _ = os.Stat(dir)
		}
	}})
	last, err := os.Stat(dir)
	if err != nil || first == nil || !os.SameFile(first, last) {
		t.Errorf("the checkpoint is another folder, error %v", err)
	}
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil || !strings.Contains(string(data), `"best_step": 4`) {
		t.Errorf("the state is %s, error %v: want that of after the validation", data, err)
	}
}
