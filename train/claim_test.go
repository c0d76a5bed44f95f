package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefusedResume demands that a run which is not to be gone on with, since
// settings were changed, keeps its files as they were.
func TestRefusedResume(t *testing.T) {
	c := smallRun(t)
	c.Train.Steps = 2
	finished(t, c, RunOptions{})
	names := []string{savedConfig, "config.json", "generation_config.json"}
	want := map[string]string{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(c.Out, name))
		if err != nil {
			t.Fatal(err)
		}
		want[name] = string(data)
	}
	again, err := ResumeConfig("", c.Out)
	if err != nil {
		t.Fatal(err)
	}
	again.Model.Width, again.Model.Inner = 64, 0
	err = Run(t.Context(), again, RunOptions{Resume: true, Log: func(string) {}})
	if err == nil || !strings.Contains(err.Error(), "is of another run") {
		t.Errorf("got error %v", err)
	}
	for _, name := range names {
		if data, err := os.ReadFile(filepath.Join(c.Out, name)); err != nil || string(data) != want[name] {
			t.Errorf("%s was changed, error %v:\n%s", name, err, data)
		}
	}
}

// TestClaim demands that a folder in which somebody trains is refused.
func TestClaim(t *testing.T) {
	c := smallRun(t)
	first := &run{cfg: c}
	if err := first.claim(); err != nil {
		t.Fatal(err)
	}
	err := Run(t.Context(), c, RunOptions{Plan: true, Log: func(string) {}})
	if err == nil || !strings.Contains(err.Error(), "another process is training there") {
		t.Errorf("got error %v", err)
	}
	if err := first.done[0](); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), c, RunOptions{Plan: true, Log: func(string) {}}); err != nil {
		t.Error(err)
	}
}
