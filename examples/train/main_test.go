package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTrain(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "my.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("The cat sees the sun. 猫看见太阳。\n\n", 60)), 0o666); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(t.Context(), &out, text, dir, "2s"); err != nil {
		t.Fatal(err)
	}
	if want := regexp.MustCompile(`(?s)^\d+ parameters, \d+ steps\n.*The`); !want.MatchString(out.String()) {
		t.Errorf("it says %q, want what matches %s", &out, want)
	}
	if err := run(t.Context(), &out, text, dir, "2s"); err == nil || !strings.Contains(err.Error(), "holds a run") {
		t.Errorf("error %v where there is a model already", err)
	}
}
