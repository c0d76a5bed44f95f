package train

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestDiaryGoesOn demands that TensorBoard forgets what comes after the state
// that a run goes on from, and not the last step before.
func TestDiaryGoesOn(t *testing.T) {
	dir := t.TempDir()
	d, err := openDiary(dir, &LoopState{Step: 5}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "tensorboard", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if start := []byte{2 << 3, 6, 7<<3 | 2, 2, 1 << 3, 1}; !bytes.Contains(data, start) { // step 6: SessionLog START
		t.Errorf("%x: no start of a session at step 6", data)
	}
}
